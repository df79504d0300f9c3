//! Sets of ranks that many threads join at once.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Disjoint sets of `0..n`; the root of a set is its smallest member.
///
/// A root changes only by a compare-and-swap that puts it under a smaller one, so there are no cycles and
/// no lock; Anderson and Woll 1991 show why that is enough. Nothing but the numbers themselves passes
/// between threads, so no ordering is needed either.
#[derive(Debug)]
pub(super) struct DisjointSets {
    parents: Vec<AtomicU32>,
}

impl DisjointSets {
    /// Each of `0..n` on its own.
    pub(super) fn new(n: usize) -> Self {
        Self { parents: (0..n as u32).map(AtomicU32::new).collect() }
    }

    /// Joins the sets of the ends of each pair.
    ///
    /// A look at all parents first: reads that do not wait for each other are several times as fast as
    /// those that do, and the table is larger than any cache.
    pub(super) fn join_all(&self, pairs: &mut [[u32; 2]]) {
        for pair in pairs.iter_mut() {
            *pair = pair.map(|member| self.parent(member));
        }
        for pair in pairs.iter_mut() {
            *pair = pair.map(|member| self.parent(member));
        }
        for [a, b] in pairs {
            self.join(*a, *b);
        }
    }

    /// The root of each of `0..n`.
    pub(super) fn into_roots(self) -> Vec<u32> {
        let mut roots: Vec<u32> = self.parents.into_iter().map(AtomicU32::into_inner).collect();
        // Parents are smaller, so their roots are known already.
        for member in 0..roots.len() {
            roots[member] = roots[roots[member] as usize];
        }
        roots
    }

    fn parent(&self, member: u32) -> u32 {
        self.parents[member as usize].load(Relaxed)
    }

    fn join(&self, mut a: u32, mut b: u32) {
        loop {
            (a, b) = (self.root(a), self.root(b));
            if a == b {
                return;
            }
            let (low, high) = (a.min(b), a.max(b));
            let root = &self.parents[high as usize];
            if root.compare_exchange(high, low, Relaxed, Relaxed).is_ok() {
                return;
            }
        }
    }

    /// Halves the path on its way: what is stored is always an ancestor, whoever else stores.
    fn root(&self, mut member: u32) -> u32 {
        let mut parent = self.parent(member);
        while parent != member {
            let above = self.parent(parent);
            if above == parent {
                return parent;
            }
            self.parents[member as usize].store(above, Relaxed);
            member = above;
            parent = self.parent(member);
        }
        member
    }
}
