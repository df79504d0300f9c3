//! Which runs of neighbouring rows touch.

mod equal;
mod mask;

pub(in crate::ops) use equal::EqualLinks;
pub(in crate::ops) use mask::MaskLinks;

use super::isa::{Isa, PairList};
use super::layout::Layout;
use super::slab::{Slab, Words};
use crate::ops::Connectivity;

/// Where to look for runs that touch.
#[derive(Debug, Clone, Copy)]
pub(in crate::ops) struct Scope<'a> {
    pub(in crate::ops) layout: &'a Layout,
    pub(in crate::ops) connectivity: Connectivity,
    /// The slab of the later run of each pair.
    pub(in crate::ops) slab: &'a Slab<'a>,
    /// The slab before, for pairs across the seam; without it, pairs inside of the slab.
    pub(in crate::ops) previous: Option<&'a Slab<'a>>,
}

/// A rule that says which runs of neighbouring rows belong together.
pub(in crate::ops) trait Links: Sync {
    /// Calls `join` with pairs of runs that touch, the later one first, each by its number in its slab.
    /// Pairs that follow from others are left out.
    fn each<I: Isa>(&self, isa: I, scope: &Scope<'_>, join: impl FnMut(usize, usize));
}

/// The four earlier rows that touch a row, in the order of [`Scope::distances`].
pub(super) const ROW_BEFORE: usize = 0;
pub(super) const PLANE_BEFORE: usize = 1;
pub(super) const DIAGONAL_BEFORE: usize = 2;
pub(super) const DIAGONAL_AFTER: usize = 3;

impl Scope<'_> {
    /// Rows from a row back to: the row before it, the same row of the plane before, and the rows before
    /// and after that.
    fn distances(&self) -> [usize; 4] {
        let plane = self.layout.padded_rows();
        [1, plane, plane + 1, plane - 1]
    }

    /// How many of the four earlier rows can touch.
    fn num_kinds(&self) -> usize {
        match self.connectivity {
            Connectivity::Six => 2,
            _ => 4,
        }
    }

    /// Rows of the slab whose pairs are wanted.
    fn num_rows(&self) -> usize {
        let rows = self.slab.rows.len();
        self.previous.map_or(rows, |_| rows.min(self.layout.padded_rows() + 1))
    }
}

/// Calls `join` for each marked voxel with the runs that begin last up to it in both rows.
#[inline(always)]
fn each_pair<I: Isa>(
    isa: I,
    own: &Words<'_>,
    near: &Words<'_>,
    marks: &[u64],
    list: &mut PairList,
    mut join: impl FnMut(usize, usize),
) {
    for (word, marks) in marks.iter().enumerate().filter(|(_, marks)| **marks != 0) {
        isa.pairs(*marks, own.row(word), near.row(word), list);
        if list.is_full() {
            list.drain(&mut join);
        }
    }
    list.drain(join);
}
