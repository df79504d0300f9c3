//! The output: cores of the subvolumes, with the labels of the volume.

use exavox_io::{BoundingBox, DataType, Volume, Voxels};
use rustc_hash::FxHashMap;

use super::Segment;
use super::places::Places;
use super::table::SegmentCount;
use crate::blocks::Stage;
use crate::error::Result;
use crate::job::StageContext;
use crate::job::steps::blockwise::Blockwise;
use crate::records::RecordWriter;
use crate::union::LabelMap;

struct Relabel<'a> {
    step: &'a Segment,
    labels: Volume,
    map: LabelMap,
    places: Places,
}

pub(super) fn open<'a>(
    step: &'a Segment,
    context: &StageContext<'_>,
) -> Result<Box<dyn Stage + 'a>> {
    let places = Places::new(&context.data);
    let labels = step.slots.target(&context.data).open()?;
    let relabel = Relabel { step, labels, map: LabelMap::open(&places.map())?, places };
    let make = move |_channel: usize, area: &BoundingBox| relabel.block(area);
    Ok(Box::new(Blockwise::new(step.target.clone(), step.grid, context.durability, Box::new(make))))
}

impl Relabel<'_> {
    /// A block of the output; counts its labels on the way.
    fn block(&self, area: &BoundingBox) -> Result<Voxels> {
        let step = self.step;
        let first = step.subvolumes.region().start;
        let in_volume = BoundingBox::from_start_shape(
            std::array::from_fn(|a| area.start[a] + first[a]),
            area.shape(),
        );
        let mut out = Voxels::zeros(DataType::U64, area.shape().map(|s| s as usize))?;
        let mut counts = FxHashMap::default();
        for subvolume in step.subvolumes.touching(&in_volume) {
            let Some(part) = step.subvolumes.core(subvolume).intersect(&in_volume) else {
                continue;
            };
            let labels = self.renamed(subvolume, &part, &mut counts)?;
            let to = part.relative_to(in_volume.start).start.map(|v| v as usize);
            out.copy_box(to, &labels, &BoundingBox::whole(part.shape()))?;
        }
        self.write_counts(area, counts)?;
        Ok(out)
    }

    /// Labels of the volume in a part of a subvolume.
    fn renamed(
        &self,
        subvolume: u64,
        part: &BoundingBox,
        counts: &mut FxHashMap<u64, u64>,
    ) -> Result<Voxels> {
        let ids = &self.step.ids;
        let roots = self.map.range(ids.range_of_block(subvolume))?;
        let local = self.step.slots.read(&self.labels, subvolume, part)?;
        let mut renamed = Voxels::zeros(DataType::U64, local.shape())?;
        let to = renamed.as_mut_slice::<u64>()?;
        let from = local.as_slice::<u32>()?;
        let mut begin = 0;
        while begin < from.len() {
            let label = from[begin];
            let length = from[begin..].iter().take_while(|other| **other == label).count();
            if label != 0 {
                let id = roots.root(ids.id(subvolume, label.into())?);
                to[begin..begin + length].fill(id);
                *counts.entry(id).or_insert(0) += length as u64;
            }
            begin += length;
        }
        Ok(renamed)
    }

    fn write_counts(&self, area: &BoundingBox, counts: FxHashMap<u64, u64>) -> Result<()> {
        let block = self.step.grid.touching(area).next().unwrap_or_default();
        let path = self.places.counts(block);
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_unstable();
        let mut writer = RecordWriter::create(&path)?;
        for (id, voxels) in counts {
            writer.push(SegmentCount { id, voxels, steps: 0, parts: 0 })?;
        }
        writer.finish()?;
        Ok(())
    }
}
