//! All figures of one comparison.

use super::contingency::{Contingency, PairCount};
use super::objects::Object;
use super::rand::Rand;
use super::scorer::{Scorer, Side};
use super::sums::Sums;
use super::variation_of_information::Entropies;
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

    /// Whether voxels of a pair take part.
    pub fn keeps(&self, pair: &PairCount) -> bool {
        Some(pair.truth) != self.ignore_truth && (pair.label != 0 || !self.foreground_only)
    }
}

/// Scores of a segmentation; see [`crate::metrics`] for the definitions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scores {
    /// Bits; 0 is best.
    pub voi_split: f64,
    /// Bits; 0 is best.
    pub voi_merge: f64,
    /// Variation of information as a share of the joint entropy; 0 is best, 1 worst.
    pub nvi: f64,
    /// Normalised information distance; 0 is best, 1 worst.
    pub nid: f64,
    /// 0 is best, 1 worst.
    pub adapted_rand_error: f64,
    /// Recall; 1 is best.
    pub rand_split: f64,
    /// Precision; 1 is best.
    pub rand_merge: f64,
    /// 0 is best; `None` if no voxel has both a truth to compare with and a prediction.
    pub snemi_adapted_rand_error: Option<f64>,
    /// Geometric mean of that error and of the variation of information; 0 is best.
    pub cremi_score: Option<f64>,
    /// Voxels compared.
    pub voxels: u64,
    /// Distinct labels of the prediction among them.
    pub labels: u64,
    /// Distinct labels of the truth among them.
    pub truth_labels: u64,
}

/// Sums over pairs, rows (truth) and columns (labels) of a table.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct TableSums {
    pub(super) pairs: Sums,
    pub(super) truth: Sums,
    pub(super) labels: Sums,
}

impl Scores {
    /// From the table that the options let through, from the one of SNEMI3D, and all voxels there are.
    pub(super) fn of(kept: &TableSums, snemi: &TableSums, voxels: u64) -> Self {
        let rand = Rand::of(&kept.pairs, &kept.truth, &kept.labels);
        let entropies = Entropies::of(&kept.pairs, &kept.truth, &kept.labels);
        let (split, merge) = (entropies.split(), entropies.merge());
        let scored = snemi.pairs.voxels > 0;
        let snemi = scored.then(|| {
            Rand::snemi(&snemi.pairs, &snemi.truth, &snemi.labels, voxels).adapted_error()
        });
        Self {
            voi_split: split,
            voi_merge: merge,
            nvi: entropies.normalised(),
            nid: entropies.information_distance(),
            adapted_rand_error: rand.adapted_error(),
            rand_split: rand.split,
            rand_merge: rand.merge,
            snemi_adapted_rand_error: snemi,
            cremi_score: snemi.map(|error| (error.max(0.0) * (split + merge)).sqrt()),
            voxels: kept.pairs.voxels,
            labels: kept.labels.count,
            truth_labels: kept.truth.count,
        }
    }
}

impl Contingency {
    /// The figures of the pairs that the options let through.
    ///
    /// # Errors
    /// [`Error::Usage`] if no voxel is left to compare.
    pub fn scores(&self, options: &ScoreOptions) -> Result<Scores> {
        self.scores_and_objects(options, 1.0, |_| Ok::<(), Error>(()))
    }

    /// As [`Contingency::scores`]; every object of the truth and then every label of the prediction is
    /// shown to `each`, in ascending order. A part counts from `min_share` of its object's voxels on.
    ///
    /// # Errors
    /// [`Error::Usage`] if no voxel is left to compare; what `each` says.
    pub fn scores_and_objects<E: From<Error>>(
        &self,
        options: &ScoreOptions,
        min_share: f64,
        mut each: impl FnMut(&Object) -> Result<(), E>,
    ) -> Result<Scores, E> {
        let mut pairs = self.pairs();
        let kept = pairs.iter().filter(|pair| options.keeps(pair)).map(|pair| pair.voxels).sum();
        let mut scorer = Scorer::new(options, min_share, kept, self.voxels())?;
        scorer.pass(Side::Truth, pairs.iter().copied().map(Ok), &mut each)?;
        pairs.sort_unstable_by_key(|pair| (pair.label, pair.truth));
        scorer.pass(Side::Labels, pairs.iter().copied().map(Ok), &mut each)?;
        Ok(scorer.scores())
    }
}
