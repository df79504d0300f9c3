//! What a step reads: one channel of a region of a volume, block by block.

use exavox_io::{BoundingBox, DataType, Volume, VoxelSize, Voxels, WriteOptions};
use serde::{Deserialize, Serialize};

use super::Layout;
use super::source::Source;
use crate::blocks::BlockGrid;
use crate::error::{Error, Result};
use crate::job::{Inputs, StageContext};
use crate::selection::channel_of;

/// Which part of a volume a step reads.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartSpec {
    /// Scale of a pyramid, 0 = finest.
    #[serde(default)]
    pub scale: usize,
    /// Time point of a volume with a time axis.
    #[serde(default)]
    pub time: usize,
    /// Name or number of the channel. Default: the only one.
    pub channel: Option<String>,
    /// `z0:z1,y0:y1,x0:x1`; an end may be left out. Default: the whole volume.
    pub region: Option<String>,
}

/// One channel of a part of a volume that is there or will be.
#[derive(Debug)]
pub(super) struct SourcePart(Source);

impl PartSpec {
    /// The part of a volume.
    pub(super) fn of(&self, name: &str, inputs: &mut Inputs) -> Result<SourcePart> {
        let choose = |names: &[String]| {
            channel_of(name, names, self.channel.as_deref()).map(|channel| vec![channel])
        };
        let place = [self.scale, self.time];
        Source::of(name, inputs, place, choose, self.region.as_deref()).map(SourcePart)
    }
}

impl SourcePart {
    /// The volume's name.
    pub(super) fn name(&self) -> &str {
        &self.0.name
    }

    /// The part's place in the volume.
    pub(super) fn region(&self) -> BoundingBox {
        self.0.region
    }

    /// Type of the voxels.
    pub(super) fn dtype(&self) -> DataType {
        self.0.metadata.dtype
    }

    /// Chunks of the volume.
    pub(super) fn chunk_shape(&self) -> [u64; 3] {
        self.0.metadata.chunk_shape
    }

    /// Size of its voxels, if it is known.
    pub(super) fn voxel_size(&self) -> Option<VoxelSize> {
        self.0.metadata.voxel_size
    }

    /// Blocks of what is made of the part; its first voxel is theirs.
    pub(super) fn grid(&self, layout: &Layout) -> Result<BlockGrid> {
        let grid = layout.grid(self.0.region.shape())?;
        let block = grid.block_shape();
        if block.into_iter().try_fold(1_u32, |n, v| n.checked_mul(u32::try_from(v).ok()?)).is_none()
        {
            let message = "expected fewer than 2^32 voxels";
            return Err(Error::settings(format!("block {block:?}"), message));
        }
        Ok(grid)
    }

    /// A volume of one channel, as large as the part.
    pub(super) fn options(&self, dtype: DataType, layout: &Layout) -> WriteOptions {
        self.0.like(layout.options(dtype, self.0.region.shape()))
    }

    /// Bytes of a block's voxels, and of the chunks that are decoded on the way.
    pub(super) fn bytes_per_block(&self, voxels: u64) -> u64 {
        voxels.saturating_mul(self.0.voxel_bytes()).saturating_add(self.0.decoding_bytes())
    }

    /// Opens the volume.
    pub(super) fn open(&self, context: &StageContext<'_>) -> Result<Volume> {
        self.0.open(context)
    }

    /// Reads a box of the part, counted from the part's first voxel.
    pub(super) fn read(&self, volume: &Volume, area: &BoundingBox) -> Result<Voxels> {
        self.0.read(volume, 0, area)
    }
}
