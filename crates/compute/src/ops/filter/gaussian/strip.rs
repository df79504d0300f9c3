//! A strip: sixteen lines side by side, `[position][line]`, so that a position of all of them is one
//! vector. The kernel slides along it with its sums and windows in registers.

use super::kernel::Kernel;
use crate::ops::filter::Boundary;
use crate::simd::lanes::{LANES, Simd};

/// One position of sixteen lines.
pub(super) type Position = [f32; LANES];

/// Fills what lies beyond the border of a strip, whose lines are at `radius..radius + length`.
#[inline(always)]
pub(super) fn extend(strip: &mut [Position], radius: usize, boundary: Boundary) {
    let length = strip.len() - 2 * radius;
    for k in 0..radius {
        let before = boundary.position(k as i64 - radius as i64, length);
        let after = boundary.position((length + k) as i64, length);
        strip[k] = strip[radius + before];
        strip[radius + length + k] = strip[radius + after];
    }
}

/// Positions that a kernel wants before and after each line.
pub(super) fn margin(kernel: &Kernel) -> usize {
    match kernel {
        Kernel::Symmetric { side, .. } => side.len(),
        Kernel::Dense(_) | Kernel::None => 0,
    }
}

/// Filters an extended strip into `results`, one for each position of the lines.
#[inline(always)]
pub(super) fn filter<S: Simd>(
    simd: S,
    strip: &[Position],
    kernel: &Kernel,
    results: &mut [Position],
) {
    match kernel {
        Kernel::None => {}
        Kernel::Symmetric { centre, side } if S::REGISTERS > 24 => {
            symmetric::<S, 8>(simd, strip, *centre, side, results);
        }
        Kernel::Symmetric { centre, side } => {
            symmetric::<S, 2>(simd, strip, *centre, side, results)
        }
        Kernel::Dense(matrix) => dense(simd, strip, matrix, results),
    }
}

#[inline(always)]
fn symmetric<S: Simd, const ROWS: usize>(
    simd: S,
    strip: &[Position],
    centre: f32,
    side: &[f32],
    results: &mut [Position],
) {
    let (groups, rest) = results.as_chunks_mut::<ROWS>();
    let done = groups.len() * ROWS;
    for (n, group) in groups.iter_mut().enumerate() {
        sums::<S, ROWS>(simd, &strip[n * ROWS..], centre, side, group);
    }
    for (n, result) in rest.as_chunks_mut::<1>().0.iter_mut().enumerate() {
        sums::<S, 1>(simd, &strip[done + n..], centre, side, result);
    }
}

/// Sums for the first positions of a strip, from the smallest weights on. Two weights at once share all
/// loads but two.
#[inline(always)]
fn sums<S: Simd, const ROWS: usize>(
    simd: S,
    strip: &[Position],
    centre: f32,
    side: &[f32],
    results: &mut [Position; ROWS],
) {
    let radius = side.len();
    let strip = &strip[..2 * radius + ROWS];
    let mut sums = [simd.splat(0.0); ROWS];
    // Weights from the outermost on: of distance k, at positions radius - k and radius + k.
    let mut k = radius;
    if !radius.is_multiple_of(2) {
        add_one(simd, &mut sums, &strip[..ROWS], &strip[2 * radius..], side[radius - 1]);
        k -= 1;
    }
    while k > 0 {
        let (low, high) = (&strip[radius - k..], &strip[radius + k - 1..]);
        let (Some(low), Some(high)) = (low.get(..ROWS + 1), high.get(..ROWS + 1)) else { break };
        add_two(simd, &mut sums, low, high, side[k - 1], side[k - 2]);
        k -= 2;
    }
    let centre = simd.splat(centre);
    for i in 0..ROWS {
        let value = simd.load(&strip[radius + i]);
        simd.store(simd.mul_add(value, centre, sums[i]), &mut results[i]);
    }
}

#[inline(always)]
fn add_one<S: Simd, const ROWS: usize>(
    simd: S,
    sums: &mut [S::Vector; ROWS],
    low: &[Position],
    high: &[Position],
    weight: f32,
) {
    let weight = simd.splat(weight);
    for i in 0..ROWS {
        let pair = simd.add(simd.load(&low[i]), simd.load(&high[i]));
        sums[i] = simd.mul_add(pair, weight, sums[i]);
    }
}

/// `outer` is the weight of the first `ROWS` of `low` and the last of `high`, `inner` of the others.
#[inline(always)]
fn add_two<S: Simd, const ROWS: usize>(
    simd: S,
    sums: &mut [S::Vector; ROWS],
    low: &[Position],
    high: &[Position],
    outer: f32,
    inner: f32,
) {
    let (outer, inner) = (simd.splat(outer), simd.splat(inner));
    let (mut below, mut above) = (simd.load(&low[0]), simd.load(&high[0]));
    for i in 0..ROWS {
        let (next_below, next_above) = (simd.load(&low[i + 1]), simd.load(&high[i + 1]));
        sums[i] = simd.mul_add(simd.add(below, next_above), outer, sums[i]);
        sums[i] = simd.mul_add(simd.add(next_below, above), inner, sums[i]);
        (below, above) = (next_below, next_above);
    }
}

#[inline(always)]
fn dense<S: Simd>(simd: S, strip: &[Position], matrix: &[f32], results: &mut [Position]) {
    for (weights, result) in matrix.chunks_exact(strip.len()).zip(results) {
        let mut sum = simd.splat(0.0);
        for (position, weight) in strip.iter().zip(weights) {
            sum = simd.mul_add(simd.load(position), simd.splat(*weight), sum);
        }
        simd.store(sum, result);
    }
}

/// Rows of `length` voxels into a strip, at most sixteen.
#[inline(always)]
pub(super) fn gather<S: Simd>(simd: S, rows: &[f32], length: usize, strip: &mut [Position]) {
    let whole = if rows.len() == LANES * length { length / LANES * LANES } else { 0 };
    let mut block = [simd.splat(0.0); LANES];
    for x in (0..whole).step_by(LANES) {
        for r in 0..LANES {
            if let Some(from) = rows[r * length + x..].first_chunk() {
                block[r] = simd.load(from);
            }
        }
        simd.transpose(&mut block);
        for r in 0..LANES {
            simd.store(block[r], &mut strip[x + r]);
        }
    }
    for (x, to) in strip.iter_mut().enumerate().skip(whole) {
        for (lane, row) in to.iter_mut().zip(rows.chunks_exact(length)) {
            *lane = row[x];
        }
    }
}

/// A strip into rows of `length` voxels, at most sixteen.
#[inline(always)]
pub(super) fn scatter<S: Simd>(simd: S, strip: &[Position], length: usize, rows: &mut [f32]) {
    let whole = if rows.len() == LANES * length { length / LANES * LANES } else { 0 };
    let mut block = [simd.splat(0.0); LANES];
    for x in (0..whole).step_by(LANES) {
        for r in 0..LANES {
            block[r] = simd.load(&strip[x + r]);
        }
        simd.transpose(&mut block);
        for r in 0..LANES {
            if let Some(to) = rows[r * length + x..].first_chunk_mut() {
                simd.store(block[r], to);
            }
        }
    }
    for (x, from) in strip.iter().enumerate().skip(whole) {
        for (lane, row) in from.iter().zip(rows.chunks_exact_mut(length)) {
            row[x] = *lane;
        }
    }
}
