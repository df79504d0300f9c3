//! Chunks that are objects of their own.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::chunked::{ChunkGrid, ChunkIndex, ChunkRef, ChunkSource};
use crate::dtype::DataType;
use crate::error::{Error, Result};
use crate::store::{ByteRange, Store};

use super::array::{ScaleArray, zyx};
use super::compression::Container;
use super::encoding::ChunkEncoding;

/// What cloud-volume appends to the names of compressed objects where the store keeps no headers.
const SUFFIXES: [&str; 6] = ["", ".gz", ".zstd", ".br", ".xz", ".bz2"];
/// The first of them that can be decoded.
const READ_SUFFIXES: usize = 3;

/// The chunks of a scale without shards.
pub(super) struct UnshardedSource {
    array: ScaleArray,
    /// The suffix found last: likely that of the next chunk.
    likely: AtomicUsize,
}

impl UnshardedSource {
    pub(super) fn new(array: ScaleArray) -> Self {
        Self { array, likely: AtomicUsize::new(0) }
    }

    /// Which of the names of a chunk there is.
    fn find_suffix(&self, key: &str) -> Result<Option<usize>> {
        let likely = self.likely.load(Ordering::Relaxed);
        let others = (0..SUFFIXES.len()).filter(|i| *i != likely);
        for i in std::iter::once(likely).chain(others) {
            if self.store().size(&format!("{key}{}", SUFFIXES[i]))?.is_some() {
                self.likely.store(i, Ordering::Relaxed);
                return Ok(Some(i));
            }
        }
        Ok(None)
    }
}

impl ChunkSource for UnshardedSource {
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
        let mut key = self.array.directory.key(&self.array.chunk_name(index));
        // Buckets tell of compression by headers, not by names.
        if !self.store().is_remote() {
            let Some(suffix) = self.find_suffix(&key)? else { return Ok(None) };
            key.push_str(SUFFIXES[suffix]);
            if suffix >= READ_SUFFIXES {
                let message = format!("'{}' objects; gzip and zstd are read", SUFFIXES[suffix]);
                return Err(Error::unsupported(self.chunk_place(index, &key), message));
            }
        }
        Ok(Some(ChunkRef { key, range: ByteRange::All }))
    }

    fn decode(&self, index: &ChunkIndex, encoded: &[u8], out: &mut [u8]) -> Result<(), String> {
        let container = Container::of(encoded);
        let raw = self.array.encoding == ChunkEncoding::Raw && encoded.len() == out.len();
        if let (Some(container), true) = (container, raw) {
            // Voxels can look like the start of a container, but not have its checksum.
            if container.unpack_into(encoded, out).is_ok() {
                super::encoding::to_machine_order(out, self.array.dtype);
                return Ok(());
            }
        }
        self.array.decode(container.filter(|_| !raw), index, encoded, out)
    }

    fn display_index(&self, index: &ChunkIndex) -> Vec<u64> {
        zyx(index).to_vec()
    }
}
