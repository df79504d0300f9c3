//! Transforms applied to whole rows, vector by vector.

use super::super::arithmetic::{Arithmetic, Floats};
use super::super::transform::Transform;
use crate::simd::lanes::{Lanes, Simd, vectors, vectors_mut};

/// `N` rows of `length` values, `stride` apart.
#[inline(always)]
pub(in super::super) fn rows<const N: usize>(
    values: &[f32],
    stride: usize,
    length: usize,
) -> [&[Lanes]; N] {
    std::array::from_fn(|i| vectors(&values[i * stride..i * stride + length]))
}

/// `N` rows of `length` values, `stride` apart, to be written.
#[inline(always)]
pub(in super::super) fn rows_mut<const N: usize>(
    values: &mut [f32],
    stride: usize,
    length: usize,
) -> [&mut [Lanes]; N] {
    let mut chunks = values.chunks_mut(stride);
    std::array::from_fn(|_| vectors_mut(&mut chunks.next().unwrap_or_default()[..length]))
}

/// `N` parts of one length.
#[inline(always)]
pub(in super::super) fn split<const N: usize>(
    values: &mut [f32],
    length: usize,
) -> [&mut [f32]; N] {
    let mut chunks = values.chunks_exact_mut(length);
    std::array::from_fn(|_| chunks.next().unwrap_or_default())
}

/// Applies a transform at each vector of the rows, which are of one length.
#[inline(always)]
pub(in super::super) fn transform<T: Transform<I, O>, S: Simd, const I: usize, const O: usize>(
    simd: S,
    from: [&[Lanes]; I],
    to: [&mut [Lanes]; O],
) {
    transform_noting::<Floats, T, S, I, O>(simd, from, to, &mut []);
}

/// As [`transform`]; gives a bound of the absolute values of each row that comes out, lane by lane.
#[inline(always)]
pub(super) fn transform_noting<
    A: Arithmetic<S>,
    T: Transform<I, O>,
    S: Simd,
    const I: usize,
    const O: usize,
>(
    simd: S,
    mut from: [&[Lanes]; I],
    mut to: [&mut [Lanes]; O],
    bounds: &mut [Lanes],
) {
    let length = from[0].len();
    for row in &mut from {
        *row = &row[..length];
    }
    for row in &mut to {
        *row = &mut std::mem::take(row)[..length];
    }
    let mut noted = [simd.splat(0.0); O];
    for at in 0..length {
        let values = T::apply(simd, load(simd, &from, at));
        for o in 0..O {
            simd.store(values[o], &mut to[o][at]);
            noted[o] = A::note(simd, values[o], noted[o]);
        }
    }
    for (bound, noted) in bounds.iter_mut().zip(noted) {
        simd.store(noted, bound);
    }
}

/// One vector of each row.
#[inline(always)]
pub(in super::super) fn load<S: Simd, const I: usize>(
    simd: S,
    from: &[&[Lanes]; I],
    at: usize,
) -> [S::Vector; I] {
    let mut values = [simd.splat(0.0); I];
    for i in 0..I {
        values[i] = simd.load(&from[i][at]);
    }
    values
}
