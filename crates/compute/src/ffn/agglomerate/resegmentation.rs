//! Two segments are segmented again around the point between them, each from a seed of its own.

use super::attempts::{Attempts, Segment};
use super::block::PairBlock;
use crate::error::Result;

/// How a pair is segmented again. Names are those of google/ffn's `ResegmentationRequest`.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct ResegmentationOptions {
    /// Around a seed that was tried no other is tried, a box of this radius, voxels `[z, y, x]`.
    pub exclusion_radius_zyx: [usize; 3],
    /// Around the decision point no seed is tried. Default: no such box.
    pub init_exclusion_radius_zyx: Option<[usize; 3]>,
    /// Seeds that are tried in a segment until it is recovered. Default: 8.
    pub max_retry_iters: usize,
    /// A segment is recovered if at least this share of its voxels in the block is in the run. 0: if as
    /// many voxels are as a segment must have. Default: 0.6.
    pub segment_recovery_fraction: f64,
    /// Whether the second run is left out where the first one did not recover its own segment, or does not
    /// cover as much of the other, whatever the rule says: a rule with a smaller share needs both runs. Default: yes.
    pub terminate_early: bool,
}

impl ResegmentationOptions {
    /// The defaults for an exclusion radius.
    pub fn new(exclusion_radius_zyx: [usize; 3]) -> Self {
        Self {
            exclusion_radius_zyx,
            init_exclusion_radius_zyx: None,
            max_retry_iters: 8,
            segment_recovery_fraction: 0.6,
            terminate_early: true,
        }
    }
}

/// What a flood from one seed gave.
#[derive(Debug, Clone, Default)]
pub struct Flooded {
    /// Probability of each voxel of the block, C order; NaN where no step has been.
    pub probabilities: Vec<f32>,
    /// Centre of each step, and how many voxels that were surely inside before it were judged outside by
    /// it.
    pub history: Vec<([usize; 3], u32)>,
}

/// One of the two segments of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The first.
    A,
    /// The second.
    B,
}

/// The last flood from a segment.
#[derive(Debug, Clone)]
pub struct Run {
    /// Its seed, in voxels of the block.
    pub seed_zyx: [usize; 3],
    /// Seeds that were tried.
    pub attempts: u64,
    /// Steps of the network, those of earlier attempts among them.
    pub steps: u64,
    /// Whether enough of the segment is in it.
    pub recovered: bool,
    /// What came of it.
    pub flooded: Flooded,
}

/// Why a pair has no two runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// No voxel of a segment is in the block.
    Absent(Side),
    /// No voxel of a segment has a whole field of view around it.
    NoSeed(Side),
    /// The run from the first segment did not recover it.
    NotRecovered,
    /// The run from the first segment covers too little of the second.
    NotCovered,
}

/// Runs from both segments, or from one and the reason why there is no other.
#[derive(Debug, Clone)]
pub struct Resegmentation {
    /// From the first segment, from the second.
    pub runs: Vec<Run>,
    /// Why there are less than two.
    pub stopped: Option<Stopped>,
}

/// Segments both segments of a pair again. `flood` floods from a voxel of the block, where both segments
/// are free and all others are obstacles; the first seed is the voxel farthest from the segment's border,
/// at least `margin` away from the border of the block. Where the block has no second segment, the first is
/// the only one, and everything is free.
///
/// Cost: two distance transforms of the block, and the floods. Memory: 14 bytes a voxel of the block.
///
/// # Errors
/// [`crate::Error::Usage`] if labels or probabilities are not as many as the block's voxels; what `flood` returns.
pub fn resegment(
    block: &PairBlock<'_>,
    margin: [usize; 3],
    threshold: Threshold,
    options: &ResegmentationOptions,
    flood: &mut dyn FnMut([usize; 3]) -> Result<Flooded>,
) -> Result<Resegmentation> {
    block.check()?;
    let [a, b] = block.ids.map(|id| Segment::new(block, id));
    let mut runs = Vec::new();
    let stopped = |runs, reason| Ok(Resegmentation { runs, stopped: Some(reason) });
    let sides = if block.is_endpoint() { 1 } else { 2 };
    let all = [(&a, &b, Side::A), (&b, &a, Side::B)];
    if let Some((.., side)) = all.into_iter().take(sides).find(|(segment, ..)| segment.voxels == 0)
    {
        return stopped(runs, Stopped::Absent(side));
    }
    for (segment, other, side) in all.into_iter().take(sides) {
        let mut attempts = Attempts { block, margin, threshold, options, flood: &mut *flood };
        let Some(run) = attempts.run(segment)? else {
            return stopped(runs, Stopped::NoSeed(side));
        };
        let recovered = run.recovered;
        let covered = other.share_inside(&run.flooded, threshold.segment);
        runs.push(run);
        if options.terminate_early && side == Side::A && sides == 2 {
            if !recovered {
                return stopped(runs, Stopped::NotRecovered);
            }
            if covered < options.segment_recovery_fraction {
                return stopped(runs, Stopped::NotCovered);
            }
        }
    }
    Ok(Resegmentation { runs, stopped: None })
}

/// What counts as inside, and as enough of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Threshold {
    /// Voxels of at least this probability are inside.
    pub segment: f32,
    /// Voxels of the smallest segment.
    pub min_segment_size: usize,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const SHAPE: [usize; 3] = [5, 5, 20];
    const THRESHOLD: Threshold = Threshold { segment: 0.6, min_segment_size: 1 };

    /// Segment 4 in the left half, 9 in the right one, 7 in the last plane.
    fn labels() -> Vec<u64> {
        let label = |at: usize| match (at / 100, at % 20) {
            (4, _) => 7,
            (_, 0..10) => 4,
            _ => 9,
        };
        (0..500).map(label).collect()
    }

    fn block(labels: &[u64], ids: [u64; 2]) -> PairBlock<'_> {
        PairBlock {
            labels,
            shape: SHAPE,
            ids,
            point_zyx: [2, 2, 9],
            analysis: [[0; 3], SHAPE],
            voxel_size_zyx: [1.0; 3],
        }
    }

    /// Probability 1 in columns of x, NaN elsewhere; a step at the seed.
    fn columns(x: std::ops::Range<usize>, seed: [usize; 3]) -> Flooded {
        let p = |at: usize| if x.contains(&(at % 20)) { 1.0 } else { f32::NAN };
        Flooded { probabilities: (0..500).map(p).collect(), history: vec![(seed, 3)] }
    }

    #[test]
    fn seeds_are_as_far_inside_as_the_field_of_view_allows() {
        let labels = labels();
        let options = ResegmentationOptions::new([0, 0, 1]);
        let mut seeds = Vec::new();
        let found =
            resegment(&block(&labels, [4, 9]), [1, 1, 3], THRESHOLD, &options, &mut |seed| {
                seeds.push(seed);
                Ok(columns(0..20, seed))
            });
        let found = found.unwrap();
        // Plane 0 is the farthest from segment 7, but its fields of view would leave the block.
        assert_eq!(seeds, [[1, 1, 3], [1, 1, 12]]);
        assert!(found.stopped.is_none() && found.runs.iter().all(|run| run.recovered));
        assert_eq!(block(&labels, [4, 9]).obstacles().iter().sum::<i32>(), 100);
    }

    #[test]
    fn other_seeds_are_tried_until_enough_is_recovered() {
        let labels = labels();
        let mut options = ResegmentationOptions::new([2, 4, 1]);
        options.init_exclusion_radius_zyx = Some([4, 4, 3]);
        let mut seeds = Vec::new();
        let block = block(&labels, [4, 9]);
        let found = resegment(&block, [0; 3], THRESHOLD, &options, &mut |seed| {
            seeds.push(seed);
            // Of segment 4 a share of 0.5, 0.6 and so on.
            Ok(columns(0..4 + seeds.len(), seed))
        });
        let found = found.unwrap();
        assert_eq!(found.stopped, Some(Stopped::NotCovered));
        assert_eq!((found.runs[0].attempts, found.runs[0].steps), (2, 2));
        assert!(seeds.iter().all(|seed| seed[2] < 6), "{seeds:?}");
        let [first, second] = seeds[..] else { panic!("{seeds:?}") };
        assert!(first[0].abs_diff(second[0]) > 2 || first[2].abs_diff(second[2]) > 1, "{seeds:?}");
        options.terminate_early = false;
        options.max_retry_iters = 1;
        let found =
            resegment(&block, [0; 3], THRESHOLD, &options, &mut |seed| Ok(columns(0..2, seed)));
        let found = found.unwrap();
        assert!(found.runs.len() == 2 && !found.runs[0].recovered && !found.runs[1].recovered);
    }

    #[test]
    fn a_segment_without_another_is_followed_through_all_of_the_block() {
        let labels = labels();
        let mut options = ResegmentationOptions::new([1; 3]);
        options.max_retry_iters = 1;
        let mut flood = |seed| Ok(columns(0..2, seed));
        let mut follow = |id| {
            let block = block(&labels, [id, 0]);
            resegment(&block, [0; 3], THRESHOLD, &options, &mut flood).unwrap()
        };
        let found = follow(4);
        assert_eq!((found.runs.len(), found.runs[0].recovered, found.stopped), (1, false, None));
        assert_eq!(follow(5).stopped, Some(Stopped::Absent(Side::A)));
        assert_eq!(block(&labels, [4, 0]).obstacles(), [0; 500]);
    }

    #[test]
    fn what_cannot_be_is_said() {
        let labels = labels();
        let options = ResegmentationOptions::new([1; 3]);
        let mut flood = |seed| Ok(columns(0..5, seed));
        let mut stopped = |ids, margin| {
            let block = block(&labels, ids);
            resegment(&block, margin, THRESHOLD, &options, &mut flood).unwrap().stopped
        };
        assert_eq!(stopped([4, 5], [0; 3]), Some(Stopped::Absent(Side::B)));
        assert_eq!(stopped([4, 9], [0, 0, 10]), Some(Stopped::NoSeed(Side::A)));
        assert_eq!(stopped([7, 9], [1, 1, 1]), Some(Stopped::NoSeed(Side::A)));
        assert_eq!(stopped([9, 4], [0; 3]), Some(Stopped::NotRecovered));
        let mut outside = block(&labels, [4, 9]);
        outside.analysis[1] = [5, 5, 21];
        assert!(resegment(&outside, [0; 3], THRESHOLD, &options, &mut flood).is_err());
    }
}
