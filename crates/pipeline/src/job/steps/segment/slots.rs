//! Where the labels of subvolumes lie on disk until they are put together: one volume in which each has a
//! place of its own, so that no two share a chunk.

use std::path::Path;

use exavox_io::{BoundingBox, DataType, Volume, Voxels, WriteOptions};

use crate::error::{Error, Result};
use crate::job::SharedTarget;
use crate::segment::Subvolumes;

/// Edge of a chunk, about.
const CHUNK_EDGE: u64 = 64;

/// The volume of all subvolumes' labels, u32.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slots {
    subvolumes: Subvolumes,
    chunk: [u64; 3],
    slot: [u64; 3],
}

impl Slots {
    /// A slot is a subvolume, rounded up to whole chunks of about equal size.
    pub(super) fn new(subvolumes: &Subvolumes) -> Self {
        let size = subvolumes.size();
        let chunks = size.map(|size| size.div_ceil(CHUNK_EDGE).max(1));
        let chunk: [u64; 3] = std::array::from_fn(|a| size[a].div_ceil(chunks[a]));
        let slot = std::array::from_fn(|a| chunk[a] * chunks[a]);
        Self { subvolumes: *subvolumes, chunk, slot }
    }

    /// The volume in a folder of data.
    pub(super) fn target(&self, data: &Path) -> SharedTarget {
        let counts = self.subvolumes.counts();
        let shape = std::array::from_fn(|a| counts[a].saturating_mul(self.slot[a]));
        let mut options = WriteOptions::new(DataType::U32, shape);
        options.chunk_shape = Some(self.chunk);
        SharedTarget::new(data.join("subvolumes.zarr").display().to_string(), options)
    }

    /// First voxel of a subvolume's slot.
    pub(super) fn start(&self, number: u64) -> [u64; 3] {
        let at = self.subvolumes.coordinate(number);
        std::array::from_fn(|a| at[a] * self.slot[a])
    }

    /// The whole slot with a subvolume's labels, the rest 0.
    pub(super) fn filled(&self, labels: Voxels) -> Result<Voxels> {
        let shape = labels.shape().map(|s| s as u64);
        if shape == self.slot {
            return Ok(labels);
        }
        let mut slot = Voxels::zeros(DataType::U32, self.slot.map(|s| s as usize))?;
        slot.copy_box([0; 3], &labels, &BoundingBox::whole(shape))?;
        Ok(slot)
    }

    /// Labels of a subvolume in a box of the image that lies inside it.
    pub(super) fn read(&self, volume: &Volume, number: u64, area: &BoundingBox) -> Result<Voxels> {
        let whole = self.subvolumes.area(number);
        if !whole.contains(area) {
            let message = format!("{area} is not inside of subvolume {whole}");
            return Err(Error::settings(volume.name(), message));
        }
        let (slot, within) = (self.start(number), area.relative_to(whole.start));
        let start = std::array::from_fn(|a| slot[a] + within.start[a]);
        Ok(volume.read(0, &BoundingBox::from_start_shape(start, area.shape()))?)
    }
}
