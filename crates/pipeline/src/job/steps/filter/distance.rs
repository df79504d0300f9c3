//! The distance to background by blocks: a pass along each axis, over boxes of whole lines. What one pass
//! gives is kept in the job's folder for the next.

use exavox_compute::ops::distance_transform::DistancePasses;
use exavox_compute::ops::filter::Filter;
use exavox_io::trace::{Activity, span};
use exavox_io::volume::{Codec, FileAccess};
use exavox_io::{BoundingBox, DataType, OpenOptions, Volume, Voxels, WriteOptions};

use super::super::blockwise::Blockwise;
use super::super::finish::Finish;
use super::super::source::{Source, voxels_of};
use super::super::{Layout, Step};
use super::BLOCK_VOXELS;
use crate::blocks::{BlockGrid, Stage, StagePlan, fitting_block};
use crate::error::Result;
use crate::filter::as_type;
use crate::job::{SharedTarget, StageContext};

/// Bytes of a squared distance.
const DISTANCE: u64 = size_of::<f32>() as u64;
/// Voxels along x that a pass takes at once, and lists of them: 16 bytes each.
const RUN: u64 = 128;
/// The last pass.
const LAST: usize = DistancePasses::COUNT - 1;

/// The step, planned.
pub(super) struct DistanceStep {
    source: Source,
    filter: Filter,
    passes: DistancePasses,
    dtype: DataType,
    target: SharedTarget,
    /// Squared distances between two passes.
    between: WriteOptions,
    grids: Vec<BlockGrid>,
    stages: Vec<StagePlan>,
}

impl DistanceStep {
    /// Of the source's part, written to `target` as `dtype`.
    pub(super) fn new(
        source: Source,
        filter: Filter,
        passes: DistancePasses,
        target: SharedTarget,
        layout: &Layout,
    ) -> Result<Self> {
        let shape = source.region.shape();
        let (dtype, layout) = (target.options().dtype, *layout);
        // Shards are for those who read what is left, not for what is read once.
        let mut between =
            source.like(Layout { shard: None, ..layout }.options(DataType::F32, shape));
        between.codec = Codec::Zstd(1);
        let mut step = Self {
            source,
            filter,
            passes,
            dtype,
            target,
            between,
            grids: Vec::new(),
            stages: Vec::new(),
        };
        step.grids = (0..=LAST).map(|pass| step.grid(pass, layout.block)).collect::<Result<_>>()?;
        step.stages = (0..=LAST).map(|pass| step.plan(pass)).collect();
        step.stages.push(StagePlan::single("finish"));
        Ok(step)
    }

    /// Boxes of whole lines, as wide as a block, or as about 16 million voxels allow.
    fn grid(&self, pass: usize, block: Option<[u64; 3]>) -> Result<BlockGrid> {
        let (axis, shape) = (self.passes.axis(pass), self.source.region.shape());
        let written = if pass == LAST { self.target.options() } else { &self.between };
        let granule = written.shard_shape.or(written.chunk_shape).unwrap_or([1; 3]);
        let mut lines = block.unwrap_or(granule).map(|g| g.max(1));
        lines[axis] = shape[axis].div_ceil(lines[axis]).max(1).saturating_mul(lines[axis]);
        let block = match block {
            Some(_) => lines,
            None => fitting_block(shape, lines, BLOCK_VOXELS),
        };
        BlockGrid::new(BoundingBox::whole(shape), block)
    }

    fn plan(&self, pass: usize) -> StagePlan {
        let (shape, block) = (self.source.region.shape(), self.grids[pass].block_shape());
        let block: [u64; 3] = std::array::from_fn(|a| block[a].min(shape[a]));
        let (voxels, line) = (voxels_of(block), block[self.passes.axis(pass)]);
        let read = if pass == 0 { self.source.voxel_bytes() } else { DISTANCE };
        let written = if pass == LAST { self.dtype.size() as u64 } else { DISTANCE };
        let decoded = match pass {
            0 => self.source.decoding_bytes(),
            _ => voxels_of(self.between.chunk_shape.unwrap_or([1; 3])).saturating_mul(2 * DISTANCE),
        };
        let channels = self.source.channels.len() as u64;
        StagePlan {
            blocks: self.grids[pass].len(),
            voxels_per_block: voxels,
            // As read, as distances, as cast and as its chunks are coded; lists of runs, and a tile of lines.
            bytes_per_block: voxels
                .saturating_mul(read + DISTANCE + 2 * written)
                .saturating_add(voxels.div_ceil(RUN).saturating_mul(16))
                .saturating_add(line.saturating_mul(RUN * DISTANCE))
                .saturating_add(decoded),
            read_bytes_per_block: voxels.saturating_mul(read).saturating_mul(channels),
            write_bytes_per_block: voxels.saturating_mul(written).saturating_mul(channels),
            ..StagePlan::single(["along-z", "along-y", "along-x"][self.passes.axis(pass)])
        }
    }

    /// What a pass writes.
    fn output(&self, pass: usize, context: &StageContext<'_>) -> SharedTarget {
        if pass == LAST {
            return self.target.clone();
        }
        let path = context.data.join(format!("{}.zarr", self.stages[pass].name));
        SharedTarget::new(path.display().to_string(), self.between.clone())
    }

    /// What a pass reads.
    fn input(&self, pass: usize, context: &StageContext<'_>) -> Result<Volume> {
        let Some(before) = pass.checked_sub(1) else { return self.source.open(context) };
        let before = self.output(before, context);
        before.finish()?;
        // Each chunk is read once.
        let open = OpenOptions::default().with_cache_bytes(0).with_file_access(FileAccess::Read);
        Ok(Volume::open_with(before.name(), &open)?)
    }

    fn run(
        &self,
        pass: usize,
        from: &Volume,
        channel: usize,
        area: &BoundingBox,
    ) -> Result<Voxels> {
        if pass == 0 {
            let mask = self.source.read(from, channel, area)?;
            let _span = span(Activity::Compute, area.start);
            return Ok(self.passes.first(&mask)?);
        }
        let mut squared = from.read(channel, area)?;
        let _span = span(Activity::Compute, area.start);
        self.passes.further(pass, &mut squared)?;
        if pass == LAST { as_type(squared, &self.filter, self.dtype) } else { Ok(squared) }
    }
}

impl Step for DistanceStep {
    fn stages(&self) -> &[StagePlan] {
        &self.stages
    }

    fn open<'a>(&'a self, stage: usize, context: &StageContext<'_>) -> Result<Box<dyn Stage + 'a>> {
        if stage > LAST {
            return Ok(Box::new(Finish(&self.target)));
        }
        let from = self.input(stage, context)?;
        let make = move |channel: usize, area: &BoundingBox| self.run(stage, &from, channel, area);
        let output = self.output(stage, context);
        let (grid, durability) = (self.grids[stage], context.durability);
        Ok(Box::new(Blockwise::new(output, grid, durability, Box::new(make))))
    }

    fn targets(&self) -> Vec<&SharedTarget> {
        vec![&self.target]
    }
}
