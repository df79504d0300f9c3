//! Sum and mean.

use super::projector::{Accumulator, filled};
use super::sample::{FEW, Sample, Sum};
use crate::error::Result;

/// Sums of the values of each cell: narrow ones that are quick to add to, and wide ones that take
/// them up before they overflow. The wide ones exist only once they are needed.
pub(super) struct Sums<S, W> {
    narrow: Vec<S>,
    wide: Vec<W>,
    widen: fn(S) -> W,
    filled: usize,
}

impl<S: Sum, W: Sum> Sums<S, W> {
    pub(super) fn new(cells: usize, widen: fn(S) -> W) -> Result<Self> {
        Ok(Self { narrow: filled(S::default(), cells)?, wide: Vec::new(), widen, filled: 0 })
    }

    /// Makes room for `depth` more values in each narrow sum.
    pub(super) fn begin(&mut self, depth: usize) {
        if self.filled + depth > FEW {
            self.empty_narrow();
        }
        self.filled += depth;
    }

    #[cold]
    fn empty_narrow(&mut self) {
        self.wide.resize(self.narrow.len(), W::default());
        for (wide, narrow) in self.wide.iter_mut().zip(&mut self.narrow) {
            *wide += (self.widen)(std::mem::take(narrow));
        }
        self.filled = 0;
    }

    /// Adds one value to each of the cells from `at` on.
    #[inline(always)]
    pub(super) fn across<T: Copy>(&mut self, at: usize, values: &[T], narrow: impl Fn(T) -> S) {
        for (sum, &value) in self.narrow[at..at + values.len()].iter_mut().zip(values) {
            *sum += narrow(value);
        }
    }

    /// Adds several values to the cell `at`, one after the other.
    #[inline(always)]
    pub(super) fn along<T: Copy>(&mut self, at: usize, values: &[T], narrow: impl Fn(T) -> S) {
        let mut sum = self.narrow[at];
        for &value in values {
            sum += narrow(value);
        }
        self.narrow[at] = sum;
    }

    /// What `few` makes of the sums if all are narrow, otherwise what `many` makes of the wide ones.
    #[inline(always)]
    pub(super) fn finish<O>(mut self, few: impl Fn(S) -> O, many: impl Fn(W) -> O) -> Vec<O> {
        if self.wide.is_empty() {
            return self.narrow.into_iter().map(few).collect();
        }
        self.empty_narrow();
        self.wide.into_iter().map(many).collect()
    }

    /// The sums, as long as all are narrow.
    pub(super) fn narrow(&self) -> Option<&[S]> {
        self.wide.is_empty().then_some(&self.narrow)
    }

    /// The exact sums.
    pub(super) fn into_wide(mut self) -> Vec<W> {
        self.empty_narrow();
        self.wide
    }
}

/// Sum of the values of each cell.
pub(super) struct SumOf<T: Sample>(Sums<T::Part, T::Total>);

impl<T: Sample> Accumulator<T> for SumOf<T> {
    type Output = T::SumOutput;

    fn new(cells: usize, _planes: usize) -> Result<Self> {
        Sums::new(cells, T::total).map(Self)
    }

    #[inline(always)]
    fn begin(&mut self, depth: usize) {
        self.0.begin(depth);
    }

    #[inline(always)]
    fn across(&mut self, at: usize, values: &[T], _index: usize) {
        self.0.across(at, values, T::part);
    }

    #[inline(always)]
    fn along(&mut self, at: usize, values: &[T], _index: usize) {
        self.0.along(at, values, T::part);
    }

    #[inline(always)]
    fn finish(self, _planes: usize) -> Result<Vec<T::SumOutput>> {
        Ok(self.0.finish(|part| T::sum_output(T::total(part)), T::sum_output))
    }
}

/// Mean of the values of each cell. The sum is exact for integers; as long as it is below 2^52 and
/// there are fewer than 2^26 values, the f32 is the one nearest to the true mean.
pub(super) struct MeanOf<T: Sample>(Sums<T::Part, T::Total>);

impl<T: Sample> Accumulator<T> for MeanOf<T> {
    type Output = f32;

    fn new(cells: usize, _planes: usize) -> Result<Self> {
        Sums::new(cells, T::total).map(Self)
    }

    #[inline(always)]
    fn begin(&mut self, depth: usize) {
        self.0.begin(depth);
    }

    #[inline(always)]
    fn across(&mut self, at: usize, values: &[T], _index: usize) {
        self.0.across(at, values, T::part);
    }

    #[inline(always)]
    fn along(&mut self, at: usize, values: &[T], _index: usize) {
        self.0.along(at, values, T::part);
    }

    #[inline(always)]
    fn finish(self, planes: usize) -> Result<Vec<f32>> {
        let n = planes as f64;
        Ok(self.0.finish(|sum| (sum.to_f64() / n) as f32, |sum| (sum.to_f64() / n) as f32))
    }
}
