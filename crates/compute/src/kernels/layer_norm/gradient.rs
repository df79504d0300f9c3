//! Gradients of the normalisation of voxels: of its input by voxels, then of scale and bias by channels.

use cubecl::calculate_cube_count_elemwise;
use cubecl::client::Client;
use cubecl::prelude::*;
use cubecl::server::Handle;

use super::{Plan, Work, moments, total};
use crate::kernels::sums::{PART, Parts};
use crate::kernels::words;

/// With n the normalised input and s the gradient times scale, the gradient of the input is
/// `(s - mean(s) - n * mean(n * s)) / deviation`, the means over channels. `kept`: mean and one over the
/// deviation of each voxel.
#[cube(launch)]
#[allow(clippy::too_many_arguments)]
fn differentiate<N: Size>(
    x: &[Vector<f32, N>],
    scale: &[Vector<f32, N>],
    gradient: &[Vector<f32, N>],
    out: &mut [Vector<f32, N>],
    kept: &mut [f32],
    voxels: usize,
    #[comptime] plan: Plan,
) {
    let start = ABSOLUTE_POS * plan.run;
    for voxel in start..min(start + plan.run, voxels) {
        let first = voxel * plan.vectors;
        let (mean, inverse) = moments::<N>(x, first, plan);
        kept[2 * voxel] = mean;
        kept[2 * voxel + 1] = inverse;
        let (shift, factor) = (Vector::new(mean), Vector::new(inverse));
        let mut plain = Vector::<f32, N>::new(0.0f32);
        let mut along = Vector::<f32, N>::new(0.0f32);
        for v in 0..plan.vectors {
            let scaled = gradient[first + v] * scale[v];
            plain += scaled;
            along += (x[first + v] - shift) * factor * scaled;
        }
        let channels = comptime!(plan.channels as f32);
        let plain = Vector::<f32, N>::new(total::<N>(plain) / channels);
        let along = Vector::<f32, N>::new(total::<N>(along) / channels);
        for v in 0..plan.vectors {
            let normed = (x[first + v] - shift) * factor;
            let scaled = gradient[first + v] * scale[v];
            out[first + v] = (scaled - plain - normed * along) * factor;
        }
    }
}

/// A unit adds up what a part of the voxels gives to the gradients of one vector of channels.
#[cube(launch)]
fn sum_parts<N: Size>(
    x: &[Vector<f32, N>],
    gradient: &[Vector<f32, N>],
    kept: &[f32],
    of_scale: &mut [Vector<f32, N>],
    of_bias: &mut [Vector<f32, N>],
    voxels: usize,
    #[comptime] plan: Plan,
) {
    let (part, vector) = (ABSOLUTE_POS / plan.vectors, ABSOLUTE_POS % plan.vectors);
    if part * PART >= voxels {
        terminate!();
    }
    let mut scales = Vector::<f32, N>::new(0.0f32);
    let mut biases = Vector::<f32, N>::new(0.0f32);
    for voxel in part * PART..min((part + 1) * PART, voxels) {
        let at = voxel * plan.vectors + vector;
        let normed = (x[at] - Vector::new(kept[2 * voxel])) * Vector::new(kept[2 * voxel + 1]);
        scales += gradient[at] * normed;
        biases += gradient[at];
    }
    of_scale[ABSOLUTE_POS] = scales;
    of_bias[ABSOLUTE_POS] = biases;
}

/// Gradients of `x`, `[voxel, channel]`, of scale and of bias, `[channel]`, from `x`, scale and the
/// gradient of the result; see [`super::launch`].
pub(crate) fn launch(
    client: &Client,
    [x, scale, gradient]: [&Handle; 3],
    sizes: [usize; 2],
    epsilon: f32,
) -> [Handle; 3] {
    let work = Work::new(client, sizes, epsilon);
    let (count, dim) = work.units(client);
    let Work { plan, lanes, voxels } = work;
    let out = client.empty(voxels * plan.channels * 4);
    let kept = client.empty(voxels * 8);
    let [inputs, scale, slopes, results, moments] =
        [x, scale, gradient, &out, &kept].map(words::all);
    differentiate::launch(
        client, count, dim, lanes, inputs, scale, slopes, results, moments, voxels, plan,
    );
    let [of_scale, of_bias] = parameters(client, [x, gradient, &kept], work);
    [out, of_scale, of_bias]
}

fn parameters(client: &Client, buffers: [&Handle; 3], work: Work) -> [Handle; 2] {
    let Work { plan, lanes, voxels } = work;
    let parts = voxels.div_ceil(PART);
    let [of_scale, of_bias] = [(); 2].map(|()| client.empty(parts * plan.channels * 4));
    let units = parts * plan.vectors;
    let dim = CubeDim::new(client, units);
    let count = calculate_cube_count_elemwise(client, units, dim);
    let [x, gradient, kept] = buffers.map(words::all);
    let [scales, biases] = [&of_scale, &of_bias].map(words::all);
    sum_parts::launch(client, count, dim, lanes, x, gradient, kept, scales, biases, voxels, plan);
    [of_scale, of_bias].map(|values| {
        let columns = [plan.channels; 2];
        Parts { values, count: parts, rows: 1, columns }.add_up(client)
    })
}
