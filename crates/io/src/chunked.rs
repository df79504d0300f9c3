//! Volumes made of chunks on a regular grid, one object or part of an object each: what Zarr, N5 and
//! precomputed share. A format says where a chunk is and how it is decoded ([`ChunkSource`]), or how it
//! is encoded ([`ChunkSink`]); planning, fetching, caching and scattering are here.

use std::borrow::Cow;
use std::sync::Arc;

use crate::dtype::DataType;
use crate::error::{Place, Result};
use crate::store::{ByteRange, Store};
use crate::voxels::Voxels;

mod cache;
mod grid;
mod reader;
mod region;
mod scatter;
mod writer;

pub(crate) use grid::{ChunkGrid, EdgeChunks};
pub(crate) use reader::ChunkedReader;
pub(crate) use writer::{ChunkedWriter, Output};

/// Index of a chunk along `[t, c, z, y, x]`; 0 on axes that the array does not have.
pub(crate) type ChunkIndex = [u64; 5];

/// Where the encoded bytes of a chunk are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ChunkRef {
    /// Key of the object in the store.
    pub(crate) key: String,
    /// The chunk's part of the object.
    pub(crate) range: ByteRange,
}

/// A format's side of an array of chunks that is read. All its parts are called from many threads.
pub(crate) trait ChunkSource: Send + Sync {
    /// The store that the keys of [`ChunkRef`] are in.
    fn store(&self) -> &Arc<dyn Store>;

    /// Shape of the array and of its chunks.
    fn grid(&self) -> &ChunkGrid;

    /// Element type of the decoded values.
    fn dtype(&self) -> DataType;

    /// Bytes (this machine's order) of one voxel of a chunk that is not there.
    fn fill_value(&self) -> &[u8];

    /// Where a chunk is; `None` if it is known not to be there. May read an index of a shard. An object
    /// that turns out not to be in the store is a chunk that is not there as well.
    fn locate(&self, index: &ChunkIndex) -> Result<Option<ChunkRef>>;

    /// Decodes a chunk into exactly `out.len()` bytes: its stored shape ([`ChunkGrid::stored_shape`])
    /// in C order `[t, c, z, y, x]`, this machine's byte order. `out` holds anything before.
    ///
    /// An error says what is wrong with the bytes; who calls adds store, key and chunk.
    fn decode(&self, index: &ChunkIndex, encoded: &[u8], out: &mut [u8]) -> Result<(), String>;

    /// Whether the encoded bytes are the decoded ones, so that decoding can be left out.
    fn is_plain(&self) -> bool {
        false
    }

    /// Index of a chunk as the format counts, for messages.
    fn display_index(&self, index: &ChunkIndex) -> Vec<u64>;

    /// The place of a chunk, for errors.
    fn chunk_place(&self, index: &ChunkIndex, key: &str) -> Place {
        self.store().place(key).with_chunk(&self.display_index(index))
    }
}

/// Key of an object and its bytes, which may be the voxels' own; no bytes: it is left out.
pub(crate) type Encoded<'v> = (String, Option<Cow<'v, [u8]>>);

/// A format's side of an array of chunks that is written: one object per granule (chunk or shard).
pub(crate) trait ChunkSink: Send + Sync {
    /// Shape `[z, y, x]` of an object.
    fn granule(&self) -> [u64; 3];

    /// Key and bytes of the object of one channel that starts at a voxel `[z, y, x]`, a multiple of the
    /// granule. `voxels` has the granule's shape, or less at the end of the volume. No bytes where a
    /// reader sees the same without the object.
    ///
    /// An error says what is wrong; who calls adds the place.
    fn encode<'v>(
        &self,
        channel: usize,
        start: [u64; 3],
        voxels: &'v Voxels,
    ) -> Result<Encoded<'v>, String>;
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
