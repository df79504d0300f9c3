//! Quality of a segmentation against a ground truth, streamed over blocks: memory is a block a thread
//! and the table of labels that occur together.

use std::time::Instant;

use exavox_compute::metrics::{Contingency, ScoreOptions, Scores};
use exavox_io::{BoundingBox, Volume};
use rayon::prelude::*;
use serde::Serialize;

use crate::blocks::BlockGrid;
use crate::error::{Error, Result};
use crate::progress::{Event, Observer, Unit};

/// Voxels along the edge of a block, before it is rounded up to whole chunks.
const BLOCK: u64 = 128;
/// Voxels of a block at most: 16 bytes each while two volumes are compared, for each thread.
const MAX_VOXELS: u64 = 1 << 24;

/// What is compared.
#[derive(Debug, Clone, Default)]
pub struct EvaluateOptions {
    /// Which voxels do not count.
    pub scores: ScoreOptions,
    /// The part that is compared; `None` = all.
    pub roi: Option<BoundingBox>,
}

/// Quality of a segmentation. The names are those of `--json`; entropies in bits.
#[derive(Debug, Clone, Serialize)]
pub struct EvaluateReport {
    /// H(prediction | truth): how much true objects are split.
    pub voi_split: f64,
    /// H(truth | prediction): how much predicted objects merge true ones.
    pub voi_merge: f64,
    /// 1 - harmonic mean of Rand split and Rand merge.
    pub adapted_rand_error: f64,
    /// Rand recall.
    pub rand_split: f64,
    /// Rand precision.
    pub rand_merge: f64,
    /// Adapted Rand error with voxels of prediction 0 as objects of one voxel (SNEMI3D, CREMI).
    pub snemi_adapted_rand_error: Option<f64>,
    /// Voxels that counted.
    pub voxels: u64,
    /// Labels of the prediction that counted.
    pub labels: u64,
    /// Labels of the truth that counted.
    pub truth_labels: u64,
    /// Wall-clock time.
    pub seconds: f64,
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
    let started = Instant::now();
    check_shapes(labels, truth)?;
    let whole = BoundingBox::whole(labels.shape());
    let mut region = options.roi.unwrap_or(whole);
    // An end left out means the end of the volume.
    region.end = std::array::from_fn(|a| match region.end[a] {
        u64::MAX => whole.end[a],
        end => end,
    });
    region.check_inside(labels.shape(), labels.name())?;
    let total = region.num_voxels();
    observer.notify(&Event::Started { stage: "evaluate", total, unit: Unit::Voxels });
    let blocks = BlockGrid::new(region, block_shape(labels, truth))?;
    let table = (0..blocks.len())
        .into_par_iter()
        .map(|number| count(labels, truth, &blocks.block(number), observer))
        .try_reduce(Contingency::new, |mut a, b| {
            a.merge(b);
            Ok(a)
        })?;
    let seconds = started.elapsed().as_secs_f64();
    observer.notify(&Event::Finished { stage: "evaluate", seconds });
    Ok(report(&table.scores(&options.scores)?, seconds))
}

fn check_shapes(labels: &Volume, truth: &Volume) -> Result<()> {
    let (found, expected) = (labels.shape(), truth.shape());
    for (a, axis) in ["z", "y", "x"].into_iter().enumerate() {
        if found[a] != expected[a] {
            let message = format!(
                "axis {axis}: expected {} voxels as in {}, found {}",
                expected[a],
                truth.name(),
                found[a]
            );
            return Err(Error::settings(labels.name(), message));
        }
    }
    Ok(())
}

/// Whole chunks of the one with the larger chunks, so that few are decoded twice, as long as that are not
/// too many voxels.
fn block_shape(labels: &Volume, truth: &Volume) -> [u64; 3] {
    let (a, b) = (labels.metadata().chunk_shape, truth.metadata().chunk_shape);
    let mut shape: [u64; 3] = std::array::from_fn(|axis| {
        let chunk = a[axis].max(b[axis]).max(1);
        BLOCK.next_multiple_of(chunk).min(4 * BLOCK)
    });
    while shape.iter().product::<u64>() > MAX_VOXELS {
        let longest = (0..3).max_by_key(|axis| shape[*axis]).unwrap_or_default();
        shape[longest] = shape[longest].div_ceil(2);
    }
    shape
}

fn count(
    labels: &Volume,
    truth: &Volume,
    block: &BoundingBox,
    observer: &dyn Observer,
) -> Result<Contingency> {
    let integers = |volume: &Volume| -> Result<Vec<u64>> {
        let voxels = volume.read(0, block)?;
        voxels.to_labels().map_err(|e| Error::settings(volume.name(), e.to_string()))
    };
    let mut table = Contingency::new();
    table.add(&integers(labels)?, &integers(truth)?)?;
    observer.notify(&Event::Advanced { by: block.num_voxels(), note: "" });
    Ok(table)
}

fn report(figures: &Scores, seconds: f64) -> EvaluateReport {
    EvaluateReport {
        voi_split: figures.voi_split,
        voi_merge: figures.voi_merge,
        adapted_rand_error: figures.adapted_rand_error,
        rand_split: figures.rand_split,
        rand_merge: figures.rand_merge,
        snemi_adapted_rand_error: figures.snemi_adapted_rand_error,
        voxels: figures.voxels,
        labels: figures.labels,
        truth_labels: figures.truth_labels,
        seconds,
    }
}
