//! What can be had without a network: smoothing, a threshold, connected components.

use exavox_compute::metrics::{Contingency, ScoreOptions};
use exavox_compute::ops::connected_components::{Foreground, label_mask};
use exavox_compute::ops::filter::{Boundary, gaussian};
use exavox_compute::ops::{Connectivity, ValueRange};
use exavox_io::Voxels;
use serde::Serialize;

use crate::error::Result;

/// Components of fewer voxels do not count as objects.
const LEAST_VOXELS: usize = 100;

/// Scores of the best threshold. The names are those of `--json`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Baseline {
    /// Sum of both below, bits.
    pub voi: f64,
    /// H(prediction | truth).
    pub voi_split: f64,
    /// H(truth | prediction).
    pub voi_merge: f64,
    /// 0 is best, 1 worst.
    pub adapted_rand_error: f64,
    /// The threshold, chosen with the truth at hand: no other does better.
    pub threshold: f64,
    /// Deviation of the smoothing, voxels, chosen likewise.
    pub sigma: f64,
}

/// Components of the voxels above a threshold, after smoothing, at the threshold and smoothing that give
/// the lowest variation of information against the truth: more than anyone could hope for without it.
///
/// # Errors
/// If shapes differ, or memory cannot be had.
pub fn best_threshold(image: &Voxels, truth: &Voxels) -> Result<Option<Baseline>> {
    let truth = truth.to_labels()?;
    let mut best: Option<Baseline> = None;
    for sigma in [0.7, 1.0, 1.5] {
        let smooth = gaussian(image, [sigma; 3], Boundary::Nearest)?;
        for threshold in (80..=200).step_by(10).map(f64::from) {
            let baseline = at(&smooth, &truth, threshold, sigma)?;
            if best.is_none_or(|best| baseline.voi < best.voi) {
                best = Some(baseline);
            }
        }
    }
    Ok(best)
}

fn at(smooth: &Voxels, truth: &[u64], threshold: f64, sigma: f64) -> Result<Baseline> {
    let bright = Foreground::Range(ValueRange::new(threshold, f64::INFINITY)?);
    let mut labels = label_mask(smooth, bright, Connectivity::Six)?.labels.to_labels()?;
    let most = labels.iter().max().map_or(0, |most| *most as usize);
    let mut sizes = vec![0_usize; most + 1];
    labels.iter().for_each(|label| sizes[*label as usize] += 1);
    labels.iter_mut().filter(|l| sizes[**l as usize] < LEAST_VOXELS).for_each(|l| *l = 0);
    let mut table = Contingency::new();
    table.add(&labels, truth)?;
    let scores = table.scores(&ScoreOptions::default())?;
    let (voi_split, voi_merge) = (scores.voi_split, scores.voi_merge);
    let adapted_rand_error = scores.adapted_rand_error;
    Ok(Baseline {
        voi: voi_split + voi_merge,
        voi_split,
        voi_merge,
        adapted_rand_error,
        threshold,
        sigma,
    })
}
