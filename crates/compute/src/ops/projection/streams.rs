//! Folds of a block that is in memory as a whole, at the speed at which it can be read.
//!
//! The planes are read next to each other, a few hundred bytes of each in turn, as so many streams that
//! the hardware fetches ahead. Plane after plane, even in pieces that stay in the cache, takes twice the
//! time on one thread: each change of the plane interrupts the fetching ahead. More planes than the
//! hardware follows go by some at a time, while the states of a block of cells wait in the cache.

use std::marker::PhantomData;

use exavox_io::Voxels;

use super::fold::Fold;
use super::layout::Layout;
use super::sample::{GROUP_BYTES, Sample, WithGroup};
use crate::error::Result;
use crate::simd::sink::{Sink, collect_pieces};
use crate::simd::{Vectorised, dispatch};

/// Planes that are read next to each other.
const STREAMS: usize = 8;

/// Groups of cells whose states wait for the next planes: 16 KiB of each plane go by at a time.
const GROUPS: usize = 64;

/// Bytes of input of a piece, which one thread does.
const PIECE_BYTES: usize = 1 << 20;

/// Bytes of a row of cells below which a piece is not cut.
const ROW_BYTES: usize = 4 << 10;

/// Fewer cells than this are folded one after the other rather than in a group that is mostly empty.
const FEW_CELLS: usize = 16;

/// Folds all values of a block into an output of the given shape, on rayon's current pool.
pub(super) fn fold_whole<T: Sample, F: Fold<T>>(
    values: &[T],
    layout: Layout,
    shape: [usize; 3],
) -> Result<Voxels> {
    let cells = layout.cells();
    let output = collect_pieces(cells, piece_of::<T>(layout), |first, sink| {
        dispatch(Piece::<T, F> { values, layout, first, sink, fold: PhantomData });
    })?;
    Ok(Voxels::from_vec(shape, output)?)
}

/// Cells of a piece: several pieces for each thread, if there is enough to do.
fn piece_of<T>(layout: Layout) -> usize {
    let row = ROW_BYTES / size_of::<T>();
    let cells = PIECE_BYTES / (layout.depth * size_of::<T>()).max(1);
    let fair = layout.cells() / (4 * rayon::current_num_threads());
    let most = if layout.inner == 1 { cells.max(1) } else { cells.max(row).next_multiple_of(row) };
    let group = GROUP_BYTES / size_of::<T>();
    most.min(fair.next_multiple_of(group).max(group))
}

/// The cells from `first` on that the sink has room for.
struct Piece<'a, 'b, T, F: Fold<T>> {
    values: &'a [T],
    layout: Layout,
    first: usize,
    sink: &'a mut Sink<'b, F::Output>,
    fold: PhantomData<F>,
}

impl<T: Sample, F: Fold<T>> Vectorised for Piece<'_, '_, T, F> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        if self.layout.inner > 1 {
            return T::with_group(self);
        }
        let depth = self.layout.depth;
        for row in self.values[self.first * depth..].chunks_exact(depth).take(self.sink.len()) {
            self.sink.push(&[F::row(row)]);
        }
    }
}

impl<T: Sample, F: Fold<T>> WithGroup for Piece<'_, '_, T, F> {
    #[inline(always)]
    fn run<const C: usize>(mut self) {
        let Layout { depth, inner, .. } = self.layout;
        // Few planes go by at once: nothing waits.
        let mut waiting = vec![F::start::<C>(); if depth > STREAMS { GROUPS } else { 0 }];
        while self.sink.len() > 0 {
            let (outer, i) = (self.first / inner, self.first % inner);
            let count = (inner - i).min(self.sink.len()).min(C * GROUPS);
            let block = Block { values: &self.values[outer * depth * inner + i..], depth, inner };
            let (groups, rest) = (count / C, count % C);
            block.groups::<F, C>(groups, &mut waiting, self.sink);
            block.rest::<F, C>(groups * C, rest, self.sink);
            self.first += count;
        }
    }
}

/// Cells next to each other: value `k` of cell `i` is at `k * inner + i`.
struct Block<'a, T> {
    values: &'a [T],
    depth: usize,
    inner: usize,
}

impl<T: Sample> Block<'_, T> {
    #[inline(always)]
    fn groups<F: Fold<T>, const C: usize>(
        &self,
        groups: usize,
        waiting: &mut [F::Cells<C>],
        sink: &mut Sink<'_, F::Output>,
    ) {
        for start in (0..self.depth).step_by(STREAMS) {
            let planes = start..self.depth.min(start + STREAMS);
            for group in 0..groups {
                let mut cells = if start == 0 { F::start() } else { waiting[group] };
                for plane in planes.clone() {
                    let at = plane * self.inner + group * C;
                    for values in self.values[at..at + C].as_chunks().0 {
                        F::take(&mut cells, values, plane);
                    }
                }
                if planes.end == self.depth {
                    sink.push(&F::finish(&cells, self.depth));
                } else {
                    waiting[group] = cells;
                }
            }
        }
    }

    /// The `count` cells from `from` on, fewer than a group.
    #[inline(always)]
    fn rest<F: Fold<T>, const C: usize>(
        &self,
        from: usize,
        count: usize,
        sink: &mut Sink<'_, F::Output>,
    ) {
        if count < FEW_CELLS {
            for cell in from..from + count {
                let mut state = F::start::<1>();
                for plane in 0..self.depth {
                    F::take(&mut state, &[self.values[plane * self.inner + cell]], plane);
                }
                sink.push(&F::finish(&state, self.depth));
            }
            return;
        }
        let (mut state, mut values) = (F::start(), [T::default(); C]);
        for plane in 0..self.depth {
            let at = plane * self.inner + from;
            values[..count].copy_from_slice(&self.values[at..at + count]);
            F::take(&mut state, &values, plane);
        }
        sink.push(&F::finish(&state, self.depth)[..count]);
    }
}
