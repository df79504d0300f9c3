//! What a step reads: one channel of a region of a volume, block by block.

use exavox_io::volume::FileAccess;
use exavox_io::{
    BoundingBox, DataType, Metadata, OpenOptions, Volume, VoxelSize, Voxels, WriteOptions,
};
use serde::{Deserialize, Serialize};

use super::Layout;
use crate::blocks::BlockGrid;
use crate::error::{Error, Result};
use crate::job::{Inputs, StageContext};
use crate::labelling::{channel_of, region_of};

/// Decoded chunks take at most this share of the memory.
const CACHE_SHARE: u64 = 16;

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

/// A part of a volume that is there or will be.
#[derive(Debug)]
pub(super) struct SourcePart {
    name: String,
    open: OpenOptions,
    channel: usize,
    region: BoundingBox,
    metadata: Metadata,
}

impl PartSpec {
    /// The part of a volume.
    pub(super) fn of(&self, name: &str, inputs: &mut Inputs) -> Result<SourcePart> {
        let open = OpenOptions::default().with_scale(self.scale).with_time(self.time);
        let metadata = inputs.metadata_with(name, &open)?;
        let channel = channel_of(name, &metadata.channels, self.channel.as_deref())?;
        let wanted = self.region.as_deref().map(str::parse).transpose()?;
        let region = region_of(name, metadata.shape, wanted)?;
        Ok(SourcePart { name: name.to_owned(), open, channel, region, metadata })
    }
}

impl SourcePart {
    /// The volume's name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The part's place in the volume.
    pub(super) fn region(&self) -> BoundingBox {
        self.region
    }

    /// Type of the voxels.
    pub(super) fn dtype(&self) -> DataType {
        self.metadata.dtype
    }

    /// Chunks of the volume.
    pub(super) fn chunk_shape(&self) -> [u64; 3] {
        self.metadata.chunk_shape
    }

    /// Size of its voxels, if it is known.
    pub(super) fn voxel_size(&self) -> Option<VoxelSize> {
        self.metadata.voxel_size
    }

    /// Blocks of what is made of the part; its first voxel is theirs.
    pub(super) fn grid(&self, layout: &Layout) -> Result<BlockGrid> {
        let grid = layout.grid(self.region.shape())?;
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
        layout
            .options(dtype, self.region.shape())
            .with_channels(vec![self.metadata.channels[self.channel].clone()])
            .with_voxel_size(self.metadata.voxel_size)
    }

    /// Bytes of a block's voxels, and of the chunks that are decoded on the way.
    pub(super) fn bytes_per_block(&self, voxels: u64) -> u64 {
        let cells = |v: [u64; 3]| v.iter().fold(1_u64, |n, v| n.saturating_mul(*v));
        let chunk = cells(self.metadata.chunk_shape);
        voxels.saturating_add(chunk.saturating_mul(2)).saturating_mul(self.dtype().size() as u64)
    }

    /// Opens the volume.
    pub(super) fn open(&self, context: &StageContext<'_>) -> Result<Volume> {
        let cache = self.open.cache_bytes.min(context.memory_bytes / CACHE_SHARE);
        // Pages of a mapping would count as memory of the process.
        let open = self.open.clone().with_cache_bytes(cache).with_file_access(FileAccess::Read);
        Ok(Volume::open_with(&self.name, &open)?)
    }

    /// Reads a box of the part, counted from the part's first voxel.
    pub(super) fn read(&self, volume: &Volume, area: &BoundingBox) -> Result<Voxels> {
        let start = std::array::from_fn(|a| self.region.start[a] + area.start[a]);
        Ok(volume.read(self.channel, &BoundingBox::from_start_shape(start, area.shape()))?)
    }
}
