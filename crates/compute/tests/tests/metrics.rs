//! Figures of segmentations against their definitions and against published values.

use std::collections::BTreeMap;

use exavox_compute::Error;
use exavox_compute::metrics::{
    BorderMask, Contingency, Edge, MergeScope, Object, RunLengthOptions, ScoreOptions, Scores,
    Side, TracedSkeleton, expected_run_length, reference,
};
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
        let [split, merge] = [s.rand_split, s.rand_merge];
        [s.voi_split, s.voi_merge, s.adapted_rand_error, split, merge, snemi, s.nvi, s.nid]
    };
    for (a, b) in figures(found).into_iter().zip(figures(expected)) {
        assert!((a - b).abs() < 1e-9, "{found:?}, expected {expected:?}");
    }
    // A root: what is lost near 0 counts twice as many digits.
    let [a, b] = [found, expected].map(|s| s.cremi_score.unwrap_or(-1.0));
    assert!((a - b).abs() < 1e-6, "{found:?}, expected {expected:?}");
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

fn table(truth: &[u64], labels: &[u64]) -> Contingency {
    let mut table = Contingency::new();
    table.add(labels, truth).unwrap();
    table
}

fn objects(table: &Contingency, options: &ScoreOptions, share: f64) -> (Scores, Vec<Object>) {
    let mut objects = Vec::new();
    let scores = table.scores_and_objects(options, share, |object| {
        objects.push(*object);
        Ok::<(), Error>(())
    });
    (scores.unwrap(), objects)
}

#[test]
fn objects_of_a_small_table_are_known() {
    // Object 1: 6 voxels of label 10, 2 of 11, left out 2. Object 2: 10 voxels of label 11.
    let truth = [[1; 10], [2; 10]].concat();
    let labels = [vec![10; 6], vec![11; 2], vec![0; 2], vec![11; 10]].concat();
    let (scores, found) = objects(&table(&truth, &labels), &ScoreOptions::default(), 0.25);
    let shown = |o: &Object| {
        let partner = |p: Option<exavox_compute::metrics::Partner>| p.map(|p| (p.label, p.voxels));
        (
            (o.side == Side::Truth, o.label, o.voxels, o.partners, o.parts, o.background),
            (partner(o.largest), partner(o.second)),
        )
    };
    let expected = [
        ((true, 1, 10, 2, 1, 2), (Some((10, 6)), Some((11, 2)))),
        ((true, 2, 10, 1, 1, 0), (Some((11, 10)), None)),
        ((false, 0, 2, 1, 1, 0), (Some((1, 2)), None)),
        ((false, 10, 6, 1, 1, 0), (Some((1, 6)), None)),
        ((false, 11, 12, 2, 1, 0), (Some((2, 10)), Some((1, 2)))),
    ];
    assert_eq!(found.iter().map(shown).collect::<Vec<_>>(), expected);
    assert_eq!(found[0].largest_share(), 0.6);
    // 6/10, 2/10 and 2/10 of half the voxels.
    let entropy = -[0.6f64, 0.2, 0.2].iter().map(|p| p * p.log2()).sum::<f64>() / 2.0;
    assert!((found[0].voi - entropy).abs() < 1e-12 && (scores.voi_split - entropy).abs() < 1e-12);
}

proptest! {
    #[test]
    fn contributions_of_objects_sum_up_to_the_scores(
        voxels in labels(), options in options(), share in 0.0..1.0f64
    ) {
        let (truth, labels): (Vec<u64>, Vec<u64>) = voxels.into_iter().unzip();
        let table = table(&truth, &labels);
        let Ok(expected) = table.scores(&options) else { return Ok(()) };
        let (scores, found) = objects(&table, &options, share);
        prop_assert_eq!(scores, expected);
        for (side, voi, count) in [
            (Side::Truth, scores.voi_split, scores.truth_labels),
            (Side::Labels, scores.voi_merge, scores.labels),
        ] {
            let of_side: Vec<_> = found.iter().filter(|o| o.side == side).collect();
            prop_assert_eq!(of_side.len() as u64, count);
            prop_assert!(of_side.windows(2).all(|pair| pair[0].label < pair[1].label));
            prop_assert_eq!(of_side.iter().map(|o| o.voxels).sum::<u64>(), scores.voxels);
            prop_assert!((of_side.iter().map(|o| o.voi).sum::<f64>() - voi).abs() < 1e-9);
            for o in of_side {
                prop_assert!(o.parts <= o.partners);
                prop_assert!(o.second.is_none_or(|s| s.voxels <= o.largest.unwrap().voxels));
            }
        }
    }

    #[test]
    fn voxels_near_borders_are_masked(
        shape in [1..4usize, 1..12usize, 1..14usize], quarters in 0..24u32,
        spacing in prop::sample::select(vec![[1.0, 1.0], [4.0, 4.0], [8.0, 4.0], [3.0, 5.0]]),
        seed in any::<u64>(), kinds in 1..5u64,
    ) {
        let count = shape.iter().product::<usize>() as u64;
        let hash = |i: u64| (i / 3 ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 60;
        let labels: Vec<u64> = (0..count).map(|i| hash(i) % 16 / (16 / kinds).max(1)).collect();
        let distance = f64::from(quarters) / 4.0 * spacing[1];
        let mask = BorderMask::new(distance, spacing).unwrap().of(&labels, shape);
        prop_assert_eq!(mask, reference::border_mask(&labels, shape, distance, spacing));
    }
}

#[test]
fn a_border_between_two_halves_is_masked_on_both_sides() {
    let labels: Vec<u64> = (0..2 * 8).map(|i| u64::from(i % 8 >= 4) + 1).collect();
    let masked = |distance| {
        let mask = BorderMask::new(distance, [1.0, 1.0]).unwrap().of(&labels, [1, 2, 8]);
        mask.iter().filter(|masked| **masked).count()
    };
    assert_eq!(
        [masked(0.0), masked(0.9), masked(1.0), masked(2.5), masked(9.0)],
        [4, 4, 8, 12, 16]
    );
    assert_eq!(BorderMask::new(25.0, [4.0, 4.0]).unwrap().halo(), [0, 7, 7]);
    // No border in the section, nothing masked.
    assert!(!BorderMask::new(9.0, [1.0, 1.0]).unwrap().of(&[5; 12], [1, 3, 4]).contains(&true));
    for (distance, spacing) in
        [(f64::NAN, [1.0; 2]), (-1.0, [1.0; 2]), (1.0, [0.0, 1.0]), (9e9, [4.0; 2])]
    {
        let error = BorderMask::new(distance, spacing).unwrap_err().to_string();
        assert!(error.contains("distance to a border"), "{error}");
    }
}

#[test]
fn masked_voxels_are_seen_and_not_counted() {
    let mut masked = Contingency::new();
    masked.add_unmasked(&[1, 1, 2, 3], &[7, 7, 8, 8], &[false, true, false, true]).unwrap();
    assert_eq!((masked.pairs(), masked.voxels()), (table(&[7, 8], &[1, 2]).pairs(), 4));
    let mut all = Contingency::new();
    all.add_unmasked(&[1], &[7], &[true]).unwrap();
    all.merge(masked);
    assert_eq!((all.pairs().len(), all.voxels()), (2, 5));
    assert!(all.add_unmasked(&[1], &[7], &[]).unwrap_err().to_string().contains("mask"));
}

fn skeleton(labels: &[u64], lengths: &[f64]) -> TracedSkeleton {
    let edges = lengths.iter().enumerate();
    let edges =
        edges.map(|(i, length)| Edge { ends: [i as u32, i as u32 + 1], length: *length }).collect();
    TracedSkeleton { labels: labels.to_vec(), edges }
}

#[test]
fn run_lengths_of_every_kind_of_edge_are_known() {
    let skeletons = [
        // Correct 1+2 on label 5, split 3, correct 4 on label 6, omitted 5 and 6.
        skeleton(&[5, 5, 5, 6, 6, 0, 6], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
        // Merged 2 on label 9, split 1, correct 3 on label 7.
        skeleton(&[9, 9, 7, 7], &[2.0, 1.0, 3.0]),
        // One node on label 9.
        skeleton(&[8, 8, 9], &[4.0, 1.0]),
        skeleton(&[3], &[]),
    ];
    let found = expected_run_length(&skeletons, &RunLengthOptions::default()).unwrap();
    let kinds = |k: exavox_compute::metrics::EdgeKinds| {
        [k.correct, k.split, k.omitted, k.merged].map(|kind| (kind.edges, kind.length))
    };
    assert_eq!(kinds(found.skeletons[0].kinds), [(3, 7.0), (1, 3.0), (2, 11.0), (0, 0.0)]);
    assert_eq!(kinds(found.skeletons[1].kinds), [(1, 3.0), (1, 1.0), (0, 0.0), (1, 2.0)]);
    assert_eq!(kinds(found.kinds), [(5, 14.0), (3, 5.0), (2, 11.0), (1, 2.0)]);
    assert_eq!(
        found.skeletons.iter().map(|s| s.run_length).collect::<Vec<_>>(),
        [(9.0 + 16.0) / 21.0, 9.0 / 6.0, 16.0 / 5.0, 0.0]
    );
    assert_eq!((found.merging_labels, found.skeletons[1].merged_labels), (1, 1));
    assert!((found.erl - (25.0 + 9.0 + 16.0) / 32.0).abs() < 1e-12);
    assert!((found.max_erl - (441.0 + 36.0 + 25.0) / 32.0).abs() < 1e-12);
    assert!((found.nerl - 50.0 / 502.0).abs() < 1e-12);

    // With two nodes needed, label 9 merges nothing.
    let options = RunLengthOptions::default().with_merge_threshold(2);
    let found = expected_run_length(&skeletons, &options).unwrap();
    assert_eq!(kinds(found.skeletons[1].kinds), [(2, 5.0), (1, 1.0), (0, 0.0), (0, 0.0)]);
    assert_eq!(found.skeletons[1].run_length, (4.0 + 9.0) / 6.0);

    let options = RunLengthOptions::default().with_merge_scope(MergeScope::Skeleton);
    let found = expected_run_length(&skeletons, &options).unwrap();
    assert_eq!(kinds(found.skeletons[1].kinds)[3], (3, 6.0));
    assert!((found.erl - 25.0 / 32.0).abs() < 1e-12);

    assert!(expected_run_length(&[skeleton(&[3], &[])], &options).is_none());
    assert!(expected_run_length(&[], &options).is_none());
}

/// The rules one by one, with nothing shared between edges.
fn naive_run_length(skeletons: &[TracedSkeleton], threshold: u64) -> f64 {
    let on = |s: &TracedSkeleton, label| s.labels.iter().filter(|l| **l == label).count() as u64;
    let merging =
        |label: u64| skeletons.iter().filter(|s| on(s, label) >= threshold.max(1)).count() > 1;
    let length = |s: &TracedSkeleton| s.edges.iter().map(|e| e.length).sum::<f64>();
    let total: f64 = skeletons.iter().map(length).sum();
    let mut erl = 0.0;
    for s in skeletons {
        let mut runs: BTreeMap<u64, f64> = BTreeMap::new();
        for edge in &s.edges {
            let [a, b] = edge.ends.map(|end| s.labels[end as usize]);
            if a != 0 && a == b && !merging(a) {
                *runs.entry(a).or_default() += edge.length;
            }
        }
        erl += runs.values().map(|run| run * run).sum::<f64>() / total;
    }
    erl
}

proptest! {
    #[test]
    fn run_length_is_that_of_the_rules(
        made in prop::collection::vec(prop::collection::vec((0..6u64, 0..9u32), 1..12), 1..5),
        threshold in 0..4u64
    ) {
        let skeletons: Vec<TracedSkeleton> = made.iter().map(|nodes| {
            let (labels, lengths): (Vec<u64>, Vec<u32>) = nodes.iter().copied().unzip();
            let lengths: Vec<f64> = lengths[1..].iter().map(|l| f64::from(*l)).collect();
            skeleton(&labels, &lengths)
        }).collect();
        let options = RunLengthOptions::default().with_merge_threshold(threshold);
        match expected_run_length(&skeletons, &options) {
            Some(found) => {
                prop_assert!((found.erl - naive_run_length(&skeletons, threshold)).abs() < 1e-9);
                let k = found.kinds;
                let sum = k.merged.length + k.omitted.length + k.split.length + k.correct.length;
                prop_assert!((sum - found.length).abs() < 1e-9);
                prop_assert!((0.0..=1.0 + 1e-12).contains(&found.nerl));
            }
            None => prop_assert!(skeletons.iter().all(|s| s.edges.iter().all(|e| e.length == 0.0))),
        }
    }
}
