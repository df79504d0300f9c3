//! Description of a volume to be created.

use std::collections::BTreeMap;

use crate::dtype::DataType;
use crate::geometry::VoxelSize;
use crate::metadata::Metadata;
use crate::staging::WriteMode;
use crate::store::Durability;

/// Description of a volume to be created.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct WriteOptions {
    /// Element type.
    pub dtype: DataType,
    /// Voxels along z, y and x.
    pub shape: [u64; 3],
    /// Names of the channels; at least one.
    pub channels: Vec<String>,
    /// Edge lengths of a voxel.
    pub voxel_size: Option<VoxelSize>,
    /// Chunk shape `[z, y, x]` for chunked formats; `None` = the format's default.
    pub chunk_shape: Option<[u64; 3]>,
    /// Shard shape `[z, y, x]` for OME-Zarr 0.5 and precomputed; `None` = no shards.
    pub shard_shape: Option<[u64; 3]>,
    /// Encoding of chunks before compression, where the format has a choice (precomputed).
    pub encoding: Encoding,
    /// Compression.
    pub codec: Codec,
    /// When written chunks are safe.
    pub durability: Durability,
    /// Version of OME-Zarr, where that is the format.
    pub ome: OmeVersion,
    /// What to do with an output that is there already.
    pub mode: WriteMode,
    /// Attributes to be kept with the volume where the format has room for them (Zarr).
    pub attributes: BTreeMap<String, serde_json::Value>,
}

/// Encoding of the voxels of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Encoding {
    /// One value after the other.
    #[default]
    Raw,
    /// Neuroglancer's block-wise table look-up, for labels of `uint32` and `uint64`.
    CompressedSegmentation,
    /// A PNG image, for `uint8` and `uint16`.
    Png,
}

/// Version of the OME-Zarr metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OmeVersion {
    /// 0.4, on Zarr v2: read by everything.
    #[default]
    V04,
    /// 0.5, on Zarr v3: can have shards.
    V05,
}

/// The order in which the blocks of a volume must be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteOrder {
    /// Any order, from many threads.
    Any,
    /// C order of (z, y, x) within a channel; channels in any order, each from a thread of its own.
    WithinChannel,
    /// C order of (channel, z, y, x), one block after the other.
    Strict,
}

/// Compression of chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// None.
    Raw,
    /// Zstandard with a level from 1 to 22.
    Zstd(i32),
    /// Blosc: LZ4 with byte shuffle and a level from 0 to 9 (Zarr, N5).
    Blosc(u32),
    /// Deflate (gzip, zlib) with a level from 0 to 9.
    Gzip(u32),
}

impl WriteOptions {
    /// One channel, the format's default chunks, zstd level 3 where the format has it, no overwriting.
    pub fn new(dtype: DataType, shape: [u64; 3]) -> Self {
        Self {
            dtype,
            shape,
            channels: vec!["0".to_owned()],
            voxel_size: None,
            chunk_shape: None,
            shard_shape: None,
            encoding: Encoding::default(),
            codec: Codec::Zstd(3),
            durability: Durability::default(),
            ome: OmeVersion::default(),
            mode: WriteMode::default(),
            attributes: BTreeMap::new(),
        }
    }

    /// Takes channels and voxel size from another volume.
    #[must_use]
    pub fn like(mut self, metadata: &Metadata) -> Self {
        self.channels.clone_from(&metadata.channels);
        self.voxel_size = metadata.voxel_size;
        self
    }

    /// Sets what happens to an output that is there already.
    #[must_use]
    pub fn with_mode(mut self, mode: WriteMode) -> Self {
        self.mode = mode;
        self
    }

    /// Sets the names of the channels.
    #[must_use]
    pub fn with_channels(mut self, channels: Vec<String>) -> Self {
        self.channels = channels;
        self
    }

    /// Sets the voxel size.
    #[must_use]
    pub fn with_voxel_size(mut self, voxel_size: Option<VoxelSize>) -> Self {
        self.voxel_size = voxel_size;
        self
    }
}
