//! Variation of information: M. Meilă, "Comparing clusterings" (2007), split as in Nunez-Iglesias et
//! al. (2013).

use super::contingency::Table;

/// `[split, merge]` in bits: `H(prediction given truth)` and `H(truth given prediction)`.
pub(super) fn split_and_merge(table: &Table) -> [f64; 2] {
    let joint = entropy(&table.pairs, table.voxels);
    // Differences of equal entropies can come out as -0 or as the last bit below zero.
    [&table.truth, &table.labels].map(|side| (joint - entropy(side, table.voxels)).max(0.0))
}

/// Entropy in bits of a distribution given by counts whose sum is `total`.
fn entropy(counts: &[u64], total: u64) -> f64 {
    let weighted: f64 = counts.iter().map(|&n| n as f64 * (n as f64).log2()).sum();
    (total as f64).log2() - weighted / total as f64
}
