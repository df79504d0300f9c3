//! Figures of a segment that is followed beyond its end.

use exavox_compute::ffn::agglomerate::{Covered, EndpointScores, Flooded, PairBlock, Run};
use proptest::prelude::*;

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
    let count = |holds: &dyn Fn(usize) -> bool| all.iter().filter(|at| holds(**at)).count() as u64;
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
