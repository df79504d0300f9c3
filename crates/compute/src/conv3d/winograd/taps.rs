//! Many kernels at once between their three taps and the points of a tile, one axis at a time.
//!
//! Values of one tap, or of one point, of all kernels form a line; a transform adds up lines, each
//! times a number.

use std::sync::OnceLock;

use super::tiling::{MAX_POINTS, Tile};
use super::transform;
use crate::simd::lanes::{LANES, Simd, vectors, vectors_mut};

/// The matrix of an axis: what each tap is worth at each point.
pub(super) struct Matrix {
    rows: [[f32; 3]; MAX_POINTS],
    points: usize,
}

impl Matrix {
    pub(super) fn of(tile: Tile) -> &'static Self {
        static MATRICES: [OnceLock<Matrix>; 2] = [OnceLock::new(), OnceLock::new()];
        MATRICES[usize::from(tile == Tile::F5)].get_or_init(|| Self::new(tile))
    }

    fn new(tile: Tile) -> Self {
        let mut rows = [[0.0; 3]; MAX_POINTS];
        let found = transform::coefficients(tile);
        rows[..found.len()].copy_from_slice(&found);
        Self { rows, points: found.len() }
    }

    pub(super) fn points(&self) -> usize {
        self.points
    }

    /// Three lines of taps to the line of one point.
    #[inline(always)]
    pub(super) fn at_point<S: Simd>(&self, simd: S, point: usize, taps: &[f32], to: &mut [f32]) {
        let length = to.len();
        let [a, b, c] = self.rows[point];
        let (a, b, c) = (simd.splat(a), simd.splat(b), simd.splat(c));
        let (first, rest) = taps.split_at(length);
        let (second, third) = rest.split_at(length);
        let lines = vectors(first).iter().zip(vectors(second)).zip(vectors(third));
        for (to, ((x, y), z)) in vectors_mut(to).iter_mut().zip(lines) {
            let sum = simd.mul_add(b, simd.load(y), simd.mul_add(a, simd.load(x), simd.splat(0.0)));
            simd.store(simd.mul_add(c, simd.load(z), sum), to);
        }
    }

    /// Lines of gradients at all points to those of the three taps, added to `to` or not.
    #[inline(always)]
    pub(super) fn to_taps<S: Simd>(&self, simd: S, points: &[f32], to: &mut [f32], add: bool) {
        match (self.points, add) {
            (5, false) => self.combine::<S, 5, false>(simd, points, to),
            (5, true) => self.combine::<S, 5, true>(simd, points, to),
            (7, false) => self.combine::<S, 7, false>(simd, points, to),
            (7, true) => self.combine::<S, 7, true>(simd, points, to),
            (points, _) => unreachable!("no tile has {points} points"),
        }
    }

    #[inline(always)]
    fn combine<S: Simd, const P: usize, const ADD: bool>(
        &self,
        simd: S,
        points: &[f32],
        to: &mut [f32],
    ) {
        let length = to.len() / 3;
        let (first, rest) = to.split_at_mut(length);
        let (second, third) = rest.split_at_mut(length);
        let to = [vectors_mut(first), vectors_mut(second), vectors_mut(third)];
        let mut from = [&[][..]; P];
        for p in 0..P {
            from[p] = vectors(&points[p * length..][..length]);
        }
        // In registers, as far as there are enough.
        let mut factors = [[simd.splat(0.0); 3]; P];
        for p in 0..P {
            for k in 0..3 {
                factors[p][k] = simd.splat(self.rows[p][k]);
            }
        }
        for at in 0..length / LANES {
            let mut sums = [simd.splat(0.0); 3];
            if ADD {
                for k in 0..3 {
                    sums[k] = simd.load(&to[k][at]);
                }
            }
            for p in 1..P - 1 {
                let value = simd.load(&from[p][at]);
                for k in 0..3 {
                    sums[k] = simd.mul_add(factors[p][k], value, sums[k]);
                }
            }
            // Powers of the first point, 0, and of the last, infinity: one is not zero.
            let (first, last) = (simd.load(&from[0][at]), simd.load(&from[P - 1][at]));
            sums[0] = simd.mul_add(factors[0][0], first, sums[0]);
            sums[2] = simd.mul_add(factors[P - 1][2], last, sums[2]);
            for k in 0..3 {
                simd.store(sums[k], &mut to[k][at]);
            }
        }
    }
}
