//! Which slots of a pool are free.

/// Slots at the beginning.
const FIRST: usize = 256;

/// Slots of a pool that is doubled when it is full, up to a bound.
#[derive(Debug)]
pub(super) struct Slots {
    capacity: usize,
    most: usize,
    free: Vec<u32>,
}

impl Slots {
    /// None yet.
    pub(super) fn new(most: usize) -> Self {
        Self { capacity: 0, most, free: Vec::new() }
    }

    /// Slots that there are.
    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Takes so many; more are made if they are too few, but never more than the bound. `None` if that is
    /// not enough, and nothing is taken.
    pub(super) fn take(&mut self, count: usize) -> Option<Vec<u32>> {
        let lacking = count.saturating_sub(self.free.len());
        if lacking > 0 {
            let least = self.capacity.checked_add(lacking).filter(|least| *least <= self.most)?;
            let larger = least.max(2 * self.capacity).max(FIRST).min(self.most);
            self.free.extend((self.capacity as u32..larger as u32).rev());
            self.capacity = larger;
        }
        Some(self.free.split_off(self.free.len() - count))
    }

    pub(super) fn give_back(&mut self, slots: impl IntoIterator<Item = u32>) {
        self.free.extend(slots);
    }

    /// All are gone; from now on there are never more than `most`, if that is less than before.
    pub(super) fn clear(&mut self, most: Option<usize>) {
        *self = Self::new(self.most.min(most.unwrap_or(self.most)));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_doubled_up_to_the_bound_and_used_again() {
        let mut slots = Slots::new(700);
        let mut taken = slots.take(1).unwrap();
        assert_eq!((taken.as_slice(), slots.capacity()), ([0].as_slice(), 256));
        taken.extend(slots.take(256).unwrap());
        assert_eq!(slots.capacity(), 512);
        taken.extend(slots.take(443).unwrap());
        assert_eq!((slots.capacity(), slots.take(1)), (700, None));
        taken.sort_unstable();
        assert!(taken.iter().copied().eq(0..700));
        slots.give_back([5, 7]);
        assert!(slots.take(3).is_none());
        let mut again = slots.take(2).unwrap();
        again.sort_unstable();
        assert_eq!(again, [5, 7]);
        assert!(slots.take(0).unwrap().is_empty());
    }

    #[test]
    fn a_bound_is_never_raised() {
        let mut slots = Slots::new(300);
        slots.clear(Some(100));
        assert!(slots.take(101).is_none());
        assert_eq!(slots.take(100).unwrap().len(), 100);
        slots.clear(None);
        slots.clear(Some(200));
        assert!(slots.take(101).is_none());
    }
}
