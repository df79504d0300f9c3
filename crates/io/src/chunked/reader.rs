//! An array of chunks as a volume.

use crate::bounding_box::BoundingBox;
use crate::error::{Error, Result};
use crate::geometry::Axis;
use crate::limits::Limits;
use crate::metadata::Metadata;
use crate::volume::{OpenOptions, Reader};
use crate::voxels::Voxels;

use super::cache::ChunkCache;
use super::grid::Tile;
use super::region::{RegionRead, ScratchPool, read_tiles};
use super::{ChunkIndex, ChunkSource};

/// A chunked array open for reading, at one time point.
pub(crate) struct ChunkedReader {
    metadata: Metadata,
    source: Box<dyn ChunkSource>,
    cache: ChunkCache,
    scratch: ScratchPool,
    time: u64,
    limits: Limits,
}

impl ChunkedReader {
    /// A reader over the chunks of a source; `metadata` describes the same array.
    pub(crate) fn new(
        metadata: Metadata,
        source: Box<dyn ChunkSource>,
        options: &OpenOptions,
    ) -> Result<Self> {
        let grid = source.grid();
        let place = source.store().place("");
        grid.check(&place)?;
        let (time, times) = (options.time as u64, grid.shape[0]);
        if time >= times {
            let message = format!("time {time} does not exist, there are {times}");
            return Err(Error::usage(place.with_axis(Axis::T), message));
        }
        let chunk = grid.stored_bytes(&ChunkIndex::default(), source.dtype()) as u64;
        // What is stored as it is comes from the system's own cache.
        let bound = if source.is_plain() { 0 } else { options.cache_bytes };
        let cache = ChunkCache::new(bound, chunk);
        let (scratch, limits) = (ScratchPool::default(), options.limits.clone());
        Ok(Self { metadata, source, cache, scratch, time, limits })
    }
}

impl Reader for ChunkedReader {
    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn read_into(&self, channel: usize, region: &BoundingBox, out: &mut Voxels) -> Result<()> {
        let grid = self.source.grid();
        let place = self.source.store().place("");
        self.limits.check_chunk(&grid.chunk, self.source.dtype().size(), &place)?;
        let tiles: Vec<Tile> = grid.tiles(self.time, channel as u64, region).collect();
        let at = [self.time, channel as u64];
        let (source, start) = (self.source.as_ref(), region.start);
        let read = RegionRead::new(source, &self.cache, &self.scratch, at, start, out)?;
        read_tiles(&read, &tiles)
    }
}
