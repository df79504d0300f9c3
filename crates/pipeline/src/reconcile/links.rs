//! Which labels of two blocks are one.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::overlap::{Overlap, OverlapTable};

/// When two labels that overlap are one segment. All conditions must hold.
///
/// How the published reconstructions linked subvolumes is not documented with figures; the common ground
/// of the descriptions is: count co-occurring labels in the overlap, join pairs that are each other's best
/// match and large enough. The defaults:
///
/// * the best match of each other: a segment that one block has in two pieces, or has merged with another,
///   is linked once at a face and no more, and what is not linked there is reported;
/// * at least 100 voxels: a tenth of the smallest segment that the published settings accept
///   (`min_segment_size` 1000), because an overlap holds but a part of a segment;
/// * at least half of the smaller of the two within the overlap: otherwise both blocks say that most of
///   the label lies elsewhere. The smaller, because blocks often stop a segment at different places.
///
/// No bound on intersection over union by default, for the same reason.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LinkRule {
    /// Voxels that have both labels, at least. Default: 100.
    pub min_voxels: u64,
    /// Share of the smaller of the two labels, within the common box, at least. Default: 0.5.
    pub min_fraction: f64,
    /// Intersection over union within the common box, at least. Default: 0.
    pub min_iou: f64,
    /// Whether each must be the other's best match: most voxels, then the smaller label. Default: yes.
    pub mutual_best: bool,
}

impl Default for LinkRule {
    fn default() -> Self {
        Self { min_voxels: 100, min_fraction: 0.5, min_iou: 0.0, mutual_best: true }
    }
}

impl LinkRule {
    /// Labels that share a voxel are one: for operations such as connected components, whose blocks agree
    /// wherever they overlap.
    pub fn any_voxel() -> Self {
        Self { min_voxels: 1, min_fraction: 0.0, min_iou: 0.0, mutual_best: false }
    }

    /// Whether a pair is large enough, whatever other pairs there are.
    fn refusal(&self, pair: &Measured) -> Option<Verdict> {
        let smaller = pair.voxels_a.min(pair.voxels_b) as f64;
        let union = (pair.voxels_a + pair.voxels_b - pair.overlap.voxels) as f64;
        let voxels = pair.overlap.voxels as f64;
        if pair.overlap.voxels < self.min_voxels {
            Some(Verdict::TooSmall)
        } else if voxels < self.min_fraction * smaller || voxels < self.min_iou * union {
            Some(Verdict::FractionTooLow)
        } else {
            None
        }
    }
}

/// What became of a pair of labels that overlap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// They are one.
    Link,
    /// Too few voxels have both.
    TooSmall,
    /// They are too small a part of each other.
    FractionTooLow,
    /// One of them has a better match, which is itself refused for its size.
    NotMutualBest,
    /// The pair passes, but so does a better match of one of them: one block has in one piece what the
    /// other has in two. A merge in the one or a split in the other; people must look.
    Conflict,
}

/// A pair with what the rule looks at.
#[derive(Debug, Clone, Copy)]
struct Measured {
    overlap: Overlap,
    voxels_a: u64,
    voxels_b: u64,
}

/// A pair of labels and what became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decided {
    /// The labels, their common voxels, and the first of these.
    pub overlap: Overlap,
    /// Voxels of the first block's label in the common box.
    pub voxels_a: u64,
    /// Voxels of the second block's label in the common box.
    pub voxels_b: u64,
    /// The verdict.
    pub verdict: Verdict,
}

/// Applies a rule to all pairs, in the order of the table.
pub fn decide(table: &OverlapTable, rule: &LinkRule) -> Vec<Decided> {
    let best_of_a = best(table, |overlap| (overlap.a, overlap.b));
    let best_of_b = best(table, |overlap| (overlap.b, overlap.a));
    let measure = |overlap: Overlap| Measured {
        overlap,
        voxels_a: table.size_a(overlap.a),
        voxels_b: table.size_b(overlap.b),
    };
    let verdict = |pair: &Measured| {
        if let Some(refusal) = rule.refusal(pair) {
            return refusal;
        }
        let better = [best_of_a[&pair.overlap.a], best_of_b[&pair.overlap.b]];
        let mut better = better.into_iter().filter(|best| *best != pair.overlap).peekable();
        if !rule.mutual_best || better.peek().is_none() {
            return Verdict::Link;
        }
        match better.any(|best| rule.refusal(&measure(best)).is_none()) {
            true => Verdict::Conflict,
            false => Verdict::NotMutualBest,
        }
    };
    let decided = |overlap: &Overlap| {
        let pair = measure(*overlap);
        let Measured { overlap, voxels_a, voxels_b } = pair;
        Decided { overlap, voxels_a, voxels_b, verdict: verdict(&pair) }
    };
    table.overlaps.iter().map(decided).collect()
}

/// The best match of each label: most voxels, then the smaller label. `labels` gives the label and its
/// match.
fn best(table: &OverlapTable, labels: impl Fn(&Overlap) -> (u64, u64)) -> BTreeMap<u64, Overlap> {
    let mut best: BTreeMap<u64, Overlap> = BTreeMap::new();
    let rank = |overlap: &Overlap| (overlap.voxels, Reverse(labels(overlap).1));
    for overlap in &table.overlaps {
        let found = best.entry(labels(overlap).0).or_insert(*overlap);
        if rank(overlap) > rank(found) {
            *found = *overlap;
        }
    }
    best
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::overlap::overlap;
    use super::*;

    /// Verdicts on stretches of (label of a, label of b, voxels).
    fn verdicts(stretches: &[(u32, u32, usize)], rule: &LinkRule) -> Vec<((u64, u64), Verdict)> {
        let a: Vec<u32> = stretches.iter().flat_map(|(a, _, n)| vec![*a; *n]).collect();
        let b: Vec<u32> = stretches.iter().flat_map(|(_, b, n)| vec![*b; *n]).collect();
        let decided = decide(&overlap(&a, &b).unwrap(), rule);
        decided.iter().map(|d| ((d.overlap.a, d.overlap.b), d.verdict)).collect()
    }

    #[test]
    fn thresholds_are_met_exactly() {
        let rule = LinkRule { min_voxels: 100, min_fraction: 0.5, ..LinkRule::default() };
        let one = |stretches: &[(u32, u32, usize)], rule| verdicts(stretches, rule)[0].1;
        assert_eq!(one(&[(1, 2, 100)], &rule), Verdict::Link);
        assert_eq!(one(&[(1, 2, 99)], &rule), Verdict::TooSmall);
        assert_eq!(one(&[(1, 2, 100), (1, 0, 100), (0, 2, 100)], &rule), Verdict::Link);
        let low = [(1, 2, 100), (1, 0, 101), (0, 2, 101)];
        assert_eq!(one(&low, &rule), Verdict::FractionTooLow);
        // Of the smaller one: the larger may go on elsewhere.
        assert_eq!(one(&[(1, 2, 100), (1, 0, 900)], &rule), Verdict::Link);
        let rule = LinkRule { min_iou: 0.1, ..rule };
        assert_eq!(one(&[(1, 2, 100), (1, 0, 900)], &rule), Verdict::Link);
        assert_eq!(one(&[(1, 2, 100), (1, 0, 901)], &rule), Verdict::FractionTooLow);
    }

    #[test]
    fn a_merge_in_one_block_is_linked_once_and_flagged() {
        let found = verdicts(&[(1, 5, 300), (1, 6, 200), (2, 7, 150)], &LinkRule::default());
        let expected =
            [((1, 5), Verdict::Link), ((1, 6), Verdict::Conflict), ((2, 7), Verdict::Link)];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_better_match_that_is_refused_is_no_conflict() {
        // 1 fits best with 5, but 5 lies mostly elsewhere, as does 1.
        let stretches = [(1, 5, 200), (0, 5, 700), (1, 0, 700), (1, 6, 150)];
        let found = verdicts(&stretches, &LinkRule::default());
        let expected = [((1, 5), Verdict::FractionTooLow), ((1, 6), Verdict::NotMutualBest)];
        assert_eq!(found, expected);
    }

    #[test]
    fn ties_go_to_the_smaller_label() {
        let found = verdicts(&[(1, 6, 150), (1, 5, 150)], &LinkRule::default());
        assert_eq!(found, [((1, 5), Verdict::Link), ((1, 6), Verdict::Conflict)]);
        let found = verdicts(&[(4, 9, 150), (3, 9, 150)], &LinkRule::default());
        assert_eq!(found, [((3, 9), Verdict::Link), ((4, 9), Verdict::Conflict)]);
    }

    #[test]
    fn any_voxel_links_all_that_touch() {
        let found = verdicts(&[(1, 5, 1), (1, 6, 500), (2, 6, 1)], &LinkRule::any_voxel());
        assert!(found.len() == 3 && found.iter().all(|(_, verdict)| *verdict == Verdict::Link));
    }

    #[test]
    fn the_two_sides_are_treated_alike() {
        let stretches = [
            (1, 5, 300),
            (1, 6, 200),
            (2, 6, 90),
            (2, 0, 400),
            (3, 7, 120),
            (0, 7, 130),
            (4, 7, 110),
        ];
        let swapped = stretches.map(|(a, b, n)| (b, a, n));
        let mut found = verdicts(&stretches, &LinkRule::default());
        let back = verdicts(&swapped, &LinkRule::default());
        let mut back: Vec<_> = back.into_iter().map(|((a, b), v)| ((b, a), v)).collect();
        found.sort();
        back.sort();
        assert_eq!(found, back);
    }
}
