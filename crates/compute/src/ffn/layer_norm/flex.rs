//! Layer normalisation on burn's CPU backend, in one pass over memory.

use burn::backend::Flex;
use burn::backend::tensor::FloatTensor;
use rayon::prelude::*;

use super::{EPSILON, LayerNormOps};
use crate::conv3d::flex::{contiguous, owned, values_mut};
use crate::simd::lanes::{Isa, LANES, Simd, WithLanes, vectors, vectors_mut, with_lanes};

#[cfg(feature = "train")]
mod gradient;

/// Voxels of a task.
const VOXELS: usize = 4096;

impl LayerNormOps for Flex {
    fn layer_norm(
        x: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let (mut x, scale, bias) = (owned(x), contiguous(scale), contiguous(bias));
        if let (Some(scale), Some(bias)) = (scale.as_slice::<f32>(), bias.as_slice::<f32>()) {
            normalise(values_mut(&mut x), scale, bias, Isa::best());
        }
        x
    }
}

/// `values`: `[voxel][channel]`. Runs on the threads of rayon's current pool; the result does not depend
/// on their number.
fn normalise(values: &mut [f32], scale: &[f32], bias: &[f32], isa: Isa) {
    if scale.is_empty() {
        return;
    }
    values.par_chunks_mut(VOXELS * scale.len()).for_each(|values| {
        with_lanes(isa, Voxels { values, scale, bias });
    });
}

struct Voxels<'a> {
    values: &'a mut [f32],
    scale: &'a [f32],
    bias: &'a [f32],
}

impl WithLanes for Voxels<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let channels = self.scale.len();
        let whole = channels / LANES * LANES;
        for voxel in self.values.chunks_exact_mut(channels) {
            let (lanes, rest) = voxel.split_at_mut(whole);
            let mean = sum::<S, false>(simd, lanes, rest, 0.0) / channels as f32;
            let variance = sum::<S, true>(simd, lanes, rest, mean) / channels as f32;
            let inverse = 1.0 / (variance + EPSILON).sqrt();
            let (shift, factor) = (simd.splat(mean), simd.splat(inverse));
            let parameters = vectors(self.scale).iter().zip(vectors(self.bias));
            for (values, (scale, bias)) in vectors_mut(lanes).iter_mut().zip(parameters) {
                let centred = simd.sub(simd.load(values), shift);
                let scale = simd.mul_add(simd.load(scale), factor, simd.splat(0.0));
                simd.store(simd.mul_add(centred, scale, simd.load(bias)), values);
            }
            let parameters = self.scale[whole..].iter().zip(&self.bias[whole..]);
            for (value, (scale, bias)) in rest.iter_mut().zip(parameters) {
                *value = (*value - mean) * (scale * inverse) + bias;
            }
        }
    }
}

/// The sum of the channels of a voxel, less `shift` each, or of the squares of that.
#[inline(always)]
fn sum<S: Simd, const SQUARED: bool>(simd: S, lanes: &[f32], rest: &[f32], shift: f32) -> f32 {
    let (mut total, shifts) = (simd.splat(0.0), simd.splat(shift));
    for values in vectors(lanes) {
        let value = simd.sub(simd.load(values), shifts);
        total = if SQUARED { simd.mul_add(value, value, total) } else { simd.add(total, value) };
    }
    let value = |v: &f32| if SQUARED { (v - shift) * (v - shift) } else { v - shift };
    self::total(simd, total) + rest.iter().map(value).sum::<f32>()
}

/// The sum of all lanes.
#[inline(always)]
fn total<S: Simd>(simd: S, value: S::Vector) -> f32 {
    let mut sums = [0.0; LANES];
    simd.store(value, &mut sums);
    // In pairs, so that sixteen additions need not wait for each other.
    for half in [8, 4, 2, 1] {
        for i in 0..half {
            sums[i] += sums[i + half];
        }
    }
    sums[0]
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use burn::tensor::{Shape, TensorData};
    use proptest::prelude::*;

    use super::super::portable;
    use super::*;

    /// As it is defined, in f64.
    fn naive(values: &[f32], scale: &[f32], bias: &[f32]) -> Vec<f64> {
        let channels = scale.len();
        let voxel = |voxel: &[f32]| {
            let mean = voxel.iter().map(|v| f64::from(*v)).sum::<f64>() / channels as f64;
            let square = |v: &f32| (f64::from(*v) - mean).powi(2);
            let variance = voxel.iter().map(square).sum::<f64>() / channels as f64;
            let inverse = 1.0 / (variance + 1e-6).sqrt();
            let normed = |c: usize| {
                (f64::from(voxel[c]) - mean) * inverse * f64::from(scale[c]) + f64::from(bias[c])
            };
            (0..channels).map(normed).collect::<Vec<_>>()
        };
        values.chunks_exact(channels).flat_map(voxel).collect()
    }

    fn near(found: &[f32], expected: &[f64]) -> bool {
        found.len() == expected.len()
            && found
                .iter()
                .zip(expected)
                .all(|(f, e)| (f64::from(*f) - e).abs() <= 2e-5 * e.abs().max(1.0))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn every_instruction_set_and_burn_give_the_definition(
            channels in 1usize..50, voxels in 1usize..40, seed in any::<u32>(), offset in -3f32..3.0,
        ) {
            let number = |i: usize| ((i as u32).wrapping_mul(2_654_435_761) ^ seed) as f32 / u32::MAX as f32;
            let values: Vec<f32> = (0..voxels * channels).map(|i| number(i) + offset).collect();
            let scale: Vec<f32> = (0..channels).map(|i| number(i + 7) + 0.5).collect();
            let bias: Vec<f32> = (0..channels).map(|i| number(i + 91) - 0.5).collect();
            let expected = naive(&values, &scale, &bias);
            for isa in Isa::all() {
                let mut found = values.clone();
                normalise(&mut found, &scale, &bias, isa);
                prop_assert!(near(&found, &expected), "{}", isa.name());
            }
            let tensor = |v: &[f32], shape: &[usize]| {
                FloatTensor::<Flex>::from_data(TensorData::new(v.to_vec(), shape.to_vec()))
            };
            let x = tensor(&values, &[1, 1, 1, voxels, channels]);
            let all = portable::<Flex>(x, tensor(&scale, &[channels]), tensor(&bias, &[channels]));
            let found = all.reshape(Shape::new([voxels * channels]));
            prop_assert!(near(contiguous(found).as_slice::<f32>().unwrap(), &expected));
        }
    }
}
