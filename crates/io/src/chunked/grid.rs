//! A regular grid of chunks over `[t, c, z, y, x]`.

use crate::bounding_box::BoundingBox;
use crate::dtype::DataType;
use crate::error::{Error, Place, Result};

use super::ChunkIndex;

/// What the chunks at the end of an axis hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EdgeChunks {
    /// As many voxels as the others; those outside the array mean nothing (Zarr).
    Padded,
    /// The voxels inside the array only (N5, precomputed).
    Truncated,
}

/// Shape of an array and of its chunks, `[t, c, z, y, x]`, 1 on axes that it does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ChunkGrid {
    /// Voxels of the array.
    pub(crate) shape: [u64; 5],
    /// Voxels of a chunk that is not at an end.
    pub(crate) chunk: [u64; 5],
    /// What the chunks at the ends hold.
    pub(crate) edges: EdgeChunks,
}

/// The part of a region that one chunk holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tile {
    /// The chunk.
    pub(crate) index: ChunkIndex,
    /// The part in voxels `[z, y, x]` of the array.
    pub(crate) part: BoundingBox,
}

impl ChunkGrid {
    /// Shape in which a chunk is stored.
    pub(crate) fn stored_shape(&self, index: &ChunkIndex) -> [u64; 5] {
        std::array::from_fn(|a| match self.edges {
            EdgeChunks::Padded => self.chunk[a],
            EdgeChunks::Truncated => {
                let start = index[a].saturating_mul(self.chunk[a]);
                self.chunk[a].min(self.shape[a].saturating_sub(start))
            }
        })
    }

    /// Bytes of a decoded chunk.
    pub(crate) fn stored_bytes(&self, index: &ChunkIndex, dtype: DataType) -> usize {
        let shape = self.stored_shape(index);
        shape.iter().fold(dtype.size() as u64, |n, s| n.saturating_mul(*s)) as usize
    }

    /// Shape of a chunk along z, y and x.
    pub(crate) fn chunk_zyx(&self) -> [u64; 3] {
        [self.chunk[2], self.chunk[3], self.chunk[4]]
    }

    /// Shape of the array along z, y and x.
    #[cfg(test)]
    pub(crate) fn shape_zyx(&self) -> [u64; 3] {
        [self.shape[2], self.shape[3], self.shape[4]]
    }

    /// Number of chunks along each axis.
    #[cfg(test)]
    pub(crate) fn counts(&self) -> [u64; 5] {
        std::array::from_fn(|a| self.shape[a].div_ceil(self.chunk[a]))
    }

    /// First voxel `[z, y, x]` of a chunk.
    pub(crate) fn start_zyx(&self, index: &ChunkIndex) -> [u64; 3] {
        std::array::from_fn(|a| index[a + 2] * self.chunk[a + 2])
    }

    /// The chunks that a region of one channel at one time touches, in C order.
    pub(crate) fn tiles(
        &self,
        time: u64,
        channel: u64,
        region: &BoundingBox,
    ) -> impl Iterator<Item = Tile> + use<> {
        let chunk = self.chunk_zyx();
        let [t, c] = [time / self.chunk[0], channel / self.chunk[1]];
        let aligned = std::array::from_fn(|a| region.start[a] / chunk[a] * chunk[a]);
        let region = *region;
        BoundingBox::new(aligned, region.end).tiles(chunk).filter_map(move |tile| {
            let [z, y, x] = std::array::from_fn(|a| tile.start[a] / chunk[a]);
            let part = tile.intersect(&region)?;
            Some(Tile { index: [t, c, z, y, x], part })
        })
    }

    /// Refuses what no array can be: an axis of 0, or more voxels than can be counted.
    pub(crate) fn check(&self, place: &Place) -> Result<()> {
        let countable = |s: &[u64; 5]| s.iter().try_fold(1_u64, |n, v| n.checked_mul(*v)).is_some();
        if self.chunk.contains(&0) || !countable(&self.chunk) || !countable(&self.shape) {
            let message =
                format!("chunks of shape {:?} for an array of shape {:?}", self.chunk, self.shape);
            return Err(Error::format(place.clone(), message));
        }
        Ok(())
    }
}
