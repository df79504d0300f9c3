//! Which labels occur in the same voxels.

use rayon::prelude::*;
use rustc_hash::FxHashMap;

use crate::error::{Error, Result};

/// Voxels that a thread counts at a time.
const SHARE: usize = 1 << 18;

/// A type of labels.
pub trait Label: Copy + PartialEq + Into<u64> + Send + Sync {}

impl Label for u32 {}
impl Label for u64 {}

/// Two labels, neither 0, and the voxels that have both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overlap {
    /// Label of the first block.
    pub a: u64,
    /// Label of the second block.
    pub b: u64,
    /// Number of voxels.
    pub voxels: u64,
    /// The first of them: its index in C order.
    pub first: u64,
}

/// A label and the voxels it has in the common box.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LabelSize {
    /// The label, not 0.
    pub label: u64,
    /// Number of voxels, those where the other block has 0 included.
    pub voxels: u64,
}

/// What two blocks say about their common box.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OverlapTable {
    /// In ascending order of `a`, then of `b`.
    pub overlaps: Vec<Overlap>,
    /// Labels of the first block, ascending.
    pub sizes_a: Vec<LabelSize>,
    /// Labels of the second block, ascending.
    pub sizes_b: Vec<LabelSize>,
}

impl OverlapTable {
    /// Voxels of a label of the first block.
    pub fn size_a(&self, label: u64) -> u64 {
        size(&self.sizes_a, label)
    }

    /// Voxels of a label of the second block.
    pub fn size_b(&self, label: u64) -> u64 {
        size(&self.sizes_b, label)
    }
}

fn size(sizes: &[LabelSize], label: u64) -> u64 {
    sizes.binary_search_by_key(&label, |size| size.label).map_or(0, |at| sizes[at].voxels)
}

/// Counts the labels of two blocks over their common box: `a` and `b` are labels of the same voxels in
/// C order. Stretches of equal pairs along x cost one look-up. Memory: 40 bytes or so for each pair and
/// thread. The table does not depend on the number of threads.
///
/// # Errors
/// If the two have different numbers of voxels.
pub fn overlap<T: Label>(a: &[T], b: &[T]) -> Result<OverlapTable> {
    if a.len() != b.len() {
        let message =
            format!("expected {} voxels as in the first block, found {}", a.len(), b.len());
        return Err(Error::settings("second block", message));
    }
    let shares = a.par_chunks(SHARE).zip(b.par_chunks(SHARE)).enumerate();
    let counted = shares.map(|(n, (a, b))| count(a, b, (n * SHARE) as u64));
    Ok(table(counted.reduce(Counts::default, merge)))
}

/// Voxels of each pair, and the first of them; a pair may hold one 0.
type Counts = FxHashMap<(u64, u64), (u64, u64)>;

fn count<T: Label>(a: &[T], b: &[T], start: u64) -> Counts {
    let mut counts = Counts::default();
    let mut begin = 0;
    while begin < a.len() {
        let pair = (a[begin], b[begin]);
        let same = a[begin..].iter().zip(&b[begin..]).take_while(|(a, b)| (**a, **b) == pair);
        let length = same.count();
        let key: (u64, u64) = (pair.0.into(), pair.1.into());
        if key != (0, 0) {
            counts.entry(key).or_insert((0, start + begin as u64)).0 += length as u64;
        }
        begin += length;
    }
    counts
}

fn merge(a: Counts, b: Counts) -> Counts {
    let (mut into, from) = if a.len() < b.len() { (b, a) } else { (a, b) };
    for (pair, (voxels, first)) in from {
        let entry = into.entry(pair).or_insert((0, first));
        *entry = (entry.0 + voxels, entry.1.min(first));
    }
    into
}

fn table(counts: Counts) -> OverlapTable {
    let both = counts.iter().filter(|((a, b), _)| *a != 0 && *b != 0);
    let mut overlaps: Vec<Overlap> =
        both.map(|(&(a, b), &(voxels, first))| Overlap { a, b, voxels, first }).collect();
    overlaps.sort_unstable_by_key(|overlap| (overlap.a, overlap.b));
    let sizes_a = sizes(counts.iter().map(|((a, _), (voxels, _))| (*a, *voxels)));
    let sizes_b = sizes(counts.iter().map(|((_, b), (voxels, _))| (*b, *voxels)));
    OverlapTable { overlaps, sizes_a, sizes_b }
}

fn sizes(counts: impl Iterator<Item = (u64, u64)>) -> Vec<LabelSize> {
    let mut sums: FxHashMap<u64, u64> = FxHashMap::default();
    for (label, voxels) in counts.filter(|(label, _)| *label != 0) {
        *sums.entry(label).or_default() += voxels;
    }
    let mut sizes: Vec<_> =
        sums.into_iter().map(|(label, voxels)| LabelSize { label, voxels }).collect();
    sizes.sort_unstable_by_key(|size| size.label);
    sizes
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// Voxel by voxel.
    fn naive(a: &[u64], b: &[u64]) -> OverlapTable {
        let mut pairs: BTreeMap<(u64, u64), (u64, u64)> = BTreeMap::new();
        let (mut of_a, mut of_b) = (BTreeMap::new(), BTreeMap::new());
        for (i, (a, b)) in a.iter().zip(b).enumerate() {
            *of_a.entry(*a).or_insert(0) += 1;
            *of_b.entry(*b).or_insert(0) += 1;
            pairs.entry((*a, *b)).or_insert((0, i as u64)).0 += 1;
        }
        pairs.retain(|(a, b), _| *a > 0 && *b > 0);
        let sizes = |of: BTreeMap<u64, u64>| {
            let positive = of.into_iter().filter(|(label, _)| *label > 0);
            positive.map(|(label, voxels)| LabelSize { label, voxels }).collect()
        };
        let overlap = |((a, b), (voxels, first))| Overlap { a, b, voxels, first };
        OverlapTable {
            overlaps: pairs.into_iter().map(overlap).collect(),
            sizes_a: sizes(of_a),
            sizes_b: sizes(of_b),
        }
    }

    /// Labels in stretches, of a few values; some of more than 32 bits.
    fn labels() -> impl Strategy<Value = Vec<u64>> {
        let label = prop_oneof![0_u64..5, Just(u64::from(u32::MAX)), (1_u64 << 40)..(1 << 40) + 3];
        let stretch = (label, 1_usize..9).prop_map(|(label, length)| vec![label; length]);
        prop::collection::vec(stretch, 0..90).prop_map(|stretches| stretches.concat())
    }

    proptest! {
        #[test]
        fn tables_are_those_of_the_naive_way(a in labels(), b in labels()) {
            let length = a.len().min(b.len());
            let (a, b) = (&a[..length], &b[..length]);
            prop_assert_eq!(overlap(a, b).unwrap(), naive(a, b));
            let narrow = |labels: &[u64]| labels.iter().map(|l| *l as u32).collect::<Vec<_>>();
            let (a, b) = (narrow(a), narrow(b));
            let wide = |labels: &[u32]| labels.iter().map(|l| u64::from(*l)).collect::<Vec<_>>();
            prop_assert_eq!(overlap(&a, &b).unwrap(), naive(&wide(&a), &wide(&b)));
        }
    }

    #[test]
    fn shares_of_threads_are_put_together() {
        let label = |i: usize, step: usize| (i / step * 7 % 11) as u64;
        let a: Vec<u64> = (0..3 * SHARE + 77).map(|i| label(i, 1000)).collect();
        let b: Vec<u64> = (0..a.len()).map(|i| label(i, 77_777)).collect();
        let expected = naive(&a, &b);
        for threads in [1, 2, 5] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            assert_eq!(pool.install(|| overlap(&a, &b)).unwrap(), expected);
        }
    }

    #[test]
    fn boxes_of_two_sizes_are_refused() {
        let error = overlap(&[1_u32, 2], &[1]).unwrap_err().to_string();
        assert_eq!(error, "second block: expected 2 voxels as in the first block, found 1");
    }
}
