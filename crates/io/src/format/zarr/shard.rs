//! Shards of Zarr v3: one object with many chunks and an index of where they are.
//! <https://zarr-specs.readthedocs.io/en/latest/v3/codecs/sharding-indexed/index.html>

use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache;
use serde_json::{Value, json};

use crate::error::{Error, Place, Result};
use crate::limits::Limits;
use crate::store::{ByteRange, Request, Store};

/// Bytes of one entry of an index: offset and length.
const ENTRY_BYTES: u64 = 16;
/// Bytes of indexes kept for the next chunk of a shard.
const CACHE_BYTES: u64 = 64 << 20;
/// Offset and length of a chunk that is not in its shard.
const ABSENT: (u64, u64) = (u64::MAX, u64::MAX);

/// An index: offset and length of each chunk, in C order.
type Index = Arc<Vec<(u64, u64)>>;

/// How the shards of an array are made, and the indexes read so far.
pub(super) struct Sharding {
    /// Chunks in a shard along each stored axis.
    counts: Vec<u64>,
    checksum: bool,
    little_endian: bool,
    at_end: bool,
    indexes: Cache<String, Index, IndexBytes>,
}

#[derive(Clone)]
struct IndexBytes;

impl Weighter<String, Index> for IndexBytes {
    fn weight(&self, key: &String, index: &Index) -> u64 {
        key.len() as u64 + ENTRY_BYTES * index.len() as u64 + 1
    }
}

impl Sharding {
    /// Reads the configuration of a `sharding_indexed` codec.
    pub(super) fn new(configuration: &Value, counts: Vec<u64>, place: &Place) -> Result<Self> {
        let codecs = configuration.get("index_codecs").and_then(Value::as_array);
        let names: Vec<&str> = codecs.into_iter().flatten().filter_map(name).collect();
        let checksum = match names[..] {
            ["bytes"] => false,
            ["bytes", "crc32c"] => true,
            _ => {
                let message = format!("index codecs {}; known are bytes, crc32c", names.join(", "));
                return Err(Error::unsupported(place.clone(), message));
            }
        };
        let endian = codecs.and_then(|c| c.first()?.get("configuration")?.get("endian")?.as_str());
        let location = configuration.get("index_location").and_then(Value::as_str);
        let indexes = Cache::with_weighter(1024, CACHE_BYTES, IndexBytes);
        let (little_endian, at_end) = (endian != Some("big"), location != Some("start"));
        Ok(Self { counts, checksum, little_endian, at_end, indexes })
    }

    /// The shard that holds a chunk.
    pub(super) fn shard_of(&self, chunk: &[u64]) -> Vec<u64> {
        chunk.iter().zip(&self.counts).map(|(i, n)| i / n).collect()
    }

    /// Where a chunk is in its shard, which has this key; `None` if the chunk or shard is not there.
    pub(super) fn locate(
        &self,
        store: &dyn Store,
        key: &str,
        chunk: &[u64],
        limits: &Limits,
    ) -> Result<Option<ByteRange>> {
        let place = store.place(key);
        limits.check_chunk(&self.counts, ENTRY_BYTES as usize, &place)?;
        let read = || self.read_index(store, key, &place);
        let Some(index) = optional(self.indexes.get_or_insert_with(key, read))? else {
            return Ok(None);
        };
        let at = chunk.iter().zip(&self.counts).fold(0, |n, (i, count)| n * count + i % count);
        let entry = index.get(at as usize).copied().unwrap_or(ABSENT);
        Ok((entry != ABSENT).then(|| ByteRange::Span { start: entry.0, length: entry.1 }))
    }

    fn read_index(&self, store: &dyn Store, key: &str, place: &Place) -> Result<Index, NoIndex> {
        let entries = self.counts.iter().product::<u64>();
        let length = entries * ENTRY_BYTES + if self.checksum { 4 } else { 0 };
        let range = match self.at_end {
            true => ByteRange::Last(length),
            false => ByteRange::Span { start: 0, length },
        };
        let mut bytes = Vec::new();
        let request = Request { key, range, limit: length };
        let damaged = |message: String| {
            Error::format(place.clone(), format!("index of the shard: {message}"))
        };
        match store.get(request, &mut bytes) {
            Ok(true) => self.parse(&bytes).map_err(|m| NoIndex::Because(damaged(m))),
            Ok(false) => Err(NoIndex::NoShard),
            Err(Error::Format { message, .. }) => Err(NoIndex::Because(damaged(message))),
            Err(error) => Err(NoIndex::Because(error)),
        }
    }

    fn parse(&self, bytes: &[u8]) -> Result<Index, String> {
        let values = if self.checksum { verified(bytes)? } else { bytes };
        let number = |bytes: &[u8]| {
            let bytes = bytes.try_into().unwrap_or([0; 8]);
            if self.little_endian { u64::from_le_bytes(bytes) } else { u64::from_be_bytes(bytes) }
        };
        let entry = |bytes: &[u8]| (number(&bytes[..8]), number(&bytes[8..]));
        Ok(Arc::new(values.chunks_exact(ENTRY_BYTES as usize).map(entry).collect()))
    }
}

/// Why there is no index.
enum NoIndex {
    /// The whole shard is not there.
    NoShard,
    Because(Error),
}

fn optional(read: Result<Index, NoIndex>) -> Result<Option<Index>> {
    match read {
        Ok(index) => Ok(Some(index)),
        Err(NoIndex::NoShard) => Ok(None),
        Err(NoIndex::Because(error)) => Err(error),
    }
}

/// The bytes before a CRC-32C, if it is theirs.
fn verified(bytes: &[u8]) -> Result<&[u8], String> {
    let (values, sum) = bytes.split_last_chunk::<4>().ok_or("no checksum")?;
    let (expected, found) = (u32::from_le_bytes(*sum), crc32c::crc32c(values));
    match expected == found {
        true => Ok(values),
        false => Err(format!("CRC-32C: expected {expected:08x}, found {found:08x}")),
    }
}

/// An array's document with the chunks inside of the shards as its chunks.
pub(super) fn inner_document(document: &Value, configuration: &Value) -> Value {
    let mut inner = document.clone();
    let shape = configuration.get("chunk_shape").cloned().unwrap_or_default();
    inner["chunk_grid"] = json!({ "name": "regular", "configuration": { "chunk_shape": shape } });
    inner["codecs"] = configuration.get("codecs").cloned().unwrap_or_default();
    inner
}

fn name(codec: &Value) -> Option<&str> {
    codec.as_str().or_else(|| codec.get("name")?.as_str())
}

#[cfg(test)]
mod tests {
    /// <https://www.rfc-editor.org/rfc/rfc3720#appendix-B.4>
    #[test]
    fn crc32c_has_the_published_values() {
        assert_eq!(crc32c::crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c::crc32c(&[0xff; 32]), 0x62a8_ab43);
    }
}
