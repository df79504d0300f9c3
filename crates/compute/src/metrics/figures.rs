//! The figures, from the table.

use std::collections::BTreeMap;

use super::Contingency;

/// Quality of a segmentation; 0 is best for VOI and errors, 1 for Rand split and merge.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figures {
    /// H(prediction | truth) in bits: how much true objects are split.
    pub voi_split: f64,
    /// H(truth | prediction) in bits: how much predicted objects merge true ones.
    pub voi_merge: f64,
    /// Rand recall: of pairs of voxels together in the truth, the share together in the prediction.
    pub rand_split: f64,
    /// Rand precision: of pairs together in the prediction, the share together in the truth.
    pub rand_merge: f64,
    /// 1 - harmonic mean of the two.
    pub adapted_rand_error: f64,
    /// The same with voxels of prediction 0 as objects of one voxel each (SNEMI3D, CREMI).
    pub snemi_adapted_rand_error: f64,
    /// Voxels that counted.
    pub voxels: u64,
    /// Labels of the prediction that counted, 0 included if it did.
    pub labels: usize,
    /// Labels of the truth that counted.
    pub truth_labels: usize,
}

/// Squares of counts, summed.
#[derive(Debug, Clone, Copy, Default)]
struct Squares {
    pairs: f64,
    truth: f64,
    labels: f64,
}

impl Squares {
    fn recall(&self) -> f64 {
        share(self.pairs, self.truth)
    }

    fn precision(&self) -> f64 {
        share(self.pairs, self.labels)
    }

    fn error(&self) -> f64 {
        let (p, r) = (self.precision(), self.recall());
        1.0 - share(2.0 * p * r, p + r)
    }
}

/// Nothing to compare is perfect agreement.
fn share(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 1.0 }
}

impl Figures {
    /// The figures of a table. Cost: a sort of the pairs.
    pub fn of(table: &Contingency) -> Self {
        let pairs = table.sorted_pairs();
        let (mut truth, mut labels) = (BTreeMap::new(), BTreeMap::new());
        for ((t, l), n) in &pairs {
            *truth.entry(*t).or_insert(0u64) += n;
            *labels.entry(*l).or_insert(0u64) += n;
        }
        let total: u64 = truth.values().sum();
        let joint = entropy(pairs.iter().map(|(_, n)| *n), total);
        let squares = Squares {
            pairs: sum_of_squares(pairs.iter().map(|(_, n)| *n)),
            truth: sum_of_squares(truth.values().copied()),
            labels: sum_of_squares(labels.values().copied()),
        };
        Self {
            // Rounding must not make a perfect result negative.
            voi_split: (joint - entropy(truth.values().copied(), total)).max(0.0),
            voi_merge: (joint - entropy(labels.values().copied(), total)).max(0.0),
            rand_split: squares.recall(),
            rand_merge: squares.precision(),
            adapted_rand_error: squares.error(),
            snemi_adapted_rand_error: snemi(squares, &pairs).error(),
            voxels: total,
            labels: labels.len(),
            truth_labels: truth.len(),
        }
    }
}

/// Every voxel of prediction 0 as an object of its own: it is a pair with itself only.
fn snemi(squares: Squares, pairs: &[((u64, u64), u64)]) -> Squares {
    let zero = || pairs.iter().filter(|((_, label), _)| *label == 0).map(|(_, n)| *n);
    let (voxels, total) = (zero().sum::<u64>(), zero().sum::<u64>() as f64);
    Squares {
        pairs: squares.pairs - sum_of_squares(zero()) + total,
        truth: squares.truth,
        labels: squares.labels - (voxels as f64).powi(2) + total,
    }
}

fn entropy(counts: impl Iterator<Item = u64>, total: u64) -> f64 {
    let total = total as f64;
    counts.map(|n| n as f64 / total).map(|p| -p * p.log2()).sum()
}

fn sum_of_squares(counts: impl Iterator<Item = u64>) -> f64 {
    // Exact in integers up to 2^53 voxels squared would overflow; f64 is enough for a ratio.
    counts.map(|n| (n as f64).powi(2)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Background;
    use proptest::prelude::*;

    fn figures(labels: &[u64], truth: &[u64], background: Background) -> Figures {
        let mut table = Contingency::new(background);
        table.add(labels, truth);
        Figures::of(&table)
    }

    /// The figures by their definitions, pair of voxels by pair of voxels where that is the definition.
    fn naive(labels: &[u64], truth: &[u64], snemi: bool) -> [f64; 3] {
        let n = labels.len() as f64;
        let mut labels = labels.to_vec();
        if snemi {
            for (at, label) in labels.iter_mut().enumerate().filter(|(_, l)| **l == 0) {
                *label = 1_000_000 + at as u64;
            }
        }
        let (mut both, mut in_truth, mut in_labels) = (0.0, 0.0, 0.0);
        let (mut split, mut merge) = (0.0, 0.0);
        for i in 0..labels.len() {
            let (mut pair, mut t, mut l) = (0.0, 0.0, 0.0);
            for j in 0..labels.len() {
                let (same_t, same_l) = (truth[i] == truth[j], labels[i] == labels[j]);
                pair += f64::from(u8::from(same_t && same_l));
                t += f64::from(u8::from(same_t));
                l += f64::from(u8::from(same_l));
            }
            both += pair;
            in_truth += t;
            in_labels += l;
            split -= (pair / t).log2() / n;
            merge -= (pair / l).log2() / n;
        }
        let (recall, precision) = (both / in_truth, both / in_labels);
        [split, merge, 1.0 - 2.0 * precision * recall / (precision + recall)]
    }

    proptest! {
        #[test]
        fn figures_are_their_definitions(
            voxels in prop::collection::vec((0u64..5, 0u64..4), 1..60), cut in 0usize..60,
        ) {
            let (labels, truth): (Vec<u64>, Vec<u64>) = voxels.into_iter().unzip();
            let all = Background { ignore_truth: None, foreground_only: false };
            let found = figures(&labels, &truth, all);
            let [split, merge, error] = naive(&labels, &truth, false);
            prop_assert!((found.voi_split - split).abs() < 1e-9);
            prop_assert!((found.voi_merge - merge).abs() < 1e-9);
            prop_assert!((found.adapted_rand_error - error).abs() < 1e-9);
            let [.., snemi] = naive(&labels, &truth, true);
            prop_assert!((found.snemi_adapted_rand_error - snemi).abs() < 1e-9);

            // In two parts, and with the background left out by hand.
            let cut = cut.min(labels.len());
            let mut parts = Contingency::new(all);
            parts.add(&labels[..cut], &truth[..cut]);
            let mut rest = Contingency::new(all);
            rest.add(&labels[cut..], &truth[cut..]);
            parts.merge(rest);
            prop_assert_eq!(Figures::of(&parts), found);
            let kept = |both: bool| -> (Vec<u64>, Vec<u64>) {
                let keep = |(l, t): &(u64, u64)| *t != 0 && (!both || *l != 0);
                labels.iter().copied().zip(truth.iter().copied()).filter(keep).unzip()
            };
            for foreground_only in [false, true] {
                let background = Background { ignore_truth: Some(0), foreground_only };
                let (l, t) = kept(foreground_only);
                prop_assert_eq!(figures(&labels, &truth, background), figures(&l, &t, all));
            }
        }
    }

    #[test]
    fn equal_segmentations_are_perfect_whatever_the_numbers() {
        let found = figures(&[7, 7, 9, 9], &[1, 1, 2, 2], Background::default());
        assert_eq!((found.voi_split, found.voi_merge, found.adapted_rand_error), (0.0, 0.0, 0.0));
    }
}
