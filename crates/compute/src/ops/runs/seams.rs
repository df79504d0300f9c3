//! From slabs to the whole: runs that touch across seams, and numbers for roots.

use rayon::prelude::*;

use super::forest::{Id, find, flatten, join};
use super::isa::{Isa, Level, Work, dispatch};
use super::layout::Layout;
use super::links::{Links, Scope};
use super::slab::Slab;
use crate::ops::Connectivity;

/// What all steps need to know.
#[derive(Debug, Clone, Copy)]
pub(in crate::ops) struct Joining<'a, L> {
    pub(in crate::ops) level: Level,
    pub(in crate::ops) layout: &'a Layout,
    pub(in crate::ops) connectivity: Connectivity,
    pub(in crate::ops) links: &'a L,
}

impl<L: Links> Joining<'_, L> {
    /// Joins the runs of a slab that touch. Afterwards every run points at its root; `offset` is the
    /// place of the slab's first run among those of all slabs.
    pub(in crate::ops) fn within<I: Id>(&self, slab: &Slab<'_>, offset: usize, parents: &mut [I]) {
        for (run, parent) in parents.iter_mut().enumerate() {
            *parent = I::new(run);
        }
        let scope = self.scope(slab, None);
        let pairs = Pairs { links: self.links, scope: &scope };
        dispatch(self.level, Within { pairs, parents: &mut *parents });
        flatten(parents, offset);
    }

    /// Joins runs of all slabs across their seams. `offsets` are the places of their first runs among
    /// `parents`.
    pub(in crate::ops) fn across<I: Id>(
        &self,
        slabs: &[Slab<'_>],
        offsets: &[usize],
        parents: &mut [I],
    ) -> Moved {
        let mut moved = Vec::new();
        for n in 1..slabs.len() {
            let scope = self.scope(&slabs[n], Some(&slabs[n - 1]));
            let pairs = Pairs { links: self.links, scope: &scope };
            for [later, earlier] in dispatch(self.level, Across { pairs }) {
                let (later, earlier) = (later + offsets[n], earlier + offsets[n - 1]);
                moved.extend(join_roots(parents, later, earlier));
            }
        }
        moved.sort_unstable();
        Moved(moved.into_iter().map(|run| (run, find(parents, run))).collect())
    }

    fn scope<'s>(&'s self, slab: &'s Slab<'s>, previous: Option<&'s Slab<'s>>) -> Scope<'s> {
        Scope { layout: self.layout, connectivity: self.connectivity, slab, previous }
    }
}

struct Pairs<'a, L> {
    links: &'a L,
    scope: &'a Scope<'a>,
}

struct Within<'a, L, I> {
    pairs: Pairs<'a, L>,
    parents: &'a mut [I],
}

impl<L: Links, I: Id> Work for Within<'_, L, I> {
    type Output = ();

    #[inline(always)]
    fn run<S: Isa>(self, isa: S) {
        let parents = self.parents;
        let Pairs { links, scope } = self.pairs;
        links.each(isa, scope, |later, earlier| join(parents, later, earlier));
    }
}

struct Across<'a, L> {
    pairs: Pairs<'a, L>,
}

impl<L: Links> Work for Across<'_, L> {
    type Output = Vec<[usize; 2]>;

    #[inline(always)]
    fn run<S: Isa>(self, isa: S) -> Vec<[usize; 2]> {
        let mut found = Vec::new();
        self.pairs.links.each(isa, self.pairs.scope, |later, earlier| found.push([later, earlier]));
        found
    }
}

/// Joins two runs of different slabs. Only roots of slabs are moved: all other runs go on pointing at
/// the root of their slab. Gives the root that is none any more.
fn join_roots<I: Id>(parents: &mut [I], a: usize, b: usize) -> Option<usize> {
    let mut root = |run: usize| {
        let root = parents[run].index();
        find(parents, root)
    };
    let (a, b) = (root(a), root(b));
    (a != b).then(|| {
        parents[a.max(b)] = I::new(a.min(b));
        a.max(b)
    })
}

/// Roots of slabs that are not roots of the whole, ascending, each with the root of the whole.
#[derive(Debug)]
pub(in crate::ops) struct Moved(Vec<(usize, usize)>);

/// A run and the label of its set.
pub(in crate::ops) type Named = (usize, usize);

impl Moved {
    /// Numbers the roots of the whole from 1 on. Gives the number of roots before each slab, and in all,
    /// and the numbers of the runs that were moved.
    pub(in crate::ops) fn number<I: Id>(
        &self,
        parts: &[(usize, &[I])],
    ) -> (Vec<usize>, Vec<Named>) {
        let mut targets: Vec<usize> = self.0.iter().map(|(_, root)| *root).collect();
        targets.sort_unstable();
        targets.dedup();
        let counts: Vec<(usize, Vec<usize>)> = parts
            .par_iter()
            .map(|(offset, parents)| {
                count_roots(*offset, parents, within(&targets, *offset, parents.len()))
            })
            .collect();
        let mut before = vec![0];
        let mut numbers = Vec::with_capacity(targets.len());
        for (count, ranks) in counts {
            let last = before[before.len() - 1];
            numbers.extend(ranks.iter().map(|rank| rank + last));
            before.push(last + count);
        }
        let number = |root: &usize| targets.binary_search(root).map_or(0, |n| numbers[n]);
        (before, self.0.iter().map(|(run, root)| (*run, number(root))).collect())
    }

    /// Names the given roots of the whole (ascending) and all runs that were moved to one of them; those
    /// moved to others have the name 0. Ascending.
    pub(in crate::ops) fn name(&self, roots: &[Named]) -> Vec<Named> {
        let name = |root: &usize| {
            roots.binary_search_by_key(root, |(run, _)| *run).map_or(0, |n| roots[n].1)
        };
        let mut named: Vec<Named> = self.0.iter().map(|(run, root)| (*run, name(root))).collect();
        named.extend_from_slice(roots);
        named.sort_unstable();
        named
    }

    /// The root of the whole for a run.
    pub(in crate::ops) fn root<I: Id>(&self, parents: &[I], run: usize) -> usize {
        let root = parents[run].index();
        self.0.binary_search_by_key(&root, |(run, _)| *run).map_or(root, |n| self.0[n].1)
    }
}

/// The part of an ascending list that lies in a slab.
fn within(list: &[usize], offset: usize, count: usize) -> &[usize] {
    &list[list.partition_point(|run| *run < offset)
        ..list.partition_point(|run| *run < offset + count)]
}

/// The part of an ascending list of names that lies in a slab.
pub(in crate::ops) fn named_within(list: &[Named], offset: usize, count: usize) -> &[Named] {
    let first = list.partition_point(|(run, _)| *run < offset);
    &list[first..list.partition_point(|(run, _)| *run < offset + count)]
}

/// Counts the roots of a slab, and those up to each of some roots.
fn count_roots<I: Id>(offset: usize, parents: &[I], targets: &[usize]) -> (usize, Vec<usize>) {
    let count = |from: usize, to: usize| {
        let runs = parents[from..to].iter().zip(from + offset..);
        runs.map(|(parent, run)| usize::from(parent.index() == run)).sum::<usize>()
    };
    let (mut done, mut roots, mut ranks) = (0, 0, Vec::with_capacity(targets.len()));
    for target in targets {
        let next = target - offset + 1;
        roots += count(done, next);
        ranks.push(roots);
        done = next;
    }
    (roots + count(done, parents.len()), ranks)
}

/// What roots that have no name get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ops) enum Unnamed {
    /// Numbers, from this one on.
    Number(usize),
    /// 0.
    Zero,
}

/// Replaces the parents of a slab's runs by the labels of their sets. `named` are runs of this slab.
pub(in crate::ops) fn resolve<I: Id>(
    offset: usize,
    parents: &mut [I],
    named: &[Named],
    unnamed: Unnamed,
) {
    let mut named = named.iter().copied().peekable();
    let mut name_of = |run: usize| {
        while named.next_if(|(named, _)| *named < run).is_some() {}
        named.peek().filter(|(named, _)| *named == run).map(|(_, name)| *name)
    };
    let mut next = match unnamed {
        Unnamed::Number(first) => Some(first),
        Unnamed::Zero => None,
    };
    for run in 0..parents.len() {
        let parent = parents[run].index();
        parents[run] = if parent < offset {
            I::new(name_of(run + offset).unwrap_or(0))
        } else if parent < run + offset {
            parents[parent - offset]
        } else if let Some(number) = &mut next {
            *number += 1;
            I::new(*number - 1)
        } else {
            I::new(name_of(run + offset).unwrap_or(0))
        };
    }
}
