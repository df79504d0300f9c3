//! Convolution with one tap: a sum over the channels of each voxel.

use rayon::prelude::*;

use super::winograd::Around;
use crate::simd::lanes::{Isa, LANES, Simd, WithLanes, vectors, with_lanes};
#[cfg(feature = "train")]
use crate::simd::{Vectorised, dispatch};

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
    around: Around<'_>,
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
    around: Around<'a>,
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

/// Gradient of the input, `[voxel][inputs]`, from that of the output, `[voxel][outputs]`; 0 where the
/// mask is not above 0, and added to what is in the result if asked for.
#[cfg(feature = "train")]
pub(super) fn input_gradient(
    inputs: usize,
    gradient: &[f32],
    packed: &[f32],
    Around { mask, accumulate, .. }: Around<'_>,
    result: &mut [f32],
) {
    if inputs == 0 || packed.is_empty() {
        return;
    }
    let outputs = packed.len() / inputs;
    let parts = result.par_chunks_mut(VOXELS * inputs).zip(gradient.par_chunks(VOXELS * outputs));
    parts.enumerate().for_each(|(part, (result, gradient))| {
        let start = part * VOXELS * inputs;
        let mask = mask.map(|mask| &mask[start..start + result.len()]);
        dispatch(InputGradient { inputs, gradient, packed, mask, accumulate, result });
    });
}

#[cfg(feature = "train")]
struct InputGradient<'a> {
    inputs: usize,
    gradient: &'a [f32],
    packed: &'a [f32],
    mask: Option<&'a [f32]>,
    accumulate: bool,
    result: &'a mut [f32],
}

#[cfg(feature = "train")]
impl Vectorised for InputGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { inputs, gradient, packed, mask, accumulate, result } = self;
        let outputs = packed.len() / inputs;
        let mut sums = vec![0.0; inputs];
        let voxels = result.chunks_exact_mut(inputs).zip(gradient.chunks_exact(outputs));
        for (voxel, (result, gradient)) in voxels.enumerate() {
            sums.fill(0.0);
            for (weights, gradient) in packed.chunks_exact(inputs).zip(gradient) {
                sums.iter_mut().zip(weights).for_each(|(sum, w)| *sum += w * gradient);
            }
            if let Some(mask) = mask {
                let mask = &mask[voxel * inputs..][..inputs];
                let hide = |(s, m): (&mut f32, &f32)| *s = if *m > 0.0 { *s } else { 0.0 };
                sums.iter_mut().zip(mask).for_each(hide);
            }
            match accumulate {
                true => result.iter_mut().zip(&sums).for_each(|(r, s)| *r += s),
                false => result.copy_from_slice(&sums),
            }
        }
    }
}

/// Gradients of weights, `[inputs, outputs]`, and biases. Parts of a fixed size are added in their
/// order.
#[cfg(feature = "train")]
pub(super) fn weight_gradient(
    inputs: usize,
    input: &[f32],
    relu_input: bool,
    gradient: &[f32],
    weights: &mut [f32],
    bias: &mut [f32],
) {
    let outputs = bias.len();
    if inputs == 0 || outputs == 0 {
        return;
    }
    let parts = input.par_chunks(VOXELS * inputs).zip(gradient.par_chunks(VOXELS * outputs));
    let parts: Vec<Vec<f32>> = parts
        .map(|(input, gradient)| {
            dispatch(WeightGradient { inputs, outputs, input, relu_input, gradient })
        })
        .collect();
    weights.fill(0.0);
    bias.fill(0.0);
    for part in &parts {
        let (rows, biases) = part.split_at(inputs * outputs);
        for (o, row) in rows.chunks_exact(inputs).enumerate() {
            row.iter().enumerate().for_each(|(i, value)| weights[i * outputs + o] += value);
        }
        bias.iter_mut().zip(biases).for_each(|(bias, value)| *bias += value);
    }
}

#[cfg(feature = "train")]
struct WeightGradient<'a> {
    inputs: usize,
    outputs: usize,
    input: &'a [f32],
    relu_input: bool,
    gradient: &'a [f32],
}

#[cfg(feature = "train")]
impl Vectorised for WeightGradient<'_> {
    /// `[outputs][inputs]`, then biases.
    type Output = Vec<f32>;

    #[inline(always)]
    fn run(self) -> Vec<f32> {
        let Self { inputs, outputs, input, relu_input, gradient } = self;
        let floor = if relu_input { 0.0 } else { f32::NEG_INFINITY };
        let mut sums = vec![0.0; outputs * (inputs + 1)];
        let (rows, biases) = sums.split_at_mut(inputs * outputs);
        for (voxel, gradient) in input.chunks_exact(inputs).zip(gradient.chunks_exact(outputs)) {
            for (o, gradient) in gradient.iter().enumerate() {
                let row = &mut rows[o * inputs..(o + 1) * inputs];
                row.iter_mut().zip(voxel).for_each(|(r, v)| *r += v.max(floor) * gradient);
                biases[o] += gradient;
            }
        }
        sums
    }
}
