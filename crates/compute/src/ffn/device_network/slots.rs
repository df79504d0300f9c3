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

    /// Takes so many; more are made if they are too few, but never more than the bound, or than `room`. `None` if
    /// that is not enough, and nothing is taken.
    pub(super) fn take(&mut self, count: usize, room: usize) -> Option<Vec<u32>> {
        let lacking = count.saturating_sub(self.free.len());
        if lacking > 0 {
            let most = self.most.min(room);
            let least = self.capacity.checked_add(lacking).filter(|least| *least <= most)?;
            let larger = least.max(2 * self.capacity).max(FIRST).min(most);
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
        let mut taken = slots.take(1, usize::MAX).unwrap();
        assert_eq!((taken.as_slice(), slots.capacity()), ([0].as_slice(), 256));
        taken.extend(slots.take(256, usize::MAX).unwrap());
        assert_eq!(slots.capacity(), 512);
        taken.extend(slots.take(443, usize::MAX).unwrap());
        assert_eq!((slots.capacity(), slots.take(1, usize::MAX)), (700, None));
        taken.sort_unstable();
        assert!(taken.iter().copied().eq(0..700));
        slots.give_back([5, 7]);
        assert!(slots.take(3, usize::MAX).is_none());
        let mut again = slots.take(2, usize::MAX).unwrap();
        again.sort_unstable();
        assert_eq!(again, [5, 7]);
        assert!(slots.take(0, usize::MAX).unwrap().is_empty());
    }

    #[test]
    fn what_room_there_is_at_the_moment_bounds_them_too() {
        let mut slots = Slots::new(700);
        assert!(slots.take(9, 8).is_none());
        assert_eq!((slots.take(8, 8).unwrap().len(), slots.capacity()), (8, 8));
        assert_eq!((slots.take(1, 300).unwrap().len(), slots.capacity()), (1, 256));
        // Those that are there stay, whatever the room.
        assert_eq!(slots.take(247, 3).unwrap().len(), 247);
        assert!(slots.take(1, 3).is_none());
    }

    #[test]
    fn a_bound_is_never_raised() {
        let mut slots = Slots::new(300);
        slots.clear(Some(100));
        assert!(slots.take(101, usize::MAX).is_none());
        assert_eq!(slots.take(100, usize::MAX).unwrap().len(), 100);
        slots.clear(None);
        slots.clear(Some(200));
        assert!(slots.take(101, usize::MAX).is_none());
    }
}
