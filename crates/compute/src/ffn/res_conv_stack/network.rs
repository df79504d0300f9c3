//! A `ResConvStack` on a device.

use burn::tensor::{Device, Tensor};

use super::ResConvStackWeights;
use crate::conv3d::{Conv3d, Conv3dShape, Kernel, Relu};
use crate::ffn::architecture::{Padding, SeedUpdate};
use crate::ffn::layer_norm::{LayerNorm, NormLayer};
use crate::ffn::weights::Layer;

/// The network on a device, for one size of FOV.
#[derive(Debug)]
pub(in crate::ffn) struct ResConvStack {
    first: Vec<Convolution>,
    modules: Vec<Vec<Convolution>>,
    output: Convolution,
    norms: Vec<LayerNorm>,
    update: SeedUpdate,
}

/// A convolution, and what becomes invalid at the border.
#[derive(Debug)]
struct Convolution {
    inner: Conv3d,
    /// Voxels along z, y and x of the input.
    input_zyx: [usize; 3],
    /// Voxels of the output, in the middle of the input.
    output_zyx: [usize; 3],
}

impl Convolution {
    /// Without padding, the convolution is computed with zeros around it and cropped: kernels of our own
    /// know that case only, and a shell of one voxel costs less than another kernel would win.
    fn new(
        layer: &Layer,
        padding: Padding,
        input_zyx: [usize; 3],
        make: impl FnOnce(&Layer, Conv3dShape) -> Conv3d,
    ) -> Self {
        let [kz, ky, kx, inputs, outputs] = layer.shape;
        let kernel_zyx = [kz, ky, kx];
        let shape = Conv3dShape { volume_zyx: input_zyx, kernel_zyx, inputs, outputs };
        let output_zyx = match padding {
            Padding::Same => input_zyx,
            Padding::Valid => [0, 1, 2].map(|a| input_zyx[a].saturating_sub(kernel_zyx[a] / 2 * 2)),
        };
        Self { inner: make(layer, shape), input_zyx, output_zyx }
    }

    /// Of the ReLU of `x`, if it is to be; plus the middle of a residual.
    fn forward(&self, x: Tensor<5>, residual: Option<Tensor<5>>, relu: bool) -> Tensor<5> {
        let residual = residual.map(|residual| cropped(residual, self.input_zyx));
        let relu = Relu { input: relu, output: false };
        cropped(self.inner.forward(x, residual, relu), self.output_zyx)
    }
}

/// The middle of a volume.
fn cropped(x: Tensor<5>, zyx: [usize; 3]) -> Tensor<5> {
    let [batch, z, y, width, channels] = x.dims();
    if [z, y, width] == zyx {
        return x;
    }
    let middle = |size: usize, kept: usize| {
        let start = size.saturating_sub(kept) / 2;
        start..start + kept
    };
    x.slice([0..batch, middle(z, zyx[0]), middle(y, zyx[1]), middle(width, zyx[2]), 0..channels])
}

impl ResConvStack {
    /// The network with trained weights on a device.
    pub(in crate::ffn) fn new(
        weights: &ResConvStackWeights,
        fov_zyx: [usize; 3],
        kernel: Kernel,
        device: &Device,
    ) -> Self {
        let convolution = |layer: &Layer, shape: Conv3dShape| {
            Conv3d::new(shape, kernel, &layer.weights, &layer.biases, device)
        };
        Self::build(weights, fov_zyx, convolution, |norm| LayerNorm::new(norm, device))
    }

    /// The network with parameters that are tensors already, each in one line; `weights` gives the shapes
    /// only, and `pairs` gives kernel and bias, or scale and bias, in the order of
    /// [`ResConvStackWeights::tensors`]. On a device with autodiff gradients flow through it.
    #[cfg(feature = "train")]
    pub(in crate::ffn) fn with_parameters(
        weights: &ResConvStackWeights,
        fov_zyx: [usize; 3],
        kernel: Kernel,
        mut pairs: impl FnMut() -> [Tensor<1>; 2],
    ) -> Self {
        let layers = 1 + weights.first.len() + weights.modules.iter().flatten().count();
        let layers: Vec<_> = (0..layers).map(|_| pairs()).collect();
        let mut layers = layers.into_iter();
        let convolution = |_: &Layer, shape: Conv3dShape| {
            let [weights, bias] = layers.next().unwrap_or_else(|| unreachable!("a pair a layer"));
            Conv3d::with_parameters(shape, kernel, weights, bias)
        };
        Self::build(weights, fov_zyx, convolution, |_| LayerNorm::with_parameters(pairs()))
    }

    fn build(
        weights: &ResConvStackWeights,
        fov_zyx: [usize; 3],
        mut make: impl FnMut(&Layer, Conv3dShape) -> Conv3d,
        norm: impl FnMut(&NormLayer) -> LayerNorm,
    ) -> Self {
        let mut size = fov_zyx;
        let mut convolution = |layer: &Layer| {
            let made = Convolution::new(layer, weights.padding, size, &mut make);
            size = made.output_zyx;
            made
        };
        let first = weights.first.iter().map(&mut convolution).collect();
        let modules = weights.modules.iter();
        let modules = modules.map(|m| m.iter().map(&mut convolution).collect()).collect();
        // One tap loses nothing.
        let output = convolution(&weights.output);
        let norms = weights.norms.iter().map(norm).collect();
        Self { first, modules, output, norms, update: weights.update }
    }

    /// New logits of the middle of a FOV.
    ///
    /// `image`: `[batch, z, y, x, channels]`, normalised; `seed`: `[batch, z, y, x, 1]`, logits without
    /// NaN. Result: `[batch, z, y, x, 1]`, of the voxels that padding leaves.
    pub(in crate::ffn) fn forward(&self, image: Tensor<5>, seed: Tensor<5>) -> Tensor<5> {
        let mut norms = self.norms.iter();
        let mut normed = |x: Tensor<5>| match norms.next() {
            Some(norm) => norm.forward(x),
            None => x,
        };
        let mut x = Tensor::cat(vec![image, seed.clone()], 4);
        for (number, convolution) in self.first.iter().enumerate() {
            x = convolution.forward(x, None, number > 0);
            if number == 0 {
                x = normed(x);
            }
        }
        for module in &self.modules {
            let mut inner = normed(x.clone());
            // Nobody else holds it then: its memory becomes the result's.
            let mut residual = Some(x);
            for (number, convolution) in module.iter().enumerate() {
                let last = number + 1 == module.len();
                let residual = if last { residual.take() } else { None };
                inner = convolution.forward(inner, residual, true);
            }
            x = inner;
        }
        let x = normed(x);
        let seed = match self.update {
            SeedUpdate::Additive => Some(seed),
            SeedUpdate::Direct => None,
        };
        self.output.forward(x, seed, true)
    }
}
