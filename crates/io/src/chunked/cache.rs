//! Decoded chunks that may be needed again, bounded in bytes.

use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::ChunkIndex;

/// Room for the bookkeeping of one entry, so that many small chunks do not take more than the bound.
const ENTRY_BYTES: u64 = 128;

#[derive(Clone)]
struct Bytes;

impl Weighter<ChunkIndex, Arc<Vec<u8>>> for Bytes {
    fn weight(&self, _: &ChunkIndex, chunk: &Arc<Vec<u8>>) -> u64 {
        chunk.len() as u64 + ENTRY_BYTES
    }
}

/// Decoded chunks by index; those not used for long go first.
pub(super) struct ChunkCache {
    cache: Option<Cache<ChunkIndex, Arc<Vec<u8>>, Bytes>>,
}

impl ChunkCache {
    /// A cache of at most `bytes`; none for a bound that no chunk of `chunk_bytes` fits into.
    pub(super) fn new(bytes: u64, chunk_bytes: u64) -> Self {
        let fits = bytes >= chunk_bytes.saturating_add(ENTRY_BYTES);
        let items = (bytes / chunk_bytes.saturating_add(ENTRY_BYTES)).clamp(1, 1 << 16) as usize;
        // One shard: the bound is then exact, and the lock is held for a look-up only.
        let mut options = quick_cache::OptionsBuilder::new();
        options.estimated_items_capacity(items).weight_capacity(bytes).shards(1);
        let new =
            |options| Cache::with_options(options, Bytes, Default::default(), Default::default());
        Self { cache: options.build().ok().filter(|_| fits).map(new) }
    }

    /// Whether anything can be kept.
    pub(super) fn is_on(&self) -> bool {
        self.cache.is_some()
    }

    pub(super) fn get(&self, index: &ChunkIndex) -> Option<Arc<Vec<u8>>> {
        self.cache.as_ref()?.get(index)
    }

    pub(super) fn insert(&self, index: ChunkIndex, chunk: Arc<Vec<u8>>) {
        if let Some(cache) = &self.cache {
            cache.insert(index, chunk);
        }
    }

    /// Bytes held.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> u64 {
        self.cache.as_ref().map_or(0, Cache::weight)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_holds_however_much_is_put_in() {
        let cache = ChunkCache::new(10_000, 1000);
        for x in 0..100 {
            cache.insert([0, 0, 0, 0, x], Arc::new(vec![0; 1000]));
            assert!(cache.bytes() <= 10_000);
        }
        assert!(cache.bytes() > 5_000);
        assert!(!ChunkCache::new(999, 1000).is_on());
    }
}
