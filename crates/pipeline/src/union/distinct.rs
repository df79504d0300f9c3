//! The distinct ids among those of a bucket.

/// Slots of a fresh table.
const SLOTS: usize = 1 << 8;

/// A hash table that numbers ids in the order in which they come.
#[derive(Debug, Default)]
pub(super) struct Distinct {
    /// Number of an id and one, 0 if free; a power of two, at most half of them taken.
    slots: Vec<u32>,
    ids: Vec<u64>,
}

impl Distinct {
    /// Forgets all ids; `expected` tells how many may come.
    pub(super) fn clear(&mut self, expected: usize) {
        self.ids.clear();
        self.slots.clear();
        self.slots.resize(expected.next_power_of_two().clamp(SLOTS, SLOTS << 9), 0);
    }

    /// The number of an id.
    pub(super) fn number_of(&mut self, id: u64) -> u32 {
        if self.ids.len() * 2 >= self.slots.len() {
            self.grow();
        }
        let slot = self.slot_of(id);
        if self.slots[slot] == 0 {
            self.ids.push(id);
            self.slots[slot] = self.ids.len() as u32;
        }
        self.slots[slot] - 1
    }

    /// The ids in ascending order, and the rank among them of each number.
    pub(super) fn sorted(&self) -> (Vec<u64>, Vec<u32>) {
        let mut order: Vec<(u64, u32)> = self.ids.iter().copied().zip(0..).collect();
        order.sort_unstable();
        let mut ranks = vec![0; order.len()];
        for (rank, (_, number)) in (0..).zip(&order) {
            ranks[*number as usize] = rank;
        }
        (order.into_iter().map(|(id, _)| id).collect(), ranks)
    }

    /// Where an id is, or would be.
    fn slot_of(&self, id: u64) -> usize {
        let mask = self.slots.len() - 1;
        // Both halves of a product: one alone maps ids in rows, as those of blocks are, to few places.
        let product = u128::from(id) * 0x9E37_79B9_7F4A_7C15;
        let mut slot = (product as u64 ^ (product >> 64) as u64) as usize & mask;
        loop {
            match self.slots[slot] {
                0 => return slot,
                number if self.ids[number as usize - 1] == id => return slot,
                _ => slot = (slot + 1) & mask,
            }
        }
    }

    fn grow(&mut self) {
        let slots = self.slots.len().max(SLOTS) * 2;
        self.slots.clear();
        self.slots.resize(slots, 0);
        for number in 0..self.ids.len() {
            let slot = self.slot_of(self.ids[number]);
            self.slots[slot] = number as u32 + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ids_are_numbered_and_ranked(
            ids in prop::collection::vec(prop_oneof![1_u64..90, (1_u64..999).prop_map(|v| v << 53)], 1..999),
        ) {
            let mut distinct = Distinct::default();
            for expected in [0, ids.len()] {
                distinct.clear(expected);
                let numbers: Vec<u32> = ids.iter().map(|id| distinct.number_of(*id)).collect();
                let (sorted, ranks) = distinct.sorted();
                let naive: Vec<u64> = BTreeSet::from_iter(&ids).into_iter().copied().collect();
                prop_assert_eq!(&sorted, &naive);
                for (id, number) in ids.iter().zip(numbers) {
                    prop_assert_eq!(sorted[ranks[number as usize] as usize], *id);
                }
            }
        }
    }
}
