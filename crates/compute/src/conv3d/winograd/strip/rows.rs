//! Transforms applied to whole rows, vector by vector.

use crate::simd::lanes::{Lanes, Simd, vectors, vectors_mut};

/// `N` rows of `length` values, `stride` apart.
#[inline(always)]
pub(super) fn rows<const N: usize>(values: &[f32], stride: usize, length: usize) -> [&[Lanes]; N] {
    std::array::from_fn(|i| vectors(&values[i * stride..i * stride + length]))
}

/// `N` rows of `length` values, `stride` apart, to be written.
#[inline(always)]
pub(super) fn rows_mut<const N: usize>(
    values: &mut [f32],
    stride: usize,
    length: usize,
) -> [&mut [Lanes]; N] {
    let mut chunks = values.chunks_mut(stride);
    std::array::from_fn(|_| vectors_mut(&mut chunks.next().unwrap_or_default()[..length]))
}

/// Applies a transform at each vector of the rows, which are of one length.
#[inline(always)]
pub(super) fn transform<S: Simd, const I: usize, const O: usize>(
    simd: S,
    from: [&[Lanes]; I],
    mut to: [&mut [Lanes]; O],
    work: impl Fn([S::Vector; I]) -> [S::Vector; O],
) {
    let length = from[0].len();
    assert!(from.iter().all(|row| row.len() == length), "rows of one length");
    assert!(to.iter().all(|row| row.len() == length), "rows of one length");
    for at in 0..length {
        let values = work(std::array::from_fn(|i| simd.load(&from[i][at])));
        for (row, value) in to.iter_mut().zip(values) {
            simd.store(value, &mut row[at]);
        }
    }
}
