//! The convolution on burn's CPU backend.
//!
//! Tensors that are used up give their memory to the next result: a network of 25 layers that asked the
//! system for each would spend a third of its time on page faults.

use std::cell::RefCell;

use burn::backend::Flex;
use burn::backend::TensorMetadata;
use burn::backend::tensor::FloatTensor;
use burn::tensor::TensorData;

use super::winograd::{Around, PackedWeights, Plan, Sizes};
use super::{Conv3dOps, Conv3dShape, Operation, pointwise, portable};
use crate::simd::lanes::Isa;

type Float = FloatTensor<Flex>;

impl Conv3dOps for Flex {
    fn conv3d_pack(weights: Float, shape: Conv3dShape) -> Float {
        let weights = weights.to_contiguous();
        let packed = weights.as_slice().and_then(|weights| match shape.kernel_zyx {
            [3, 3, 3] => Some(plan(shape).pack(weights)),
            [1, 1, 1] => Some(pointwise::pack(weights, shape.inputs, shape.outputs)),
            _ => None,
        });
        match packed {
            Some(packed) => {
                let length = packed.len();
                Float::from_data(TensorData::new(packed, [length]))
            }
            None => portable::pack::<Self>(weights, shape),
        }
    }

    fn conv3d(x: Float, packed: Float, bias: Float, operation: Operation) -> Float {
        convolve(x, packed, bias, None, operation)
    }

    fn conv3d_onto(
        x: Float,
        packed: Float,
        bias: Float,
        residual: Float,
        operation: Operation,
    ) -> Float {
        convolve(x, packed, bias, Some(residual), operation)
    }
}

fn convolve(
    x: Float,
    packed: Float,
    bias: Float,
    residual: Option<Float>,
    operation: Operation,
) -> Float {
    if ![[3, 3, 3], [1, 1, 1]].contains(&operation.shape.kernel_zyx) {
        return portable::convolve::<Flex>(x, packed, bias, residual, operation);
    }
    let x = x.to_contiguous();
    let batch = x.shape()[0];
    let [z, y, width] = operation.shape.volume_zyx;
    let shape = [batch, z, y, width, operation.shape.outputs];
    let accumulate = residual.is_some();
    let mut output = match residual {
        Some(residual) => into_values(residual),
        None => take_spare(shape.iter().product()),
    };
    let slices = (x.as_slice::<f32>(), packed.as_slice::<f32>(), bias.as_slice::<f32>());
    if let (Some(input), Some(packed), Some(bias)) = slices {
        run(operation, accumulate, input, packed, bias, &mut output);
    }
    if x.is_unique() {
        keep_spare(into_values(x));
    }
    Float::from_data(TensorData::new(output, shape))
}

fn run(
    Operation { shape, relu }: Operation,
    accumulate: bool,
    input: &[f32],
    packed: &[f32],
    bias: &[f32],
    output: &mut [f32],
) {
    let around = Around { relu_input: relu.input, relu_output: relu.output, accumulate };
    match shape.kernel_zyx {
        [1, 1, 1] => pointwise::convolve(shape.inputs, input, packed, bias, around, output),
        _ => {
            let weights = PackedWeights::new(packed);
            super::winograd::convolve(&plan(shape), input, &weights, bias, around, output);
        }
    }
}

fn plan(shape: Conv3dShape) -> Plan {
    let Conv3dShape { volume_zyx: volume, inputs, outputs, .. } = shape;
    Plan::new(Sizes { volume, inputs, outputs }, Isa::best())
}

/// The values of a tensor; copied only if someone else holds it too.
fn into_values(tensor: Float) -> Vec<f32> {
    tensor.into_data().try_into_vec::<f32>().unwrap_or_default()
}

/// Results that a thread keeps for later: the two that are alive between layers.
const SPARES: usize = 2;
/// Larger buffers go back to the system.
const MAX_SPARE: usize = 64 << 20;

thread_local! {
    static SPARE: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) };
}

/// A buffer with anything in it.
fn take_spare(length: usize) -> Vec<f32> {
    let found = SPARE.with_borrow_mut(|spare| {
        spare.iter().position(|b| b.len() == length).map(|at| spare.swap_remove(at))
    });
    found.unwrap_or_else(|| vec![0.0; length])
}

fn keep_spare(buffer: Vec<f32>) {
    SPARE.with_borrow_mut(|spare| {
        if buffer.len() * size_of::<f32>() > MAX_SPARE {
            return;
        }
        spare.push(buffer);
        if spare.len() > SPARES {
            // The smallest is the cheapest to make anew.
            let smallest = (0..spare.len()).min_by_key(|i| spare[*i].len());
            smallest.map(|at| spare.swap_remove(at));
        }
    });
}
