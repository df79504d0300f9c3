//! Figures of segmentations against their definitions and against published values.

use exavox_compute::metrics::{Contingency, ScoreOptions, Scores, reference};
use proptest::prelude::*;

fn options() -> impl Strategy<Value = ScoreOptions> {
    let ignored = prop::sample::select(vec![None, Some(0), Some(1)]);
    (ignored, any::<bool>()).prop_map(|(ignored, foreground)| {
        ScoreOptions::default().with_ignore_truth(ignored).with_foreground_only(foreground)
    })
}

fn labels() -> impl Strategy<Value = Vec<(u64, u64)>> {
    let label = || prop_oneof![4 => 0..4u64, 1 => Just(u64::MAX)];
    prop::collection::vec((label(), label()), 1..300)
}

fn assert_close(found: &Scores, expected: &Scores) {
    let figures = |s: &Scores| {
        let snemi = s.snemi_adapted_rand_error.unwrap_or(-1.0);
        [s.voi_split, s.voi_merge, s.adapted_rand_error, s.rand_split, s.rand_merge, snemi]
    };
    for (a, b) in figures(found).into_iter().zip(figures(expected)) {
        assert!((a - b).abs() < 1e-9, "{found:?}, expected {expected:?}");
    }
    let counts = |s: &Scores| [s.voxels, s.labels, s.truth_labels];
    assert_eq!(counts(found), counts(expected));
}

proptest! {
    #[test]
    fn blocks_in_any_number_give_the_definition(
        voxels in labels(), options in options(), block in 1..100usize
    ) {
        let (truth, labels): (Vec<u64>, Vec<u64>) = voxels.into_iter().unzip();
        let mut table = Contingency::new();
        for (truth, labels) in truth.chunks(block).zip(labels.chunks(block)) {
            let mut part = Contingency::new();
            part.add(labels, truth).unwrap();
            table.merge(part);
        }
        match reference::scores(&labels, &truth, &options) {
            Some(expected) => assert_close(&table.scores(&options).unwrap(), &expected),
            None => prop_assert!(table.scores(&options).is_err()),
        }
    }
}

#[test]
fn a_segment_in_two_halves_costs_one_bit_of_split_and_none_of_merge() {
    let mut table = Contingency::new();
    table.add(&[1, 1, 2, 2], &[7, 7, 7, 7]).unwrap();
    let scores = table.scores(&ScoreOptions::default()).unwrap();
    assert_eq!([scores.voi_split, scores.voi_merge], [1.0, 0.0]);
    assert_eq!([scores.rand_split, scores.rand_merge], [0.5, 1.0]);
    let mut swapped = Contingency::new();
    swapped.add(&[7, 7, 7, 7], &[1, 1, 2, 2]).unwrap();
    let scores = swapped.scores(&ScoreOptions::default()).unwrap();
    assert_eq!([scores.voi_split, scores.voi_merge], [0.0, 1.0]);
}

#[test]
fn tables_need_as_many_labels_as_truth_and_something_to_compare() {
    let mut table = Contingency::new();
    let error = table.add(&[1, 2], &[1]).unwrap_err().to_string();
    assert!(error.contains("expected 1") && error.contains("found 2"), "{error}");
    table.add(&[1, 2], &[0, 0]).unwrap();
    let error = table.scores(&ScoreOptions::default()).unwrap_err().to_string();
    assert!(error.contains("no voxel to compare"), "{error}");
}
