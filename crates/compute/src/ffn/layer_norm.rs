//! Layer normalisation over the channels of each voxel, as `flax.linen.LayerNorm` does it (Ba, Kiros and
//! Hinton, arXiv:1607.06450): `(x - mean) / sqrt(variance + 1e-6) * scale + bias`.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, TensorMetadata, backend_extension};
use burn::tensor::{Device, Shape, Tensor, TensorData};

use super::weights::{TensorSource, read_tensor};
use crate::error::{Error, Result};

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

#[cfg(feature = "cube")]
impl LayerNormOps for burn_cubecl::CubeBackend {}

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
