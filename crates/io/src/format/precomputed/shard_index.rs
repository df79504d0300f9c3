//! The indexes of shards and minishards that are being read, kept within a bound.

use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::chunked::ChunkRef;
use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::store::{ByteRange, Directory};

use super::compression::{Compression, Container};
use super::minishard::Minishard;
use super::sharding::Sharding;

/// Entries of a shard's index that are read at once: 64 KiB.
const PAGE_ENTRIES: u64 = 4096;
/// Bytes of indexes that are kept.
const KEPT_BYTES: u64 = 32 << 20;

/// Start and end of the indexes of minishards, from the end of the shard's index; none of them if there
/// is no such shard.
type Page = Arc<Vec<[u64; 2]>>;

/// A shard and the number of a page or minishard in it.
type Key = (u64, u64);

#[derive(Clone)]
struct Bytes;

impl Weighter<Key, Page> for Bytes {
    fn weight(&self, _: &Key, page: &Page) -> u64 {
        128 + 16 * page.len() as u64
    }
}

impl Weighter<Key, Arc<Minishard>> for Bytes {
    fn weight(&self, _: &Key, minishard: &Arc<Minishard>) -> u64 {
        128 + minishard.bytes()
    }
}

/// Finds chunks in the shards of a scale.
pub(super) struct ShardIndexes {
    directory: Directory,
    sharding: Sharding,
    pages: Cache<Key, Page, Bytes>,
    minishards: Cache<Key, Arc<Minishard>, Bytes>,
    max_bytes: u64,
}

impl ShardIndexes {
    pub(super) fn new(directory: Directory, sharding: Sharding, limits: &Limits) -> Self {
        Self {
            directory,
            sharding,
            pages: Cache::with_weighter(1024, KEPT_BYTES / 4, Bytes),
            minishards: Cache::with_weighter(4096, KEPT_BYTES / 4 * 3, Bytes),
            max_bytes: limits.max_metadata_bytes,
        }
    }

    /// Where a chunk is, by its number; `None` if it is in no shard.
    pub(super) fn find(&self, chunk: u64) -> Result<Option<ChunkRef>> {
        let (shard, minishard) = self.sharding.place_of(chunk);
        let name = self.sharding.file_name(shard);
        let key = (shard, minishard);
        let index = self.minishards.get_or_insert_with(&key, || {
            let about = format!("index of minishard {minishard}");
            self.read_minishard(&name, key).map_err(|error| within(&about, error))
        })?;
        let Some(entry) = index.find(chunk) else { return Ok(None) };
        let start = self.offset(&name, entry.start)?;
        let range = ByteRange::Span { start, length: entry.size };
        Ok(Some(ChunkRef { key: self.directory.key(&name), range }))
    }

    fn read_minishard(&self, name: &str, (shard, minishard): Key) -> Result<Arc<Minishard>> {
        let page = (shard, minishard / PAGE_ENTRIES);
        let page = self.pages.get_or_insert_with(&page, || {
            self.read_page(name, page.1).map_err(|error| within("shard index", error))
        })?;
        let entry = page.get((minishard % PAGE_ENTRIES) as usize);
        let [start, end] = entry.copied().unwrap_or_default();
        let damaged = |message: String| Error::format(self.directory.place(name), message);
        let length = end
            .checked_sub(start)
            .ok_or_else(|| damaged(format!("ends at {end} before {start}")))?;
        if length == 0 {
            return Ok(Arc::default());
        }
        let range = ByteRange::Span { start: self.offset(name, start)?, length };
        let bytes = self.directory.get(name, range, self.max_bytes)?.unwrap_or_default();
        let bytes = match self.sharding.minishard_index_encoding {
            Compression::Raw => bytes,
            Compression::Gzip => {
                let limit = usize::try_from(self.max_bytes).unwrap_or(usize::MAX);
                Container::Gzip.unpack(&bytes, limit).map_err(damaged)?
            }
        };
        Minishard::from_bytes(&bytes).map(Arc::new).map_err(damaged)
    }

    fn read_page(&self, name: &str, page: u64) -> Result<Page> {
        let first = page * PAGE_ENTRIES;
        let count = PAGE_ENTRIES.min(self.sharding.minishards() - first);
        let range = ByteRange::Span { start: 16 * first, length: 16 * count };
        let bytes = self.directory.get(name, range, u64::MAX)?.unwrap_or_default();
        let numbers = bytes.as_chunks::<8>().0.iter().map(|bytes| u64::from_le_bytes(*bytes));
        let numbers: Vec<u64> = numbers.collect();
        Ok(Arc::new(numbers.as_chunks::<2>().0.to_vec()))
    }

    /// A place in a shard's object from one that is counted from the end of the shard's index.
    fn offset(&self, name: &str, from_index: u64) -> Result<u64> {
        self.sharding.index_bytes().checked_add(from_index).ok_or_else(|| {
            let message = format!("offset {from_index} is beyond all files");
            Error::format(self.directory.place(name), message)
        })
    }
}

/// Says in which index something is wrong.
fn within(what: &str, error: Error) -> Error {
    match error {
        Error::Format { place, message } => Error::format(place, format!("{what}: {message}")),
        Error::LimitExceeded { place, needed, limit, .. } => {
            Error::LimitExceeded { place, what: what.to_owned(), needed, limit }
        }
        other => other,
    }
}
