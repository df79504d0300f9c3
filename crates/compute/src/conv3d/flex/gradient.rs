//! The convolution and its gradients on burn's CPU backend, for weights that change at each step.

use std::cell::Cell;

use burn::backend::{Flex, TensorMetadata};
use burn::tensor::{Shape, TensorData};

use super::super::gradient::{Conv3dGradients, Kernels};
use super::super::winograd::{self, Around, PackedWeights, Sizes};
use super::super::{Conv3dShape, Kernel, Operation, Relu, pointwise};
use super::{Float, Spares, contiguous, owned, plan, values_mut};
use crate::precision::Precision;
use crate::simd::aligned::AlignedBuffer;
use crate::simd::lanes::Isa;

impl Conv3dGradients for Flex {
    fn kernels(_x: &Float, operation: Operation) -> Option<Kernels<Self>> {
        let ours = [[3, 3, 3], [1, 1, 1]].contains(&operation.shape.kernel_zyx);
        let own = operation.kernel != Kernel::Burn;
        (ours && own).then_some(Kernels { forward, parameters, input, recycle })
    }
}

thread_local! {
    /// What is alive at the end of a forward pass. All of it is needed again in the next step.
    static TAPE: Spares = const { Spares::new(64, usize::MAX) };
}

fn take(shape: Shape) -> Float {
    TAPE.with(|spares| spares.take(shape))
}

fn recycle(tensor: Float) {
    TAPE.with(|spares| spares.keep(tensor));
}

fn forward(tensors: &[Float], operation: Operation) -> Float {
    let Operation { shape, relu, .. } = operation;
    let tensors: Vec<Float> = tensors.iter().cloned().map(contiguous).collect();
    let values: Vec<&[f32]> = tensors.iter().filter_map(|tensor| tensor.as_slice()).collect();
    let [z, y, width] = shape.volume_zyx;
    let batch = tensors.first().map_or(0, |x| x.shape()[0]);
    let mut output = take(Shape::new([batch, z, y, width, shape.outputs]));
    if let [x, weights, bias, residual @ ..] = &values[..] {
        let residual = residual.first().copied();
        let Relu { input: relu_input, output: relu_output } = relu;
        let around = Around { relu_input, relu_output, residual, ..Around::default() };
        let output = values_mut(&mut output);
        match shape.kernel_zyx {
            [1, 1, 1] => {
                let packed = pointwise::pack(weights, shape.inputs, shape.outputs);
                if let Some(residual) = residual {
                    output.copy_from_slice(residual);
                }
                let around = Around { accumulate: residual.is_some(), ..around };
                pointwise::convolve(shape.inputs, x, &packed, bias, around, output);
            }
            _ => {
                let weights = winograd::Weights::Forward(weights);
                convolve(shape, x, weights, bias, around, output);
            }
        }
    }
    output
}

fn parameters(x: &Float, gradient: &Float, operation: Operation) -> [Float; 2] {
    let Operation { shape, relu, .. } = operation;
    let [kz, ky, kx] = shape.kernel_zyx;
    let mut weights = vec![0.0; kz * ky * kx * shape.inputs * shape.outputs];
    let mut bias = vec![0.0; shape.outputs];
    let (x, gradient) = (contiguous(x.clone()), contiguous(gradient.clone()));
    if let (Some(x), Some(gradient)) = (x.as_slice(), gradient.as_slice()) {
        match shape.kernel_zyx {
            [1, 1, 1] => {
                let (weights, bias) = (&mut weights, &mut bias);
                pointwise::weight_gradient(shape.inputs, x, relu.input, gradient, weights, bias);
            }
            _ => {
                let sizes = sizes(shape);
                let (weights, bias) = (&mut weights, &mut bias);
                let isa = Isa::best();
                winograd::weight_gradient(sizes, isa, x, relu.input, gradient, weights, bias);
            }
        }
    }
    [weights, bias].map(|values| {
        let length = values.len();
        Float::from_data(TensorData::new(values, [length]))
    })
}

fn input(
    x: Float,
    weights: &Float,
    gradient: Float,
    onto: Option<Float>,
    operation: Operation,
) -> Float {
    let Operation { shape, relu, .. } = operation;
    let (x, weights, gradient) = (contiguous(x), contiguous(weights.clone()), contiguous(gradient));
    let accumulate = onto.is_some();
    let mut output = onto.map_or_else(|| take(x.shape()), owned);
    if let (Some(values), Some(weights), Some(slope)) =
        (x.as_slice(), weights.as_slice(), gradient.as_slice())
    {
        let mask = relu.input.then_some(values);
        let around = Around { mask, accumulate, ..Around::default() };
        input_slices(shape, weights, slope, around, values_mut(&mut output));
    }
    recycle(x);
    recycle(gradient);
    output
}

fn input_slices(
    shape: Conv3dShape,
    weights: &[f32],
    gradient: &[f32],
    around: Around<'_>,
    output: &mut [f32],
) {
    if shape.kernel_zyx == [1, 1, 1] {
        let packed = pointwise::pack(weights, shape.inputs, shape.outputs);
        pointwise::input_gradient(shape.inputs, gradient, &packed, around, output);
        return;
    }
    let weights = winograd::Weights::Backward(weights);
    let shape = Conv3dShape { inputs: shape.outputs, outputs: shape.inputs, ..shape };
    convolve(shape, gradient, weights, &vec![0.0; shape.outputs], around, output);
}

fn sizes(shape: Conv3dShape) -> Sizes {
    let Conv3dShape { volume_zyx: volume, inputs, outputs, .. } = shape;
    Sizes { volume, inputs, outputs }
}

/// With weights that are packed for this once.
fn convolve(
    shape: Conv3dShape,
    x: &[f32],
    weights: winograd::Weights<'_>,
    bias: &[f32],
    around: Around<'_>,
    output: &mut [f32],
) {
    thread_local! {
        static PACKED: Cell<AlignedBuffer> = Cell::default();
    }
    let plan = plan(shape, Precision::Exact);
    // Taken, not borrowed: while it waits this thread may be given another convolution.
    let mut packed = PACKED.take();
    packed.fit(plan.packed_len());
    plan.repack(weights, &mut packed);
    winograd::convolve(&plan, x, &PackedWeights::new(&packed), bias, around, output);
    PACKED.set(packed);
}
