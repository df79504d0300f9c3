//! The consensus of two segmentations: voxels stay together only if both have them together.

use rustc_hash::FxHashMap;

use crate::error::{Error, Result};
use crate::metrics::{Contingency, PairCount};

/// What each pair of labels of two segmentations `a` and `b` becomes. It only splits: no two labels of `a`
/// ever become one.
///
/// Of the pairs with a label of `a`, the one with most voxels keeps the label (of equal ones that with the
/// smallest label of `b`), the others get new labels above the largest of `a`, in ascending order of the
/// pairs. Background of `b` counts as a label of it; background of `a` stays background, as do pairs of
/// fewer voxels than the minimum.
#[derive(Debug, Clone)]
pub struct Consensus {
    labels: FxHashMap<(u64, u64), u64>,
    counts: ConsensusCounts,
}

/// What a consensus did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ConsensusCounts {
    /// Labels of `a`.
    pub labels_a: u64,
    /// Labels of `b`.
    pub labels_b: u64,
    /// Labels of the consensus.
    pub labels: u64,
    /// Labels of `a` that became several.
    pub split: u64,
    /// Pairs with too few voxels.
    pub dropped_pairs: u64,
    /// Their voxels.
    pub dropped_voxels: u64,
    /// The largest label of the consensus.
    pub max_label: u64,
}

impl Consensus {
    /// The consensus of a table of voxels whose truth is `a` and whose prediction is `b`.
    ///
    /// Cost: sorting the pairs; memory: some 40 bytes for each.
    ///
    /// # Errors
    /// [`Error::Usage`] if new labels do not fit into 64 bits.
    pub fn new(table: &Contingency, min_voxels: u64) -> Result<Self> {
        // The table calls them truth and prediction.
        let mut pairs = table.pairs();
        let mut counts = ConsensusCounts { labels_b: labels_b(&pairs), ..Default::default() };
        pairs.retain(|pair| pair.truth != 0);
        let mut next = pairs.last().map_or(0, |pair| pair.truth);
        let mut labels = FxHashMap::default();
        for of_a in pairs.chunk_by(|one, other| one.truth == other.truth) {
            // The first of the largest: pairs come in ascending order.
            let largest =
                (0..of_a.len()).rev().max_by_key(|at| of_a[*at].voxels).unwrap_or_default();
            let before = labels.len();
            for (at, PairCount { truth: a, label: b, voxels }) in of_a.iter().copied().enumerate() {
                if voxels < min_voxels {
                    counts.dropped_pairs += 1;
                    counts.dropped_voxels += voxels;
                    continue;
                }
                if at != largest {
                    next = next.checked_add(1).ok_or_else(too_many)?;
                }
                let label = if at == largest { a } else { next };
                counts.max_label = counts.max_label.max(label);
                labels.insert((a, b), label);
            }
            counts.labels_a += 1;
            counts.split += u64::from(labels.len() > before + 1);
        }
        counts.labels = labels.len() as u64;
        Ok(Self { labels, counts })
    }

    /// What was kept, split and dropped.
    pub fn counts(&self) -> ConsensusCounts {
        self.counts
    }

    /// What a voxel of two labels becomes.
    pub fn label(&self, a: u64, b: u64) -> u64 {
        self.labels.get(&(a, b)).copied().unwrap_or(0)
    }

    /// Replaces labels of `a` by those of the consensus; `b` holds the same voxels. A run of equal pairs
    /// costs one look-up.
    ///
    /// # Errors
    /// [`Error::Usage`] if the slices have different lengths; nothing is replaced then.
    pub fn apply(&self, a: &mut [u64], b: &[u64]) -> Result<()> {
        if a.len() != b.len() {
            let message = format!("consensus: expected {} voxels, found {}", a.len(), b.len());
            return Err(Error::Usage(message));
        }
        let mut last = ((0, 0), 0);
        for (a, b) in a.iter_mut().zip(b) {
            if (*a, *b) != last.0 {
                last = ((*a, *b), self.label(*a, *b));
            }
            *a = last.1;
        }
        Ok(())
    }
}

fn labels_b(pairs: &[PairCount]) -> u64 {
    let mut labels: Vec<u64> = pairs.iter().map(|pair| pair.label).filter(|b| *b != 0).collect();
    labels.sort_unstable();
    labels.dedup();
    labels.len() as u64
}

fn too_many() -> Error {
    Error::Usage("consensus: new labels do not fit into 64 bits".to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn consensus(a: &[u64], b: &[u64], min_voxels: u64) -> (Vec<u64>, ConsensusCounts) {
        let mut table = Contingency::new();
        table.add(b, a).unwrap();
        let consensus = Consensus::new(&table, min_voxels).unwrap();
        let mut labels = a.to_vec();
        consensus.apply(&mut labels, b).unwrap();
        (labels, consensus.counts())
    }

    #[test]
    fn the_largest_part_keeps_its_label_and_background_of_b_counts() {
        let a = [0, 5, 5, 5, 5, 5, 5, 7, 7];
        let b = [1, 1, 2, 2, 2, 0, 0, 2, 2];
        let (labels, counts) = consensus(&a, &b, 1);
        // Pairs (5, 0) and (5, 1) come before (5, 2), which keeps 5.
        assert_eq!(labels, [0, 9, 5, 5, 5, 8, 8, 7, 7]);
        assert_eq!((counts.labels_a, counts.labels_b, counts.labels), (2, 2, 4));
        assert_eq!((counts.split, counts.dropped_pairs, counts.max_label), (1, 0, 9));
        let (labels, counts) = consensus(&a, &b, 2);
        assert_eq!(labels, [0, 0, 5, 5, 5, 8, 8, 7, 7]);
        assert_eq!((counts.dropped_pairs, counts.dropped_voxels), (1, 1));
    }

    #[test]
    fn of_equal_parts_the_first_keeps_the_label() {
        assert_eq!(consensus(&[3, 3, 3, 3], &[9, 4, 4, 9], 0).0, [4, 3, 3, 4]);
        assert_eq!(consensus(&[3, 3], &[4, 0], 0).0, [4, 3]);
    }

    #[test]
    fn labels_that_do_not_fit_are_refused() {
        let mut table = Contingency::new();
        table.add(&[1, 2], &[u64::MAX, u64::MAX]).unwrap();
        let error = Consensus::new(&table, 0).unwrap_err().to_string();
        assert!(error.contains("64 bits"), "{error}");
        assert!(Consensus::new(&Contingency::new(), 0).unwrap().labels.is_empty());
        let consensus = Consensus::new(&Contingency::new(), 0).unwrap();
        assert!(consensus.apply(&mut [1], &[]).is_err());
    }
}
