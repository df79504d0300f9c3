//! One scale of a volume: an entry of `scales` in `info`.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::chunked::{ChunkGrid, EdgeChunks};
use crate::geometry::VoxelSize;

use super::encoding::ChunkEncoding;
use super::key::scale_directory;
use super::sharding::Sharding;

/// A scale, everything along `[z, y, x]`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scale {
    /// Directory of its objects, relative to that of `info`.
    pub(super) directory: String,
    /// Voxels.
    pub(super) shape: [u64; 3],
    /// Place of its first voxel in the global frame.
    pub(super) offset: [i64; 3],
    /// Edge lengths of a voxel.
    pub(super) voxel_size: VoxelSize,
    /// Voxels of a chunk.
    pub(super) chunk: [u64; 3],
    /// Name of the encoding, lower case.
    pub(super) encoding: String,
    /// Voxels of a block of compressed segmentation.
    pub(super) block: Option<[u64; 3]>,
    /// As it is in `info`: read when the scale is opened.
    pub(super) sharding: Option<Value>,
}

/// As `info` has it, along `[x, y, z]`.
#[derive(Deserialize)]
struct ScaleDocument {
    key: String,
    size: [u64; 3],
    resolution: [f64; 3],
    voxel_offset: Option<[i64; 3]>,
    chunk_sizes: Vec<[u64; 3]>,
    encoding: String,
    compressed_segmentation_block_size: Option<[u64; 3]>,
    sharding: Option<Value>,
}

impl Scale {
    /// Reads and checks an entry.
    pub(super) fn from_json(document: &Value) -> Result<Self, String> {
        let found = ScaleDocument::deserialize(document).map_err(|e| e.to_string())?;
        let nm_xyz = found.resolution;
        let voxel_size = VoxelSize::from_nm_zyx(reversed(nm_xyz))
            .ok_or_else(|| format!("resolution {nm_xyz:?}, expected lengths above 0"))?;
        let chunk = found.chunk_sizes.first().ok_or("chunk_sizes is empty")?;
        let scale = Self {
            directory: scale_directory(&found.key)?,
            shape: reversed(found.size),
            offset: reversed(found.voxel_offset.unwrap_or_default()),
            voxel_size,
            chunk: reversed(*chunk),
            encoding: found.encoding.to_ascii_lowercase(),
            block: found.compressed_segmentation_block_size.map(reversed),
            sharding: found.sharding.filter(|sharding| !sharding.is_null()),
        };
        scale.check(found.chunk_sizes.len())?;
        Ok(scale)
    }

    /// The entry for `info`, with the encoding and sharding that were chosen.
    pub(super) fn to_json(&self) -> Value {
        let mut document = json!({
            "key": self.directory,
            "size": reversed(self.shape),
            "resolution": reversed(self.voxel_size.nm_zyx.map(number)),
            "voxel_offset": reversed(self.offset),
            "chunk_sizes": [reversed(self.chunk)],
            "encoding": self.encoding,
        });
        if let Some(block) = self.block {
            document["compressed_segmentation_block_size"] = json!(reversed(block));
        }
        if let Some(sharding) = &self.sharding {
            document["sharding"] = sharding.clone();
        }
        document
    }

    fn check(&self, chunk_sizes: usize) -> Result<(), String> {
        let countable = |shape: &[u64; 3]| shape.iter().try_fold(1, |n: u64, s| n.checked_mul(*s));
        if self.shape.contains(&0) || countable(&self.shape).is_none() {
            return Err(format!("size {:?} cannot be", reversed(self.shape)));
        }
        if self.chunk.contains(&0) || countable(&self.chunk).is_none() {
            return Err(format!("chunk size {:?} cannot be", reversed(self.chunk)));
        }
        for a in 0..3 {
            let end = i64::try_from(self.shape[a]).ok().and_then(|s| s.checked_add(self.offset[a]));
            end.ok_or_else(|| format!("voxel_offset {:?} is too far", reversed(self.offset)))?;
        }
        if self.sharding.is_some() && chunk_sizes != 1 {
            return Err(format!("{chunk_sizes} chunk sizes in shards, expected 1"));
        }
        Ok(())
    }

    /// Chunks of all channels.
    pub(super) fn grid(&self, channels: u64) -> ChunkGrid {
        let [z, y, x] = self.shape;
        let [cz, cy, cx] = self.chunk;
        let (shape, chunk) = ([1, channels, z, y, x], [1, channels, cz, cy, cx]);
        ChunkGrid { shape, chunk, edges: EdgeChunks::Truncated }
    }

    /// Chunks along each axis.
    pub(super) fn counts(&self) -> [u64; 3] {
        std::array::from_fn(|a| self.shape[a].div_ceil(self.chunk[a]))
    }

    /// How chunks are encoded.
    pub(super) fn chunk_encoding(&self) -> Result<ChunkEncoding, String> {
        ChunkEncoding::new(&self.encoding, self.block)
    }

    /// How chunks are put into shards, if they are.
    pub(super) fn parsed_sharding(&self) -> Result<Option<Sharding>, String> {
        let Some(document) = &self.sharding else { return Ok(None) };
        let sharding = Sharding::deserialize(document).map_err(|e| format!("sharding: {e}"))?;
        sharding.check()?;
        Ok(Some(sharding))
    }
}

/// `x, y, z` to `z, y, x`, and back.
pub(super) fn reversed<T>([a, b, c]: [T; 3]) -> [T; 3] {
    [c, b, a]
}

/// A number that is written without `.0` where it is whole: as others write resolutions.
fn number(value: f64) -> Value {
    let whole = value.fract() == 0.0 && value.abs() < 9e15;
    if whole { json!(value as i64) } else { json!(value) }
}
