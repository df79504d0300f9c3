//! A strip: sixteen lines side by side, `[position][line]`, so that a position of all of them is one
//! vector. The kernel slides along it with its sums and windows in registers.

use super::kernel::Kernel;
use crate::ops::filter::Boundary;
use crate::simd::{LANES, Lanes};

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
pub(super) fn filter<V: Lanes>(strip: &[Position], kernel: &Kernel, results: &mut [Position]) {
    match kernel {
        Kernel::None => {}
        Kernel::Symmetric { centre, side } if V::IN_REGISTERS > 24 => {
            symmetric::<V, 8>(strip, *centre, side, results);
        }
        Kernel::Symmetric { centre, side } => symmetric::<V, 2>(strip, *centre, side, results),
        Kernel::Dense(matrix) => dense::<V>(strip, matrix, results),
    }
}

#[inline(always)]
fn symmetric<V: Lanes, const ROWS: usize>(
    strip: &[Position],
    centre: f32,
    side: &[f32],
    results: &mut [Position],
) {
    let (groups, rest) = results.as_chunks_mut::<ROWS>();
    let done = groups.len() * ROWS;
    for (n, group) in groups.iter_mut().enumerate() {
        sums::<V, ROWS>(&strip[n * ROWS..], centre, side, group);
    }
    for (n, result) in rest.as_chunks_mut::<1>().0.iter_mut().enumerate() {
        sums::<V, 1>(&strip[done + n..], centre, side, result);
    }
}

/// Sums for the first positions of a strip, from the smallest weights on. Two weights at once share all
/// loads but two.
#[inline(always)]
fn sums<V: Lanes, const ROWS: usize>(
    strip: &[Position],
    centre: f32,
    side: &[f32],
    results: &mut [Position; ROWS],
) {
    let radius = side.len();
    let strip = &strip[..2 * radius + ROWS];
    let mut sums = [V::splat(0.0); ROWS];
    // Weights from the outermost on: of distance k, at positions radius - k and radius + k.
    let mut k = radius;
    if !radius.is_multiple_of(2) {
        add_one(&mut sums, &strip[..ROWS], &strip[2 * radius..], side[radius - 1]);
        k -= 1;
    }
    while k > 0 {
        let (low, high) = (&strip[radius - k..], &strip[radius + k - 1..]);
        let (Some(low), Some(high)) = (low.get(..ROWS + 1), high.get(..ROWS + 1)) else { break };
        add_two(&mut sums, low, high, side[k - 1], side[k - 2]);
        k -= 2;
    }
    let centre = V::splat(centre);
    for i in 0..ROWS {
        V::load(&strip[radius + i]).multiply_add(centre, sums[i]).store(&mut results[i]);
    }
}

#[inline(always)]
fn add_one<V: Lanes, const ROWS: usize>(
    sums: &mut [V; ROWS],
    low: &[Position],
    high: &[Position],
    weight: f32,
) {
    let weight = V::splat(weight);
    for i in 0..ROWS {
        sums[i] = V::load(&low[i]).add(V::load(&high[i])).multiply_add(weight, sums[i]);
    }
}

/// `outer` is the weight of the first `ROWS` of `low` and the last of `high`, `inner` of the others.
#[inline(always)]
fn add_two<V: Lanes, const ROWS: usize>(
    sums: &mut [V; ROWS],
    low: &[Position],
    high: &[Position],
    outer: f32,
    inner: f32,
) {
    let (outer, inner) = (V::splat(outer), V::splat(inner));
    let (mut below, mut above) = (V::load(&low[0]), V::load(&high[0]));
    for i in 0..ROWS {
        let (next_below, next_above) = (V::load(&low[i + 1]), V::load(&high[i + 1]));
        sums[i] = below.add(next_above).multiply_add(outer, sums[i]);
        sums[i] = next_below.add(above).multiply_add(inner, sums[i]);
        (below, above) = (next_below, next_above);
    }
}

#[inline(always)]
fn dense<V: Lanes>(strip: &[Position], matrix: &[f32], results: &mut [Position]) {
    for (weights, result) in matrix.chunks_exact(strip.len()).zip(results) {
        let mut sum = V::splat(0.0);
        for (position, weight) in strip.iter().zip(weights) {
            sum = V::load(position).multiply_add(V::splat(*weight), sum);
        }
        sum.store(result);
    }
}

/// Rows of `length` voxels into a strip, at most sixteen.
#[inline(always)]
pub(super) fn gather<V: Lanes>(rows: &[f32], length: usize, strip: &mut [Position]) {
    let whole = if rows.len() == LANES * length { length / LANES * LANES } else { 0 };
    let mut block = [V::splat(0.0); LANES];
    for x in (0..whole).step_by(LANES) {
        for r in 0..LANES {
            if let Some(from) = rows[r * length + x..].first_chunk() {
                block[r] = V::load(from);
            }
        }
        V::transpose(&mut block);
        for r in 0..LANES {
            block[r].store(&mut strip[x + r]);
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
pub(super) fn scatter<V: Lanes>(strip: &[Position], length: usize, rows: &mut [f32]) {
    let whole = if rows.len() == LANES * length { length / LANES * LANES } else { 0 };
    let mut block = [V::splat(0.0); LANES];
    for x in (0..whole).step_by(LANES) {
        for r in 0..LANES {
            block[r] = V::load(&strip[x + r]);
        }
        V::transpose(&mut block);
        for r in 0..LANES {
            if let Some(to) = rows[r * length + x..].first_chunk_mut() {
                block[r].store(to);
            }
        }
    }
    for (x, from) in strip.iter().enumerate().skip(whole) {
        for (lane, row) in from.iter().zip(rows.chunks_exact_mut(length)) {
            row[x] = *lane;
        }
    }
}
