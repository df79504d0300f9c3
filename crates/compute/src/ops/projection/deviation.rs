//! Standard deviation and variance of the population (`ddof = 0`).

use std::marker::PhantomData;

use super::projector::{Accumulator, filled};
use super::sample::{Sample, Squared, Sum};
use super::sums::Sums;
use crate::error::Result;

/// What is made of the variance at the end.
pub(super) trait Spread: Send + 'static {
    fn of_variance(variance: f64) -> f32;
}

/// The standard deviation.
pub(super) struct Deviation;

impl Spread for Deviation {
    #[inline(always)]
    fn of_variance(variance: f64) -> f32 {
        variance.sqrt() as f32
    }
}

/// The variance itself.
pub(super) struct Variance;

impl Spread for Variance {
    #[inline(always)]
    fn of_variance(variance: f64) -> f32 {
        variance as f32
    }
}

/// From exact sums of values and squares; for integers of up to 32 bits.
pub(super) struct Moments<T: Squared, S> {
    spread: PhantomData<S>,
    values: Sums<T::Part, i128>,
    squares: Sums<T::Squares, i128>,
}

impl<T: Squared, S: Spread> Accumulator<T> for Moments<T, S> {
    type Output = f32;

    fn new(cells: usize, _planes: usize) -> Result<Self> {
        let values = Sums::new(cells, T::total)?;
        let squares = Sums::new(cells, T::total_squares)?;
        Ok(Self { spread: PhantomData, values, squares })
    }

    #[inline(always)]
    fn begin(&mut self, depth: usize) {
        self.values.begin(depth);
        self.squares.begin(depth);
    }

    #[inline(always)]
    fn across(&mut self, at: usize, values: &[T], _index: usize) {
        self.values.across(at, values, T::part);
        self.squares.across(at, values, T::squared);
    }

    #[inline(always)]
    fn along(&mut self, at: usize, values: &[T], _index: usize) {
        self.values.along(at, values, T::part);
        self.squares.along(at, values, T::squared);
    }

    #[inline(always)]
    fn finish(self, planes: usize) -> Result<Vec<f32>> {
        if let (Some(values), Some(squares)) = (self.values.narrow(), self.squares.narrow()) {
            let sums = values.iter().zip(squares);
            let exact = sums.map(|(&v, &s)| (T::total(v), T::total_squares(s)));
            return Ok(exact.map(|sums| S::of_variance(variance(sums, planes))).collect());
        }
        let sums = self.values.into_wide().into_iter().zip(self.squares.into_wide());
        Ok(sums.map(|sums| S::of_variance(variance(sums, planes))).collect())
    }
}

#[inline(always)]
fn variance((sum, squares): (i128, i128), planes: usize) -> f64 {
    // n * sum of squares - (sum)^2 is n^2 times the variance, and an integer.
    let scaled_variance = planes as i128 * squares - sum * sum;
    scaled_variance.to_f64() / (planes as f64 * planes as f64)
}

/// By updating mean and squared distance with each value in f64, which does not cancel; for floats
/// and for 64-bit integers.
pub(super) struct Welford<T, S> {
    spread: PhantomData<S>,
    mean: Vec<f64>,
    distance: Vec<f64>,
    values: PhantomData<fn(T)>,
}

impl<T: Sample, S: Spread> Accumulator<T> for Welford<T, S> {
    type Output = f32;

    fn new(cells: usize, _planes: usize) -> Result<Self> {
        let (mean, distance) = (filled(0.0, cells)?, filled(0.0, cells)?);
        Ok(Self { spread: PhantomData, mean, distance, values: PhantomData })
    }

    #[inline(always)]
    fn begin(&mut self, _depth: usize) {}

    #[inline(always)]
    fn across(&mut self, at: usize, values: &[T], index: usize) {
        let range = at..at + values.len();
        let share = 1.0 / (index as f64 + 1.0);
        let cells = self.mean[range.clone()].iter_mut().zip(&mut self.distance[range]);
        for ((mean, distance), &value) in cells.zip(values) {
            update(mean, distance, value.to_f64(), share);
        }
    }

    #[inline(always)]
    fn along(&mut self, at: usize, values: &[T], index: usize) {
        for (k, &value) in values.iter().enumerate() {
            let share = 1.0 / ((index + k) as f64 + 1.0);
            update(&mut self.mean[at], &mut self.distance[at], value.to_f64(), share);
        }
    }

    fn finish(self, planes: usize) -> Result<Vec<f32>> {
        let n = planes as f64;
        Ok(self.distance.into_iter().map(|d| S::of_variance(d / n)).collect())
    }
}

#[inline(always)]
fn update(mean: &mut f64, distance: &mut f64, value: f64, share: f64) {
    let before = value - *mean;
    *mean += before * share;
    *distance += before * (value - *mean);
}
