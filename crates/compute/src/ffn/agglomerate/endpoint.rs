//! What a segment becomes that is followed beyond its end: how much of it comes back, and what it grows into.

use std::collections::BTreeMap;

use super::block::PairBlock;
use super::resegmentation::Run;
use super::score::Area;
use crate::error::Result;

/// Another segment that the run covers, within the analysis box.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Covered {
    /// Its label.
    pub label: u64,
    /// Its voxels in the run.
    pub covered: u64,
    /// Its voxels.
    pub voxels: u64,
}

/// The run from a segment compared with the segments that were there, within the analysis box.
#[derive(Debug, Clone, PartialEq)]
pub struct EndpointScores {
    /// Voxels of the segment.
    pub segment_voxels: u64,
    /// Those of them that are in the run.
    pub recovered_voxels: u64,
    /// Voxels of the run.
    pub voxels: u64,
    /// Those of them that no segment had.
    pub empty_voxels: u64,
    /// Other segments in the run, the one with most voxels in it first, of equal ones the smallest label.
    pub covered: Vec<Covered>,
    /// Voxels that were surely inside at some step and were judged outside by a later one.
    pub deleted_voxels: u64,
    /// Largest distance of a voxel of the run from its border, in the unit of the voxel size.
    pub max_edt: f64,
}

impl EndpointScores {
    /// Compares the run of an endpoint's segment; `None` if the segment has no voxel in the analysis box.
    ///
    /// Cost: a distance transform of the box. Memory: 6 bytes a voxel of it, and 40 for each segment in it.
    ///
    /// # Errors
    /// If memory cannot be had.
    pub fn new(block: &PairBlock<'_>, run: &Run) -> Result<Option<Self>> {
        let area = Area { block };
        let inside = area.run(run);
        let mut counts: BTreeMap<u64, [u64; 2]> = BTreeMap::new();
        for (at, inside) in area.voxels().zip(&inside) {
            let [voxels, covered] = counts.entry(block.labels[at]).or_default();
            *voxels += 1;
            *covered += u64::from(*inside);
        }
        let [segment_voxels, recovered_voxels] = counts.remove(&block.ids[0]).unwrap_or_default();
        if segment_voxels == 0 {
            return Ok(None);
        }
        let [_, empty_voxels] = counts.remove(&0).unwrap_or_default();
        let others = counts.into_iter().filter(|(_, [_, covered])| *covered > 0);
        let mut covered: Vec<Covered> =
            others.map(|(label, [voxels, covered])| Covered { label, covered, voxels }).collect();
        covered.sort_by_key(|other| std::cmp::Reverse(other.covered));
        Ok(Some(Self {
            segment_voxels,
            recovered_voxels,
            voxels: inside.iter().map(|inside| u64::from(*inside)).sum(),
            empty_voxels,
            covered,
            deleted_voxels: area.deleted(run),
            max_edt: area.max_distance(&inside)?,
        }))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::super::resegmentation::Flooded;
    use super::*;

    /// The figures as they are said, voxel by voxel.
    fn naive(block: &PairBlock<'_>, run: &Run) -> (u64, u64, u64, u64, Vec<Covered>) {
        let [_, ny, nx] = block.shape;
        let [start, end] = block.analysis;
        let in_box = |at: &usize| {
            let p = [at / (ny * nx), at / nx % ny, at % nx];
            (0..3).all(|a| start[a] <= p[a] && p[a] < end[a])
        };
        let all: Vec<usize> = (0..block.labels.len()).filter(in_box).collect();
        let is_in_run = |at: usize| run.flooded.probabilities[at] >= 0.5;
        let count =
            |holds: &dyn Fn(usize) -> bool| all.iter().filter(|at| holds(**at)).count() as u64;
        let of = |label: u64| count(&|at| block.labels[at] == label);
        let both = |label: u64| count(&|at| block.labels[at] == label && is_in_run(at));
        let mut others: Vec<Covered> = (1..6)
            .filter(|label| *label != block.ids[0] && both(*label) > 0)
            .map(|label| Covered { label, covered: both(label), voxels: of(label) })
            .collect();
        others.sort_by_key(|other| std::cmp::Reverse(other.covered));
        let id = block.ids[0];
        (of(id), both(id), count(&is_in_run), both(0), others)
    }

    proptest! {
        #[test]
        fn figures_are_those_of_each_voxel(
            shape in [1usize..5, 1usize..6, 1usize..7], seed in any::<u64>(), cut in 0usize..3,
        ) {
            let voxels: usize = shape.iter().product();
            let hash = |i: usize, salt: u64| {
                (i as u64 ^ seed ^ salt << 40).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40
            };
            let labels: Vec<u64> = (0..voxels).map(|i| hash(i, 1) % 6).collect();
            let p = |i: usize| match hash(i, 2) % 4 {
                0 => f32::NAN,
                part => 0.25 * part as f32,
            };
            let history = vec![([0; 3], 7), (shape.map(|s| s - 1), 11)];
            let flooded = Flooded { probabilities: (0..voxels).map(p).collect(), history };
            let run = Run { seed_zyx: [0; 3], attempts: 1, steps: 2, recovered: true, flooded };
            let start = shape.map(|s| cut.min(s - 1));
            let block = PairBlock {
                labels: &labels,
                shape,
                ids: [2, 0],
                point_zyx: start,
                analysis: [start, shape],
                voxel_size_zyx: [1.0; 3],
            };
            let expected = naive(&block, &run);
            let Some(found) = EndpointScores::new(&block, &run).unwrap() else {
                prop_assert_eq!(expected.0, 0);
                return Ok(());
            };
            let EndpointScores { segment_voxels, recovered_voxels, voxels, empty_voxels, .. } = found;
            prop_assert_eq!(
                (segment_voxels, recovered_voxels, voxels, empty_voxels, found.covered), expected
            );
            let first = if start == [0; 3] { 7 } else { 0 };
            prop_assert_eq!(found.deleted_voxels, first + 11);
        }
    }
}
