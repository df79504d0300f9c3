//! Convolution with one tap: a sum over the channels of each voxel.

use rayon::prelude::*;

use super::winograd::Around;
use crate::simd::lanes::{Isa, LANES, Simd, WithLanes, vectors, with_lanes};

/// Voxels of a task.
const VOXELS: usize = 4096;

/// Weights `[inputs, outputs]` as `[outputs][inputs]`.
pub(super) fn pack(weights: &[f32], inputs: usize, outputs: usize) -> Vec<f32> {
    (0..outputs).flat_map(|o| (0..inputs).map(move |i| weights[i * outputs + o])).collect()
}

/// `input`: `[voxel][inputs]`; `packed` as [`pack`] makes it; `output`: `[voxel][outputs]`.
pub(super) fn convolve(
    inputs: usize,
    input: &[f32],
    packed: &[f32],
    bias: &[f32],
    around: Around,
    output: &mut [f32],
) {
    let outputs = bias.len();
    if inputs == 0 || outputs == 0 {
        return;
    }
    let output = output.par_chunks_mut(VOXELS * outputs);
    output.zip(input.par_chunks(VOXELS * inputs)).for_each(|(output, input)| {
        with_lanes(Isa::best(), Voxels { inputs, input, packed, bias, around, output });
    });
}

struct Voxels<'a> {
    inputs: usize,
    input: &'a [f32],
    packed: &'a [f32],
    bias: &'a [f32],
    around: Around,
    output: &'a mut [f32],
}

impl WithLanes for Voxels<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { inputs, input, packed, bias, around, output } = self;
        for (voxel, out) in input.chunks_exact(inputs).zip(output.chunks_exact_mut(bias.len())) {
            for ((weights, bias), out) in packed.chunks_exact(inputs).zip(bias).zip(out) {
                let sum = dot(simd, voxel, weights, around.relu_input) + bias;
                let sum = if around.accumulate { *out + sum } else { sum };
                *out = if around.relu_output { sum.max(0.0) } else { sum };
            }
        }
    }
}

/// Lanes are added up in pairs, so that the order of the sum is the same everywhere.
#[inline(always)]
fn dot<S: Simd>(simd: S, voxel: &[f32], weights: &[f32], relu: bool) -> f32 {
    let floor = simd.splat(if relu { 0.0 } else { f32::NEG_INFINITY });
    let mut sum = simd.splat(0.0);
    for (a, b) in vectors(voxel).iter().zip(vectors(weights)) {
        sum = simd.mul_add(simd.max(simd.load(a), floor), simd.load(b), sum);
    }
    let mut lanes = [0.0; LANES];
    simd.store(sum, &mut lanes);
    for half in [8, 4, 2, 1] {
        for i in 0..half {
            lanes[i] += lanes[i + half];
        }
    }
    let whole = voxel.len() / LANES * LANES;
    let rest = voxel[whole..].iter().zip(&weights[whole..]);
    lanes[0] + rest.map(|(a, b)| if relu { a.max(0.0) * b } else { a * b }).sum::<f32>()
}
