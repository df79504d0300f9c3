//! Maximum, minimum, and where the maximum is.

use std::marker::PhantomData;

use exavox_io::Element;

use super::projector::{Accumulator, filled};
use super::sample::Sample;
use crate::error::Result;

/// Which of two values stays.
pub(super) trait Pick: Send + 'static {
    fn start<T: Sample>() -> T;
    fn pick<T: Sample>(a: T, b: T) -> T;
}

pub(super) struct Highest;

impl Pick for Highest {
    fn start<T: Sample>() -> T {
        T::LOWEST
    }

    #[inline(always)]
    fn pick<T: Sample>(a: T, b: T) -> T {
        a.higher(b)
    }
}

pub(super) struct Lowest;

impl Pick for Lowest {
    fn start<T: Sample>() -> T {
        T::HIGHEST
    }

    #[inline(always)]
    fn pick<T: Sample>(a: T, b: T) -> T {
        a.lower(b)
    }
}

/// The highest or the lowest value of each cell.
pub(super) struct Extremum<T, P> {
    best: Vec<T>,
    pick: PhantomData<P>,
}

impl<T: Sample, P: Pick> Accumulator<T> for Extremum<T, P> {
    type Output = T;

    fn new(cells: usize, _planes: usize) -> Result<Self> {
        Ok(Self { best: filled(P::start(), cells)?, pick: PhantomData })
    }

    #[inline(always)]
    fn begin(&mut self, _depth: usize) {}

    #[inline(always)]
    fn across(&mut self, at: usize, values: &[T], _index: usize) {
        for (best, &value) in self.best[at..at + values.len()].iter_mut().zip(values) {
            *best = P::pick(*best, value);
        }
    }

    #[inline(always)]
    fn along(&mut self, at: usize, values: &[T], _index: usize) {
        // Independent lanes: a single running value would wait for each comparison in turn.
        const LANES: usize = 32;
        let mut lanes = [self.best[at]; LANES];
        let groups = values.chunks_exact(LANES);
        let rest = groups.remainder();
        for group in groups {
            for (lane, &value) in lanes.iter_mut().zip(group) {
                *lane = P::pick(*lane, value);
            }
        }
        let best = lanes.into_iter().fold(self.best[at], P::pick);
        self.best[at] = rest.iter().fold(best, |best, &value| P::pick(best, value));
    }

    #[inline(always)]
    fn finish(self, _planes: usize) -> Result<Vec<T>> {
        Ok(self.best)
    }
}

/// A type that can hold the index of a plane.
pub(super) trait PlaneIndex: Element {
    fn from_plane(plane: usize) -> Self;
}

impl PlaneIndex for u16 {
    #[inline(always)]
    fn from_plane(plane: usize) -> Self {
        plane as u16
    }
}

impl PlaneIndex for u32 {
    #[inline(always)]
    fn from_plane(plane: usize) -> Self {
        plane as u32
    }
}

/// The plane of the first maximum of each cell.
pub(super) struct Argmax<T, I> {
    best: Vec<T>,
    plane: Vec<I>,
}

impl<T: Sample, I: PlaneIndex> Accumulator<T> for Argmax<T, I> {
    type Output = I;

    fn new(cells: usize, _planes: usize) -> Result<Self> {
        // Plane 0 is right for a cell that has only the lowest value.
        Ok(Self { best: filled(T::LOWEST, cells)?, plane: filled(I::from_plane(0), cells)? })
    }

    #[inline(always)]
    fn begin(&mut self, _depth: usize) {}

    #[inline(always)]
    fn across(&mut self, at: usize, values: &[T], index: usize) {
        let range = at..at + values.len();
        let cells = self.best[range.clone()].iter_mut().zip(&mut self.plane[range]);
        let this = I::from_plane(index);
        for ((best, plane), &value) in cells.zip(values) {
            let beats = value.beats(*best);
            *plane = if beats { this } else { *plane };
            *best = if beats { value } else { *best };
        }
    }

    #[inline(always)]
    fn along(&mut self, at: usize, values: &[T], index: usize) {
        for (k, &value) in values.iter().enumerate() {
            if value.beats(self.best[at]) {
                self.best[at] = value;
                self.plane[at] = I::from_plane(index + k);
            }
        }
    }

    #[inline(always)]
    fn finish(self, _planes: usize) -> Result<Vec<I>> {
        Ok(self.plane)
    }
}
