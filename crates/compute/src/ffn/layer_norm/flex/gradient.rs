//! Gradients of layer normalisation on burn's CPU backend, in two passes over each voxel.

use burn::backend::Flex;
use burn::backend::tensor::FloatTensor;
use burn::tensor::{Shape, TensorData};
use rayon::prelude::*;

use super::super::EPSILON;
use super::super::gradient::LayerNormGradients;
use super::{VOXELS, sum, total};
use crate::conv3d::flex::{contiguous, owned, values_mut};
use crate::simd::lanes::{Isa, LANES, Simd, WithLanes, vectors, vectors_mut, with_lanes};

impl LayerNormGradients for Flex {
    fn layer_norm_gradients(
        x: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> [FloatTensor<Self>; 3] {
        let (x, scale, mut gradient) = (contiguous(x), contiguous(scale), owned(gradient));
        let mut sums = [Vec::new(), Vec::new()];
        if let (Some(x), Some(scale)) = (x.as_slice::<f32>(), scale.as_slice::<f32>()) {
            sums = differentiate(x, scale, values_mut(&mut gradient), Isa::best());
        }
        let [of_scale, of_bias] = sums.map(|values| {
            let shape = Shape::new([values.len()]);
            FloatTensor::<Self>::from_data(TensorData::new(values, shape))
        });
        [gradient, of_scale, of_bias]
    }
}

/// Turns the gradient of the result into that of `x`, both `[voxel][channel]`; gives those of scale and
/// bias. Runs on the threads of rayon's current pool; nothing depends on their number.
fn differentiate(x: &[f32], scale: &[f32], gradient: &mut [f32], isa: Isa) -> [Vec<f32>; 2] {
    let channels = scale.len();
    let mut sums = [vec![0.0; channels], vec![0.0; channels]];
    if channels == 0 {
        return sums;
    }
    let parts = x.par_chunks(VOXELS * channels).zip(gradient.par_chunks_mut(VOXELS * channels));
    let parts: Vec<[Vec<f32>; 2]> = parts
        .map(|(x, gradient)| {
            let mut sums = [vec![0.0; channels], vec![0.0; channels]];
            let [of_scale, of_bias] = &mut sums;
            with_lanes(isa, Voxels { x, scale, gradient, of_scale, of_bias });
            sums
        })
        .collect();
    for part in parts {
        for (sums, part) in sums.iter_mut().zip(part) {
            sums.iter_mut().zip(part).for_each(|(sum, value)| *sum += value);
        }
    }
    sums
}

struct Voxels<'a> {
    x: &'a [f32],
    scale: &'a [f32],
    gradient: &'a mut [f32],
    of_scale: &'a mut [f32],
    of_bias: &'a mut [f32],
}

impl WithLanes for Voxels<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let channels = self.scale.len();
        let voxels = self.x.chunks_exact(channels);
        let gradient = std::mem::take(&mut self.gradient);
        for (x, gradient) in voxels.zip(gradient.chunks_exact_mut(channels)) {
            let (lanes, rest) = x.split_at(channels / LANES * LANES);
            let mean = sum::<S, false>(simd, lanes, rest, 0.0) / channels as f32;
            let variance = sum::<S, true>(simd, lanes, rest, mean) / channels as f32;
            let inverse = 1.0 / (variance + EPSILON).sqrt();
            let means = means(simd, x, gradient, self.scale, [mean, inverse]);
            self.voxel(simd, x, gradient, [mean, inverse], means);
        }
    }
}

impl Voxels<'_> {
    /// One voxel: its gradient, and what it adds to the sums.
    #[inline(always)]
    fn voxel<S: Simd>(
        &mut self,
        simd: S,
        x: &[f32],
        gradient: &mut [f32],
        [mean, inverse]: [f32; 2],
        [of_scaled, along]: [f32; 2],
    ) {
        let whole = x.len() / LANES * LANES;
        let zero = simd.splat(0.0);
        let (shift, factor) = (simd.splat(mean), simd.splat(inverse));
        let (offset, slope) = (simd.splat(of_scaled), simd.splat(-along));
        let sums = vectors_mut(&mut self.of_scale[..whole]);
        let sums = sums.iter_mut().zip(vectors_mut(&mut self.of_bias[..whole]));
        let inputs = vectors(&x[..whole]).iter().zip(vectors(&self.scale[..whole]));
        let gradients = vectors_mut(&mut gradient[..whole]).iter_mut();
        for (((x, scale), gradient), (of_scale, of_bias)) in inputs.zip(gradients).zip(sums) {
            let g = simd.load(gradient);
            let normed = simd.mul_add(simd.sub(simd.load(x), shift), factor, zero);
            let scaled = simd.mul_add(g, simd.load(scale), zero);
            let rest = simd.mul_add(normed, slope, simd.sub(scaled, offset));
            simd.store(simd.mul_add(rest, factor, zero), gradient);
            simd.store(simd.mul_add(g, normed, simd.load(of_scale)), of_scale);
            simd.store(simd.add(g, simd.load(of_bias)), of_bias);
        }
        for at in whole..x.len() {
            let (g, normed) = (gradient[at], (x[at] - mean) * inverse);
            gradient[at] = (g * self.scale[at] - of_scaled - normed * along) * inverse;
            self.of_scale[at] += g * normed;
            self.of_bias[at] += g;
        }
    }
}

/// The means over channels of the gradient times scale, and of that times the normalised input.
#[inline(always)]
fn means<S: Simd>(
    simd: S,
    x: &[f32],
    gradient: &[f32],
    scale: &[f32],
    [mean, inverse]: [f32; 2],
) -> [f32; 2] {
    let whole = x.len() / LANES * LANES;
    let (zero, shift) = (simd.splat(0.0), simd.splat(mean));
    let (mut plain, mut along) = (zero, zero);
    let inputs = vectors(&x[..whole]).iter().zip(vectors(&gradient[..whole]));
    for ((x, gradient), scale) in inputs.zip(vectors(&scale[..whole])) {
        let scaled = simd.mul_add(simd.load(gradient), simd.load(scale), zero);
        plain = simd.add(plain, scaled);
        along = simd.mul_add(simd.sub(simd.load(x), shift), scaled, along);
    }
    let (mut plain, mut along) = (total(simd, plain), total(simd, along));
    for at in whole..x.len() {
        let scaled = gradient[at] * scale[at];
        plain += scaled;
        along += (x[at] - mean) * scaled;
    }
    let channels = x.len() as f32;
    [plain / channels, along * inverse / channels]
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use burn::backend::TensorMetadata;
    use proptest::prelude::*;

    use super::super::super::gradient::portable;
    use super::*;

    /// Of one voxel in f64, as it is defined: the sum of the results times their gradients.
    fn sum_of_results(x: &[f64], scale: &[f64], bias: &[f64], gradient: &[f64]) -> f64 {
        let channels = x.len() as f64;
        let mean = x.iter().sum::<f64>() / channels;
        let variance = x.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / channels;
        let normed = x.iter().map(|v| (v - mean) / (variance + 1e-6).sqrt());
        let results = normed.zip(scale).zip(bias).map(|((n, scale), bias)| n * scale + bias);
        results.zip(gradient).map(|(result, g)| result * g).sum()
    }

    /// Gradients of input, scale and bias by differences.
    fn slopes(x: &[f32], scale: &[f32], gradient: &[f32]) -> [Vec<f64>; 3] {
        const STEP: f64 = 1e-5;
        let wide = |values: &[f32]| values.iter().map(|v| f64::from(*v)).collect::<Vec<f64>>();
        let (channels, scale) = (scale.len(), wide(scale));
        let mut found = [vec![0.0; x.len()], vec![0.0; channels], vec![0.0; channels]];
        for (number, (x, g)) in x.chunks(channels).zip(gradient.chunks(channels)).enumerate() {
            let parts = [wide(x), scale.clone(), vec![0.0; channels]];
            for (part, found) in found.iter_mut().enumerate() {
                for at in 0..channels {
                    let moved = |by: f64| {
                        let mut parts = parts.clone();
                        parts[part][at] += by;
                        sum_of_results(&parts[0], &parts[1], &parts[2], &wide(g))
                    };
                    let place = if part == 0 { number * channels + at } else { at };
                    found[place] += (moved(STEP) - moved(-STEP)) / (2.0 * STEP);
                }
            }
        }
        found
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn every_instruction_set_and_burn_give_the_slopes(
            channels in 3usize..50, voxels in 1usize..6, seed in any::<u32>(),
        ) {
            let number = |i: usize| ((i as u32).wrapping_mul(2_654_435_761) ^ seed) as f32 / u32::MAX as f32;
            let x: Vec<f32> = (0..voxels * channels).map(|i| 4.0 * number(i) - 1.0).collect();
            let gradient: Vec<f32> = (0..x.len()).map(|i| number(i + 901) - 0.5).collect();
            let scale: Vec<f32> = (0..channels).map(|i| number(i + 7) + 0.5).collect();
            let expected = slopes(&x, &scale, &gradient);
            let near = |found: &[Vec<f32>; 3]| found.iter().zip(&expected).all(|(found, expected)| {
                found.len() == expected.len() && found.iter().zip(expected)
                    .all(|(f, e)| (f64::from(*f) - e).abs() <= 1e-4 * e.abs().max(1.0))
            });
            for isa in Isa::all() {
                let mut of_x = gradient.clone();
                let [of_scale, of_bias] = differentiate(&x, &scale, &mut of_x, isa);
                prop_assert!(near(&[of_x, of_scale, of_bias]), "{}", isa.name());
            }
            let tensor = |v: &[f32], shape: &[usize]| {
                FloatTensor::<Flex>::from_data(TensorData::new(v.to_vec(), shape.to_vec()))
            };
            let shape = [1, 1, 1, voxels, channels];
            let found = portable::<Flex>(tensor(&x, &shape), tensor(&scale, &[channels]), tensor(&gradient, &shape));
            let found = found.map(|t| {
                let length = t.shape().num_elements();
                contiguous(t.reshape(Shape::new([length]))).as_slice::<f32>().unwrap().to_vec()
            });
            prop_assert!(near(&found));
        }
    }
}
