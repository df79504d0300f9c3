//! The convolution and its gradients on devices of CubeCL.

use burn::tensor::{DType, Shape};
use burn_cubecl::CubeBackend;

use super::super::gradient::{Conv3dGradients, Kernels};
use super::{Float, Kernel, Operation, contiguous, convolve, keep_pace, shape, tensor, volume};
use crate::error::Result;
use crate::kernels::conv3d::{self, Buffers, ConvShape, Fusions, transposed, weight_gradient};
use crate::kernels::sums;
use crate::precision::Precision;

impl Conv3dGradients for CubeBackend {
    fn kernels(x: &Float, operation: Operation) -> Option<Kernels<Self>> {
        let own = operation.kernel != Kernel::Burn && x.dtype == DType::F32;
        let ours = own && shape(x, operation).check(&x.client).is_ok();
        ours.then_some(Kernels { forward, parameters, input, recycle: drop })
    }
}

fn forward(tensors: &[Float], operation: Operation) -> Float {
    let [x, weights, bias, residual @ ..] = tensors else {
        unreachable!("input, weights and bias");
    };
    let (x, weights, bias) = (x.clone(), weights.clone(), bias.clone());
    convolve(x, weights, bias, residual.first().cloned(), operation)
}

fn parameters(x: &Float, gradient: &Float, operation: Operation) -> [Float; 2] {
    let (x, gradient) = (contiguous(x), contiguous(gradient));
    let shape = shape(&x, operation);
    let (client, slope) = (&x.client, &gradient.handle);
    let relu = operation.relu.input;
    let weights = started(weight_gradient::launch(client, &x.handle, slope, shape, relu));
    let bias = sums::launch(client, slope, shape.voxels(), shape.outputs);
    keep_pace(&x);
    [
        tensor(&x, weights, Shape::new([shape.weights_len()])),
        tensor(&x, bias, Shape::new([shape.outputs])),
    ]
}

fn input(
    x: Float,
    weights: &Float,
    gradient: Float,
    onto: Option<Float>,
    operation: Operation,
) -> Float {
    let [x, weights, gradient] = [&x, weights, &gradient].map(contiguous);
    let onto = onto.as_ref().map(contiguous);
    let forward = shape(&x, operation);
    let shape = ConvShape { inputs: forward.outputs, outputs: forward.inputs, ..forward };
    let output = x.client.empty(shape.output_len() * 4);
    let zeros = x.client.create_from_slice(bytemuck::cast_slice(&vec![0.0f32; shape.outputs]));
    let buffers = Buffers {
        input: &gradient.handle,
        weights: &transposed::launch(&x.client, &weights.handle, &forward),
        bias: &zeros,
        mask: operation.relu.input.then_some(&x.handle),
        residual: onto.as_ref().map(|onto| &onto.handle),
        output: &output,
    };
    // Gradients may be too small for floats of 16 bits.
    let precision = Precision::Exact;
    started(conv3d::launch(&x.client, buffers, shape, Fusions::default(), precision));
    keep_pace(&x);
    tensor(&x, output, volume(&shape, shape.outputs))
}

/// What a launch gives: sizes were checked before the convolution was noted on the tape.
///
/// # Panics
/// If a tensor has other sizes than the convolution, as burn's operations do.
fn started<T>(result: Result<T>) -> T {
    result.unwrap_or_else(|error| panic!("gradient of a convolution: {error}"))
}
