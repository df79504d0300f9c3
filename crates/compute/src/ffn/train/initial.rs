//! Weights to start a training from, as the frameworks of the two families draw them. The same numbers
//! on every machine: from sums, products, quotients and roots, which are rounded alike everywhere.

use rand_mt::Mt;

use super::super::architecture::{Architecture, Family};
use super::super::layer_norm::NormLayer;
use super::super::res_conv_stack::ResConvStackWeights;
use super::super::trained_model::TrainedModel;
use super::super::weights::{Layer, Weights};
use crate::error::Result;

/// A network to start a training from. Biases are 0, scales 1; kernels
///
/// * of a `ConvStack` uniform between plus and minus sqrt(6 / (fan in + fan out)), the fans counted with the
///   taps (Glorot and Bengio 2010), as google/ffn has it;
/// * of a `ResConvStack` normal with variance 1 / fan in, cut at two deviations (LeCun 1998), as flax has it.
///
/// # Errors
/// [`Error::Usage`](crate::Error::Usage) if there cannot be such a network.
pub fn initial_model(architecture: &Architecture, seed: u64) -> Result<TrainedModel> {
    architecture.check_layers()?;
    let mut random = Mt::new_with_key([seed as u32, (seed >> 32) as u32]);
    let mut kernels = architecture.kernels().into_iter();
    let mut layer = || drawn(architecture.family, kernels.next().unwrap_or_default(), &mut random);
    let (depth, num_convs) = (architecture.depth, architecture.num_convs);
    Ok(match architecture.family {
        Family::ConvStack => {
            let mut pair = || (layer(), layer());
            let (first, modules) = (pair(), (1..depth).map(|_| pair()).collect());
            Weights { first, modules, update: layer() }.into()
        }
        Family::ResConvStack => {
            let mut module = || (0..num_convs).map(|_| layer()).collect::<Vec<_>>();
            let (first, modules) = (module(), (0..depth).map(|_| module()).collect());
            let output = layer();
            let norm =
                |channels| NormLayer { scale: vec![1.0; channels], bias: vec![0.0; channels] };
            let norms = architecture.norms().into_iter().map(norm).collect();
            let (padding, update) = (architecture.padding, architecture.update);
            ResConvStackWeights { first, modules, output, norms, padding, update }.into()
        }
    })
}

/// A convolution of a kernel's shape.
fn drawn(family: Family, shape: [usize; 5], random: &mut Mt) -> Layer {
    let [z, y, x, inputs, outputs] = shape;
    let (taps, count) = ((z * y * x) as f64, shape.iter().product());
    let weights = match family {
        Family::ConvStack => {
            let limit = (6.0 / (taps * (inputs + outputs) as f64)).sqrt();
            (0..count).map(|_| (uniform(random) * limit) as f32).collect()
        }
        Family::ResConvStack => {
            let factor = (1.0 / (taps * inputs as f64)).sqrt() / CUT_DEVIATION;
            (0..count).map(|_| (cut_normal(random) * factor) as f32).collect()
        }
    };
    Layer { shape, weights, biases: vec![0.0; outputs] }
}

/// From -1 up to 1.
fn uniform(random: &mut Mt) -> f64 {
    f64::from(random.next_u32()) / 2_147_483_648.0 - 1.0
}

/// Standard deviation of a normal distribution that is cut at two of its deviations.
const CUT_DEVIATION: f64 = 0.879_625_661_034_239_8;

/// Of a normal distribution of deviation 1, cut at 2: uniform numbers that are kept as often as it has them.
fn cut_normal(random: &mut Mt) -> f64 {
    loop {
        let (value, height) = (2.0 * uniform(random), uniform(random).abs());
        if height < exp_of_minus(value * value / 2.0) {
            return value;
        }
    }
}

/// exp(-t) for t from 0 to 2 by sums and products, whose rounding does not depend on a library.
fn exp_of_minus(t: f64) -> f64 {
    let small = t / 16.0;
    let series = (1..=9).rev().fold(1.0, |sum, n| 1.0 - small / f64::from(n) * sum);
    (0..4).fold(series, |power, _| power * power)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::ffn::Layers;

    #[test]
    fn weights_of_a_conv_stack_fill_their_range_and_depend_on_the_seed() {
        let network = |seed| initial_model(&Architecture::conv_stack(2, 8), seed).unwrap();
        let model = network(1);
        let Layers::ConvStack(weights) = model.layers() else { unreachable!() };
        let limit = (6.0f32 / (27.0 * 16.0)).sqrt();
        let values = &weights.first.1.weights;
        let largest = values.iter().fold(0.0f32, |m, v| m.max(v.abs()));
        assert!(largest <= limit && largest > 0.95 * limit, "{largest} of {limit}");
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        assert!(mean.abs() < 0.1 * limit, "{mean}");
        assert!(weights.first.1.biases.iter().all(|b| *b == 0.0));
        assert_ne!(model, network(1 << 40 | 1));
    }

    #[test]
    fn weights_of_a_res_conv_stack_are_those_of_flax() {
        let architecture = Architecture::res_conv_stack(1, 16);
        let model = initial_model(&architecture, 3).unwrap();
        assert_eq!(*model.architecture(), architecture);
        let Layers::ResConvStack(weights) = model.layers() else { unreachable!() };
        let values = &weights.modules[0][1].weights;
        let deviation = (1.0 / (27.0 * 16.0f64)).sqrt();
        let values = values.iter().map(|v| f64::from(*v)).collect::<Vec<_>>();
        let count = values.len() as f64;
        let variance = values.iter().map(|v| v * v).sum::<f64>() / count;
        assert!((variance.sqrt() / deviation - 1.0).abs() < 0.03, "{variance}");
        assert!((values.iter().sum::<f64>() / count).abs() < 0.05 * deviation);
        let largest = values.iter().fold(0.0f64, |m, v| m.max(v.abs()));
        let cut = 2.0 * deviation / CUT_DEVIATION;
        assert!(largest <= cut * 1.000_001 && largest > 0.98 * cut, "{largest} of {cut}");
        // A normal distribution has 0.6827 of itself within its deviation.
        let near = values.iter().filter(|v| v.abs() < cut / 2.0).count() as f64 / count;
        assert!((near - 0.6827 / 0.9545).abs() < 0.02, "{near}");
        assert!(weights.norms.len() == 3 && weights.norms[1].scale == [1.0; 16]);
    }

    #[test]
    fn the_exponential_is_near_enough() {
        for n in 0..=200 {
            let t = f64::from(n) / 100.0;
            assert!((exp_of_minus(t) - (-t).exp()).abs() < 1e-14, "{t}");
        }
    }

    #[test]
    fn networks_that_cannot_be_are_named() {
        let small = Architecture::conv_stack(2, 8);
        let error = |change: &dyn Fn(&mut Architecture)| {
            let mut architecture = small.clone();
            change(&mut architecture);
            initial_model(&architecture, 1).unwrap_err().to_string()
        };
        assert_eq!(error(&|a| a.depth = 0), "depth: expected from 1 to 1000, found 0");
        assert_eq!(error(&|a| a.num_convs = 3), "num_convs: expected 2 in a ConvStack, found 3");
        assert_eq!(
            error(&|a| a.layer_norm = true),
            "layer_norm: expected false in a ConvStack, found true"
        );
        assert_eq!(
            error(&|a| a.features = vec![8; 5]),
            "features: expected 4 numbers or one, found 5 numbers"
        );
        assert_eq!(
            error(&|a| a.features = vec![4, 8, 8, 9]),
            "features: expected 8 at the end of each module, found 9 as number 4"
        );
        assert!(error(&|a| a.features[0] = 0).starts_with("features: expected from 1 to"));
    }
}
