//! Union-find over runs: parents by rank, the smallest rank is the root.

use exavox_io::Element;

/// A number that names a run or a component.
pub(in crate::ops) trait Id: Element + Ord {
    /// Narrowed; the caller has checked that it fits.
    fn new(value: usize) -> Self;
    /// As an index.
    fn index(self) -> usize;
}

impl Id for u32 {
    #[inline(always)]
    fn new(value: usize) -> Self {
        value as Self
    }

    #[inline(always)]
    fn index(self) -> usize {
        self as usize
    }
}

impl Id for u64 {
    #[inline(always)]
    fn new(value: usize) -> Self {
        value as Self
    }

    #[inline(always)]
    fn index(self) -> usize {
        self as usize
    }
}

/// The root of a run. Halves the paths it walks; most runs are roots, or point at one.
#[inline(always)]
pub(super) fn find<I: Id>(parents: &mut [I], mut run: usize) -> usize {
    loop {
        let parent = parents[run];
        let next = parents[parent.index()];
        if parent == next {
            return parent.index();
        }
        parents[run] = next;
        run = next.index();
    }
}

/// Puts the sets of two runs together; `later` comes after `earlier`.
#[inline(always)]
pub(super) fn join<I: Id>(parents: &mut [I], later: usize, earlier: usize) {
    let root = find(parents, earlier);
    if parents[later].index() == later {
        // The most frequent case: a run that nothing has been joined with yet.
        parents[later] = I::new(root);
        return;
    }
    let other = find(parents, later);
    if root < other {
        parents[other] = I::new(root);
    } else if other < root {
        parents[root] = I::new(other);
    }
}

/// Lets every run of a forest point at its root, and adds `offset` to all.
pub(super) fn flatten<I: Id>(parents: &mut [I], offset: usize) {
    for run in 0..parents.len() {
        let parent = parents[run].index();
        parents[run] = match parent == run {
            true => I::new(run + offset),
            // Parents come before their children: this one points at its root already.
            false => parents[parent],
        };
    }
}
