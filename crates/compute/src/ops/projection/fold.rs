//! Projections whose cells each need one small state: many neighbouring cells at a time, so that the
//! states are vectors.

use std::array::from_fn;
use std::marker::PhantomData;

use exavox_io::Element;

use super::extremum::Pick;
use super::sample::{Sample, Sum};

/// Cells whose values along a row are taken in turn: a single running value would wait for itself.
const LANES: usize = 32;

/// How the values of a cell become one; at most [`super::sample::FEW`] of them.
pub(super) trait Fold<T>: 'static {
    type Output: Element;
    /// The state of `C` cells.
    type Cells<const C: usize>: Copy + Send;

    fn start<const C: usize>() -> Self::Cells<C>;
    /// Takes one value for each cell, the `index`-th of the cell.
    fn take<const C: usize>(cells: &mut Self::Cells<C>, values: &[T; C], index: usize);
    fn finish<const C: usize>(cells: &Self::Cells<C>, planes: usize) -> [Self::Output; C];
    /// What all values of one cell make.
    fn row(values: &[T]) -> Self::Output;
}

/// The highest or the lowest value.
pub(super) struct Extreme<P>(PhantomData<P>);

impl<T: Sample, P: Pick> Fold<T> for Extreme<P> {
    type Output = T;
    type Cells<const C: usize> = [T; C];

    #[inline(always)]
    fn start<const C: usize>() -> [T; C] {
        [P::start(); C]
    }

    #[inline(always)]
    fn take<const C: usize>(cells: &mut [T; C], values: &[T; C], _index: usize) {
        for (best, &value) in cells.iter_mut().zip(values) {
            *best = P::pick(*best, value);
        }
    }

    #[inline(always)]
    fn finish<const C: usize>(cells: &[T; C], _planes: usize) -> [T; C] {
        *cells
    }

    #[inline(always)]
    fn row(values: &[T]) -> T {
        let mut lanes = [P::start(); LANES];
        let (groups, rest) = values.as_chunks::<LANES>();
        for group in groups {
            <Self as Fold<T>>::take(&mut lanes, group, 0);
        }
        lanes.iter().chain(rest).fold(P::start(), |best, &value| P::pick(best, value))
    }
}

/// The plane of the first maximum.
pub(super) struct FirstMaximum;

/// Maxima and their planes.
#[derive(Clone, Copy)]
pub(super) struct Peaks<T, const C: usize> {
    best: [T; C],
    plane: [u16; C],
}

impl<T: Sample> Fold<T> for FirstMaximum {
    type Output = u16;
    type Cells<const C: usize> = Peaks<T, C>;

    #[inline(always)]
    fn start<const C: usize>() -> Peaks<T, C> {
        // Plane 0 is right for a cell that has only the lowest value.
        Peaks { best: [T::LOWEST; C], plane: [0; C] }
    }

    #[inline(always)]
    fn take<const C: usize>(cells: &mut Peaks<T, C>, values: &[T; C], index: usize) {
        for ((best, plane), &value) in cells.best.iter_mut().zip(&mut cells.plane).zip(values) {
            let beats = value.beats(*best);
            *plane = if beats { index as u16 } else { *plane };
            *best = if beats { value } else { *best };
        }
    }

    #[inline(always)]
    fn finish<const C: usize>(cells: &Peaks<T, C>, _planes: usize) -> [u16; C] {
        cells.plane
    }

    /// The maximum, and then where it is: both are quicker than to keep track of the place.
    #[inline(always)]
    fn row(values: &[T]) -> u16 {
        let best = <Extreme<super::extremum::Highest> as Fold<T>>::row(values);
        let is_best = |value: &T| *value == best || (value.is_nan() & best.is_nan());
        values.iter().position(is_best).unwrap_or(0) as u16
    }
}

/// The sum.
pub(super) struct SumFold;

impl<T: Sample> Fold<T> for SumFold {
    type Output = T::SumOutput;
    type Cells<const C: usize> = [T::Part; C];

    #[inline(always)]
    fn start<const C: usize>() -> [T::Part; C] {
        [T::Part::default(); C]
    }

    #[inline(always)]
    fn take<const C: usize>(cells: &mut [T::Part; C], values: &[T; C], _index: usize) {
        for (sum, value) in cells.iter_mut().zip(values) {
            *sum += value.part();
        }
    }

    #[inline(always)]
    fn finish<const C: usize>(cells: &[T::Part; C], _planes: usize) -> [T::SumOutput; C] {
        from_fn(|cell| T::sum_output(T::total(cells[cell])))
    }

    #[inline(always)]
    fn row(values: &[T]) -> T::SumOutput {
        T::sum_output(T::total(row_sum(values)))
    }
}

/// The mean.
pub(super) struct MeanFold;

impl<T: Sample> Fold<T> for MeanFold {
    type Output = f32;
    type Cells<const C: usize> = [T::Part; C];

    #[inline(always)]
    fn start<const C: usize>() -> [T::Part; C] {
        <SumFold as Fold<T>>::start()
    }

    #[inline(always)]
    fn take<const C: usize>(cells: &mut [T::Part; C], values: &[T; C], index: usize) {
        <SumFold as Fold<T>>::take(cells, values, index);
    }

    #[inline(always)]
    fn finish<const C: usize>(cells: &[T::Part; C], planes: usize) -> [f32; C] {
        from_fn(|cell| (cells[cell].to_f64() / planes as f64) as f32)
    }

    #[inline(always)]
    fn row(values: &[T]) -> f32 {
        (row_sum(values).to_f64() / values.len() as f64) as f32
    }
}

/// In the order of the values: sums of floats depend on it.
#[inline(always)]
fn row_sum<T: Sample>(values: &[T]) -> T::Part {
    let mut sum = T::Part::default();
    for value in values {
        sum += value.part();
    }
    sum
}
