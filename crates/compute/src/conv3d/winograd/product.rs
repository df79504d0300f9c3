//! The products over channels at one point of the tiles: a small matrix times a small matrix, all sums
//! in registers.

use super::Plan;
use crate::simd::lanes::{LANES, Lanes, Simd, vectors, vectors_mut};

/// Weights of one point, and of the next one, which are fetched while this one is used.
#[derive(Clone, Copy)]
pub(super) struct Weights<'a> {
    pub(super) now: &'a [f32],
    pub(super) next: &'a [f32],
}

/// `m[tile][output] = sum over inputs of v[tile][input] * weights[input][output]`.
///
/// `v`: `[block of inputs][tile][depth]`; `m`: `[block of outputs][tile][width]`, both in blocks of the
/// plan, so that a tile's addresses differ by constants.
#[inline(always)]
pub(super) fn multiply<S: Simd>(
    simd: S,
    plan: &Plan,
    v: &[f32],
    weights: Weights<'_>,
    m: &mut [f32],
) {
    const SHALLOW: usize = LANES;
    const DEEP: usize = 2 * LANES;
    match (plan.depth, plan.width) {
        (SHALLOW, 1) => blocks::<S, SHALLOW, 1>(simd, plan, v, weights, m),
        (SHALLOW, 2) => blocks::<S, SHALLOW, 2>(simd, plan, v, weights, m),
        (DEEP, 1) => blocks::<S, DEEP, 1>(simd, plan, v, weights, m),
        (DEEP, 2) => blocks::<S, DEEP, 2>(simd, plan, v, weights, m),
        (depth, width) => unreachable!("no plan has depth {depth} and width {width}"),
    }
}

/// All blocks of outputs, and tiles in groups as large as the registers allow.
#[inline(always)]
fn blocks<S: Simd, const D: usize, const W: usize>(
    simd: S,
    plan: &Plan,
    v: &[f32],
    weights: Weights<'_>,
    m: &mut [f32],
) {
    if W > S::TILE[1] {
        return;
    }
    let (tiles, inputs) = (plan.tiling.x, plan.sizes.inputs);
    let block = inputs * W * LANES;
    let weights = weights.now.chunks_exact(block).zip(weights.next.chunks_exact(block));
    for ((now, next), m) in weights.zip(m.chunks_exact_mut(tiles * W * LANES)) {
        for group in &plan.groups {
            let m = &mut m[group.start * W * LANES..group.end * W * LANES];
            by_count::<S, D, W>(simd, [group.start, tiles], v, Weights { now, next }, m);
        }
    }
}

/// A loop of its own for each number of tiles.
#[inline(always)]
fn by_count<S: Simd, const D: usize, const W: usize>(
    simd: S,
    place: [usize; 2],
    v: &[f32],
    weights: Weights<'_>,
    m: &mut [f32],
) {
    match m.len() / (W * LANES) {
        1 => sums::<S, D, W, 1>(simd, place, v, weights, m),
        2 => sums::<S, D, W, 2>(simd, place, v, weights, m),
        3 => sums::<S, D, W, 3>(simd, place, v, weights, m),
        4 => sums::<S, D, W, 4>(simd, place, v, weights, m),
        5 => sums::<S, D, W, 5>(simd, place, v, weights, m),
        6 => sums::<S, D, W, 6>(simd, place, v, weights, m),
        7 => sums::<S, D, W, 7>(simd, place, v, weights, m),
        8 => sums::<S, D, W, 8>(simd, place, v, weights, m),
        9 => sums::<S, D, W, 9>(simd, place, v, weights, m),
        10 => sums::<S, D, W, 10>(simd, place, v, weights, m),
        11 => sums::<S, D, W, 11>(simd, place, v, weights, m),
        count => unreachable!("groups have 1 to 11 tiles, not {count}"),
    }
}

/// `P` tiles times `W` vectors of outputs.
#[inline(always)]
fn sums<S: Simd, const D: usize, const W: usize, const P: usize>(
    simd: S,
    [start, tiles]: [usize; 2],
    v: &[f32],
    weights: Weights<'_>,
    m: &mut [f32],
) {
    if P > S::TILE[0] {
        return;
    }
    let mut sums = [[simd.splat(0.0); W]; P];
    let now = vectors(weights.now).as_chunks::<W>().0.chunks(D);
    let next = vectors(weights.next).as_chunks::<W>().0.chunks(D);
    let blocks = v.as_chunks::<D>().0.chunks_exact(tiles);
    for ((now, next), block) in now.zip(next).zip(blocks) {
        let Some(rows) = block[start..].first_chunk::<P>() else { return };
        add_block(simd, rows, now, next, &mut sums);
    }
    let out = vectors_mut(m).as_chunks_mut::<W>().0;
    for (sums, out) in sums.iter().zip(out) {
        for (sum, out) in sums.iter().zip(out) {
            simd.store(*sum, out);
        }
    }
}

/// Adds the products of up to `D` inputs.
#[inline(always)]
fn add_block<S: Simd, const D: usize, const W: usize, const P: usize>(
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
                sums[p][n] = simd.mul_add(value, weights[n], sums[p][n]);
            }
        }
    }
}
