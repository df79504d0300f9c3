//! Quality of a segmentation against a ground truth, streamed over blocks: memory is a block a thread
//! and the table of labels that occur together. Against skeletons: [`skeletons`].

use std::path::PathBuf;

use exavox_compute::metrics::{Contingency, ScoreOptions, Scores};
use exavox_io::volume::WriteMode;
use exavox_io::{BoundingBox, Volume, VoxelSize};
use serde::Serialize;

use crate::blocks::{BlockGrid, for_each_block};
use crate::error::{Error, Result};
use crate::label_volume::{check_shape, read_labels};
use crate::progress::Observer;

mod blocks;
mod objects;
mod page;
mod pictures;
mod places;
pub mod skeletons;

pub use blocks::BorderDistance;
pub(crate) use blocks::{BlockCounter, block_shape};
pub(crate) use objects::ObjectList;
pub use objects::ObjectRow;
pub use page::{EvaluationPage, Judged};

/// What is compared.
#[derive(Debug, Clone)]
pub struct EvaluateOptions {
    /// Which voxels do not count.
    pub scores: ScoreOptions,
    /// The part that is compared; `None` = all.
    pub roi: Option<BoundingBox>,
    /// Voxels so near to a border between true labels do not count. Default: all count.
    pub ignore_border: Option<BorderDistance>,
    /// Size of the voxels, in place of that of the truth or, if it has none, of the labels.
    pub voxel_size: Option<VoxelSize>,
    /// Share of an object's voxels from which on a part counts. Default: 0.01.
    pub min_share: f64,
    /// Objects of each kind that are named in the report. Default: 10.
    pub worst: usize,
    /// A CSV file for all objects.
    pub objects: Option<PathBuf>,
    /// What to do with a CSV file that is there already.
    pub mode: WriteMode,
}

impl Default for EvaluateOptions {
    fn default() -> Self {
        Self {
            scores: ScoreOptions::default(),
            roi: None,
            ignore_border: None,
            voxel_size: None,
            min_share: MIN_SHARE,
            worst: WORST,
            objects: None,
            mode: WriteMode::default(),
        }
    }
}

/// Share of an object's voxels from which on a part counts, where nothing is said.
pub const MIN_SHARE: f64 = 0.01;
/// Objects of each kind that are named, where nothing is said.
pub const WORST: usize = 10;

/// Quality of a segmentation. The names are those of `--json`; entropies in bits.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EvaluateReport {
    /// H(prediction | truth): how much true objects are split.
    pub voi_split: f64,
    /// H(truth | prediction): how much predicted objects merge true ones.
    pub voi_merge: f64,
    /// Normalised variation of information: (split + merge) / H(truth, prediction).
    pub nvi: f64,
    /// Normalised information distance.
    pub nid: f64,
    /// 1 - harmonic mean of Rand split and Rand merge.
    pub adapted_rand_error: f64,
    /// Rand recall.
    pub rand_split: f64,
    /// Rand precision.
    pub rand_merge: f64,
    /// Adapted Rand error with voxels of prediction 0 as objects of one voxel (SNEMI3D, CREMI).
    pub snemi_adapted_rand_error: Option<f64>,
    /// Geometric mean of that error and of VOI split + merge.
    pub cremi_score: Option<f64>,
    /// Voxels that counted.
    pub voxels: u64,
    /// Labels of the prediction that counted.
    pub labels: u64,
    /// Labels of the truth that counted.
    pub truth_labels: u64,
    /// Voxels that did not count because they are near a border.
    pub border_voxels: u64,
    /// The true objects that add most to VOI split, the worst first.
    pub worst_splits: Vec<ObjectRow>,
    /// The labels, 0 apart, that add most to VOI merge, the worst first.
    pub worst_merges: Vec<ObjectRow>,
}

impl EvaluateReport {
    pub(crate) fn new(figures: &Scores, border_voxels: u64, worst: [Vec<ObjectRow>; 2]) -> Self {
        let [worst_splits, worst_merges] = worst;
        Self {
            voi_split: figures.voi_split,
            voi_merge: figures.voi_merge,
            nvi: figures.nvi,
            nid: figures.nid,
            adapted_rand_error: figures.adapted_rand_error,
            rand_split: figures.rand_split,
            rand_merge: figures.rand_merge,
            snemi_adapted_rand_error: figures.snemi_adapted_rand_error,
            cremi_score: figures.cremi_score,
            voxels: figures.voxels,
            labels: figures.labels,
            truth_labels: figures.truth_labels,
            border_voxels,
            worst_splits,
            worst_merges,
        }
    }
}

/// Compares labels with a ground truth of the same shape; channel 0 of each.
///
/// # Errors
/// [`Error::Settings`] if the shapes differ (with the axis) or the labels are not integers.
pub fn evaluate(
    labels: &Volume,
    truth: &Volume,
    options: &EvaluateOptions,
    observer: &dyn Observer,
) -> Result<EvaluateReport> {
    check_shape((labels.name(), labels.shape()), (truth.name(), truth.shape()))?;
    check_share(options.min_share)?;
    let region = region_of(labels, options.roi)?;
    let size = options.voxel_size.or(truth.metadata().voxel_size).or(labels.metadata().voxel_size);
    let mask = options.ignore_border.map(|d| d.mask(size, truth.name())).transpose()?;
    let mut objects = ObjectList::new(options.worst, options.objects.as_deref(), options.mode)?;
    let table = count_all(labels, truth, &BlockCounter::new(region, mask), region, observer)?;
    let scores = table
        .scores_and_objects(&options.scores, options.min_share, |object| objects.take(object))?;
    Ok(EvaluateReport::new(&scores, table.voxels() - table.counted(), objects.finish()?))
}

fn count_all(
    labels: &Volume,
    truth: &Volume,
    counter: &BlockCounter,
    region: BoundingBox,
    observer: &dyn Observer,
) -> Result<Contingency> {
    let chunks = [labels, truth].map(|volume| volume.metadata().chunk_shape);
    let blocks = BlockGrid::new(region, block_shape(chunks[0], chunks[1]))?;
    let count = |block: &BoundingBox| {
        counter.count(block, |area| read_labels(labels, area), |area| read_labels(truth, area))
    };
    for_each_block("evaluate", &blocks, observer, Contingency::new, count, Contingency::merge)
}

/// The part of the labels that is asked for; an end left out means the end of the volume.
pub(crate) fn region_of(labels: &Volume, roi: Option<BoundingBox>) -> Result<BoundingBox> {
    crate::selection::region_of(labels.name(), labels.shape(), roi)
}

pub(crate) fn check_share(share: f64) -> Result<()> {
    if (0.0..=1.0).contains(&share) {
        return Ok(());
    }
    let message = format!("expected a share of 0 to 1, found {share}");
    Err(Error::settings("min-share", message))
}
