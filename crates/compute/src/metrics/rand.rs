//! Rand scores and the adapted Rand error of SNEMI3D and CREMI.

use super::contingency::Table;

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
    pub(super) fn of(table: &Table) -> Self {
        let together = squares(&table.pairs);
        Self { split: together / squares(&table.truth), merge: together / squares(&table.labels) }
    }

    /// SNEMI3D's scores: `foreground` holds the pairs whose prediction is not 0, `with_background`
    /// all of them, and `voxels` counts the whole volume. Voxels of prediction 0 are segments of one
    /// voxel; their number enters divided by `voxels`, as in the challenge's own script.
    pub(super) fn snemi(foreground: &Table, with_background: &Table, voxels: u64) -> Self {
        let background = with_background.voxels - foreground.voxels;
        let singletons = background as f64 / voxels as f64;
        let together = squares(&foreground.pairs) + singletons;
        Self {
            split: together / squares(&with_background.truth),
            merge: together / (squares(&foreground.labels) + singletons),
        }
    }

    /// One minus the harmonic mean of the two.
    pub(super) fn adapted_error(&self) -> f64 {
        1.0 - 2.0 * self.split * self.merge / (self.split + self.merge)
    }
}

/// Exact sum of squares; it is at most the square of the number of voxels.
fn squares(counts: &[u64]) -> f64 {
    counts.iter().map(|&n| u128::from(n) * u128::from(n)).sum::<u128>() as f64
}
