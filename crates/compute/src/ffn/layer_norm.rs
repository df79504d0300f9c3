//! Layer normalisation over the channels of each voxel, as `flax.linen.LayerNorm` does it (Ba, Kiros and
//! Hinton, arXiv:1607.06450): `(x - mean) / sqrt(variance + 1e-6) * scale + bias`.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, TensorMetadata, backend_extension};
use burn::tensor::{Device, Shape, Tensor, TensorData};

use super::weights::{TensorSource, read_tensor};
use crate::error::{Error, Result};

#[cfg(feature = "cube")]
mod cube;
#[cfg(feature = "flex")]
mod flex;
#[cfg(feature = "train")]
mod gradient;

/// Added to the variance.
const EPSILON: f32 = 1e-6;

/// Trained numbers of a normalisation.
#[derive(Debug, Clone, PartialEq)]
pub struct NormLayer {
    /// One for each channel.
    pub scale: Vec<f32>,
    /// One for each channel.
    pub bias: Vec<f32>,
}

impl NormLayer {
    /// Reads `NAME/scale` and `NAME/bias`, each for so many channels.
    pub(super) fn read(
        source: &dyn TensorSource,
        file: &str,
        name: &str,
        channels: usize,
    ) -> Result<Self> {
        let tensor = |part: &str| {
            let name = format!("{name}/{part}");
            let (shape, values) = read_tensor(source, file, &name)?;
            if shape != [channels] {
                let expected = [channels];
                let message =
                    format!("tensor {name}: expected shape {expected:?}, found {shape:?}");
                return Err(Error::checkpoint(file, message));
            }
            Ok(values)
        };
        Ok(Self { scale: tensor("scale")?, bias: tensor("bias")? })
    }

    /// With names and shapes, as files hold them.
    pub(super) fn tensors(&self, name: &str) -> [(String, Vec<usize>, &[f32]); 2] {
        let tensor =
            |part: &str, values| (format!("{name}/{part}"), vec![self.scale.len()], values);
        [tensor("scale", self.scale.as_slice()), tensor("bias", self.bias.as_slice())]
    }
}

/// A normalisation on a device.
#[derive(Debug)]
pub(super) struct LayerNorm {
    scale: Tensor<1>,
    bias: Tensor<1>,
}

impl LayerNorm {
    pub(super) fn new(layer: &NormLayer, device: &Device) -> Self {
        let tensor = |values: &[f32]| {
            Tensor::from_data(TensorData::new(values.to_vec(), [values.len()]), device)
        };
        Self::with_parameters([tensor(&layer.scale), tensor(&layer.bias)])
    }

    /// With tensors of the numbers; on a device with autodiff gradients flow to them.
    pub(super) fn with_parameters([scale, bias]: [Tensor<1>; 2]) -> Self {
        Self { scale, bias }
    }

    /// `x` and result: `[batch, z, y, x, channels]`. An `x` that nobody else holds becomes the result.
    pub(super) fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        let [scale, bias] = [&self.scale, &self.bias].map(|t| t.clone().into_dispatch());
        Tensor::from_dispatch(<Dispatch as LayerNormOps>::layer_norm(
            x.into_dispatch(),
            scale,
            bias,
        ))
    }
}

/// The operation as burn's backends see it; by burn's own operations where there is no better way.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    Cube: cfg(feature = "cube"),
    Autodiff: cfg(feature = "train")
)]
trait LayerNormOps: Backend {
    /// See [`LayerNorm::forward`].
    fn layer_norm(
        x: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        portable::<Self>(x, scale, bias)
    }
}

fn portable<B: Backend>(
    x: FloatTensor<B>,
    scale: FloatTensor<B>,
    bias: FloatTensor<B>,
) -> FloatTensor<B> {
    let channels = scale.shape()[0];
    let along = |t| B::float_reshape(t, Shape::new([1, 1, 1, 1, channels]));
    let mean = B::float_mean_dim(x.clone(), 4);
    let centred = B::float_sub(x, mean);
    let variance = B::float_mean_dim(B::float_mul(centred.clone(), centred.clone()), 4);
    let deviation = B::float_sqrt(B::float_add_scalar(variance, EPSILON.into()));
    let scaled = B::float_mul(B::float_div(centred, deviation), along(scale));
    B::float_add(scaled, along(bias))
}

#[cfg(all(test, feature = "cube", feature = "train"))]
#[allow(clippy::unwrap_used, clippy::print_stderr)]
mod tests {
    use proptest::prelude::*;
    use proptest::test_runner::{Config, TestRunner};

    use super::*;
    use crate::ComputeDevice;

    type Operation = fn(Tensor<5>, [Tensor<1>; 2]) -> Tensor<5>;

    fn own(x: Tensor<5>, parameters: [Tensor<1>; 2]) -> Tensor<5> {
        LayerNorm::with_parameters(parameters).forward(x)
    }

    fn burns(x: Tensor<5>, parameters: [Tensor<1>; 2]) -> Tensor<5> {
        let [scale, bias] = parameters.map(Tensor::into_dispatch);
        Tensor::from_dispatch(portable::<Dispatch>(x.into_dispatch(), scale, bias))
    }

    /// Results, and gradients of input, scale and bias.
    fn computed(operation: Operation, device: &Device, shape: [usize; 5]) -> [Vec<f32>; 4] {
        let numbers = |count: usize, seed: u32| {
            let number = move |i: usize| {
                (i as u32 ^ seed).wrapping_mul(2_654_435_761) as f32 / u32::MAX as f32
            };
            let values: Vec<f32> = (0..count).map(number).collect();
            Tensor::<1>::from_data(TensorData::new(values, [count]), device)
        };
        let count = shape.iter().product();
        let leaves =
            [numbers(count, 1) * 4.0 - 1.0, numbers(shape[4], 77) + 0.5, numbers(shape[4], 5)];
        let leaves = leaves.map(|leaf| leaf.autodiff().require_grad());
        let [x, scale, bias] = leaves.clone();
        let result = operation(x.reshape(shape), [scale, bias]);
        let slope = (numbers(count, 9) - 0.5).reshape(shape).autodiff();
        let values = result.clone().inner();
        let mut gradients = (result * slope).sum().backward();
        let [x, scale, bias] = leaves.map(|leaf| leaf.grad_remove(&mut gradients).unwrap());
        let values = values.reshape([count]);
        [values, x, scale, bias].map(|t| t.into_data().try_to_vec::<f32>().unwrap())
    }

    fn own_is_burns(spec: &str, cases: u32) {
        let Ok((device, _)) = ComputeDevice::open(spec.parse().unwrap()) else {
            eprintln!("skipped: {spec}");
            return;
        };
        let channels = prop::sample::select(vec![1usize, 2, 3, 8, 16, 32, 33, 48]);
        let mut runner = TestRunner::new(Config { cases, ..Config::default() });
        let test = |(sizes, channels): ([usize; 4], usize)| {
            let [batch, z, y, x] = sizes;
            let shape = [batch, z, y, x, channels];
            let found = computed(own, device.burn(), shape);
            let expected = computed(burns, device.burn(), shape);
            for (part, (found, expected)) in found.iter().zip(&expected).enumerate() {
                let largest = expected.iter().fold(1.0f32, |m, v| m.max(v.abs()));
                for (f, e) in found.iter().zip(expected) {
                    prop_assert!(
                        (f - e).abs() < 2e-4 * largest,
                        "{part} of {shape:?}: {f}, not {e}"
                    );
                }
            }
            prop_assert!(computed(own, device.burn(), shape) == found, "other bits");
            Ok(())
        };
        runner.run(&([1usize..4, 1..4, 1..9, 1..30], channels), test).unwrap();
    }

    #[test]
    fn normalisation_on_cpu_jit_is_burns() {
        own_is_burns("cpu-jit", 8);
    }

    #[test]
    fn normalisation_on_wgpu_is_burns() {
        own_is_burns("wgpu", 3);
    }
}
