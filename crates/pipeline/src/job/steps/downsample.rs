//! A coarser volume, or the coarser scales of a pyramid.

use exavox_compute::ops::downsample::{DownsampleMethod, downsampled_shape};
use exavox_io::volume::FileAccess;
use exavox_io::{BoundingBox, Metadata, OpenOptions, Volume, VoxelSize, WriteOptions};
use serde::{Deserialize, Serialize};

use super::blockwise::Blockwise;
use super::finish::Finish;
use super::{Layout, Step};
use crate::blocks::{BlockGrid, Stage, StagePlan};
use crate::convert::same_place;
use crate::convert::slabs::Slabs;
use crate::downsample::shapes;
use crate::error::{Error, Result};
use crate::job::{Inputs, SharedTarget, StageContext};

/// `run = "downsample"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DownsampleSpec {
    /// The volume to read.
    pub source: String,
    /// A new volume; left out, coarser scales are added to the source.
    pub target: Option<String>,
    /// Voxels along z, y and x that become one.
    #[serde(default = "two")]
    pub factor: [u64; 3],
    /// `mean` or `mode`. Default: mode for integers of 32 and 64 bits, mean for others.
    pub method: Option<String>,
    /// Scales to add. Default: until no axis that shrinks is longer than 128.
    pub levels: Option<usize>,
    /// Chunks, shards and blocks of what is written.
    #[serde(default)]
    pub layout: Layout,
}

/// Decoded chunks take at most this, and this share of the memory.
const MOST_CACHED: u64 = 64 << 20;
const CACHE_SHARE: u64 = 16;

fn two() -> [u64; 3] {
    [2; 3]
}

/// One coarser volume, made of the one before.
pub(super) struct Level {
    source: String,
    scale: usize,
    factor: [u64; 3],
    method: DownsampleMethod,
    target: SharedTarget,
    grid: BlockGrid,
    plan: StagePlan,
}

struct Downsample {
    levels: Vec<Level>,
    stages: Vec<StagePlan>,
}

impl DownsampleSpec {
    pub(super) fn plan(&self, inputs: &mut Inputs) -> Result<Box<dyn Step>> {
        let source = inputs.metadata(&self.source)?;
        let method = self.method(&source)?;
        let levels = match &self.target {
            None => pyramid(&self.source, &source, self.factor, self.levels, method, &self.layout)?,
            Some(target) => {
                same_place::refuse(&self.source, target)?;
                let options = options(&source, self.factor, &self.layout);
                let made = SharedTarget::new(target, options);
                inputs.plan(target, made.metadata());
                vec![Level::new("downsample", &self.source, &source, self, method, made)?]
            }
        };
        let mut stages: Vec<StagePlan> = levels.iter().map(|level| level.plan.clone()).collect();
        stages.push(StagePlan::single("finish"));
        Ok(Box::new(Downsample { levels, stages }))
    }

    fn method(&self, source: &Metadata) -> Result<DownsampleMethod> {
        let wrong = |message: String| Err(Error::settings(&self.source, message));
        if self.factor.contains(&0) || self.factor == [1; 3] {
            return wrong(format!(
                "factor {:?}: each must be at least 1, and one above",
                self.factor
            ));
        }
        let method = match &self.method {
            Some(name) => name.parse()?,
            None => DownsampleMethod::default_of(source.dtype),
        };
        if method == DownsampleMethod::Mode && source.dtype.kind() == 'f' {
            return wrong(format!(
                "the mode is for labels, which are integers; found {}",
                source.dtype
            ));
        }
        Ok(method)
    }
}

/// The coarser scales of a volume that is there, or will be when the first of them is made.
pub(super) fn pyramid(
    name: &str,
    finest: &Metadata,
    factor: [u64; 3],
    levels: Option<usize>,
    method: DownsampleMethod,
    layout: &Layout,
) -> Result<Vec<Level>> {
    if finest.scales.len() > 1 {
        let message = format!("has {} scales already", finest.scales.len());
        return Err(Error::settings(name, message));
    }
    let (mut source, mut total) = (finest.clone(), factor);
    let mut made = Vec::new();
    for scale in 0..shapes(finest.shape, factor, levels).len() {
        let layout = Layout { chunk: layout.chunk.or(Some(source.chunk_shape)), ..*layout };
        let options = options(&source, factor, &layout);
        let (shape, voxel_size) = (options.shape, options.voxel_size);
        let spec = DownsampleSpec {
            source: name.to_owned(),
            target: None,
            factor,
            method: None,
            levels: None,
            layout,
        };
        let target = SharedTarget::scale(name, total, options);
        let stage = format!("scale-{}", scale + 1);
        let level = Level::new(&stage, name, &source, &spec, method, target)?;
        made.push(Level { scale, ..level });
        (source.shape, source.voxel_size) = (shape, voxel_size);
        total = std::array::from_fn(|a| total[a].saturating_mul(factor[a]));
    }
    Ok(made)
}

fn options(source: &Metadata, factor: [u64; 3], layout: &Layout) -> WriteOptions {
    let voxel_size = source.voxel_size.and_then(|size| {
        VoxelSize::from_nm_zyx(std::array::from_fn(|a| size.nm_zyx[a] * factor[a] as f64))
    });
    let shape = downsampled_shape(source.shape, factor);
    layout.options(source.dtype, shape).like(source).with_voxel_size(voxel_size)
}

impl Level {
    fn new(
        stage: &str,
        name: &str,
        source: &Metadata,
        spec: &DownsampleSpec,
        method: DownsampleMethod,
        target: SharedTarget,
    ) -> Result<Self> {
        let grid = spec.layout.grid(target.options().shape)?;
        let factor = spec.factor;
        let cells = |v: [u64; 3]| v.iter().fold(1_u64, |n, v| n.saturating_mul(*v));
        let (out, size) = (cells(grid.block_shape()), source.dtype.size() as u64);
        let read = out.saturating_mul(cells(factor)).saturating_mul(size);
        let slab = Slabs::new(source, factor)
            .shape(std::array::from_fn(|a| grid.block_shape()[a].saturating_mul(factor[a])));
        let channels = source.channels.len() as u64;
        let plan = StagePlan {
            blocks: grid.len(),
            voxels_per_block: out,
            // The slab that is read and a chunk being decoded; the block, and its chunks as they are coded.
            bytes_per_block: cells(slab)
                .saturating_add(cells(source.chunk_shape).saturating_mul(2))
                .saturating_add(out.saturating_mul(3))
                .saturating_mul(size),
            read_bytes_per_block: read.saturating_mul(channels),
            write_bytes_per_block: out.saturating_mul(size).saturating_mul(channels),
            ..StagePlan::single(stage)
        };
        let source = name.to_owned();
        Ok(Self { source, scale: 0, factor, method, target, grid, plan })
    }

    /// The stage as planned.
    pub(super) fn plan(&self) -> &StagePlan {
        &self.plan
    }

    /// What it writes.
    pub(super) fn target(&self) -> &SharedTarget {
        &self.target
    }

    /// Opens it; the level before must have been finished.
    pub(super) fn open<'a>(&'a self, context: &StageContext<'_>) -> Result<Box<dyn Stage + 'a>> {
        // Pages of a mapping would count as memory of the process.
        let open = OpenOptions::default()
            .with_scale(self.scale)
            .with_cache_bytes((context.memory_bytes / CACHE_SHARE).min(MOST_CACHED))
            .with_file_access(FileAccess::Read);
        let source = Volume::open_with(&self.source, &open)?;
        let slabs = Slabs::new(source.metadata(), self.factor);
        let (factor, method) = (self.factor, self.method);
        let make = move |channel: usize, area: &BoundingBox| {
            let shape = source.shape();
            let start = std::array::from_fn(|a| area.start[a] * factor[a]);
            let end = std::array::from_fn(|a| (area.end[a] * factor[a]).min(shape[a]));
            slabs.downsample(&source, channel, &BoundingBox { start, end }, method)
        };
        let durability = context.durability;
        Ok(Box::new(Blockwise::new(self.target.clone(), self.grid, durability, Box::new(make))))
    }
}

impl Step for Downsample {
    fn stages(&self) -> &[StagePlan] {
        &self.stages
    }

    fn open<'a>(&'a self, stage: usize, context: &StageContext<'_>) -> Result<Box<dyn Stage + 'a>> {
        if let Some(before) = stage.checked_sub(1) {
            self.levels[before].target.finish()?;
        }
        match self.levels.get(stage) {
            Some(level) => level.open(context),
            None => Ok(Box::new(Finish(&self.levels[stage - 1].target))),
        }
    }

    fn targets(&self) -> Vec<&SharedTarget> {
        self.levels.iter().map(|level| &level.target).collect()
    }
}
