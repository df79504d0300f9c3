//! The sparse table of pairs of labels.

use rustc_hash::FxHashMap;

use crate::error::{Error, Result};

/// How many voxels have a label of the truth together with a label of the prediction. Memory: the
/// distinct pairs, about 40 bytes each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contingency {
    counts: FxHashMap<Pair, u64>,
    voxels: u64,
}

/// Label of the truth, label of the prediction.
type Pair = (u64, u64);

/// Voxels that have a label of the truth together with a label of the prediction. Ordered by truth, then
/// prediction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PairCount {
    /// Label of the truth.
    pub truth: u64,
    /// Label of the prediction.
    pub label: u64,
    /// Voxels with both.
    pub voxels: u64,
}

impl Contingency {
    /// An empty table.
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts the pairs of a block; both slices hold the labels of the same voxels. Runs of equal
    /// pairs cost one look-up.
    ///
    /// # Errors
    /// [`Error::Usage`] if the slices have different lengths; nothing is counted then.
    pub fn add(&mut self, labels: &[u64], truth: &[u64]) -> Result<()> {
        if labels.len() != truth.len() {
            let (expected, found) = (truth.len(), labels.len());
            let message = format!("labels: expected {expected} voxels as the truth, found {found}");
            return Err(Error::Usage(message));
        }
        self.voxels += labels.len() as u64;
        let mut pairs = truth.iter().copied().zip(labels.iter().copied());
        let Some(mut pair) = pairs.next() else { return Ok(()) };
        let mut run = 1;
        for next in pairs {
            if next == pair {
                run += 1;
            } else {
                *self.counts.entry(pair).or_default() += run;
                (pair, run) = (next, 1);
            }
        }
        *self.counts.entry(pair).or_default() += run;
        Ok(())
    }

    /// Adds the counts of another table.
    pub fn merge(&mut self, other: Self) {
        if self.counts.is_empty() {
            *self = other;
            return;
        }
        self.voxels += other.voxels;
        for (pair, count) in other.counts {
            *self.counts.entry(pair).or_default() += count;
        }
    }

    /// Voxels counted.
    pub fn voxels(&self) -> u64 {
        self.voxels
    }

    /// All pairs in ascending order: what is made of them does not depend on the order of the blocks.
    pub fn pairs(&self) -> Vec<PairCount> {
        let counts = self.counts.iter();
        let pairs = counts.map(|(&(truth, label), &voxels)| PairCount { truth, label, voxels });
        let mut pairs: Vec<PairCount> = pairs.collect();
        pairs.sort_unstable();
        pairs
    }

    /// The pairs that pass a test of (truth, prediction) with their counts, in ascending order: sums
    /// over them do not depend on the order of the blocks.
    pub(super) fn sorted(&self, keep: impl Fn(u64, u64) -> bool) -> Vec<(Pair, u64)> {
        let kept = self.counts.iter().filter(|((truth, label), _)| keep(*truth, *label));
        let mut pairs: Vec<_> = kept.map(|(pair, count)| (*pair, *count)).collect();
        pairs.sort_unstable();
        pairs
    }
}

/// The pairs of a table that take part in a score, with the sums of its rows and columns.
pub(super) struct Table {
    /// Voxels of each pair.
    pub(super) pairs: Vec<u64>,
    /// Voxels of each label of the truth.
    pub(super) truth: Vec<u64>,
    /// Voxels of each label of the prediction.
    pub(super) labels: Vec<u64>,
    /// Voxels in all.
    pub(super) voxels: u64,
}

impl Table {
    /// Rows and columns of pairs in ascending order.
    pub(super) fn new(pairs: &[(Pair, u64)]) -> Self {
        Self {
            pairs: pairs.iter().map(|(_, count)| *count).collect(),
            truth: sums(pairs, |pair| pair.0),
            labels: sums(pairs, |pair| pair.1),
            voxels: pairs.iter().map(|(_, count)| *count).sum(),
        }
    }
}

/// Sums of the counts by a label of the pair, in ascending order of that label.
fn sums(pairs: &[(Pair, u64)], label: impl Fn(&Pair) -> u64) -> Vec<u64> {
    let mut by_label: FxHashMap<u64, u64> = FxHashMap::default();
    for (pair, count) in pairs {
        *by_label.entry(label(pair)).or_default() += count;
    }
    let mut sums: Vec<_> = by_label.into_iter().collect();
    sums.sort_unstable();
    sums.into_iter().map(|(_, sum)| sum).collect()
}
