//! Labels of an earlier run: obstacles inside, and their own ids again in the output.

use std::collections::BTreeSet;

use exavox_io::{BoundingBox, DataType, Volume, Voxels};
use rustc_hash::FxHashMap;

use super::slabs::slabs;
use crate::error::{Error, Result};
use crate::label_volume::{check_shape, read_labels};

/// Labels of a region, made contiguous.
pub(crate) struct InitialLabels {
    /// 0 = free, others from 1 on; C order.
    pub(super) labels: Vec<i32>,
    /// Which label of the volume each of them is, in ascending order.
    pub(super) ids: LabelIds,
}

/// Labels of the output by labels of the canvas.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LabelIds {
    /// Of labels 1, 2, 3, ….
    initial: Vec<u64>,
}

impl InitialLabels {
    /// Reads a region of a volume of labels, twice, slab by slab; `image`: name and shape. Memory: 4 bytes a voxel, and the ids.
    ///
    /// # Errors
    /// [`Error::Settings`] if the volume has not the shape of the image, or labels are so large or so many
    /// that new ones find no place; if it cannot be read, or holds no labels.
    pub(super) fn read(name: &str, image: (&str, [u64; 3]), region: &BoundingBox) -> Result<Self> {
        let volume = Volume::open(name)?;
        check_shape((name, volume.shape()), image)?;
        let mut all = BTreeSet::new();
        for_slabs(&volume, region, |labels| {
            let mut last = 0;
            for label in labels {
                if label != last {
                    all.insert(label);
                    last = label;
                }
            }
        })?;
        all.remove(&0);
        let initial: Vec<u64> = all.into_iter().collect();
        let most = i32::MAX as u64;
        if initial.len() as u64 > most / 2 || initial.last().is_some_and(|id| *id > u64::MAX - most)
        {
            let (count, last) = (initial.len(), initial.last().copied().unwrap_or(0));
            let message = format!("{count} labels up to {last}: no place for new ones");
            return Err(Error::settings(name, message));
        }
        let locals: FxHashMap<u64, i32> = initial.iter().copied().zip(1..).collect();
        let mut labels = Vec::with_capacity(region.num_voxels() as usize);
        for_slabs(&volume, region, |slab| {
            labels.extend(slab.into_iter().map(|id| locals.get(&id).copied().unwrap_or(0)));
        })?;
        Ok(Self { labels, ids: LabelIds { initial } })
    }
}

fn for_slabs(volume: &Volume, region: &BoundingBox, mut each: impl FnMut(Vec<u64>)) -> Result<()> {
    for slab in slabs(region, volume.metadata().chunk_shape[0]) {
        each(read_labels(volume, &slab)?);
    }
    Ok(())
}

impl LabelIds {
    /// The label in the output: what it was before; new ones above all of these.
    pub(super) fn id(&self, label: u32) -> u64 {
        let before = self.initial.len() as u64;
        match (label as usize).checked_sub(1).map(|at| self.initial.get(at)) {
            None => 0,
            Some(Some(id)) => *id,
            Some(None) => self.initial.last().unwrap_or(&0) + u64::from(label) - before,
        }
    }

    /// The type that holds all ids there may be.
    pub(super) fn dtype(&self) -> DataType {
        let largest = self.initial.last().copied().unwrap_or(0);
        if largest > u64::from(u32::MAX / 2) { DataType::U64 } else { DataType::U32 }
    }

    /// Labels of the canvas as they are written.
    ///
    /// # Errors
    /// If memory cannot be had.
    pub(super) fn renamed(&self, shape: [usize; 3], labels: Vec<u32>) -> Result<Voxels> {
        if self.initial.is_empty() {
            return Ok(Voxels::from_vec(shape, labels)?);
        }
        if self.dtype() == DataType::U64 {
            let labels: Vec<u64> = labels.into_iter().map(|label| self.id(label)).collect();
            return Ok(Voxels::from_vec(shape, labels)?);
        }
        let labels: Vec<u32> = labels.into_iter().map(|label| self.id(label) as u32).collect();
        Ok(Voxels::from_vec(shape, labels)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_ids_come_back_and_new_ones_lie_above() {
        let ids = LabelIds { initial: vec![3, 70, 900] };
        assert_eq!([0, 1, 2, 3, 4, 5].map(|label| ids.id(label)), [0, 3, 70, 900, 901, 902]);
        assert_eq!([0, 1, 2].map(|label| LabelIds::default().id(label)), [0, 1, 2]);
        let large = LabelIds { initial: vec![1 << 40] };
        assert_eq!((ids.dtype(), large.dtype()), (DataType::U32, DataType::U64));
        assert_eq!(large.id(2), (1 << 40) + 1);
    }
}
