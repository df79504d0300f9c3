//! The convolution on burn's CPU backend.
//!
//! Tensors that are used up give their memory to the next result: a network of 25 layers that asked the
//! system for each would spend a third of its time on page faults.

use std::cell::RefCell;

use burn::backend::tensor::FloatTensor;
use burn::backend::{Flex, TensorMetadata};
use burn::tensor::{DType, Shape, TensorData};

use super::winograd::{self, Around, PackedWeights, Plan, Sizes};
use super::{Conv3dOps, Conv3dShape, Kernel, Operation, Relu, pointwise, portable};
use crate::precision::Precision;
use crate::simd::lanes::Isa;

#[cfg(feature = "train")]
mod gradient;

type Float = FloatTensor<Flex>;

impl Conv3dOps for Flex {
    fn conv3d_pack(weights: Float, shape: Conv3dShape, kernel: Kernel) -> Float {
        let weights = contiguous(weights);
        let packed = weights.as_slice().and_then(|weights| match (shape.kernel_zyx, kernel) {
            (_, Kernel::Burn) => None,
            ([3, 3, 3], Kernel::Own(precision)) => Some(plan(shape, precision).pack(weights)),
            ([1, 1, 1], Kernel::Own(_)) => {
                Some(pointwise::pack(weights, shape.inputs, shape.outputs))
            }
            _ => None,
        });
        match packed {
            Some(packed) => {
                let mut tensor = aligned(Shape::new([packed.len()]));
                values_mut(&mut tensor).copy_from_slice(&packed);
                tensor
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
    let ours = [[3, 3, 3], [1, 1, 1]].contains(&operation.shape.kernel_zyx);
    let precision = match operation.kernel {
        Kernel::Own(precision) if ours => precision,
        _ => return portable::convolve::<Flex>(x, packed, bias, residual, operation),
    };
    let (x, packed, bias) = (contiguous(x), contiguous(packed), contiguous(bias));
    let [z, y, width] = operation.shape.volume_zyx;
    let shape = Shape::new([x.shape()[0], z, y, width, operation.shape.outputs]);
    let accumulate = residual.is_some();
    let mut output = match residual {
        Some(residual) => owned(residual),
        None => SPARE.with(|spares| spares.take(shape)),
    };
    let slices = (x.as_slice::<f32>(), packed.as_slice::<f32>(), bias.as_slice::<f32>());
    if let (Some(input), Some(packed), Some(bias)) = slices {
        run(operation, precision, accumulate, input, packed, bias, values_mut(&mut output));
    }
    SPARE.with(|spares| spares.keep(x));
    output
}

fn run(
    Operation { shape, relu, .. }: Operation,
    precision: Precision,
    accumulate: bool,
    input: &[f32],
    packed: &[f32],
    bias: &[f32],
    output: &mut [f32],
) {
    let Relu { input: relu_input, output: relu_output } = relu;
    let around = Around { relu_input, relu_output, accumulate, ..Around::default() };
    match shape.kernel_zyx {
        [1, 1, 1] => pointwise::convolve(shape.inputs, input, packed, bias, around, output),
        _ => {
            let weights = PackedWeights::new(packed);
            winograd::convolve(&plan(shape, precision), input, &weights, bias, around, output);
        }
    }
}

fn plan(shape: Conv3dShape, precision: Precision) -> Plan {
    let Conv3dShape { volume_zyx: volume, inputs, outputs, .. } = shape;
    Plan::new(Sizes { volume, inputs, outputs }, precision, Isa::best())
}

/// Not `to_contiguous` alone: its copy of a handle would keep the tensor shared.
pub(crate) fn contiguous(tensor: Float) -> Float {
    if tensor.is_contiguous() { tensor } else { tensor.to_contiguous() }
}

/// A tensor that nobody else holds, copied if need be.
pub(crate) fn owned(tensor: Float) -> Float {
    if tensor.is_unique() && tensor.is_contiguous() {
        return tensor;
    }
    let mut copy = SPARE.with(|spares| spares.take(tensor.shape()));
    if let Some(values) = contiguous(tensor).as_slice::<f32>() {
        values_mut(&mut copy).copy_from_slice(values);
    }
    copy
}

/// f32 of a line of the cache.
const LINE: usize = 16;

/// Zeros from the start of a line: burn aligns to 16 bytes, and vectors that cross lines cost double.
fn aligned(shape: Shape) -> Float {
    let length = shape.num_elements();
    let room = length + LINE - 1;
    let tensor = Float::from_data(TensorData::new(vec![0.0f32; room], [room]));
    let start = tensor.storage::<f32>().as_ptr().align_offset(LINE * size_of::<f32>());
    tensor.narrow(0, start.min(LINE - 1), length).reshape(shape)
}

pub(crate) fn values_mut(tensor: &mut Float) -> &mut [f32] {
    let (start, length) = (tensor.layout().start_offset(), tensor.layout().num_elements());
    &mut tensor.storage_mut::<f32>()[start..start + length]
}

/// Tensors that a thread keeps for later: the two that are alive between layers.
const SPARES: usize = 2;
/// f32 values of the largest that is kept.
const MAX_SPARE: usize = 16 << 20;

thread_local! {
    static SPARE: Spares = const { Spares::new(SPARES, MAX_SPARE) };
}

/// Tensors with anything in them, at most so many and none larger than so many values.
struct Spares {
    most: usize,
    largest: usize,
    tensors: RefCell<Vec<Float>>,
}

impl Spares {
    const fn new(most: usize, largest: usize) -> Self {
        Self { most, largest, tensors: RefCell::new(Vec::new()) }
    }

    fn take(&self, shape: Shape) -> Float {
        let mut tensors = self.tensors.borrow_mut();
        let fits = |spare: &Float| spare.shape().num_elements() == shape.num_elements();
        // What was kept last may still be in a cache.
        let found = tensors.iter().rposition(fits).map(|at| tensors.remove(at));
        drop(tensors);
        match found {
            Some(spare) => spare.reshape(shape),
            None => aligned(shape),
        }
    }

    /// Keeps what nobody else holds.
    fn keep(&self, tensor: Float) {
        let length = |tensor: &Float| tensor.shape().num_elements();
        if !tensor.is_unique() || tensor.dtype() != DType::F32 || length(&tensor) > self.largest {
            return;
        }
        let mut tensors = self.tensors.borrow_mut();
        tensors.push(tensor);
        if tensors.len() > self.most {
            // The smallest is the cheapest to make anew.
            let smallest = (0..tensors.len()).min_by_key(|at| length(&tensors[*at]));
            smallest.map(|at| tensors.remove(at));
        }
    }
}
