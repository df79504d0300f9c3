//! A volume written again, block by block: another format, type, chunk shape or codec, or a part of it.

use exavox_io::trace::{Activity, span};
use exavox_io::{BoundingBox, DataType, VoxelSize};
use serde::{Deserialize, Serialize};

use super::blockwise::Blockwise;
use super::codec::CodecName;
use super::finish::Finish;
use super::source::{Source, SourceSpec, voxels_of};
use super::{Layout, Step};
use crate::blocks::{BlockGrid, Stage, StagePlan};
use crate::convert::cast::cast_block;
use crate::convert::{Precision, same_place};
use crate::error::{Error, Result};
use crate::job::{Inputs, SharedTarget, StageContext};

/// `run = "convert"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConvertSpec {
    /// The volume to read.
    pub source: String,
    /// Which part of it. Default: all.
    #[serde(default)]
    pub part: SourceSpec,
    /// The volume to write.
    pub target: String,
    /// Element type. Default: the source's.
    pub dtype: Option<String>,
    /// Whether values that the type does not have are rounded and clipped; else a block with such a one
    /// fails.
    #[serde(default)]
    pub lossy: bool,
    /// Edge lengths of a voxel in nanometres, `[z, y, x]`. Default: the source's.
    pub voxel_size: Option<[f64; 3]>,
    /// Compression. Default: `zstd:3`.
    pub codec: Option<CodecName>,
    /// Chunks, shards and blocks of what is written.
    #[serde(default)]
    pub layout: Layout,
}

struct Convert {
    source: Source,
    dtype: DataType,
    precision: Precision,
    target: SharedTarget,
    grid: BlockGrid,
    stages: [StagePlan; 2],
}

impl ConvertSpec {
    pub(super) fn plan(&self, inputs: &mut Inputs) -> Result<Box<dyn Step>> {
        let source = self.part.of(&self.source, inputs)?;
        same_place::refuse(&self.source, &self.target)?;
        let dtype = match &self.dtype {
            Some(name) => name.parse()?,
            None => source.metadata.dtype,
        };
        let shape = source.region.shape();
        let grid = self.layout.grid(shape)?;
        let mut options = source.like(self.layout.options(dtype, shape));
        options.codec = self.codec.map_or(options.codec, |codec| codec.0);
        options.voxel_size = self.voxel_size()?.or(options.voxel_size);
        let target = SharedTarget::new(&self.target, options);
        inputs.plan(&self.target, source.planned(target.options()));
        let precision = if self.lossy { Precision::Lossy } else { Precision::Exact };
        let stages = [plan(&source, dtype, &grid), StagePlan::single("finish")];
        Ok(Box::new(Convert { source, dtype, precision, target, grid, stages }))
    }

    fn voxel_size(&self) -> Result<Option<VoxelSize>> {
        let Some(size) = self.voxel_size else { return Ok(None) };
        let wrong = || {
            Error::settings("voxel_size", format!("expected three lengths above 0, found {size:?}"))
        };
        VoxelSize::from_nm_zyx(size).map(Some).ok_or_else(wrong)
    }
}

fn plan(source: &Source, dtype: DataType, grid: &BlockGrid) -> StagePlan {
    let (read, written) = (source.voxel_bytes(), dtype.size() as u64);
    let (voxels, channels) = (voxels_of(grid.block_shape()), source.channels.len() as u64);
    StagePlan {
        blocks: grid.len(),
        voxels_per_block: voxels,
        // As read, as cast, and as its chunks are coded.
        bytes_per_block: voxels
            .saturating_mul(read + 3 * written)
            .saturating_add(source.decoding_bytes()),
        read_bytes_per_block: voxels.saturating_mul(read).saturating_mul(channels),
        write_bytes_per_block: voxels.saturating_mul(written).saturating_mul(channels),
        ..StagePlan::single("convert")
    }
}

impl Step for Convert {
    fn stages(&self) -> &[StagePlan] {
        &self.stages
    }

    fn open<'a>(&'a self, stage: usize, context: &StageContext<'_>) -> Result<Box<dyn Stage + 'a>> {
        if stage > 0 {
            return Ok(Box::new(Finish(&self.target)));
        }
        let volume = self.source.open(context)?;
        let make = move |channel: usize, area: &BoundingBox| {
            let voxels = self.source.read(&volume, channel, area)?;
            let _span = span(Activity::Compute, area.start);
            // Values that are lost are told by their place in the source.
            let start = std::array::from_fn(|a| self.source.region.start[a] + area.start[a]);
            let place = BoundingBox::from_start_shape(start, area.shape());
            let from = (self.source.name.as_str(), self.source.channels[channel], &place);
            cast_block(voxels, self.dtype, self.precision, from)
        };
        let durability = context.durability;
        Ok(Box::new(Blockwise::new(self.target.clone(), self.grid, durability, Box::new(make))))
    }

    fn targets(&self) -> Vec<&SharedTarget> {
        vec![&self.target]
    }
}
