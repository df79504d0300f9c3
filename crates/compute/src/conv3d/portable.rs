//! The convolution by burn's own operations.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::Shape;
use burn::tensor::ops::ConvOptions;

use super::{Conv3dShape, Operation};

/// The weights as they are.
pub(super) fn pack<B: Backend>(weights: FloatTensor<B>, shape: Conv3dShape) -> FloatTensor<B> {
    let taps: usize = shape.kernel_zyx.iter().product();
    B::float_reshape(weights, Shape::new([taps * shape.inputs * shape.outputs]))
}

pub(super) fn convolve<B: Backend>(
    x: FloatTensor<B>,
    packed: FloatTensor<B>,
    bias: FloatTensor<B>,
    residual: Option<FloatTensor<B>>,
    Operation { shape, relu, .. }: Operation,
) -> FloatTensor<B> {
    let [kz, ky, kx] = shape.kernel_zyx;
    let weights = Shape::new([kz, ky, kx, shape.inputs, shape.outputs]);
    let weights = B::float_permute(B::float_reshape(packed, weights), &[4, 3, 0, 1, 2]);
    let x = if relu.input { B::relu(x) } else { x };
    let x = B::float_permute(x, &[0, 4, 1, 2, 3]);
    let options = ConvOptions::new([1; 3], shape.kernel_zyx.map(|k| k / 2), [1; 3], 1);
    let sum = B::conv3d(x, weights, Some(bias), options);
    let sum = B::float_permute(sum, &[0, 2, 3, 4, 1]);
    debug_assert_eq!(sum.shape().num_dims(), 5);
    let sum = match residual {
        Some(residual) => B::float_add(sum, residual),
        None => sum,
    };
    if relu.output { B::relu(sum) } else { sum }
}
