//! The residual stack of 3-d convolutions of the published networks (`ConvStack3DFFNModel`).

use burn::tensor::{Device, Tensor};

use super::weights::{Layer, Weights};
use crate::conv3d::{Conv3d, Conv3dShape, Kernel, Relu};

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
        let convolution = |layer: &Layer| {
            let [kz, ky, kx, inputs, outputs] = layer.shape;
            let kernel_zyx = [kz, ky, kx];
            let shape = Conv3dShape { volume_zyx: fov_zyx, kernel_zyx, inputs, outputs };
            Conv3d::new(shape, kernel, &layer.weights, &layer.biases, device)
        };
        let pair = |(a, b): &(Layer, Layer)| (convolution(a), convolution(b));
        Self {
            first: pair(&weights.first),
            modules: weights.modules.iter().map(pair).collect(),
            update: convolution(&weights.update),
        }
    }

    /// New logits of a FOV.
    ///
    /// `image`, `seed`: `[batch, z, y, x, 1]`, f32; image normalised, seed in logits without NaN.
    /// Result: `[batch, z, y, x, 1]`, logits: seed + update.
    pub fn forward(&self, image: Tensor<5>, seed: Tensor<5>) -> Tensor<5> {
        let after = Relu { output: true, ..Relu::default() };
        let before = Relu { input: true, ..Relu::default() };
        let around = Relu { input: true, output: true };
        let x = Tensor::cat(vec![image, seed.clone()], 4);
        let x = self.first.0.forward(x, None, after);
        let mut x = self.first.1.forward(x, None, Relu::default());
        for (a, b) in &self.modules {
            let inner = a.forward(x.clone(), None, around);
            x = b.forward(inner, Some(x), Relu::default());
        }
        self.update.forward(x, Some(seed), before)
    }
}
