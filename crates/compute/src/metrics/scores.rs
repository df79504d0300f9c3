//! All figures of one comparison.

use super::contingency::{Contingency, Table};
use super::rand::Rand;
use super::variation_of_information::split_and_merge;
use crate::error::{Error, Result};

/// Which voxels take part.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScoreOptions {
    /// Voxels with this label of the truth are left out. Default: 0.
    pub ignore_truth: Option<u64>,
    /// Voxels with prediction 0 are left out too. Default: no, prediction 0 counts as one segment.
    pub foreground_only: bool,
}

impl Default for ScoreOptions {
    fn default() -> Self {
        Self { ignore_truth: Some(0), foreground_only: false }
    }
}

impl ScoreOptions {
    /// Sets the label of the truth that is left out.
    #[must_use]
    pub fn with_ignore_truth(mut self, label: Option<u64>) -> Self {
        self.ignore_truth = label;
        self
    }

    /// Leaves out prediction 0 too.
    #[must_use]
    pub fn with_foreground_only(mut self, foreground_only: bool) -> Self {
        self.foreground_only = foreground_only;
        self
    }
}

/// Scores of a segmentation; see [`crate::metrics`] for the definitions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scores {
    /// Bits; 0 is best.
    pub voi_split: f64,
    /// Bits; 0 is best.
    pub voi_merge: f64,
    /// 0 is best, 1 worst.
    pub adapted_rand_error: f64,
    /// Recall; 1 is best.
    pub rand_split: f64,
    /// Precision; 1 is best.
    pub rand_merge: f64,
    /// 0 is best; `None` if no voxel has both a truth to compare with and a prediction.
    pub snemi_adapted_rand_error: Option<f64>,
    /// Voxels compared.
    pub voxels: u64,
    /// Distinct labels of the prediction among them.
    pub labels: u64,
    /// Distinct labels of the truth among them.
    pub truth_labels: u64,
}

impl Contingency {
    /// The figures of the pairs that the options let through.
    ///
    /// # Errors
    /// [`Error::Usage`] if no voxel is left to compare.
    pub fn scores(&self, options: &ScoreOptions) -> Result<Scores> {
        let of_truth = |truth| Some(truth) != options.ignore_truth;
        let all = self.sorted(|truth, _| of_truth(truth));
        let foreground = self.sorted(|truth, label| of_truth(truth) && label != 0);
        let table = Table::new(if options.foreground_only { &foreground } else { &all });
        if table.voxels == 0 {
            let message =
                format!("no voxel to compare: none of {} passes {options:?}", self.voxels());
            return Err(Error::Usage(message));
        }
        let (rand, voi) = (Rand::of(&table), split_and_merge(&table));
        Ok(Scores {
            voi_split: voi[0],
            voi_merge: voi[1],
            adapted_rand_error: rand.adapted_error(),
            rand_split: rand.split,
            rand_merge: rand.merge,
            snemi_adapted_rand_error: self.snemi(options.ignore_truth.unwrap_or(0)),
            voxels: table.voxels,
            labels: table.labels.len() as u64,
            truth_labels: table.truth.len() as u64,
        })
    }

    /// SNEMI3D's error always leaves a label of the truth out.
    fn snemi(&self, unlabelled: u64) -> Option<f64> {
        let all = Table::new(&self.sorted(|truth, _| truth != unlabelled));
        let foreground = Table::new(&self.sorted(|truth, label| truth != unlabelled && label != 0));
        let scored = foreground.voxels > 0;
        scored.then(|| Rand::snemi(&foreground, &all, self.voxels()).adapted_error())
    }
}
