//! The convolution on devices of CubeCL: burn's tensors, kernels of our own.

use burn::backend::tensor::FloatTensor;
use burn::tensor::{DType, Shape};
use burn_cubecl::CubeBackend;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;
use cubecl::server::Handle;

use super::{Conv3dOps, Kernel, Operation, portable};
use crate::kernels::conv3d::{self, Buffers, ConvShape, Fusions};
use crate::precision::Precision;

#[cfg(feature = "train")]
mod gradient;

type Float = FloatTensor<CubeBackend>;

impl Conv3dOps for CubeBackend {
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

/// What our kernels refuse is burn's.
fn convolve(
    x: Float,
    packed: Float,
    bias: Float,
    residual: Option<Float>,
    operation: Operation,
) -> Float {
    let own = match operation.kernel {
        Kernel::Own(precision) => {
            own(&x, [&packed, &bias], residual.as_ref(), operation, precision)
        }
        Kernel::Burn => None,
    };
    own.unwrap_or_else(|| portable::convolve::<CubeBackend>(x, packed, bias, residual, operation))
}

/// `None` if a tensor is not of f32, or if the device cannot hold or count the values.
fn own(
    x: &Float,
    parameters: [&Float; 2],
    residual: Option<&Float>,
    operation: Operation,
    precision: Precision,
) -> Option<Float> {
    let all = [x].into_iter().chain(parameters).chain(residual);
    if all.into_iter().any(|tensor| tensor.dtype != DType::F32) {
        return None;
    }
    let shape = shape(x, operation);
    let [x, weights, bias] = [x, parameters[0], parameters[1]].map(contiguous);
    let residual = residual.map(contiguous);
    let output = x.client.empty(shape.output_len() * 4);
    let buffers = Buffers {
        input: &x.handle,
        weights: &weights.handle,
        bias: &bias.handle,
        mask: None,
        residual: residual.as_ref().map(|residual| &residual.handle),
        output: &output,
    };
    let fusions = Fusions { relu_input: operation.relu.input, relu_output: operation.relu.output };
    conv3d::launch(&x.client, buffers, shape, fusions, precision).ok()?;
    keep_pace(&x);
    Some(tensor(&x, output, volume(&shape, shape.outputs)))
}

/// Waits for what was started, where a device's units are threads of this machine: a caller so far ahead
/// that the queue is full would wait there without giving its core to them.
fn keep_pace(x: &Float) {
    if x.client.properties().hardware.num_cpu_cores.is_some() {
        // What fails is reported again when the result is read.
        let _ = x.client.flush();
    }
}

/// Of a convolution of a batch of images.
fn shape(x: &Float, Operation { shape, .. }: Operation) -> ConvShape {
    ConvShape {
        batch: x.meta.shape()[0],
        zyx: shape.volume_zyx,
        inputs: shape.inputs,
        outputs: shape.outputs,
        kernel: shape.kernel_zyx,
    }
}

/// `[batch, z, y, x, channel]`.
fn volume(shape: &ConvShape, channels: usize) -> Shape {
    let [z, y, x] = shape.zyx;
    Shape::new([shape.batch, z, y, x, channels])
}

/// The tensor in C order; the same memory if it is already.
pub(crate) fn contiguous(tensor: &Float) -> Float {
    into_contiguous(tensor.clone())
}

/// A tensor of f32 in C order on the device of another.
pub(crate) fn tensor(like: &Float, handle: Handle, shape: Shape) -> Float {
    let (client, device) = (like.client.clone(), like.device.clone());
    CubeTensor::new_contiguous(client, device, shape, handle, DType::F32)
}
