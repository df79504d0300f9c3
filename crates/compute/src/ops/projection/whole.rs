//! Projection of a block that is in memory as a whole, for kinds that are no fold (see
//! [`super::streams`]): pieces of the output go to the threads, and the state of a piece stays in the
//! cache of its core while all planes go by.

use std::marker::PhantomData;

use exavox_io::{Element, Voxels};
use rayon::prelude::*;

use super::layout::Layout;
use super::projector::Accumulator;
use super::sample::{FEW, Sample};
use crate::error::Result;
use crate::simd::{Vectorised, dispatch};

/// Cells of a piece: their state and the rows that are read into it fit into the second-level cache.
const PIECE: usize = 16 << 10;

/// Projects all values of a block into an output of the given shape, on rayon's current pool.
pub(super) fn project_whole<T: Sample, A: Accumulator<T>>(
    values: &[T],
    layout: Layout,
    shape: [usize; 3],
) -> Result<Voxels> {
    let mut out = Voxels::zeros(A::Output::DTYPE, shape)?;
    let cells = out.as_mut_slice::<A::Output>()?;
    let fill = |first, cells: &mut [A::Output]| -> Result<()> {
        let finished = dispatch(Piece::<T, A> {
            values,
            layout,
            first,
            count: cells.len(),
            accumulator: PhantomData,
        })?;
        cells.copy_from_slice(&finished);
        Ok(())
    };
    // A piece never crosses the border between two rows of cells, unless rows are single cells.
    let row = if layout.inner == 1 { cells.len().max(1) } else { layout.inner };
    cells.par_chunks_mut(row).enumerate().try_for_each(|(number, cells)| {
        let pieces = cells.par_chunks_mut(PIECE).enumerate();
        pieces.try_for_each(|(piece, cells)| fill(number * row + piece * PIECE, cells))
    })?;
    Ok(out)
}

/// `count` cells of the output from `first` on.
struct Piece<'a, T, A> {
    values: &'a [T],
    layout: Layout,
    first: usize,
    count: usize,
    accumulator: PhantomData<A>,
}

impl<T: Sample, A: Accumulator<T>> Vectorised for Piece<'_, T, A> {
    type Output = Result<Vec<A::Output>>;

    #[inline(always)]
    fn run(self) -> Self::Output {
        let Layout { depth, inner, .. } = self.layout;
        let mut accumulator = A::new(self.count, depth)?;
        for start in (0..depth).step_by(FEW) {
            let planes = FEW.min(depth - start);
            accumulator.begin(planes);
            if inner == 1 {
                for cell in 0..self.count {
                    let at = (self.first + cell) * depth + start;
                    accumulator.along(cell, &self.values[at..at + planes], start);
                }
                continue;
            }
            let (o, i) = (self.first / inner, self.first % inner);
            for k in start..start + planes {
                let at = (o * depth + k) * inner + i;
                accumulator.across(0, &self.values[at..at + self.count], k);
            }
        }
        accumulator.finish(depth)
    }
}
