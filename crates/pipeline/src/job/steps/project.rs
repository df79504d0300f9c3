//! A projection of every channel along an axis: a block of the output is made of its column of the source,
//! read slab by slab.

use exavox_compute::ops::projection::ProjectionKind;
use exavox_io::{Axis, BoundingBox, Volume, Voxels};
use serde::{Deserialize, Serialize};

use super::blockwise::Blockwise;
use super::codec::CodecName;
use super::finish::Finish;
use super::source::{Source, SourceSpec, voxels_of};
use super::{Layout, Step};
use crate::blocks::{BlockGrid, Stage, StagePlan};
use crate::convert::same_place;
use crate::error::{Error, Result};
use crate::job::{Inputs, SharedTarget, StageContext};
use crate::project::{Column, projected_voxel_size};

/// Edge of a chunk on the axes that stay.
const CHUNK_EDGE: u64 = 1024;
/// Bytes that the cells of a tile may keep: all values of them for a median.
const TILE_BYTES: u64 = 64 << 20;
/// Bytes that are read at once, of sources whose chunks are not larger.
const STEP_BYTES: u64 = 256 << 10;

/// `run = "project"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProjectSpec {
    /// The volume to read.
    pub source: String,
    /// Which part of it: a range along the axis, for instance. Default: all.
    #[serde(default)]
    pub part: SourceSpec,
    /// The volume to write; it has 1 voxel along the axis.
    pub target: String,
    /// `max`, `min`, `mean`, `sum`, `std`, `variance`, `median` or `argmax`.
    #[serde(default = "max")]
    pub kind: String,
    /// `z`, `y` or `x`.
    #[serde(default = "z")]
    pub axis: String,
    /// Compression. Default: `zstd:3`.
    pub codec: Option<CodecName>,
    /// Chunks, shards and blocks of what is written. Default of a chunk: 1024 x 1024.
    #[serde(default)]
    pub layout: Layout,
}

fn max() -> String {
    ProjectionKind::Max.name().to_owned()
}

fn z() -> String {
    "z".to_owned()
}

struct Project {
    source: Source,
    kind: ProjectionKind,
    axis: Axis,
    target: SharedTarget,
    grid: BlockGrid,
    stages: [StagePlan; 2],
}

impl ProjectSpec {
    pub(super) fn plan(&self, inputs: &mut Inputs) -> Result<Box<dyn Step>> {
        let source = self.part.of(&self.source, inputs)?;
        same_place::refuse(&self.source, &self.target)?;
        let (kind, axis, a) = self.kind_and_axis()?;
        let planes = source.region.shape()[a];
        let (mut shape, mut chunk) = (source.region.shape(), [CHUNK_EDGE; 3]);
        (shape[a], chunk[a]) = (1, 1);
        let chunk = self.layout.chunk.unwrap_or(chunk);
        let layout = Layout { chunk: Some(chunk), ..self.layout }
            .with_blocks(shape, CHUNK_EDGE * CHUNK_EDGE);
        let grid = layout.grid(shape)?;
        let dtype = kind.output_dtype(source.metadata.dtype, planes as usize);
        let mut options = source.like(layout.options(dtype, shape));
        options.codec = self.codec.map_or(options.codec, |codec| codec.0);
        options.voxel_size = projected_voxel_size(options.voxel_size, a, planes);
        let target = SharedTarget::new(&self.target, options);
        inputs.plan(&self.target, source.planned(target.options()));
        let stage = plan(&source, kind, a, &grid, dtype.size() as u64);
        let stages = [stage, StagePlan::single("finish")];
        Ok(Box::new(Project { source, kind, axis, target, grid, stages }))
    }

    fn kind_and_axis(&self) -> Result<(ProjectionKind, Axis, usize)> {
        let kind: ProjectionKind = self.kind.parse().map_err(|_| {
            let known = ProjectionKind::ALL.map(ProjectionKind::name).join(", ");
            let message = format!("expected one of {known}, found '{}'", self.kind);
            Error::settings("projection by blocks", message)
        })?;
        let axis = Axis::from_name(&self.axis);
        let found = axis.and_then(|axis| Some((axis, axis.zyx_index()?)));
        let (axis, a) = found
            .ok_or_else(|| Error::settings(format!("axis {}", self.axis), "expected z, y or x"))?;
        Ok((kind, axis, a))
    }
}

fn plan(
    source: &Source,
    kind: ProjectionKind,
    a: usize,
    grid: &BlockGrid,
    written: u64,
) -> StagePlan {
    let (cells, channels) = (voxels_of(grid.block_shape()), source.channels.len() as u64);
    let (planes, read) = (source.region.shape()[a], source.voxel_bytes());
    let kept = kind.bytes_per_cell(source.metadata.dtype, planes as usize) as u64;
    let read_bytes = cells.saturating_mul(planes).saturating_mul(read);
    StagePlan {
        blocks: grid.len(),
        voxels_per_block: cells,
        // What is read at once; the cells of a tile; the block as it is made and as its chunks are coded.
        bytes_per_block: source
            .decoding_bytes()
            .saturating_mul(2)
            .saturating_add(STEP_BYTES)
            .saturating_add(cells.saturating_mul(kept).min(TILE_BYTES))
            .saturating_add(cells.saturating_mul(4 * written)),
        read_bytes_per_block: read_bytes.saturating_mul(channels),
        write_bytes_per_block: cells.saturating_mul(written).saturating_mul(channels),
        ..StagePlan::single("project")
    }
}

impl Project {
    fn make(&self, volume: &Volume, channel: usize, area: &BoundingBox) -> Result<Voxels> {
        let a = self.axis.zyx_index().unwrap_or(0);
        let start = std::array::from_fn(|i| self.source.region.start[i] + area.start[i]);
        let mut region = BoundingBox::from_start_shape(start, area.shape());
        region.end[a] = self.source.region.end[a];
        let column = Column {
            source: volume,
            channel: self.source.channels[channel],
            kind: self.kind,
            axis: self.axis,
            region,
            tile_bytes: TILE_BYTES,
        };
        column.project()
    }
}

impl Step for Project {
    fn stages(&self) -> &[StagePlan] {
        &self.stages
    }

    fn open<'a>(&'a self, stage: usize, context: &StageContext<'_>) -> Result<Box<dyn Stage + 'a>> {
        if stage > 0 {
            return Ok(Box::new(Finish(&self.target)));
        }
        let volume = self.source.open(context)?;
        let make = move |channel: usize, area: &BoundingBox| self.make(&volume, channel, area);
        let durability = context.durability;
        Ok(Box::new(Blockwise::new(self.target.clone(), self.grid, durability, Box::new(make))))
    }

    fn targets(&self) -> Vec<&SharedTarget> {
        vec![&self.target]
    }
}
