//! What happens when.

use std::cmp::Ordering;

use super::units::Unit;

/// Something that happens at a moment of either clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Event<T> {
    pub(super) at: f64,
    pub(super) what: T,
}

impl<T> PartialEq for Event<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<T> Eq for Event<T> {}

impl<T> PartialOrd for Event<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Event<T> {
    /// The earliest is the greatest: heaps give the greatest first.
    fn cmp(&self, other: &Self) -> Ordering {
        other.at.total_cmp(&self.at)
    }
}

/// A slot, and its change that the event belongs to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Turn {
    pub(super) slot: usize,
    pub(super) change: u32,
}

/// What happens by the clock on the wall.
#[derive(Debug, Clone, Copy)]
pub(super) enum Timer {
    Started(Turn),
    Requeued(Unit),
    NodeBack(usize),
}
