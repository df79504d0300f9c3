//! Whether two segments are one.

use super::{PairScores, RunScores};

/// When two segments are one. The defaults are the conservative rule of google/ffn's manual.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct MergeRule {
    /// The runs' intersection over union is above this. Default: 0.8.
    pub min_iou: f64,
    /// The shares of each segment in each run are above this. Default: 0.6.
    pub min_consistency: f64,
    /// Of one of the runs at least, deleted voxels over voxels are below this. Default: 0.02.
    pub max_deleted_fraction: f64,
}

impl Default for MergeRule {
    fn default() -> Self {
        Self { min_iou: 0.8, min_consistency: 0.6, max_deleted_fraction: 0.02 }
    }
}

/// Why two segments are not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The runs differ.
    Iou,
    /// A run leaves out too much of a segment.
    Consistency,
    /// Both runs changed their minds too much.
    Deleted,
}

impl MergeRule {
    /// The first reason against a pair; `None` if the two are one.
    pub fn refusal(&self, scores: &PairScores) -> Option<Refusal> {
        let shares = || scores.from.iter().flat_map(|run| run.consistency);
        let least_deleted =
            scores.from.iter().map(RunScores::deleted_fraction).fold(f64::INFINITY, f64::min);
        if scores.iou <= self.min_iou {
            Some(Refusal::Iou)
        } else if shares().any(|share| share <= self.min_consistency) {
            Some(Refusal::Consistency)
        } else if least_deleted >= self.max_deleted_fraction {
            Some(Refusal::Deleted)
        } else {
            None
        }
    }
}
