//! The 3-d convolution of the networks: one door, behind which each device may have its own kernel.
//!
//! Tensors are channels-last, `[batch, z, y, x, channel]`, as TensorFlow and JAX hold them too: the
//! channels of a voxel are what one vector, or one row of a matrix product, takes. What surrounds a
//! convolution in a residual network (ReLU before and after, bias, the sum with the residual) is part
//! of the operation, so that no value passes through memory only for that.
//!
//! On the CPU 3x3x3 kernels go to a Winograd convolution of our own, 1x1x1 to a product of matrices, all
//! else to burn. On devices of CubeCL all go to kernels of our own.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, backend_extension};
use burn::tensor::{Device, Tensor, TensorData};

use crate::precision::Precision;

#[cfg(feature = "cube")]
pub(crate) mod cube;
#[cfg(feature = "flex")]
pub(crate) mod flex;
#[cfg(feature = "train")]
mod gradient;
#[cfg(feature = "flex")]
mod pointwise;
mod portable;
#[cfg(feature = "flex")]
mod winograd;

/// Sizes of a convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conv3dShape {
    /// Voxels of one image along z, y and x.
    pub volume_zyx: [usize; 3],
    /// Taps along z, y and x; odd.
    pub kernel_zyx: [usize; 3],
    /// Channels of the input.
    pub inputs: usize,
    /// Channels of the output.
    pub outputs: usize,
}

/// Where negative values become zero.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Relu {
    /// Before the convolution.
    pub input: bool,
    /// After bias and residual.
    pub output: bool,
}

/// What a backend needs to know of a convolution beside its tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Operation {
    shape: Conv3dShape,
    kernel: Kernel,
    relu: Relu,
}

/// What computes a convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kernel {
    /// The device's own kernel where there is one, else burn's.
    Own(Precision),
    /// burn's convolution, which our own are measured against.
    Burn,
}

/// A convolution with trained weights, in the form that its device's kernel likes best.
///
/// Stride 1, zero padding that keeps the size ("SAME"), f32.
#[derive(Debug, Clone)]
pub struct Conv3d {
    shape: Conv3dShape,
    kernel: Kernel,
    packed: Tensor<1>,
    bias: Tensor<1>,
}

impl Conv3d {
    /// Puts weights on a device. `weights`: `[kz, ky, kx, inputs, outputs]` in C order; `bias`:
    /// `[outputs]`. Backends without fast products compute in f32. On the CPU packed weights of a 3x3x3 kernel take about 27 times their size.
    ///
    /// # Panics
    /// If the lengths do not fit the shape.
    pub fn new(
        shape: Conv3dShape,
        kernel: Kernel,
        weights: &[f32],
        bias: &[f32],
        device: &Device,
    ) -> Self {
        let [kz, ky, kx] = shape.kernel_zyx;
        let data = TensorData::new(weights.to_vec(), [kz, ky, kx, shape.inputs, shape.outputs]);
        let weights = Tensor::<5>::from_data(data, device).into_dispatch();
        let packed = <Dispatch as Conv3dOps>::conv3d_pack(weights, shape, kernel);
        let packed = Tensor::from_dispatch(packed);
        let bias = Tensor::from_data(TensorData::new(bias.to_vec(), [shape.outputs]), device);
        Self { shape, kernel, packed, bias }
    }

    /// A convolution whose weights, `[kz, ky, kx, inputs, outputs]` in one line, and biases are tensors
    /// already. With autodiff they are not packed for good: gradients flow to them.
    ///
    /// # Panics
    /// If the lengths do not fit the shape.
    #[cfg(feature = "train")]
    pub fn with_parameters(
        shape: Conv3dShape,
        kernel: Kernel,
        weights: Tensor<1>,
        bias: Tensor<1>,
    ) -> Self {
        let [kz, ky, kx] = shape.kernel_zyx;
        let weights = weights.reshape([kz, ky, kx, shape.inputs, shape.outputs]).into_dispatch();
        let packed = <Dispatch as Conv3dOps>::conv3d_pack(weights, shape, kernel);
        Self { shape, kernel, packed: Tensor::from_dispatch(packed), bias }
    }

    /// `relu(conv(relu(x)) + bias + residual)`, each ReLU and the residual if asked for.
    ///
    /// `x`: `[batch, z, y, x, inputs]`; `residual` and result: `[batch, z, y, x, outputs]`. A residual
    /// that nobody else holds becomes the result, without memory of its own.
    ///
    /// # Panics
    /// If `x` has other sizes than the shape.
    pub fn forward(&self, x: Tensor<5>, residual: Option<Tensor<5>>, relu: Relu) -> Tensor<5> {
        let ([batch, found @ ..], shape) = (x.dims(), self.shape);
        let [z, y, width] = shape.volume_zyx;
        assert_eq!(found, [z, y, width, shape.inputs], "input of the convolution");
        let (packed, bias) =
            (self.packed.clone().into_dispatch(), self.bias.clone().into_dispatch());
        let operation = Operation { shape, kernel: self.kernel, relu };
        let Some(residual) = residual else {
            let x = x.into_dispatch();
            return Tensor::from_dispatch(<Dispatch as Conv3dOps>::conv3d(
                x, packed, bias, operation,
            ));
        };
        assert_eq!(residual.dims(), [batch, z, y, width, shape.outputs], "residual");
        let (x, onto) = (x.into_dispatch(), residual.into_dispatch());
        let sum = <Dispatch as Conv3dOps>::conv3d_onto(x, packed, bias, onto, operation);
        Tensor::from_dispatch(sum)
    }
}

/// A residual module: `x + second(relu(first(relu(x))))`. `x`, `[batch, z, y, x, channels]`, becomes the
/// result where nobody else holds it.
///
/// # Panics
/// If sizes do not fit: the first must take and the second give the channels of `x`.
pub fn residual_module(first: &Conv3d, second: &Conv3d, x: Tensor<5>) -> Tensor<5> {
    let (dims, shapes) = (x.dims(), [first.shape, second.shape]);
    let [z, y, width] = shapes[0].volume_zyx;
    assert_eq!(dims[1..], [z, y, width, shapes[0].inputs], "input of the module");
    assert_eq!(shapes[1].volume_zyx, shapes[0].volume_zyx, "volume of the module");
    assert_eq!(shapes[1].inputs, shapes[0].outputs, "channels inside the module");
    assert_eq!(shapes[1].outputs, shapes[0].inputs, "output of the module");
    let relu = Relu { input: true, output: false };
    let operations =
        [first, second].map(|conv| Operation { shape: conv.shape, kernel: conv.kernel, relu });
    let [first, second] = [first, second]
        .map(|conv| (conv.packed.clone().into_dispatch(), conv.bias.clone().into_dispatch()));
    let x = x.into_dispatch();
    Tensor::from_dispatch(<Dispatch as Conv3dOps>::conv3d_module(
        x, first.0, first.1, second.0, second.1, operations,
    ))
}

/// The door as burn's backends see it. A device without a kernel of its own takes the default bodies.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    Cube: cfg(feature = "cube"),
    Autodiff: cfg(feature = "train")
)]
trait Conv3dOps: Backend {
    /// Weights `[kz, ky, kx, inputs, outputs]` in the device's own form, as one line.
    fn conv3d_pack(
        weights: FloatTensor<Self>,
        shape: Conv3dShape,
        _kernel: Kernel,
    ) -> FloatTensor<Self> {
        portable::pack::<Self>(weights, shape)
    }

    /// See [`Conv3d::forward`]; without residual.
    fn conv3d(
        x: FloatTensor<Self>,
        packed: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        operation: Operation,
    ) -> FloatTensor<Self> {
        portable::convolve::<Self>(x, packed, bias, None, operation)
    }

    /// See [`Conv3d::forward`]; with residual.
    fn conv3d_onto(
        x: FloatTensor<Self>,
        packed: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        operation: Operation,
    ) -> FloatTensor<Self> {
        portable::convolve::<Self>(x, packed, bias, Some(residual), operation)
    }

    /// See [`residual_module`].
    fn conv3d_module(
        x: FloatTensor<Self>,
        first: FloatTensor<Self>,
        first_bias: FloatTensor<Self>,
        second: FloatTensor<Self>,
        second_bias: FloatTensor<Self>,
        operations: [Operation; 2],
    ) -> FloatTensor<Self> {
        let inner = <Self as Conv3dOps>::conv3d(x.clone(), first, first_bias, operations[0]);
        Self::conv3d_onto(inner, second, second_bias, x, operations[1])
    }
}
