//! The residual stack of 3-d convolutions of the published networks (`ConvStack3DFFNModel`).

use burn::tensor::{Device, Tensor};

use super::weights::{Layer, Weights};
use crate::conv3d::{Conv3d, Conv3dShape, Kernel, Relu, residual_module};

/// The network on a device, for one size of FOV: two convolutions, then residual modules of two each,
/// then one 1x1x1 convolution whose output is the change of the seed.
#[derive(Debug)]
pub struct ConvStack3d {
    first: (Conv3d, Conv3d),
    modules: Vec<(Conv3d, Conv3d)>,
    update: Conv3d,
}

impl ConvStack3d {
    /// The network with trained weights on a device.
    pub fn new(weights: &Weights, fov_zyx: [usize; 3], kernel: Kernel, device: &Device) -> Self {
        Self::build(weights, |layer| {
            Conv3d::new(shape(layer, fov_zyx), kernel, &layer.weights, &layer.biases, device)
        })
    }

    /// The network with weights and biases that are tensors already, each in one line; `weights` gives
    /// the shapes only, and `pairs` gives both of a layer in the order of [`Weights::named_layers`]. On a
    /// device with autodiff gradients flow through it.
    #[cfg(feature = "train")]
    pub(super) fn with_parameters(
        weights: &Weights,
        fov_zyx: [usize; 3],
        kernel: Kernel,
        mut pairs: impl FnMut() -> [Tensor<1>; 2],
    ) -> Self {
        Self::build(weights, |layer| {
            let [weights, bias] = pairs();
            Conv3d::with_parameters(shape(layer, fov_zyx), kernel, weights, bias)
        })
    }

    fn build(weights: &Weights, mut convolution: impl FnMut(&Layer) -> Conv3d) -> Self {
        let mut pair = |(a, b): &(Layer, Layer)| (convolution(a), convolution(b));
        let first = pair(&weights.first);
        let modules = weights.modules.iter().map(pair).collect();
        Self { first, modules, update: convolution(&weights.update) }
    }

    /// New logits of a FOV.
    ///
    /// `image`, `seed`: `[batch, z, y, x, 1]`, f32; image normalised, seed in logits without NaN.
    /// Result: `[batch, z, y, x, 1]`, logits: seed + update.
    pub fn forward(&self, image: Tensor<5>, seed: Tensor<5>) -> Tensor<5> {
        // Only before convolutions: the same network, and what gradients need is then the input alone.
        let relu = Relu { input: true, ..Relu::default() };
        let x = Tensor::cat(vec![image, seed.clone()], 4);
        let x = self.first.0.forward(x, None, Relu::default());
        let mut x = self.first.1.forward(x, None, relu);
        for (a, b) in &self.modules {
            x = residual_module(a, b, x);
        }
        self.update.forward(x, Some(seed), relu)
    }
}

fn shape(layer: &Layer, volume_zyx: [usize; 3]) -> Conv3dShape {
    let [kz, ky, kx, inputs, outputs] = layer.shape;
    Conv3dShape { volume_zyx, kernel_zyx: [kz, ky, kx], inputs, outputs }
}
