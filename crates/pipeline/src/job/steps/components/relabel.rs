//! Stage `relabel`: blocks are labelled once more, with the numbers of the whole.

use std::path::PathBuf;

use exavox_compute::ops::connected_components::Components as Found;
use exavox_io::{BoundingBox, DataType, Volume, Voxels};

use super::super::blockwise::Blockwise;
use super::Components;
use super::number::{count_parts, numbers_path};
use crate::error::{Error, Result};
use crate::job::StageContext;
use crate::union::LabelMap;

/// Opens the stage.
pub(super) fn open<'a>(step: &'a Components, context: &StageContext<'_>) -> Result<Blockwise<'a>> {
    let numbers = LabelMap::open(&numbers_path(&context.data))?;
    let relabel =
        Relabel { step, volume: step.part.open(context)?, data: context.data.clone(), numbers };
    let make = move |_: usize, area: &BoundingBox| relabel.block(area);
    Ok(Blockwise::new(step.target.clone(), step.grid, context.durability, Box::new(make)))
}

struct Relabel<'a> {
    step: &'a Components,
    volume: Volume,
    data: PathBuf,
    numbers: LabelMap,
}

impl Relabel<'_> {
    fn block(&self, area: &BoundingBox) -> Result<Voxels> {
        let Components { grid, target, .. } = self.step;
        let shape = grid.block_shape();
        let block = grid.number(std::array::from_fn(|a| area.start[a] / shape[a]));
        let (_, found) = self.step.label(&self.volume, area)?;
        let numbers = self.numbers_of(block, found.count)?;
        painted(found, &numbers, target.options().dtype)
    }

    /// The number of each label of a block, 0 for those that become background.
    fn numbers_of(&self, block: u64, count: u64) -> Result<Vec<u64>> {
        let expected = count_parts(&self.data, block)?;
        if count != expected {
            let area = self.step.grid.block(block);
            let message = format!(
                "has changed since stage label: block {block} ({area}) had {expected} components and \
                 has {count}"
            );
            return Err(Error::settings(self.step.part.name(), message));
        }
        let mut numbers = vec![0; count as usize + 1];
        let slice = self.numbers.range(self.step.ids.range_of_block(block))?;
        for renaming in slice.renamings() {
            let (_, local) = self.step.ids.split(renaming.id);
            if let Some(number) = numbers.get_mut(local as usize) {
                *number = renaming.root;
            }
        }
        Ok(numbers)
    }
}

/// The labels with other numbers; in place where the type stays.
fn painted(found: Found, numbers: &[u64], dtype: DataType) -> Result<Voxels> {
    let mut labels = found.labels;
    if dtype == DataType::U32 {
        let numbers: Vec<u32> = numbers.iter().map(|number| *number as u32).collect();
        let voxels = labels.as_mut_slice::<u32>()?;
        voxels.iter_mut().for_each(|label| *label = numbers[*label as usize]);
        return Ok(labels);
    }
    let mut wide = Voxels::zeros(dtype, labels.shape())?;
    let voxels = wide.as_mut_slice::<u64>()?.iter_mut().zip(labels.as_slice::<u32>()?);
    voxels.for_each(|(wide, label)| *wide = numbers[*label as usize]);
    Ok(wide)
}
