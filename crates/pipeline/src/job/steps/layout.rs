//! How an output is cut: chunks, shards, and the blocks that are computed at once.

use exavox_io::{DataType, WriteOptions};
use serde::{Deserialize, Serialize};

use crate::blocks::{BlockGrid, fitting_block};
use crate::error::{Error, Result};

/// Edge of a chunk of a volume with depth, and of a plane.
const CHUNK_EDGE: u64 = 64;
const PLANE_EDGE: u64 = 1024;

/// Shapes `[z, y, x]` of an output's parts, in voxels. What is left out is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layout {
    /// A chunk. Default: 64 on each axis, or planes of 1024 x 1024.
    pub chunk: Option<[u64; 3]>,
    /// A shard (OME-Zarr 0.5, precomputed). Default: none.
    pub shard: Option<[u64; 3]>,
    /// A block, computed at once: a multiple of the shard, or of the chunk. Default: about 2 million
    /// voxels.
    pub block: Option<[u64; 3]>,
}

/// Voxels of a block where nothing is said.
const BLOCK_VOXELS: u64 = 1 << 21;

impl Layout {
    /// What is written: a volume of `shape` with these chunks and shards.
    pub fn options(&self, dtype: DataType, shape: [u64; 3]) -> WriteOptions {
        let mut options = WriteOptions::new(dtype, shape);
        options.chunk_shape = Some(self.chunk(shape));
        options.shard_shape = self.shard;
        if self.shard.is_some() {
            options.ome = exavox_io::volume::OmeVersion::V05;
        }
        options
    }

    /// Blocks of whole chunks or shards of a volume of `shape`.
    ///
    /// # Errors
    /// [`Error::Settings`] if the block is no multiple of what is written at once.
    pub fn grid(&self, shape: [u64; 3]) -> Result<BlockGrid> {
        let granule = self.granule(shape);
        let block = self.block.unwrap_or_else(|| fitting_block(shape, granule, BLOCK_VOXELS));
        for (a, axis) in ["z", "y", "x"].into_iter().enumerate() {
            if !block[a].is_multiple_of(granule[a].max(1)) {
                let message = format!(
                    "expected a multiple of the {} of the {} along {axis}, found {}",
                    granule[a],
                    if self.shard.is_some() { "shard" } else { "chunk" },
                    block[a]
                );
                return Err(Error::settings(format!("block {block:?}"), message));
            }
        }
        BlockGrid::new(exavox_io::BoundingBox::whole(shape), block)
    }

    /// The same with blocks of about so many voxels, if no block is given.
    pub fn with_blocks(&self, shape: [u64; 3], voxels: u64) -> Self {
        let block = self.block.unwrap_or_else(|| fitting_block(shape, self.granule(shape), voxels));
        Self { block: Some(block), ..*self }
    }

    fn granule(&self, shape: [u64; 3]) -> [u64; 3] {
        self.shard.unwrap_or_else(|| self.chunk(shape))
    }

    fn chunk(&self, shape: [u64; 3]) -> [u64; 3] {
        let default = if shape[0] == 1 { [1, PLANE_EDGE, PLANE_EDGE] } else { [CHUNK_EDGE; 3] };
        self.chunk.unwrap_or(default)
    }
}
