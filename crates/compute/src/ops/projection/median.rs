//! Median: the only projection that needs all values at once.

use std::cmp::Ordering;

use super::projector::{Accumulator, filled};
use super::sample::Sample;
use crate::error::Result;

/// Up to this many planes are sorted plane against plane with vectors: n²/2 steps, each for a whole
/// vector of cells. Above, one selection per cell is faster.
const FEW_PLANES: usize = 64;

/// Bytes of values that are sorted together, to stay in the first-level cache.
const SORTED_BYTES: usize = 16 << 10;

/// All values, plane by plane.
pub(super) struct Median<T> {
    values: Vec<T>,
    cells: usize,
}

impl<T: Sample> Accumulator<T> for Median<T> {
    type Output = T;

    fn new(cells: usize, planes: usize) -> Result<Self> {
        Ok(Self { values: filled(T::default(), cells.saturating_mul(planes))?, cells })
    }

    #[inline(always)]
    fn begin(&mut self, _depth: usize) {}

    #[inline(always)]
    fn across(&mut self, at: usize, values: &[T], index: usize) {
        let start = index * self.cells + at;
        self.values[start..start + values.len()].copy_from_slice(values);
    }

    #[inline(always)]
    fn along(&mut self, at: usize, values: &[T], index: usize) {
        let places = self.values[index * self.cells + at..].iter_mut().step_by(self.cells);
        for (place, &value) in places.zip(values) {
            *place = value;
        }
    }

    #[inline(always)]
    fn finish(mut self, planes: usize) -> Result<Vec<T>> {
        if planes > FEW_PLANES {
            return select_each_cell(&self.values, self.cells, planes);
        }
        let group = (SORTED_BYTES / (size_of::<T>() * planes)).max(64);
        for start in (0..self.cells).step_by(group) {
            let count = group.min(self.cells - start);
            sort_planes(&mut self.values, self.cells, planes, start, count);
        }
        let plane = |p: usize| &self.values[p * self.cells..(p + 1) * self.cells];
        let (low, high) = (plane((planes - 1) / 2), plane(planes / 2));
        Ok(low
            .iter()
            .zip(high)
            .map(|(&a, &b)| if planes % 2 == 1 { a } else { a.middle(b) })
            .collect())
    }
}

/// Sorts the values of each of `count` cells over the planes: neighbours are exchanged, at even
/// places and at odd places in turn, as many times as there are planes. A NaN makes its neighbour
/// NaN each time, and so reaches the middle.
#[inline(always)]
fn sort_planes<T: Sample>(
    values: &mut [T],
    cells: usize,
    planes: usize,
    start: usize,
    count: usize,
) {
    for pass in 0..planes {
        for p in (pass % 2..planes.saturating_sub(1)).step_by(2) {
            let (before, after) = values.split_at_mut((p + 1) * cells);
            let lower = &mut before[p * cells + start..][..count];
            let upper = &mut after[start..][..count];
            for (a, b) in lower.iter_mut().zip(upper) {
                (*a, *b) = (a.lower(*b), a.higher(*b));
            }
        }
    }
}

fn select_each_cell<T: Sample>(values: &[T], cells: usize, planes: usize) -> Result<Vec<T>> {
    // Values of 64 cells at a time are brought together, so that planes are read in runs.
    const GROUP: usize = 64;
    let mut columns = filled(T::default(), GROUP * planes)?;
    let mut medians = Vec::with_capacity(cells);
    for start in (0..cells).step_by(GROUP) {
        let count = GROUP.min(cells - start);
        for (p, plane) in values.chunks_exact(cells).enumerate() {
            for (c, &value) in plane[start..start + count].iter().enumerate() {
                columns[c * planes + p] = value;
            }
        }
        medians.extend(columns.chunks_exact_mut(planes).take(count).map(select));
    }
    Ok(medians)
}

/// Median of a column, which is not empty; changes the order of its values.
fn select<T: Sample>(column: &mut [T]) -> T {
    if let Some(&nan) = column.iter().find(|v| v.is_nan()) {
        return nan;
    }
    let order = |a: &T, b: &T| a.partial_cmp(b).unwrap_or(Ordering::Equal);
    let half = column.len() / 2;
    let (below, &mut high, _) = column.select_nth_unstable_by(half, order);
    let low = below.iter().copied().reduce(T::higher).unwrap_or(high);
    if column.len() % 2 == 1 { high } else { low.middle(high) }
}
