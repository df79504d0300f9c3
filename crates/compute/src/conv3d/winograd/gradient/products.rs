//! The products of all tiles at one point: `[tiles, inputs]` transposed times `[tiles, outputs]`, all
//! sums in registers.

use super::GradientPlan;
use crate::simd::lanes::{LANES, Lanes, Simd, vectors, vectors_mut};

/// `sums[input][output] = sum over tiles of inputs[tile][input] * gradients[tile][output]`, channels
/// of tiles and outputs of sums up to whole vectors.
#[inline(always)]
pub(super) fn multiply<S: Simd>(
    simd: S,
    plan: &GradientPlan,
    factors: [&[f32]; 2],
    sums: &mut [f32],
) {
    let rows = S::TILE[0];
    let inputs = plan.sizes.inputs;
    let groups = inputs.div_ceil(rows);
    let vectors = plan.wide_outputs / LANES;
    for first in (0..vectors).step_by(S::TILE[1]) {
        let wide = S::TILE[1] == 2 && vectors - first >= 2;
        for group in 0..groups {
            let place = Place {
                inputs: [inputs * group / groups, inputs * (group + 1) / groups],
                output: first,
                widths: [plan.wide_inputs, plan.wide_outputs],
            };
            match wide {
                true => by_count::<S, 2>(simd, place, factors, sums),
                false => by_count::<S, 1>(simd, place, factors, sums),
            }
        }
    }
}

/// Which sums.
#[derive(Clone, Copy)]
struct Place {
    /// First input, and where they end.
    inputs: [usize; 2],
    /// First vector of outputs.
    output: usize,
    /// Values of a tile in both factors.
    widths: [usize; 2],
}

/// A loop of its own for each number of inputs.
#[inline(always)]
fn by_count<S: Simd, const W: usize>(
    simd: S,
    place: Place,
    factors: [&[f32]; 2],
    sums: &mut [f32],
) {
    match place.inputs[1] - place.inputs[0] {
        1 => block::<S, W, 1>(simd, place, factors, sums),
        2 => block::<S, W, 2>(simd, place, factors, sums),
        3 => block::<S, W, 3>(simd, place, factors, sums),
        4 => block::<S, W, 4>(simd, place, factors, sums),
        5 => block::<S, W, 5>(simd, place, factors, sums),
        6 => block::<S, W, 6>(simd, place, factors, sums),
        7 => block::<S, W, 7>(simd, place, factors, sums),
        8 => block::<S, W, 8>(simd, place, factors, sums),
        9 => block::<S, W, 9>(simd, place, factors, sums),
        10 => block::<S, W, 10>(simd, place, factors, sums),
        11 => block::<S, W, 11>(simd, place, factors, sums),
        count => unreachable!("groups have 1 to 11 inputs, not {count}"),
    }
}

/// `P` inputs times `W` vectors of outputs.
#[inline(always)]
fn block<S: Simd, const W: usize, const P: usize>(
    simd: S,
    place: Place,
    [inputs, gradients]: [&[f32]; 2],
    out: &mut [f32],
) {
    if P > S::TILE[0] || W > S::TILE[1] {
        return;
    }
    let mut sums = [[simd.splat(0.0); W]; P];
    let [wide_inputs, wide_outputs] = place.widths;
    let tiles = inputs.chunks_exact(wide_inputs).zip(gradients.chunks_exact(wide_outputs));
    for (inputs, gradients) in tiles {
        let Some(inputs) = inputs[place.inputs[0]..].first_chunk::<P>() else { return };
        let Some(gradients) = vectors(gradients)[place.output..].first_chunk::<W>() else { return };
        add::<S, W, P>(simd, inputs, gradients, &mut sums);
    }
    // By number, so that all sums stay in registers.
    for p in 0..P {
        let row = vectors_mut(&mut out[(place.inputs[0] + p) * wide_outputs..][..wide_outputs]);
        for n in 0..W {
            simd.store(sums[p][n], &mut row[place.output + n]);
        }
    }
}

/// The products of one tile.
#[inline(always)]
fn add<S: Simd, const W: usize, const P: usize>(
    simd: S,
    inputs: &[f32; P],
    gradients: &[Lanes; W],
    sums: &mut [[S::Vector; W]; P],
) {
    let mut vectors = [simd.splat(0.0); W];
    for n in 0..W {
        vectors[n] = simd.load(&gradients[n]);
    }
    for p in 0..P {
        let value = simd.splat(inputs[p]);
        for n in 0..W {
            sums[p][n] = simd.mul_add(value, vectors[n], sums[p][n]);
        }
    }
}
