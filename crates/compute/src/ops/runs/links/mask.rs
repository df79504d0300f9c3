//! Runs of a mask touch where their bits do.
//!
//! A pair of runs is marked at one voxel: the first that both have, where one of them begins. For
//! diagonal neighbours runs are taken one voxel longer. A mark is left out if a third run joins the two
//! there; each rule below leans on pairs that come earlier in the order: plane before, row before,
//! diagonals.

use super::super::isa::{Isa, PairList};
use super::super::slab::Words;
use super::{DIAGONAL_AFTER, DIAGONAL_BEFORE, Links, PLANE_BEFORE, ROW_BEFORE, Scope, each_pair};
use crate::ops::Connectivity;

/// Words that are compared at a time: marks and words of five rows stay in the first cache.
const BLOCK: usize = 256;

/// Empty words, for rows that are not there.
static NONE: Words<'static> =
    Words { mask: &[0; BLOCK + 1], starts: &[0; BLOCK + 1], before: &[0; BLOCK] };

/// Runs touch where voxels of a mask are neighbours.
#[derive(Debug, Clone, Copy)]
pub(in crate::ops) struct MaskLinks;

/// Marks for each of the four earlier rows.
type Marks = [[u64; BLOCK]; 4];

impl Links for MaskLinks {
    #[inline(always)]
    fn each<I: Isa>(&self, isa: I, scope: &Scope<'_>, mut join: impl FnMut(usize, usize)) {
        let distances = scope.distances().map(|rows| rows * scope.layout.words);
        let end = scope.num_rows() * scope.layout.words;
        let mut marks: Marks = [[0; BLOCK]; 4];
        let mut list = PairList::new();
        let mut first = 0;
        while first < end {
            let stop = distances.into_iter().filter(|d| *d > first).min().unwrap_or(end);
            let count = BLOCK.min(stop.min(end) - first);
            let own = scope.slab.words(first, count);
            let near = distances.map(|distance| neighbours(scope, first, distance, count));
            match scope.connectivity {
                Connectivity::Six => six(&own, &near, &mut marks),
                Connectivity::Eighteen => eighteen(&own, &near, &mut marks),
                Connectivity::TwentySix => twenty_six(&own, &near, &mut marks),
            }
            for kind in 0..scope.num_kinds() {
                if scope.previous.is_none() || first < distances[kind] {
                    let marks = &marks[kind][..count];
                    each_pair(isa, &own, &near[kind], marks, &mut list, &mut join);
                }
            }
            first += count;
        }
    }
}

/// The words that lie `distance` before those of the slab from `first` on.
#[inline(always)]
fn neighbours<'a>(scope: &Scope<'a>, first: usize, distance: usize, count: usize) -> Words<'a> {
    if first >= distance {
        return scope.slab.words(first - distance, count);
    }
    match scope.previous {
        Some(previous) => previous.words(previous.num_words() + first - distance, count),
        None => NONE.first(count),
    }
}

impl Words<'_> {
    fn first(&self, count: usize) -> Self {
        let Self { mask, starts, before } = *self;
        Self { mask: &mask[..=count], starts: &starts[..=count], before: &before[..count] }
    }
}

/// Words without the early one, all of one length.
#[inline(always)]
fn straight<'a>(words: &Words<'a>, count: usize) -> (&'a [u64], &'a [u64]) {
    (&words.mask[1..][..count], &words.starts[1..][..count])
}

/// A word of runs that are one voxel longer.
#[inline(always)]
fn longer(mask: &[u64], word: usize) -> u64 {
    mask[word + 1] | mask[word + 1] << 1 | mask[word] >> 63
}

#[inline(always)]
fn six(own: &Words<'_>, near: &[Words<'_>; 4], marks: &mut Marks) {
    let count = own.before.len();
    let (a, a_starts) = straight(own, count);
    let (row, row_starts) = straight(&near[ROW_BEFORE], count);
    let (plane, plane_starts) = straight(&near[PLANE_BEFORE], count);
    let (diagonal, _) = straight(&near[DIAGONAL_BEFORE], count);
    let [to_row, to_plane, ..] = marks;
    let (to_row, to_plane) = (&mut to_row[..count], &mut to_plane[..count]);
    for i in 0..count {
        to_row[i] = (a_starts[i] & row[i]) | (row_starts[i] & a[i]);
        let marks = (a_starts[i] & plane[i]) | (plane_starts[i] & a[i]);
        // Joined through the row before and the row before that of the plane before.
        to_plane[i] = marks & !(row[i] & diagonal[i]);
    }
}

#[inline(always)]
fn eighteen(own: &Words<'_>, near: &[Words<'_>; 4], marks: &mut Marks) {
    let count = own.before.len();
    let a = straight(own, count);
    let [row, plane, before, after] = [0, 1, 2, 3].map(|kind| straight(&near[kind], count));
    let masks = [0, 1].map(|kind| &near[kind].mask[..=count]);
    let [to_row, to_plane, to_before, to_after] = marks.each_mut().map(|m| &mut m[..count]);
    let own = &own.mask[..=count];
    for i in 0..count {
        let long = longer(own, i);
        let [long_row, long_plane] = masks.map(|mask| longer(mask, i));
        to_plane[i] = (a.1[i] & long_plane) | (plane.1[i] & long);
        let marks = (a.1[i] & long_row) | (row.1[i] & long);
        to_row[i] = marks & !(row.0[i] & plane.0[i]);
        let marks = (a.1[i] & before.0[i]) | (before.1[i] & a.0[i]);
        to_before[i] = marks & !(long_plane | long_row);
        let marks = (a.1[i] & after.0[i]) | (after.1[i] & a.0[i]);
        to_after[i] = marks & !long_plane;
    }
}

#[inline(always)]
fn twenty_six(own: &Words<'_>, near: &[Words<'_>; 4], marks: &mut Marks) {
    let count = own.before.len();
    let (_, a_starts) = straight(own, count);
    let starts = [0, 1, 2, 3].map(|kind| straight(&near[kind], count).1);
    let masks = [0, 1, 2, 3].map(|kind| &near[kind].mask[..=count]);
    let [to_row, to_plane, to_before, to_after] = marks.each_mut().map(|m| &mut m[..count]);
    let own = &own.mask[..=count];
    for i in 0..count {
        let long = longer(own, i);
        let [row, plane, before, after] = masks.map(|mask| longer(mask, i));
        to_plane[i] = (a_starts[i] & plane) | (starts[PLANE_BEFORE][i] & long);
        // A voxel of the plane before in this place touches all of the others.
        let apart = !plane;
        to_row[i] = ((a_starts[i] & row) | (starts[ROW_BEFORE][i] & long)) & apart;
        let marks = (a_starts[i] & before) | (starts[DIAGONAL_BEFORE][i] & long);
        to_before[i] = marks & apart & !row;
        to_after[i] = ((a_starts[i] & after) | (starts[DIAGONAL_AFTER][i] & long)) & apart;
    }
}
