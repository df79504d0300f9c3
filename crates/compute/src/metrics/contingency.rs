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
        same_length("labels", labels.len(), truth.len())?;
        self.voxels += labels.len() as u64;
        self.count(truth.iter().copied().zip(labels.iter().copied()));
        Ok(())
    }

    /// As [`Contingency::add`], without the voxels whose `ignored` is true: they are only part of
    /// [`Contingency::voxels`].
    ///
    /// # Errors
    /// [`Error::Usage`] if the slices have different lengths; nothing is counted then.
    pub fn add_unmasked(&mut self, labels: &[u64], truth: &[u64], ignored: &[bool]) -> Result<()> {
        same_length("labels", labels.len(), truth.len())?;
        same_length("mask", ignored.len(), truth.len())?;
        self.voxels += labels.len() as u64;
        let pairs = truth.iter().copied().zip(labels.iter().copied());
        self.count(pairs.zip(ignored).filter(|(_, ignored)| !**ignored).map(|(pair, _)| pair));
        Ok(())
    }

    fn count(&mut self, mut pairs: impl Iterator<Item = Pair>) {
        let Some(mut pair) = pairs.next() else { return };
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
    }

    /// Adds the counts of another table.
    pub fn merge(&mut self, other: Self) {
        if self.counts.is_empty() {
            let voxels = self.voxels;
            *self = other;
            self.voxels += voxels;
            return;
        }
        self.voxels += other.voxels;
        for (pair, count) in other.counts {
            *self.counts.entry(pair).or_default() += count;
        }
    }

    /// Voxels seen, masked ones among them.
    pub fn voxels(&self) -> u64 {
        self.voxels
    }

    /// Voxels counted: those seen that were not masked.
    pub fn counted(&self) -> u64 {
        self.counts.values().sum()
    }

    /// All pairs in ascending order: what is made of them does not depend on the order of the blocks.
    pub fn pairs(&self) -> Vec<PairCount> {
        let counts = self.counts.iter();
        let pairs = counts.map(|(&(truth, label), &voxels)| PairCount { truth, label, voxels });
        let mut pairs: Vec<PairCount> = pairs.collect();
        pairs.sort_unstable();
        pairs
    }
}

fn same_length(what: &str, found: usize, expected: usize) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    let message = format!("{what}: expected {expected} voxels as the truth, found {found}");
    Err(Error::Usage(message))
}
