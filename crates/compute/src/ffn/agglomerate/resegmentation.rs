//! Two segments are segmented again around the point between them, each from a seed of its own.

use exavox_io::Voxels;

use crate::error::{Error, Result};
use crate::ops::distance_transform::{DistanceOptions, distance_transform};

/// A block around a decision point.
#[derive(Debug, Clone, Copy)]
pub struct PairBlock<'a> {
    /// Labels `[z, y, x]` in C order, 0 = background.
    pub labels: &'a [u64],
    /// Voxels along z, y and x.
    pub shape: [usize; 3],
    /// The two segments.
    pub ids: [u64; 2],
    /// The decision point, in voxels of the block.
    pub point_zyx: [usize; 3],
    /// Box, first voxel and one past the last, in which runs are compared.
    pub analysis: [[usize; 3]; 2],
    /// Edge lengths of a voxel.
    pub voxel_size_zyx: [f64; 3],
}

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
/// at least `margin` away from the border of the block.
///
/// Cost: two distance transforms of the block, and the floods. Memory: 14 bytes a voxel of the block.
///
/// # Errors
/// [`Error::Usage`] if labels or probabilities are not as many as the block's voxels; what `flood` returns.
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
    for (segment, side) in [(&a, Side::A), (&b, Side::B)] {
        if segment.voxels == 0 {
            return stopped(runs, Stopped::Absent(side));
        }
    }
    for (segment, other, side) in [(&a, &b, Side::A), (&b, &a, Side::B)] {
        let mut attempts = Attempts { block, margin, threshold, options, flood: &mut *flood };
        let Some(run) = attempts.run(segment)? else {
            return stopped(runs, Stopped::NoSeed(side));
        };
        let recovered = run.recovered;
        let covered = other.share_inside(&run.flooded, threshold.segment);
        runs.push(run);
        if options.terminate_early && side == Side::A {
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

impl PairBlock<'_> {
    fn check(&self) -> Result<()> {
        let inside = (0..3).all(|a| {
            self.point_zyx[a] < self.shape[a]
                && self.analysis[0][a] < self.analysis[1][a]
                && self.analysis[1][a] <= self.shape[a]
        });
        if self.shape.iter().product::<usize>() == self.labels.len() && inside {
            return Ok(());
        }
        let message = format!(
            "block of shape {:?} with {} labels: point {:?} or box {:?} is not inside",
            self.shape,
            self.labels.len(),
            self.point_zyx,
            self.analysis
        );
        Err(Error::Usage(message))
    }

    /// Labels of the segments that are obstacles; 0 elsewhere.
    pub(super) fn obstacles(&self) -> Vec<i32> {
        let is_obstacle = |label: &u64| *label != 0 && !self.ids.contains(label);
        self.labels.iter().map(|label| i32::from(is_obstacle(label))).collect()
    }
}

/// One segment of a block.
struct Segment {
    /// 1 inside, 0 elsewhere.
    mask: Vec<u8>,
    voxels: u64,
}

impl Segment {
    fn new(block: &PairBlock<'_>, id: u64) -> Self {
        let mask: Vec<u8> = block.labels.iter().map(|label| u8::from(*label == id)).collect();
        let voxels = mask.iter().map(|inside| u64::from(*inside)).sum();
        Self { mask, voxels }
    }

    fn inside(&self, flooded: &Flooded, threshold: f32) -> u64 {
        let pairs = self.mask.iter().zip(&flooded.probabilities);
        pairs.filter(|(inside, p)| **inside != 0 && **p >= threshold).count() as u64
    }

    fn share_inside(&self, flooded: &Flooded, threshold: f32) -> f64 {
        self.inside(flooded, threshold) as f64 / self.voxels as f64
    }
}

/// Floods from one segment after the other seed.
struct Attempts<'a> {
    block: &'a PairBlock<'a>,
    margin: [usize; 3],
    threshold: Threshold,
    options: &'a ResegmentationOptions,
    flood: &'a mut dyn FnMut([usize; 3]) -> Result<Flooded>,
}

impl Attempts<'_> {
    /// The last of the floods; `None` if there is no place for a seed.
    fn run(&mut self, segment: &Segment) -> Result<Option<Run>> {
        let mut distance = self.distance(segment)?;
        let (mut last, mut steps): (Option<Run>, u64) = (None, 0);
        for attempt in 1..=self.options.max_retry_iters as u64 {
            let Some(seed_zyx) = self.farthest(&distance) else { break };
            self.clear(&mut distance, seed_zyx, self.options.exclusion_radius_zyx);
            let flooded = (self.flood)(seed_zyx)?;
            if flooded.probabilities.len() != self.block.labels.len() {
                let (expected, found) = (self.block.labels.len(), flooded.probabilities.len());
                let message = format!("flood: expected {expected} probabilities, found {found}");
                return Err(Error::Usage(message));
            }
            steps += flooded.history.len() as u64;
            let recovered = self.is_recovered(segment, &flooded);
            last = Some(Run { seed_zyx, attempts: attempt, steps, recovered, flooded });
            if recovered {
                break;
            }
        }
        Ok(last)
    }

    /// Distance of the segment's voxels from its border; 0 where no seed may be.
    fn distance(&self, segment: &Segment) -> Result<Vec<f32>> {
        let shape = self.block.shape;
        let voxel_size_zyx = self.block.voxel_size_zyx;
        let options = DistanceOptions { voxel_size_zyx, ..DistanceOptions::default() };
        let mask = Voxels::from_vec(shape, segment.mask.clone())?;
        let mut distance = distance_transform(&mask, &options)?.as_slice::<f32>()?.to_vec();
        for (at, distance) in distance.iter_mut().enumerate() {
            let p = [at / (shape[1] * shape[2]), at / shape[2] % shape[1], at % shape[2]];
            if (0..3).any(|a| p[a] < self.margin[a] || p[a] + self.margin[a] >= shape[a]) {
                *distance = 0.0;
            }
        }
        if let Some(radius) = self.options.init_exclusion_radius_zyx {
            self.clear(&mut distance, self.block.point_zyx, radius);
        }
        Ok(distance)
    }

    /// The first of the voxels with the largest distance; `None` if all are 0.
    fn farthest(&self, distance: &[f32]) -> Option<[usize; 3]> {
        let [_, ny, nx] = self.block.shape;
        let mut farthest = (0.0, None);
        for (at, distance) in distance.iter().enumerate() {
            if *distance > farthest.0 {
                farthest = (*distance, Some([at / (ny * nx), at / nx % ny, at % nx]));
            }
        }
        farthest.1
    }

    /// Sets a box around a voxel to 0.
    fn clear(&self, distance: &mut [f32], centre: [usize; 3], radius: [usize; 3]) {
        let [nz, ny, nx] = self.block.shape;
        let range = |a: usize, size: usize| {
            centre[a].saturating_sub(radius[a])..centre[a].saturating_add(radius[a] + 1).min(size)
        };
        for z in range(0, nz) {
            for y in range(1, ny) {
                let row = (z * ny + y) * nx;
                let along_x = range(2, nx);
                distance[row + along_x.start..row + along_x.end].fill(0.0);
            }
        }
    }

    fn is_recovered(&self, segment: &Segment, flooded: &Flooded) -> bool {
        let fraction = self.options.segment_recovery_fraction;
        if fraction > 0.0 {
            return segment.share_inside(flooded, self.threshold.segment) >= fraction;
        }
        segment.inside(flooded, self.threshold.segment) >= self.threshold.min_segment_size as u64
    }
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
