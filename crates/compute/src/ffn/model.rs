//! The residual stack of 3-d convolutions of the published networks (`ConvStack3DFFNModel`).

use burn::module::{Module, Param};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor, TensorData};

use super::weights::{Layer, Weights};
use crate::conv3d::conv3d_same;

/// A convolution with bias that keeps the size.
#[derive(Module, Debug)]
struct Convolution {
    /// `[channels out, channels in, kz, ky, kx]`.
    weight: Param<Tensor<5>>,
    /// `[channels out]`.
    bias: Param<Tensor<1>>,
}

impl Convolution {
    fn new(layer: &Layer, device: &Device) -> Self {
        let [kz, ky, kx, inputs, outputs] = layer.shape;
        let weight = TensorData::new(layer.weights.clone(), [kz, ky, kx, inputs, outputs]);
        let weight = Tensor::<5>::from_data(weight, device).permute([4, 3, 0, 1, 2]);
        let bias = TensorData::new(layer.biases.clone(), [outputs]);
        let bias = Tensor::<1>::from_data(bias, device);
        Self { weight: Param::from_tensor(weight), bias: Param::from_tensor(bias) }
    }

    fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        conv3d_same(x, self.weight.val(), self.bias.val())
    }
}

/// `x + b(relu(a(relu(x))))`.
#[derive(Module, Debug)]
struct Residual {
    a: Convolution,
    b: Convolution,
}

/// The network: two convolutions, then residual modules of two each, then one 1x1x1 convolution whose
/// output is the change of the seed.
#[derive(Module, Debug)]
pub struct ConvStack3d {
    first: Residual,
    modules: Vec<Residual>,
    update: Convolution,
}

impl ConvStack3d {
    /// The network with trained weights on a device.
    pub fn new(weights: &Weights, device: &Device) -> Self {
        let pair = |(a, b): &(Layer, Layer)| Residual {
            a: Convolution::new(a, device),
            b: Convolution::new(b, device),
        };
        Self {
            first: pair(&weights.first),
            modules: weights.modules.iter().map(pair).collect(),
            update: Convolution::new(&weights.update, device),
        }
    }

    /// New logits of a FOV.
    ///
    /// `image`, `seed`: `[batch, 1, z, y, x]`, f32; image normalised, seed in logits without NaN.
    /// Result: `[batch, 1, z, y, x]`, logits: seed + update.
    pub fn forward(&self, image: Tensor<5>, seed: Tensor<5>) -> Tensor<5> {
        let x = Tensor::cat(vec![image, seed.clone()], 1);
        let mut x = self.first.b.forward(relu(self.first.a.forward(x)));
        for module in &self.modules {
            let inner = module.a.forward(relu(x.clone()));
            x = x + module.b.forward(relu(inner));
        }
        seed + self.update.forward(relu(x))
    }
}
