//! Shards that are written, each whole: the index, the chunks in the order of their numbers, the indexes
//! of the minishards.

use rayon::prelude::*;

use crate::bounding_box::BoundingBox;
use crate::chunked::{ChunkSink, Encoded};
use crate::codec::encode_gzip;
use crate::voxels::Voxels;

use super::compression::Compression;
use super::minishard::{Entry, Minishard};
use super::morton::MortonGrid;
use super::plan::Plan;
use super::sharding::Sharding;
use super::sink::{Before, encode_chunk, is_zero};

/// Writes the shards of a scale; they are boxes of chunks.
pub(super) struct ShardSink {
    pub(super) plan: Plan,
    pub(super) sharding: Sharding,
    pub(super) morton: MortonGrid,
    pub(super) before: Before,
}

impl ChunkSink for ShardSink {
    fn granule(&self) -> [u64; 3] {
        let chunks = self.morton.box_shape(self.sharding.box_bits().unwrap_or(0));
        std::array::from_fn(|a| chunks[a].saturating_mul(self.plan.scale.chunk[a]))
    }

    fn encode<'v>(
        &self,
        _channel: usize,
        start: [u64; 3],
        voxels: &'v Voxels,
    ) -> Result<Encoded<'v>, String> {
        let (shard, _) = self.sharding.place_of(self.number(start));
        let key = format!("{}/{}", self.plan.scale.directory, self.sharding.file_name(shard));
        let chunks = self.encode_chunks(start, voxels)?;
        if chunks.is_empty() && self.before == Before::Empty {
            return Ok((key, None));
        }
        Ok((key, Some(self.assemble(&chunks)?.into())))
    }
}

/// Number and bytes of a chunk.
type NumberedChunk = (u64, Vec<u8>);

impl ShardSink {
    /// Number of the chunk that starts at a voxel.
    fn number(&self, start: [u64; 3]) -> u64 {
        self.morton.code(std::array::from_fn(|a| start[a] / self.plan.scale.chunk[a]))
    }

    /// The chunks of a shard that are not zeros, by number.
    fn encode_chunks(
        &self,
        start: [u64; 3],
        voxels: &Voxels,
    ) -> Result<Vec<NumberedChunk>, String> {
        let shard = BoundingBox::whole(voxels.shape().map(|n| n as u64));
        let tiles: Vec<BoundingBox> = shard.tiles(self.plan.scale.chunk).collect();
        let encode = |tile: &BoundingBox| -> Result<Option<NumberedChunk>, String> {
            let shape = tile.shape().map(|n| n as usize);
            let mut chunk =
                Voxels::zeros(voxels.dtype(), shape).map_err(|error| error.to_string())?;
            chunk.copy_box([0; 3], voxels, tile).map_err(|error| error.to_string())?;
            if is_zero(&chunk) {
                return Ok(None);
            }
            let number = self.number(std::array::from_fn(|a| start[a] + tile.start[a]));
            Ok(Some((number, encode_chunk(&self.plan, &chunk)?.into_owned())))
        };
        let encoded: Result<Vec<_>, String> = tiles.par_iter().map(encode).collect();
        let mut chunks: Vec<NumberedChunk> = encoded?.into_iter().flatten().collect();
        chunks.sort_unstable_by_key(|(number, _)| *number);
        Ok(chunks)
    }

    /// The bytes of a shard of chunks in the order of their numbers, and so of their minishards.
    fn assemble(&self, chunks: &[NumberedChunk]) -> Result<Vec<u8>, String> {
        let index_bytes = self.sharding.index_bytes() as usize;
        let mut shard = vec![0; index_bytes];
        let mut entries: Vec<(u64, Entry)> = Vec::with_capacity(chunks.len());
        for (number, bytes) in chunks {
            let start = (shard.len() - index_bytes) as u64;
            let entry = Entry { chunk: *number, start, size: bytes.len() as u64 };
            entries.push((self.sharding.place_of(*number).1, entry));
            shard.extend_from_slice(bytes);
        }
        for group in entries.chunk_by(|(a, _), (b, _)| a == b) {
            let Some((minishard, _)) = group.first() else { continue };
            let index = self.minishard_index(group.iter().map(|(_, entry)| *entry))?;
            let start = (shard.len() - index_bytes) as u64;
            let place = 16 * *minishard as usize;
            shard[place..place + 8].copy_from_slice(&start.to_le_bytes());
            let end = start + index.len() as u64;
            shard[place + 8..place + 16].copy_from_slice(&end.to_le_bytes());
            shard.extend_from_slice(&index);
        }
        Ok(shard)
    }

    fn minishard_index(&self, entries: impl Iterator<Item = Entry>) -> Result<Vec<u8>, String> {
        let bytes = Minishard::to_bytes(&entries.collect::<Vec<_>>());
        match (self.sharding.minishard_index_encoding, self.plan.gzip) {
            (Compression::Gzip, level) => encode_gzip(&bytes, level.unwrap_or_default()),
            (Compression::Raw, _) => Ok(bytes),
        }
    }
}
