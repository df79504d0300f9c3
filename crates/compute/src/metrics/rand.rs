//! Rand scores and the adapted Rand error of SNEMI3D and CREMI.

use super::sums::Sums;

/// Recall and precision of pairs of voxels that share a segment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rand {
    /// Recall: falls with splits.
    pub(super) split: f64,
    /// Precision: falls with mergers.
    pub(super) merge: f64,
}

impl Rand {
    /// Scores of a table, each voxel paired with each, itself included.
    pub(super) fn of(pairs: &Sums, truth: &Sums, labels: &Sums) -> Self {
        let together = pairs.squares();
        Self { split: together / truth.squares(), merge: together / labels.squares() }
    }

    /// SNEMI3D's scores: `pairs` and `labels` without prediction 0, `truth` with it, and `voxels` counts the
    /// whole volume. Voxels of prediction 0 are segments of one voxel; their number enters divided by
    /// `voxels`, as in the challenge's own script.
    pub(super) fn snemi(pairs: &Sums, truth: &Sums, labels: &Sums, voxels: u64) -> Self {
        let background = truth.voxels - pairs.voxels;
        let singletons = background as f64 / voxels as f64;
        let together = pairs.squares() + singletons;
        Self {
            split: together / truth.squares(),
            merge: together / (labels.squares() + singletons),
        }
    }

    /// One minus the harmonic mean of the two.
    pub(super) fn adapted_error(&self) -> f64 {
        1.0 - 2.0 * self.split * self.merge / (self.split + self.merge)
    }
}
