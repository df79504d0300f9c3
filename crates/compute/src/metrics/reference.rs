//! The definitions, voxel by voxel: what the table is tested against.

use std::collections::{BTreeMap, BTreeSet};

use super::{ScoreOptions, Scores};

/// All figures by their definitions, from probabilities; `None` if no voxel is left to compare.
/// Time grows with the number of labels of the truth times that of the prediction.
pub fn scores(labels: &[u64], truth: &[u64], options: &ScoreOptions) -> Option<Scores> {
    let voxels: Vec<(u64, u64)> = truth.iter().copied().zip(labels.iter().copied()).collect();
    let of_truth = |(t, _): &(u64, u64)| Some(*t) != options.ignore_truth;
    let shown = |(_, l): &(u64, u64)| !options.foreground_only || *l != 0;
    let kept: Vec<_> = voxels.iter().copied().filter(|v| of_truth(v) && shown(v)).collect();
    if kept.is_empty() {
        return None;
    }
    let joint = probability(&kept, |v| v);
    let (by_truth, by_label) = (probability(&kept, |v| v.0), probability(&kept, |v| v.1));
    let conditional = |given: &dyn Fn((u64, u64)) -> f64| -> f64 {
        joint.iter().map(|(pair, p)| -p * (p / given(*pair)).log2()).sum()
    };
    let together = agreement(&joint);
    let (split, merge) = (together / agreement(&by_truth), together / agreement(&by_label));
    let voi_split = conditional(&|pair| by_truth[&pair.0]);
    let voi_merge = conditional(&|pair| by_label[&pair.1]);
    let [h, h_truth, h_label] =
        [entropy(joint.values()), entropy(by_truth.values()), entropy(by_label.values())];
    let distance = 1.0 - (h_truth + h_label - h) / h_truth.max(h_label);
    let snemi = snemi(&voxels, options.ignore_truth.unwrap_or(0));
    Some(Scores {
        voi_split,
        voi_merge,
        nvi: if h > 0.0 { (voi_split + voi_merge) / h } else { 0.0 },
        nid: if distance.is_finite() { distance } else { 0.0 },
        adapted_rand_error: error(split, merge),
        rand_split: split,
        rand_merge: merge,
        snemi_adapted_rand_error: snemi,
        cremi_score: snemi.map(|error| (error.max(0.0) * (voi_split + voi_merge)).sqrt()),
        voxels: kept.len() as u64,
        labels: kept.iter().map(|v| v.1).collect::<BTreeSet<_>>().len() as u64,
        truth_labels: kept.iter().map(|v| v.0).collect::<BTreeSet<_>>().len() as u64,
    })
}

fn probability<K: Ord>(voxels: &[(u64, u64)], key: impl Fn((u64, u64)) -> K) -> BTreeMap<K, f64> {
    let mut probability = BTreeMap::new();
    for &voxel in voxels {
        *probability.entry(key(voxel)).or_insert(0.0) += 1.0 / voxels.len() as f64;
    }
    probability
}

fn entropy<'a>(probabilities: impl Iterator<Item = &'a f64>) -> f64 {
    probabilities.map(|p| -p * p.log2()).sum()
}

fn agreement<K>(probability: &BTreeMap<K, f64>) -> f64 {
    probability.values().map(|p| p * p).sum()
}

fn error(recall: f64, precision: f64) -> f64 {
    1.0 - 2.0 * precision * recall / (precision + recall)
}

/// SNEMI3D's formula on counts.
fn snemi(voxels: &[(u64, u64)], unlabelled: u64) -> Option<f64> {
    let kept = || voxels.iter().filter(|v| v.0 != unlabelled);
    let count = |test: &dyn Fn(&(u64, u64)) -> bool| kept().filter(|v| test(v)).count() as f64;
    let truths: BTreeSet<u64> = kept().map(|v| v.0).collect();
    let labels: BTreeSet<u64> = kept().map(|v| v.1).filter(|l| *l != 0).collect();
    if labels.is_empty() {
        return None;
    }
    let singletons = count(&|v| v.1 == 0) / voxels.len() as f64;
    let pairs = truths.iter().flat_map(|t| labels.iter().map(move |l| (*t, *l)));
    let together: f64 = pairs.map(|pair| count(&|v| *v == pair).powi(2)).sum();
    let in_truth: f64 = truths.iter().map(|t| count(&|v| v.0 == *t).powi(2)).sum();
    let in_labels: f64 = labels.iter().map(|l| count(&|v| v.1 == *l).powi(2)).sum();
    let recall = (together + singletons) / in_truth;
    let precision = (together + singletons) / (in_labels + singletons);
    Some(error(recall, precision))
}

/// Whether each voxel of labels `[z, y, x]` is at most `distance` from a border voxel of its section, by
/// looking at all of them.
pub fn border_mask(
    labels: &[u64],
    shape: [usize; 3],
    distance: f64,
    spacing_yx: [f64; 2],
) -> Vec<bool> {
    let [planes, height, width] = shape;
    let voxels = move |z: usize| (0..height).flat_map(move |y| (0..width).map(move |x| [z, y, x]));
    let label = |[z, y, x]: [usize; 3]| labels[(z * height + y) * width + x];
    let is_border = |&at: &[usize; 3]| {
        voxels(at[0]).any(|other| {
            at[1].abs_diff(other[1]) + at[2].abs_diff(other[2]) == 1 && label(at) != label(other)
        })
    };
    let mut masked = Vec::new();
    for z in 0..planes {
        let border: Vec<_> = voxels(z).filter(is_border).collect();
        let near = |at: [usize; 3], other: &[usize; 3]| {
            let dy = at[1].abs_diff(other[1]) as f64 * spacing_yx[0] / spacing_yx[1];
            let dx = at[2].abs_diff(other[2]) as f64;
            (dy * dy + dx * dx).sqrt() <= distance / spacing_yx[1]
        };
        masked.extend(voxels(z).map(|at| border.iter().any(|other| near(at, other))));
    }
    masked
}
