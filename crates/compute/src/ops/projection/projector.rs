//! The streaming projection on the CPU: one door for all types, generic accumulators behind it.

use std::marker::PhantomData;

use exavox_io::{Axis, DataType, Element, Voxels, match_dtype};

use super::deviation::{Deviation, Variance};
use super::extremum::{Argmax, Extremum, Highest, Lowest};
use super::fold::{Extreme, FirstMaximum, MeanFold, SumFold};
use super::layout::Layout;
use super::median::Median;
use super::sample::{FEW, Sample};
use super::streams::fold_whole;
use super::sums::{MeanOf, SumOf};
use super::whole::project_whole;
use super::{Projection, ProjectionKind};
use crate::error::{Error, Result};
use crate::simd::{Vectorised, dispatch};

/// Cells whose state stays in the first-level cache while all planes of a block go by.
const CACHED_CELLS: usize = 4096;

/// State of a projection for each cell of the output. `index` counts the values that a cell has had.
pub(super) trait Accumulator<T>: Send + Sized + 'static {
    type Output: Element;

    fn new(cells: usize, planes: usize) -> Result<Self>;
    /// Announces that every cell gets `depth` more values, at most [`FEW`].
    fn begin(&mut self, depth: usize);
    /// Takes one value each for the cells from `at` on, the `index`-th of these cells.
    fn across(&mut self, at: usize, values: &[T], index: usize);
    /// Takes several values for the cell `at`, from the `index`-th on.
    fn along(&mut self, at: usize, values: &[T], index: usize);
    fn finish(self, planes: usize) -> Result<Vec<Self::Output>>;
}

/// A projection on the CPU, fed block by block along the axis. Works in the memory that
/// [`ProjectionKind::bytes_per_cell`] tells, on the calling thread, with the CPU's widest vectors.
pub struct Projector {
    dtype: DataType,
    axis: Axis,
    axis_index: usize,
    shape: [usize; 3],
    planes_seen: usize,
    state: Box<dyn State>,
}

impl Projector {
    /// Begins the projection of a stack of a type and shape `[z, y, x]` along an axis.
    ///
    /// # Errors
    /// [`Error::Usage`] if the shape is empty, the axis is not z, y or x, or an argmax has more than
    /// 2^32 planes; [`Error::Io`] if the memory cannot be had.
    pub fn new(
        kind: ProjectionKind,
        dtype: DataType,
        axis: Axis,
        shape: [usize; 3],
    ) -> Result<Self> {
        let layout = checked_layout(shape, axis)?;
        let state = match_dtype!(dtype, T => state::<T>(kind, layout.cells(), layout.depth))?;
        let axis_index = axis.zyx_index().unwrap_or(0);
        Ok(Self { dtype, axis, axis_index, shape, planes_seen: 0, state })
    }

    fn check(&self, block: &Voxels) -> Result<()> {
        let (found, a) = (block.shape(), self.axis_index);
        let same = (0..3).all(|i| i == a || found[i] == self.shape[i]);
        let left = self.shape[a] - self.planes_seen;
        if !same || block.is_empty() || found[a] > left || block.dtype() != self.dtype {
            return Err(Error::Usage(format!(
                "projection along {}: expected a {} block of {:?} with at most {left} planes left, \
                 found {} {found:?}",
                self.axis,
                self.dtype,
                self.shape,
                block.dtype()
            )));
        }
        Ok(())
    }
}

/// How a stack lies, if it can be projected.
fn checked_layout(shape: [usize; 3], axis: Axis) -> Result<Layout> {
    let layout = Layout::new(shape, axis)?;
    if u32::try_from(layout.depth).is_err() {
        let message = format!("axis {axis}: {} planes; at most 2^32 - 1 work", layout.depth);
        return Err(Error::Usage(message));
    }
    Ok(layout)
}

/// Projects a block that is in memory as a whole.
pub(super) fn whole(kind: ProjectionKind, axis: Axis, block: &Voxels) -> Result<Voxels> {
    let layout = checked_layout(block.shape(), axis)?;
    let mut shape = block.shape();
    shape[axis.zyx_index().unwrap_or(0)] = 1;
    match_dtype!(block.dtype(), T => whole_of::<T>(kind, block.as_slice()?, layout, shape))
}

fn whole_of<T: Sample>(
    kind: ProjectionKind,
    values: &[T],
    layout: Layout,
    shape: [usize; 3],
) -> Result<Voxels> {
    let few = layout.depth <= FEW;
    match kind {
        ProjectionKind::Max => fold_whole::<T, Extreme<Highest>>(values, layout, shape),
        ProjectionKind::Min => fold_whole::<T, Extreme<Lowest>>(values, layout, shape),
        ProjectionKind::Mean if few => fold_whole::<T, MeanFold>(values, layout, shape),
        ProjectionKind::Sum if few => fold_whole::<T, SumFold>(values, layout, shape),
        ProjectionKind::Argmax if few => fold_whole::<T, FirstMaximum>(values, layout, shape),
        ProjectionKind::Mean => project_whole::<T, MeanOf<T>>(values, layout, shape),
        ProjectionKind::Sum => project_whole::<T, SumOf<T>>(values, layout, shape),
        ProjectionKind::Std => project_whole::<T, T::Spread<Deviation>>(values, layout, shape),
        ProjectionKind::Variance => project_whole::<T, T::Spread<Variance>>(values, layout, shape),
        ProjectionKind::Median => project_whole::<T, Median<T>>(values, layout, shape),
        ProjectionKind::Argmax => project_whole::<T, Argmax<T, u32>>(values, layout, shape),
    }
}

impl Projection for Projector {
    fn push(&mut self, block: &Voxels) -> Result<()> {
        self.check(block)?;
        let layout = Layout::new(block.shape(), self.axis)?;
        self.state.push(block, layout, self.planes_seen)?;
        self.planes_seen += layout.depth;
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Voxels> {
        let expected = self.shape[self.axis_index];
        if self.planes_seen != expected {
            return Err(Error::Usage(format!(
                "projection along {}: expected {expected} planes, found {}",
                self.axis, self.planes_seen
            )));
        }
        let mut shape = self.shape;
        shape[self.axis_index] = 1;
        self.state.finish(shape, expected)
    }
}

/// An accumulator whose type is forgotten.
trait State: Send {
    fn push(&mut self, block: &Voxels, layout: Layout, index: usize) -> Result<()>;
    fn finish(self: Box<Self>, shape: [usize; 3], planes: usize) -> Result<Voxels>;
}

fn state<T: Sample>(kind: ProjectionKind, cells: usize, planes: usize) -> Result<Box<dyn State>> {
    match kind {
        ProjectionKind::Max => boxed::<T, Extremum<T, Highest>>(cells, planes),
        ProjectionKind::Min => boxed::<T, Extremum<T, Lowest>>(cells, planes),
        ProjectionKind::Mean => boxed::<T, MeanOf<T>>(cells, planes),
        ProjectionKind::Sum => boxed::<T, SumOf<T>>(cells, planes),
        ProjectionKind::Std => boxed::<T, T::Spread<Deviation>>(cells, planes),
        ProjectionKind::Variance => boxed::<T, T::Spread<Variance>>(cells, planes),
        ProjectionKind::Median => boxed::<T, Median<T>>(cells, planes),
        ProjectionKind::Argmax if planes <= 1 << 16 => boxed::<T, Argmax<T, u16>>(cells, planes),
        ProjectionKind::Argmax => boxed::<T, Argmax<T, u32>>(cells, planes),
    }
}

fn boxed<T: Sample, A: Accumulator<T>>(cells: usize, planes: usize) -> Result<Box<dyn State>> {
    Ok(Box::new(Typed::<T, A> { accumulator: A::new(cells, planes)?, values: PhantomData }))
}

struct Typed<T, A> {
    accumulator: A,
    values: PhantomData<fn(T)>,
}

impl<T: Sample, A: Accumulator<T>> State for Typed<T, A> {
    fn push(&mut self, block: &Voxels, layout: Layout, index: usize) -> Result<()> {
        let values = block.as_slice::<T>()?;
        dispatch(Push { accumulator: &mut self.accumulator, values, layout, index });
        Ok(())
    }

    fn finish(self: Box<Self>, shape: [usize; 3], planes: usize) -> Result<Voxels> {
        let values =
            dispatch(Finish { accumulator: self.accumulator, planes, values: self.values })?;
        Ok(Voxels::from_vec(shape, values)?)
    }
}

/// All values of a block on their way into an accumulator.
struct Push<'a, T, A> {
    accumulator: &'a mut A,
    values: &'a [T],
    layout: Layout,
    index: usize,
}

impl<T: Sample, A: Accumulator<T>> Vectorised for Push<'_, T, A> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Layout { outer, depth, inner } = self.layout;
        for start in (0..depth).step_by(FEW) {
            let count = FEW.min(depth - start);
            self.accumulator.begin(count);
            for o in 0..outer {
                let first = (o * depth + start) * inner;
                let rows = &self.values[first..first + count * inner];
                if inner == 1 {
                    self.accumulator.along(o, rows, self.index + start);
                    continue;
                }
                for cells in (0..inner).step_by(CACHED_CELLS) {
                    let cells = cells..inner.min(cells + CACHED_CELLS);
                    for (k, row) in rows.chunks_exact(inner).enumerate() {
                        let at = o * inner + cells.start;
                        self.accumulator.across(at, &row[cells.clone()], self.index + start + k);
                    }
                }
            }
        }
    }
}

struct Finish<T, A> {
    accumulator: A,
    planes: usize,
    values: PhantomData<fn(T)>,
}

impl<T: Sample, A: Accumulator<T>> Vectorised for Finish<T, A> {
    type Output = Result<Vec<A::Output>>;

    #[inline(always)]
    fn run(self) -> Self::Output {
        self.accumulator.finish(self.planes)
    }
}

/// A vector of `count` equal values.
///
/// # Errors
/// [`Error::Io`] with the bytes needed if the memory cannot be had.
pub(super) fn filled<T: Copy>(value: T, count: usize) -> Result<Vec<T>> {
    let mut values = Vec::new();
    values.try_reserve_exact(count).map_err(|_| exavox_io::Error::LimitExceeded {
        place: exavox_io::Place::new("projection"),
        what: format!("state of {count} values"),
        needed: (count as u64).saturating_mul(size_of::<T>() as u64),
        limit: isize::MAX as u64,
    })?;
    values.resize(count, value);
    Ok(values)
}
