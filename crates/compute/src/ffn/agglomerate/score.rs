//! How alike the runs from two segments are.

use exavox_io::Voxels;

use super::block::PairBlock;
use super::resegmentation::{Resegmentation, Run};
use crate::error::Result;
use crate::ops::distance_transform::{DistanceOptions, distance_transform};

/// Voxels of at least this probability are in a run.
const INSIDE: f32 = 0.5;

/// A run compared with the two segments, within the analysis box.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RunScores {
    /// Voxels of the run.
    pub voxels: u64,
    /// Voxels that were surely inside at some step and were judged outside by a later one.
    pub deleted_voxels: u64,
    /// Shares of the first and of the second segment that are in the run.
    pub consistency: [f64; 2],
    /// Largest distance of a voxel of the run from its border, in the unit of the voxel size.
    pub max_edt: f64,
}

impl RunScores {
    /// Deleted voxels over voxels; infinite if the run is empty.
    pub fn deleted_fraction(&self) -> f64 {
        if self.voxels == 0 {
            return f64::INFINITY;
        }
        self.deleted_voxels as f64 / self.voxels as f64
    }
}

/// The runs from both segments compared; google/ffn's `PairResegmentationResult`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PairScores {
    /// Voxels that are in both runs over those that are in one.
    pub iou: f64,
    /// The run from the first segment, the run from the second.
    pub from: [RunScores; 2],
    /// Voxels of the two segments in the analysis box.
    pub voxels: [u64; 2],
    /// Largest distance of a voxel of each segment from its border.
    pub max_edt: [f64; 2],
}

impl PairScores {
    /// Compares two runs; `None` if there are not two, or one of the segments has no voxel in the analysis
    /// box.
    ///
    /// Cost: four distance transforms of the box.
    ///
    /// # Errors
    /// If memory cannot be had.
    pub fn new(block: &PairBlock<'_>, resegmentation: &Resegmentation) -> Result<Option<Self>> {
        let [from_a, from_b] = &resegmentation.runs[..] else { return Ok(None) };
        let area = Area { block };
        let segments = block.ids.map(|id| area.mask(|at| block.labels[at] == id));
        let voxels = segments.each_ref().map(|segment| count(segment));
        if voxels.contains(&0) {
            return Ok(None);
        }
        let runs = [from_a, from_b].map(|run| area.run(run));
        let common = runs[0].iter().zip(&runs[1]).filter(|(a, b)| **a & **b != 0).count();
        let either = runs[0].iter().zip(&runs[1]).filter(|(a, b)| **a | **b != 0).count();
        let scores = |run: &Run, mask: &[u8]| -> Result<RunScores> {
            let share = |segment: &[u8], voxels: u64| {
                let inside = mask.iter().zip(segment).filter(|(a, b)| **a & **b != 0).count();
                inside as f64 / voxels as f64
            };
            Ok(RunScores {
                voxels: count(mask),
                deleted_voxels: area.deleted(run),
                consistency: [share(&segments[0], voxels[0]), share(&segments[1], voxels[1])],
                max_edt: area.max_distance(mask)?,
            })
        };
        Ok(Some(Self {
            // Two empty runs have nothing in common.
            iou: common as f64 / either.max(1) as f64,
            from: [scores(from_a, &runs[0])?, scores(from_b, &runs[1])?],
            voxels,
            max_edt: [area.max_distance(&segments[0])?, area.max_distance(&segments[1])?],
        }))
    }
}

fn count(mask: &[u8]) -> u64 {
    mask.iter().map(|inside| u64::from(*inside)).sum()
}

/// The analysis box of a block.
pub(super) struct Area<'a> {
    pub(super) block: &'a PairBlock<'a>,
}

impl Area<'_> {
    fn shape(&self) -> [usize; 3] {
        let [start, end] = self.block.analysis;
        std::array::from_fn(|a| end[a] - start[a])
    }

    /// Places of the box's voxels in the block, C order.
    pub(super) fn voxels(&self) -> impl Iterator<Item = usize> {
        let ([start, _], [nz, ny, nx]) = (self.block.analysis, self.shape());
        let [_, block_ny, block_nx] = self.block.shape;
        let rows = (0..nz).flat_map(move |z| (0..ny).map(move |y| (z, y)));
        rows.flat_map(move |(z, y)| {
            let row = ((start[0] + z) * block_ny + start[1] + y) * block_nx + start[2];
            row..row + nx
        })
    }

    /// 1 where a test of the voxel's place in the block holds.
    fn mask(&self, holds: impl Fn(usize) -> bool) -> Vec<u8> {
        self.voxels().map(|at| u8::from(holds(at))).collect()
    }

    /// 1 where a run is.
    pub(super) fn run(&self, run: &Run) -> Vec<u8> {
        self.mask(|at| run.flooded.probabilities[at] >= INSIDE)
    }

    /// Voxels deleted by steps whose centre is in the box.
    pub(super) fn deleted(&self, run: &Run) -> u64 {
        let [start, end] = self.block.analysis;
        let inside = |p: &[usize; 3]| (0..3).all(|a| start[a] <= p[a] && p[a] < end[a]);
        let steps = run.flooded.history.iter().filter(|(centre, _)| inside(centre));
        steps.map(|(_, deleted)| u64::from(*deleted)).sum()
    }

    pub(super) fn max_distance(&self, mask: &[u8]) -> Result<f64> {
        let voxel_size_zyx = self.block.voxel_size_zyx;
        let options = DistanceOptions { voxel_size_zyx, ..DistanceOptions::default() };
        let mask = Voxels::from_vec(self.shape(), mask.to_vec())?;
        let distance = distance_transform(&mask, &options)?;
        // All of the box is inside: there is no border, and distances are infinite.
        let finite = distance.as_slice::<f32>()?.iter().filter(|distance| distance.is_finite());
        Ok(f64::from(finite.fold(0.0, |largest: f32, distance| largest.max(*distance))))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::resegmentation::Flooded;
    use super::super::{MergeRule, Refusal};
    use super::*;

    fn run(columns: std::ops::Range<usize>, history: Vec<([usize; 3], u32)>) -> Run {
        let p = |at: usize| if columns.contains(&(at % 10)) { 0.5 } else { f32::NAN };
        let flooded = Flooded { probabilities: (0..90).map(p).collect(), history };
        Run { seed_zyx: [0; 3], attempts: 1, steps: 1, recovered: true, flooded }
    }

    fn scores(runs: Vec<Run>, analysis: [[usize; 3]; 2]) -> Option<PairScores> {
        // Columns 0 to 3 are segment 1, 5 to 9 segment 2.
        let label = |at: usize| [1, 1, 1, 1, 0, 2, 2, 2, 2, 2][at % 10];
        let labels: Vec<u64> = (0..90).map(label).collect();
        let block = PairBlock {
            labels: &labels,
            shape: [3, 3, 10],
            ids: [1, 2],
            point_zyx: [1, 1, 4],
            analysis,
            voxel_size_zyx: [1.0, 1.0, 2.0],
        };
        PairScores::new(&block, &Resegmentation { runs, stopped: None }).unwrap()
    }

    #[test]
    fn runs_are_compared_within_the_analysis_box() {
        let from_a = run(0..8, vec![([1, 1, 1], 5), ([1, 1, 0], 100), ([2, 2, 8], 7)]);
        let from_b = run(2..10, vec![]);
        let found = scores(vec![from_a, from_b], [[0, 0, 1], [3, 3, 9]]).unwrap();
        // Of columns 1 to 8, the first run has 1 to 7, the second 2 to 8.
        assert_eq!(found.iou, 6.0 / 8.0);
        assert_eq!(found.voxels, [27, 36]);
        let [a, b] = found.from;
        assert_eq!((a.voxels, a.deleted_voxels, a.consistency), (63, 12, [1.0, 0.75]));
        assert_eq!((b.voxels, b.deleted_voxels, b.consistency), (63, 0, [2.0 / 3.0, 1.0]));
        // Columns of edge 2; nothing else is a border.
        assert_eq!((a.max_edt, found.max_edt), (14.0, [6.0, 8.0]));
        let rule = MergeRule { min_iou: 0.75, ..MergeRule::default() };
        assert_eq!(rule.refusal(&found), Some(Refusal::Iou));
        let mut rule = MergeRule { min_iou: 0.7, ..rule };
        assert_eq!(rule.refusal(&found), None);
        rule.min_consistency = 0.7;
        assert_eq!(rule.refusal(&found), Some(Refusal::Consistency));
        (rule.min_consistency, rule.max_deleted_fraction) = (0.6, 0.0);
        assert_eq!(rule.refusal(&found), Some(Refusal::Deleted));
    }

    #[test]
    fn what_is_not_there_is_not_scored_and_empty_runs_are_refused() {
        let whole = [[0; 3], [3, 3, 10]];
        assert_eq!(scores(vec![run(0..9, vec![])], whole), None);
        let both = || vec![run(0..10, vec![]), run(0..10, vec![])];
        assert_eq!(scores(both(), [[0; 3], [3, 3, 5]]), None);
        let found = scores(both(), whole).unwrap();
        assert_eq!((found.iou, found.from[0].max_edt), (1.0, 0.0));
        let none = scores(vec![run(0..0, vec![]), run(0..0, vec![])], whole).unwrap();
        assert_eq!((none.iou, none.from[0].deleted_fraction()), (0.0, f64::INFINITY));
        assert_eq!(MergeRule::default().refusal(&none), Some(Refusal::Iou));
    }
}
