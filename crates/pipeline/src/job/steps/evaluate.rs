//! Labels against a ground truth, both larger than memory, and the table of their pairs too.
//!
//! | stage | blocks | does |
//! |---|---|---|
//! | count | blocks of the region | the pairs of labels of each one, as a file |
//! | scores | 1 | adds them up, sorted on disk; figures and list of objects |
//!
//! The figures are those of [`crate::evaluate::evaluate`], bit for bit: counts are whole numbers, and sums of
//! logarithms are taken in the order of the labels.

use std::path::{Path, PathBuf};

use exavox_compute::metrics::{PairCount, ScoreOptions};
use exavox_io::{BoundingBox, Volume, VoxelSize};
use serde::{Deserialize, Serialize};

use super::Step;
use super::part::{PartSpec, SourcePart};
use crate::blocks::{BlockGrid, Stage, StagePlan};
use crate::error::{Error, Result};
use crate::evaluate::{BlockCounter, BorderDistance, MIN_SHARE, WORST, block_shape, check_share};
use crate::job::{Inputs, SharedTarget, StageContext};
use crate::label_volume::{check_shape, labels_of};
use crate::records::Record;

mod count;
mod scores;

/// `run = "evaluate"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvaluateSpec {
    /// The segmentation.
    pub source: String,
    /// Which part of it. Default: all of the only channel.
    #[serde(default)]
    pub part: PartSpec,
    /// The ground truth.
    pub truth: String,
    /// Which part of it, of the same shape. Default: all of the only channel.
    #[serde(default)]
    pub truth_part: PartSpec,
    /// A JSON file for the figures.
    pub target: PathBuf,
    /// A CSV file for all objects. Default: none.
    pub objects: Option<PathBuf>,
    /// Label of the truth whose voxels do not count; -1 = none.
    #[serde(default)]
    pub ignore_truth: i64,
    /// Whether voxels that the segmentation leaves out do not count either.
    #[serde(default)]
    pub foreground_only: bool,
    /// Voxels so near to a border between true labels do not count: `6.25` voxels or `25nm`. Default: all count.
    pub ignore_border: Option<String>,
    /// Nanometres along z, y and x, in place of the truth's voxel size.
    pub voxel_size: Option<[f64; 3]>,
    /// Share of an object's voxels from which on a part counts.
    #[serde(default = "min_share")]
    pub min_share: f64,
    /// Objects of each kind that are named among the figures.
    #[serde(default = "worst")]
    pub worst: usize,
    /// Voxels that are counted at once. Default: about 2 million, whole chunks.
    pub block: Option<[u64; 3]>,
}

fn min_share() -> f64 {
    MIN_SHARE
}

fn worst() -> usize {
    WORST
}

/// The step, planned.
struct Evaluate {
    labels: SourcePart,
    truth: SourcePart,
    counter: BlockCounter,
    scores: ScoreOptions,
    min_share: f64,
    worst: usize,
    target: PathBuf,
    objects: Option<PathBuf>,
    grid: BlockGrid,
    stages: [StagePlan; 2],
}

/// Voxels with a pair of labels.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
struct Counted {
    truth: u64,
    label: u64,
    voxels: u64,
}

impl Record for Counted {
    const KIND: &'static str = "pair of labels";
}

impl From<PairCount> for Counted {
    fn from(PairCount { truth, label, voxels }: PairCount) -> Self {
        Self { truth, label, voxels }
    }
}

impl From<Counted> for PairCount {
    fn from(Counted { truth, label, voxels }: Counted) -> Self {
        Self { truth, label, voxels }
    }
}

impl EvaluateSpec {
    pub(super) fn plan(&self, inputs: &mut Inputs) -> Result<Box<dyn Step>> {
        let labels = self.part.of(&self.source, inputs)?;
        let truth = self.truth_part.of(&self.truth, inputs)?;
        if self.objects.as_ref() == Some(&self.target) {
            let message = "expected another file for the objects";
            return Err(Error::settings(self.target.display().to_string(), message));
        }
        let [found, expected] = [&labels, &truth].map(|part| part.region().shape());
        check_shape((labels.name(), found), (truth.name(), expected))?;
        check_share(self.min_share)?;
        for part in [&labels, &truth] {
            if part.dtype().kind() == 'f' {
                let message = format!("labels must be integers, found {}", part.dtype());
                return Err(Error::settings(part.name(), message));
            }
        }
        let region = BoundingBox::whole(labels.region().shape());
        let distance =
            self.ignore_border.as_deref().map(str::parse::<BorderDistance>).transpose()?;
        let size = self.size()?.or(truth.voxel_size()).or(labels.voxel_size());
        let mask = distance.map(|distance| distance.mask(size, truth.name())).transpose()?;
        let counter = BlockCounter::new(region, mask);
        let shape = block_shape(labels.chunk_shape(), truth.chunk_shape());
        let shape = self.block.unwrap_or(shape);
        let grid = BlockGrid::new(region, std::array::from_fn(|a| shape[a].min(region.end[a])))?;
        let ignored = u64::try_from(self.ignore_truth).ok();
        let scores = ScoreOptions::default()
            .with_ignore_truth(ignored)
            .with_foreground_only(self.foreground_only);
        let stages = stages(&labels, &truth, &counter, &grid);
        let (target, objects) = (self.target.clone(), self.objects.clone());
        let (min_share, worst) = (self.min_share, self.worst);
        Ok(Box::new(Evaluate {
            labels,
            truth,
            counter,
            scores,
            min_share,
            worst,
            target,
            objects,
            grid,
            stages,
        }))
    }

    fn size(&self) -> Result<Option<VoxelSize>> {
        let Some(nm) = self.voxel_size else { return Ok(None) };
        let wrong = || Error::settings("voxel_size", "must be finite and above 0");
        VoxelSize::from_nm_zyx(nm).map(Some).ok_or_else(wrong)
    }
}

fn stages(
    labels: &SourcePart,
    truth: &SourcePart,
    counter: &BlockCounter,
    grid: &BlockGrid,
) -> [StagePlan; 2] {
    let cells = |shape: [u64; 3]| shape.iter().fold(1_u64, |n, v| n.saturating_mul(*v));
    let (block, halo) = (grid.block_shape(), counter.halo());
    let voxels = cells(block);
    let around = cells(std::array::from_fn(|a| block[a].saturating_add(2 * halo[a])));
    let count = StagePlan {
        blocks: grid.len(),
        voxels_per_block: voxels,
        // As stored and as numbers of 64 bits, the truth with its mask; at worst each voxel is a pair in the
        // table and in the sorted list.
        bytes_per_block: labels
            .bytes_per_block(voxels)
            .saturating_add(truth.bytes_per_block(around))
            .saturating_add(around.saturating_mul(16))
            .saturating_add(voxels.saturating_mul(96)),
        read_bytes_per_block: voxels
            .saturating_mul(labels.dtype().size() as u64)
            .saturating_add(around.saturating_mul(truth.dtype().size() as u64)),
        write_bytes_per_block: voxels / 1000 * size_of::<Counted>() as u64,
        ..StagePlan::single("count")
    };
    [count, StagePlan { bytes_per_block: 34 << 20, ..StagePlan::single("scores") }]
}

impl Evaluate {
    fn read(part: &SourcePart, volume: &Volume, area: &BoundingBox) -> Result<Vec<u64>> {
        labels_of(&part.read(volume, area)?, part.name())
    }
}

/// The file of a block's pairs.
fn pairs_path(data: &Path, block: u64) -> PathBuf {
    super::files::of_block(&data.join("pairs"), block, "pairs")
}

impl Step for Evaluate {
    fn stages(&self) -> &[StagePlan] {
        &self.stages
    }

    fn open<'a>(&'a self, stage: usize, context: &StageContext<'a>) -> Result<Box<dyn Stage + 'a>> {
        Ok(match stage {
            0 => Box::new(count::Count::open(self, context)?),
            _ => Box::new(scores::Score::new(self, context)),
        })
    }

    /// It writes no volume.
    fn targets(&self) -> Vec<&SharedTarget> {
        Vec::new()
    }

    fn refuse_existing_targets(&self) -> Result<()> {
        for path in [Some(&self.target), self.objects.as_ref()].into_iter().flatten() {
            if path.symlink_metadata().is_ok() {
                return Err(exavox_io::Error::Exists { place: exavox_io::Place::path(path) }.into());
            }
        }
        Ok(())
    }
}
