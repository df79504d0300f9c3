//! The products over channels at one point of the tiles: a small matrix times a small matrix, all sums
//! in registers.
//!
//! Operands come in units of 32 bits: an f32, or a pair of 16-bit integers.

use super::Plan;
use super::arithmetic::Arithmetic;
use crate::simd::lanes::{LANES, Lanes, Simd, vectors, vectors_mut};

/// Weights of one point, and of the next one, which are fetched while this one is used.
#[derive(Clone, Copy)]
pub(super) struct Weights<'a> {
    pub(super) now: &'a [f32],
    pub(super) next: &'a [f32],
    /// What one is worth in each output.
    pub(super) scales: &'a [f32],
}

/// Inputs of one point: `[block of inputs][tile][units of the block]`.
#[derive(Clone, Copy)]
pub(super) struct Inputs<'a> {
    pub(super) units: &'a [f32],
    /// What one is worth.
    pub(super) scale: f32,
}

/// `m[tile][output] = sum over inputs of v[tile][input] * weights[input][output]`.
///
/// `m`: `[block of outputs][tile][width]`; all in blocks of the plan, so that a tile's addresses
/// differ by constants.
#[inline(always)]
pub(super) fn multiply<A: Arithmetic<S>, S: Simd>(
    simd: S,
    plan: &Plan,
    v: Inputs<'_>,
    weights: Weights<'_>,
    m: &mut [f32],
) {
    match (plan.depth / A::INPUTS, plan.width) {
        (8, 1) => blocks::<A, S, 8, 1>(simd, plan, v, weights, m),
        (8, 2) => blocks::<A, S, 8, 2>(simd, plan, v, weights, m),
        (16, 1) => blocks::<A, S, 16, 1>(simd, plan, v, weights, m),
        (16, 2) => blocks::<A, S, 16, 2>(simd, plan, v, weights, m),
        (32, 1) => blocks::<A, S, 32, 1>(simd, plan, v, weights, m),
        (32, 2) => blocks::<A, S, 32, 2>(simd, plan, v, weights, m),
        (depth, width) => unreachable!("no plan has depth {depth} and width {width}"),
    }
}

/// All blocks of outputs, and tiles in groups as large as the registers allow.
#[inline(always)]
fn blocks<A: Arithmetic<S>, S: Simd, const D: usize, const W: usize>(
    simd: S,
    plan: &Plan,
    v: Inputs<'_>,
    weights: Weights<'_>,
    m: &mut [f32],
) {
    // No plan for this instruction set or this arithmetic has such blocks.
    if W > S::TILE[1] || D * A::INPUTS < LANES || D * A::INPUTS > 2 * LANES {
        return;
    }
    let tiles = plan.tiling.x;
    let block = plan.units() * W * LANES;
    let (now, next) = (weights.now.chunks_exact(block), weights.next.chunks_exact(block));
    let scales = weights.scales.chunks(W * LANES).chain(std::iter::repeat(&[][..]));
    let outputs = m.chunks_exact_mut(tiles * W * LANES).zip(scales);
    for ((now, next), (m, scales)) in now.zip(next).zip(outputs) {
        for group in &plan.groups {
            let m = &mut m[group.start * W * LANES..group.end * W * LANES];
            let weights = Weights { now, next, scales };
            by_count::<A, S, D, W>(simd, [group.start, tiles], v, weights, m);
        }
    }
}

/// A loop of its own for each number of tiles.
#[inline(always)]
fn by_count<A: Arithmetic<S>, S: Simd, const D: usize, const W: usize>(
    simd: S,
    place: [usize; 2],
    v: Inputs<'_>,
    weights: Weights<'_>,
    m: &mut [f32],
) {
    match m.len() / (W * LANES) {
        1 => sums::<A, S, D, W, 1>(simd, place, v, weights, m),
        2 => sums::<A, S, D, W, 2>(simd, place, v, weights, m),
        3 => sums::<A, S, D, W, 3>(simd, place, v, weights, m),
        4 => sums::<A, S, D, W, 4>(simd, place, v, weights, m),
        5 => sums::<A, S, D, W, 5>(simd, place, v, weights, m),
        6 => sums::<A, S, D, W, 6>(simd, place, v, weights, m),
        7 => sums::<A, S, D, W, 7>(simd, place, v, weights, m),
        8 => sums::<A, S, D, W, 8>(simd, place, v, weights, m),
        9 => sums::<A, S, D, W, 9>(simd, place, v, weights, m),
        10 => sums::<A, S, D, W, 10>(simd, place, v, weights, m),
        11 => sums::<A, S, D, W, 11>(simd, place, v, weights, m),
        count => unreachable!("groups have 1 to 11 tiles, not {count}"),
    }
}

/// `P` tiles times `W` vectors of outputs.
#[inline(always)]
fn sums<A: Arithmetic<S>, S: Simd, const D: usize, const W: usize, const P: usize>(
    simd: S,
    [start, tiles]: [usize; 2],
    v: Inputs<'_>,
    weights: Weights<'_>,
    m: &mut [f32],
) {
    if P > S::TILE[0] {
        return;
    }
    let mut sums = [[simd.splat(0.0); W]; P];
    let now = vectors(weights.now).as_chunks::<W>().0.chunks(D);
    let next = vectors(weights.next).as_chunks::<W>().0.chunks(D);
    let blocks = v.units.as_chunks::<D>().0.chunks_exact(tiles);
    for ((now, next), block) in now.zip(next).zip(blocks) {
        let Some(rows) = block[start..].first_chunk::<P>() else { return };
        add_block::<A, S, D, W, P>(simd, rows, now, next, &mut sums);
    }
    let scales = A::scales::<W>(simd, weights.scales, v.scale);
    let out = vectors_mut(m).as_chunks_mut::<W>().0;
    for (sums, out) in sums.iter().zip(out) {
        for n in 0..W {
            simd.store(A::value(simd, sums[n], scales[n]), &mut out[n]);
        }
    }
}

/// Adds the products of up to `D` units.
#[inline(always)]
fn add_block<A: Arithmetic<S>, S: Simd, const D: usize, const W: usize, const P: usize>(
    simd: S,
    rows: &[[f32; D]; P],
    now: &[[Lanes; W]],
    next: &[[Lanes; W]],
    sums: &mut [[S::Vector; W]; P],
) {
    for (k, (now, next)) in now.iter().zip(next).enumerate().take(D) {
        let mut weights = [simd.splat(0.0); W];
        for n in 0..W {
            weights[n] = simd.load(&now[n]);
            simd.prefetch(&next[n]);
        }
        for p in 0..P {
            let value = simd.splat(rows[p][k]);
            for n in 0..W {
                sums[p][n] = A::add_product(simd, value, weights[n], sums[p][n]);
            }
        }
    }
}
