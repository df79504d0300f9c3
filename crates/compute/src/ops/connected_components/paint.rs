//! From runs with labels to voxels with labels.

use super::super::runs::forest::Id;
use super::super::runs::isa::{Isa, Level, NEAR, Work, dispatch, paint_plain};
use super::super::runs::layout::Layout;
use super::super::runs::slab::Slab;

/// Labels that can be painted.
pub(super) trait Paint: Id {
    /// Paints 64 voxels: those of `mask` with the labels of their runs, the others with 0. `labels` begins
    /// with the label of the run that goes on from the word before, and holds at least [`NEAR`] values.
    fn paint<I: Isa>(isa: I, mask: u64, starts: u64, labels: &[Self], out: &mut [Self; 64]);
}

impl Paint for u32 {
    #[inline(always)]
    fn paint<I: Isa>(isa: I, mask: u64, starts: u64, labels: &[Self], out: &mut [Self; 64]) {
        isa.paint(mask, starts, labels, out);
    }
}

impl Paint for u64 {
    #[inline(always)]
    fn paint<I: Isa>(_: I, mask: u64, starts: u64, labels: &[Self], out: &mut [Self; 64]) {
        paint_plain(mask, starts, labels, out);
    }
}

/// Paints the rows of a slab. The labels of its runs lie at the beginning of `out`: rows are painted from
/// the last to the first, and no row reaches the labels of those before it.
pub(super) fn paint<T: Paint>(level: Level, layout: &Layout, slab: &Slab<'_>, out: &mut [T]) {
    dispatch(level, Painting { layout, slab, out });
}

struct Painting<'a, T> {
    layout: &'a Layout,
    slab: &'a Slab<'a>,
    out: &'a mut [T],
}

impl<T: Paint> Work for Painting<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let Self { layout, slab, out } = self;
        let offset = layout.voxels_before(slab.rows.start);
        // The first stands for no run; what lies behind those of a row is looked at, but not painted.
        let mut labels = vec![T::default(); layout.length + 1 + NEAR];
        let mut end = slab.runs;
        for row in slab.rows.clone().rev().filter(|row| !layout.is_empty_row(*row)) {
            let words = slab.row(layout, row);
            let first = words.runs_before();
            labels[1..=end - first].copy_from_slice(&out[first..end]);
            end = first;
            let begin = layout.voxels_before(row) - offset;
            let row = &mut out[begin..begin + layout.length];
            paint_row(isa, words.mask(), words.starts(), &labels, row);
        }
    }
}

#[inline(always)]
fn paint_row<T: Paint, I: Isa>(
    isa: I,
    mask: &[u64],
    starts: &[u64],
    mut labels: &[T],
    out: &mut [T],
) {
    let (chunks, rest) = out.as_chunks_mut::<64>();
    for ((mask, starts), out) in mask.iter().zip(starts).zip(chunks) {
        if *mask == 0 {
            out.fill(T::default());
        } else {
            T::paint(isa, *mask, *starts, labels, out);
        }
        labels = &labels[starts.count_ones() as usize..];
    }
    if let (Some(mask), Some(starts)) = (mask.last(), starts.last()) {
        let mut last = [T::default(); 64];
        T::paint(isa, *mask, *starts, labels, &mut last);
        rest.copy_from_slice(&last[..rest.len()]);
    }
}
