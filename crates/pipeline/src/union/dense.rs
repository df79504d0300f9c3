//! Ranks by a table with a place for each id there may be, where ids lie close together.

/// How the ids of a bucket are squeezed into a range: blocks have ids that are alike in the bits between
/// the largest label and the number of the block, and those are left out. Order is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Squeeze {
    /// Bits from 0 on that are kept.
    low_bits: u32,
    /// The first bit above those that are left out.
    high_from: u32,
    /// What is left out, the same for all ids.
    between: u64,
    /// Smallest value of the high bits.
    first_high: u64,
    /// Places that are needed.
    len: u64,
}

impl Squeeze {
    /// Leaves out the longest stretch of bits in which none of the ids differ; `None` if there is no id.
    pub(super) fn of(slices: &[&mut [u64]]) -> Option<Self> {
        let first = *slices.iter().find_map(|slice| slice.first())?;
        let (mut differing, mut low, mut high) = (0, first, first);
        for id in slices.iter().flat_map(|slice| slice.iter()) {
            differing |= id ^ first;
            (low, high) = (low.min(*id), high.max(*id));
        }
        let (low_bits, high_from) = longest_gap(differing);
        let first_high = low >> high_from;
        let between = first & mask(high_from) & !mask(low_bits);
        let rows = (high >> high_from) - first_high + 1;
        let len = rows.saturating_mul(1 << low_bits);
        Some(Self { low_bits, high_from, between, first_high, len })
    }

    /// Places that are needed for all ids.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    fn place(&self, id: u64) -> usize {
        let row = (id >> self.high_from) - self.first_high;
        (row << self.low_bits | id & mask(self.low_bits)) as usize
    }

    fn id(&self, place: u64) -> u64 {
        let row = (place >> self.low_bits) + self.first_high;
        row << self.high_from | self.between | place & mask(self.low_bits)
    }

    /// Replaces ids by their ranks; gives the distinct ids in ascending order. `table` is used again.
    pub(super) fn rank(&self, slices: &mut [&mut [u64]], table: &mut Vec<u32>) -> Vec<u64> {
        table.clear();
        table.resize(self.len as usize, 0);
        for id in slices.iter().flat_map(|slice| slice.iter()) {
            table[self.place(*id)] = 1;
        }
        let mut ids = Vec::new();
        for (place, rank) in table.iter_mut().enumerate().filter(|(_, rank)| **rank != 0) {
            *rank = ids.len() as u32;
            ids.push(self.id(place as u64));
        }
        for id in slices.iter_mut().flat_map(|slice| slice.iter_mut()) {
            *id = table[self.place(*id)].into();
        }
        ids
    }
}

/// The longest stretch of zeros below the highest one: its first bit, and the first after it.
fn longest_gap(differing: u64) -> (u32, u32) {
    let mut longest = (0, 0);
    let mut begin = 0;
    for bit in (0..u64::BITS).filter(|bit| differing >> bit & 1 == 1) {
        if bit - begin > longest.1 - longest.0 {
            longest = (begin, bit);
        }
        begin = bit + 1;
    }
    longest
}

fn mask(bits: u32) -> u64 {
    (1 << bits) - 1
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn gaps_are_found() {
        for (differing, expected) in [
            (0, (0, 0)),
            (1, (0, 0)),
            (0b111, (0, 0)),
            (0b1000_0011, (2, 7)),
            (0b1100_0000, (0, 6)),
            (1 << 63 | 1, (1, 63)),
            (0b1_0001_0000_1111, (4, 8)),
        ] {
            assert_eq!(longest_gap(differing), expected, "{differing:b}");
        }
    }

    proptest! {
        #[test]
        fn ids_of_blocks_are_ranked(
            blocks in (0_u64..1 << 20, 1_u64..9),
            bits in 10_u32..40,
            ids in prop::collection::vec((0_u64..9, 1_u64..900), 1..300),
            cut: prop::sample::Index,
        ) {
            let id = |(block, local): &(u64, u64)| (blocks.0 + block % blocks.1) << bits | local;
            let ids: Vec<u64> = ids.iter().map(id).collect();
            let mut ranks = ids.clone();
            let (a, b) = ranks.split_at_mut(cut.index(ids.len()));
            let mut slices = [a, b];
            let squeeze = Squeeze::of(&slices).unwrap();
            prop_assert!(squeeze.len() <= 9 << 10, "{squeeze:?}");
            let sorted = squeeze.rank(&mut slices, &mut vec![7; 3]);
            let naive: Vec<u64> = BTreeSet::from_iter(&ids).into_iter().copied().collect();
            prop_assert_eq!(&sorted, &naive);
            for (id, rank) in ids.iter().zip(ranks) {
                prop_assert_eq!(sorted[rank as usize], *id);
            }
        }
    }
}
