//! Runs of labels touch where neighbouring voxels have the same label.
//!
//! Straight neighbours are compared 64 at a time. Labels that touch only diagonally do so where both
//! rows change: few places, which are looked at one by one.

use exavox_io::Element;

use super::super::build::same_word;
use super::super::isa::Isa;
use super::super::slab::Words;
use super::{DIAGONAL_AFTER, DIAGONAL_BEFORE, Links, PLANE_BEFORE, ROW_BEFORE, Scope};
use crate::ops::Connectivity;

/// Runs touch where neighbouring voxels have the same value.
#[derive(Debug, Clone, Copy)]
pub(in crate::ops) struct EqualLinks<'a, T> {
    /// All values of the block.
    pub(in crate::ops) values: &'a [T],
}

/// A row with its values.
#[derive(Clone, Copy)]
struct Row<'a, T> {
    words: Words<'a>,
    values: &'a [T],
    /// Whether pairs with this row are wanted.
    wanted: bool,
}

impl<T: Element> Links for EqualLinks<'_, T> {
    #[inline(always)]
    fn each<I: Isa>(&self, isa: I, scope: &Scope<'_>, mut join: impl FnMut(usize, usize)) {
        for row in scope.slab.rows.clone().take(scope.num_rows()) {
            let Some(own) = self.row(scope, row, 0) else { continue };
            let mut near = [None; 4];
            for (near, distance) in near.iter_mut().zip(scope.distances()).take(scope.num_kinds()) {
                *near = self.row(scope, row, distance);
            }
            if near.iter().flatten().any(|row| row.wanted) {
                for word in 0..scope.layout.words {
                    pairs(isa, scope.connectivity, word, &own, &near, &mut join);
                }
            }
        }
    }
}

impl<T> EqualLinks<'_, T> {
    /// The row `distance` rows before a row of the slab; `None` if it is empty or not there.
    #[inline(always)]
    fn row<'a>(&'a self, scope: &Scope<'a>, row: usize, distance: usize) -> Option<Row<'a, T>> {
        let layout = scope.layout;
        let row = row.checked_sub(distance).filter(|row| !layout.is_empty_row(*row))?;
        let inside = row >= scope.slab.rows.start;
        let slab = if inside { Some(scope.slab) } else { scope.previous };
        let words = slab?.row(layout, row);
        let first = layout.voxels_before(row);
        let values = &self.values[first..first + layout.length];
        Some(Row { words, values, wanted: inside != scope.previous.is_some() })
    }
}

/// The order in which rows are compared: each rule of [`joined`] leans on rows before it.
const ORDER: [usize; 4] = [PLANE_BEFORE, ROW_BEFORE, DIAGONAL_BEFORE, DIAGONAL_AFTER];

/// The pairs of one word of a row.
#[inline(always)]
fn pairs<T: Element, I: Isa>(
    isa: I,
    connectivity: Connectivity,
    word: usize,
    own: &Row<'_, T>,
    near: &[Option<Row<'_, T>>; 4],
    join: &mut impl FnMut(usize, usize),
) {
    let mask = own.words.mask()[word];
    // A run that ends with the word before may touch one that begins here.
    let early = own.words.mask[word] >> 63;
    if mask | early == 0 {
        return;
    }
    // Where a voxel has the label of its straight neighbour in each of the rows.
    let mut same = [0; 4];
    for kind in ORDER {
        let Some(near) = &near[kind] else { continue };
        let joined = joined(connectivity, kind, &same);
        let asked = if kind == ROW_BEFORE { mask } else { mask & !joined };
        if asked & near.words.mask()[word] != 0 {
            same[kind] = same_word(isa, own.values, near.values, word) & mask;
        }
        if near.wanted {
            straight(word, own, near, same[kind] & !joined, join);
            match connectivity {
                Connectivity::TwentySix => diagonals(word, own, near, joined, join),
                Connectivity::Eighteen if kind == PLANE_BEFORE || kind == ROW_BEFORE => {
                    diagonals(word, own, near, 0, join);
                }
                _ => {}
            }
        }
    }
}

/// Where a voxel is joined with its neighbours in a row already: through the row of the plane before, which
/// touches all others, or for the row before that also through the row before.
#[inline(always)]
fn joined(connectivity: Connectivity, kind: usize, same: &[u64; 4]) -> u64 {
    match (connectivity, kind) {
        (Connectivity::Six, _) | (_, PLANE_BEFORE) => 0,
        (_, DIAGONAL_BEFORE) => same[PLANE_BEFORE] | same[ROW_BEFORE],
        _ => same[PLANE_BEFORE],
    }
}

/// Pairs of runs with straight neighbours in `same`: one for each pair, where the later of them begins.
#[inline(always)]
fn straight<T>(
    word: usize,
    own: &Row<'_, T>,
    near: &Row<'_, T>,
    same: u64,
    join: &mut impl FnMut(usize, usize),
) {
    let mut left = same & (own.words.starts()[word] | near.words.starts()[word]);
    while left != 0 {
        let upto = left ^ (left - 1);
        left &= left - 1;
        join(own.words.rank(word, upto), near.words.rank(word, upto));
    }
}

/// Pairs of runs of which one begins where the other has just ended.
#[inline(always)]
fn diagonals<T: Element>(
    word: usize,
    own: &Row<'_, T>,
    near: &Row<'_, T>,
    known: u64,
    join: &mut impl FnMut(usize, usize),
) {
    let mut left = own.words.starts()[word] & ends(&near.words, word) & !known;
    while left != 0 {
        let (x, upto) = (64 * word + left.trailing_zeros() as usize, left ^ (left - 1));
        left &= left - 1;
        if own.values[x] == near.values[x - 1] {
            join(own.words.rank(word, upto), near.words.rank(word, upto >> 1));
        }
    }
    let mut left = near.words.starts()[word] & ends(&own.words, word);
    while left != 0 {
        let (x, upto) = (64 * word + left.trailing_zeros() as usize, left ^ (left - 1));
        left &= left - 1;
        if own.values[x - 1] == near.values[x] {
            join(own.words.rank(word, upto >> 1), near.words.rank(word, upto));
        }
    }
}

/// The voxels right after the last of a run.
#[inline(always)]
fn ends(words: &Words<'_>, word: usize) -> u64 {
    let mask = &words.mask[word..];
    (mask[1] << 1 | mask[0] >> 63) & (!mask[1] | words.starts[word + 1])
}
