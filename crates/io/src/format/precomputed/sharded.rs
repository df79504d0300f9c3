//! Chunks in shards.

use std::sync::Arc;

use crate::chunked::{ChunkGrid, ChunkIndex, ChunkRef, ChunkSource};
use crate::dtype::DataType;
use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::store::Store;

use super::array::{ScaleArray, zyx};
use super::compression::{Compression, Container};
use super::encoding::ChunkEncoding;
use super::info::INFO;
use super::morton::MortonGrid;
use super::shard_index::ShardIndexes;
use super::sharding::Sharding;

/// The chunks of a scale with shards.
pub(super) struct ShardedSource {
    array: ScaleArray,
    morton: MortonGrid,
    container: Option<Container>,
    indexes: ShardIndexes,
}

impl ShardedSource {
    pub(super) fn new(array: ScaleArray, sharding: Sharding, limits: &Limits) -> Result<Self> {
        let counts = array.scale.counts();
        let morton = MortonGrid::new(counts).ok_or_else(|| {
            let message = format!("{counts:?} chunks (z, y, x) have no numbers of 64 bits");
            Error::format(array.directory.place(INFO), message)
        })?;
        let container = (sharding.data_encoding == Compression::Gzip).then_some(Container::Gzip);
        let indexes = ShardIndexes::new(array.directory.clone(), sharding, limits);
        Ok(Self { array, morton, container, indexes })
    }
}

impl ChunkSource for ShardedSource {
    fn store(&self) -> &Arc<dyn Store> {
        self.array.directory.store()
    }

    fn grid(&self) -> &ChunkGrid {
        &self.array.grid
    }

    fn dtype(&self) -> DataType {
        self.array.dtype
    }

    fn fill_value(&self) -> &[u8] {
        self.array.fill_value()
    }

    fn locate(&self, index: &ChunkIndex) -> Result<Option<ChunkRef>> {
        let code = self.morton.code(zyx(index));
        self.indexes.find(code).map_err(|error| error.in_chunk(&zyx(index)))
    }

    fn decode(&self, index: &ChunkIndex, encoded: &[u8], out: &mut [u8]) -> Result<(), String> {
        self.array.decode(self.container, index, encoded, out)
    }

    fn is_plain(&self) -> bool {
        self.container.is_none()
            && self.array.encoding == ChunkEncoding::Raw
            && cfg!(target_endian = "little")
    }

    fn display_index(&self, index: &ChunkIndex) -> Vec<u64> {
        zyx(index).to_vec()
    }
}
