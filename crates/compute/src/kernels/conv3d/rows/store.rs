//! Sums of a run on their way out: vectors of sums become vectors of output channels, with what is done
//! after the convolution.

use cubecl::prelude::*;

use super::RowPlan;
use crate::kernels::conv3d::padding::exists;

/// Writes the voxels and channels that there are.
#[cube]
#[allow(clippy::too_many_arguments)]
pub(super) fn store_run<N: Size, S: Size>(
    bias: &[Vector<f32, S>],
    mask: ComptimeOption<&[Vector<f32, S>]>,
    residual: ComptimeOption<&[Vector<f32, S>]>,
    output: &mut [Vector<f32, S>],
    sums: &Array<Vector<f32, N>>,
    row_start: usize,
    x0: usize,
    nx: usize,
    first: usize,
    #[comptime] plan: RowPlan,
) {
    let (lanes, width) = (N::value(), S::value());
    let whole = comptime!(plan.vectors * lanes == plan.outputs);
    #[unroll]
    for i in 0..plan.run {
        if x0 + i < nx {
            let start = (row_start + x0 + i) * plan.outputs;
            #[unroll]
            for v in 0..plan.block_vectors {
                let sum = sums[i * plan.block_vectors + v];
                #[unroll]
                for part in 0..comptime!(lanes / width) {
                    let mut value = Vector::<f32, S>::new(0.0f32);
                    #[unroll]
                    for lane in 0..width {
                        value.insert(lane, sum.extract(comptime!(part * width + lane)));
                    }
                    let channel = (first + v) * lanes + part * width;
                    let at = (start + channel) / width;
                    if exists(channel, plan.outputs, whole) {
                        let channel = channel / width;
                        store::<S>(bias, &mask, &residual, output, value, at, channel, plan);
                    }
                }
            }
        }
    }
}

/// Writes a vector of output channels.
#[cube]
#[allow(clippy::too_many_arguments)]
fn store<S: Size>(
    bias: &[Vector<f32, S>],
    mask: &ComptimeOption<&[Vector<f32, S>]>,
    residual: &ComptimeOption<&[Vector<f32, S>]>,
    output: &mut [Vector<f32, S>],
    sum: Vector<f32, S>,
    at: usize,
    channel: usize,
    #[comptime] plan: RowPlan,
) {
    let mut value = sum + bias[channel];
    #[comptime]
    if let ComptimeOption::Some(mask) = mask {
        let zero = Vector::new(0.0f32);
        value = select_many(mask[at].greater_than(&zero), value, zero);
    }
    #[comptime]
    if let ComptimeOption::Some(residual) = residual {
        value += residual[at];
    }
    if comptime!(plan.fusions.relu_output) {
        value = max(value, Vector::new(0.0f32));
    }
    output[at] = value;
}
