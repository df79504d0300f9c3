//! Stage `paint`: what was reached gets the labels of the seeds.

use std::path::PathBuf;

use exavox_io::{BoundingBox, DataType, Element, Volume, Voxels};

use super::super::blockwise::Blockwise;
use super::super::files;
use super::Flood;
use super::reach::FloodTotals;
use super::states::{Mark, marks_path};
use crate::error::{Error, Result};
use crate::job::StageContext;
use crate::records::RecordReader;

/// Opens the stage.
pub(super) fn open<'a>(step: &'a Flood, context: &StageContext<'_>) -> Result<Blockwise<'a>> {
    let marks = context.data.join(FloodTotals::read(&context.data)?.marks);
    let paint = Paint { step, volume: step.part.open(context)?, marks };
    let make = move |_: usize, area: &BoundingBox| paint.block(area);
    Ok(Blockwise::new(step.target.clone(), step.grid, context.durability, Box::new(make)))
}

struct Paint<'a> {
    step: &'a Flood,
    volume: Volume,
    marks: PathBuf,
}

impl Paint<'_> {
    /// Blocks that the flood has not reached are not read.
    fn block(&self, area: &BoundingBox) -> Result<Voxels> {
        let Flood { grid, target, .. } = self.step;
        let shape = grid.block_shape();
        let block = grid.number(std::array::from_fn(|a| area.start[a] / shape[a]));
        let (path, dtype) = (marks_path(&self.marks, block), target.options().dtype);
        if !files::exists(&path)? {
            return Ok(Voxels::zeros(dtype, area.shape().map(|v| v as usize))?);
        }
        let found = self.step.label(&self.volume, area)?;
        let mut seeds = vec![0_u32; found.count as usize + 1];
        for mark in RecordReader::<Mark>::open(&path)? {
            let Mark { label, seed, .. } = mark?;
            let Some(slot) = seeds.get_mut(label as usize) else {
                let message = format!("has changed since stage reach: block {block} ({area})");
                return Err(Error::settings(self.step.part.name(), message));
            };
            *slot = seed;
        }
        let labels = found.labels.as_slice::<u32>()?;
        if dtype == DataType::U8 {
            let seeds: Vec<u8> = seeds.into_iter().map(|seed| seed as u8).collect();
            return painted(found.labels.shape(), labels, &seeds);
        }
        painted(found.labels.shape(), labels, &seeds)
    }
}

fn painted<T: Element>(shape: [usize; 3], labels: &[u32], seeds: &[T]) -> Result<Voxels> {
    let mut out = Voxels::zeros(T::DTYPE, shape)?;
    let voxels = out.as_mut_slice::<T>()?.iter_mut().zip(labels);
    voxels.for_each(|(out, label)| *out = seeds[*label as usize]);
    Ok(out)
}
