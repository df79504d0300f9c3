//! Filters of f32 volumes: a unit computes one voxel.

use cubecl::calculate_cube_count_elemwise;
use cubecl::client::Client;
use cubecl::prelude::*;
use cubecl::server::Handle;

use super::words;

/// The position that stands for one up to an axis' length beyond its ends, given with `shift` added:
/// mirrored at the edges of the outer voxels.
#[cube]
fn mirrored(shifted: usize, shift: usize, length: usize) -> usize {
    // Twice the length brings every position to where it was.
    let period = 2 * length;
    let turns = shift.div_ceil(period) * period;
    let position = (shifted + turns - shift) % period;
    if position < length { position } else { period - 1 - position }
}

/// Sums along an axis, whose voxels are `stride` apart, with weights around the voxel.
#[cube(launch)]
fn convolve_axis(values: &[f32], weights: &[f32], out: &mut [f32], length: usize, stride: usize) {
    let at = ABSOLUTE_POS;
    if at < out.len() {
        let radius = weights.len() / 2;
        let position = at / stride % length;
        let start = at - position * stride;
        let mut sum = 0.0f32;
        for k in 0..weights.len() {
            let from = mirrored(position + k, radius, length);
            sum += weights[k] * values[start + from * stride];
        }
        out[at] = sum;
    }
}

/// Where a voxel's neighbours lie, with mirrored borders.
#[derive(CubeType, CubeLaunch)]
struct Volume {
    nz: usize,
    ny: usize,
    nx: usize,
}

/// Place of the voxel that lies `(z, y, x) - radius` from a voxel.
#[cube]
fn neighbour(
    at: usize,
    volume: &Volume,
    z: usize,
    y: usize,
    x: usize,
    #[comptime] radius: [usize; 3],
) -> usize {
    let (ny, nx) = (volume.ny, volume.nx);
    let (rz, ry, rx) = comptime!((radius[0], radius[1], radius[2]));
    let x = mirrored(at % nx + x, rx, nx);
    let y = mirrored(at / nx % ny + y, ry, ny);
    let z = mirrored(at / nx / ny + z, rz, volume.nz);
    (z * ny + y) * nx + x
}

/// Difference along `axis`, weights 1, 2, 1 along the others.
#[cube]
fn difference(values: &[f32], at: usize, volume: &Volume, #[comptime] axis: u32) -> f32 {
    let mut sum = 0.0f32;
    #[unroll]
    for k in 0..9u32 {
        let (a, b) = comptime!((k / 3, k % 3));
        let weight = comptime!((2 - a.abs_diff(1)) * (2 - b.abs_diff(1)));
        #[unroll]
        for end in 0..2u32 {
            let e = comptime!(end * 2);
            let (z, y, x) = comptime!(match axis {
                0 => (e as usize, a as usize, b as usize),
                1 => (a as usize, e as usize, b as usize),
                _ => (a as usize, b as usize, e as usize),
            });
            let from = neighbour(at, volume, z, y, x, [1, 1, 1]);
            let value = values[from] * comptime!(weight as f32);
            if comptime!(end == 0) {
                sum -= value;
            } else {
                sum += value;
            }
        }
    }
    sum
}

/// The Sobel operator along an axis, or for `axis` 3 the length of the gradient.
#[cube(launch)]
fn differences(values: &[f32], out: &mut [f32], volume: Volume, #[comptime] axis: u32) {
    let at = ABSOLUTE_POS;
    if at < out.len() {
        if comptime!(axis < 3) {
            out[at] = difference(values, at, &volume, axis);
        } else {
            let z = difference(values, at, &volume, 0u32);
            let y = difference(values, at, &volume, 1u32);
            let x = difference(values, at, &volume, 2u32);
            out[at] = (z * z + y * y + x * x).sqrt();
        }
    }
}

/// The middle of the box around each voxel: the value with at most half of the box below it, and more
/// than half below or equal.
#[cube(launch)]
fn middle(values: &[f32], out: &mut [f32], volume: Volume, #[comptime] radius: [usize; 3]) {
    let at = ABSOLUTE_POS;
    if at < out.len() {
        let sizes = comptime!(radius.map(|r| 2 * r + 1));
        let count = comptime!(sizes[0] * sizes[1] * sizes[2]);
        let mut window = Array::<f32>::new(count);
        for k in 0..count {
            let z = k / comptime!(sizes[1] * sizes[2]);
            let y = k / comptime!(sizes[2]) % comptime!(sizes[1]);
            let x = k % comptime!(sizes[2]);
            window[k] = values[neighbour(at, &volume, z, y, x, radius)];
        }
        let mut result = window[0];
        for i in 0..count {
            let mut below = 0u32;
            let mut equal = 0u32;
            for k in 0..count {
                below += select(window[k] < window[i], 1u32, 0u32);
                equal += select(window[k] == window[i], 1u32, 0u32);
            }
            let half = comptime!(count as u32 / 2);
            if below <= half && below + equal > half {
                result = window[i];
            }
        }
        out[at] = result;
    }
}

/// `(value - offset) / scale`.
#[cube(launch)]
fn rescale(values: &[f32], out: &mut [f32], offset: f32, scale: f32) {
    if ABSOLUTE_POS < out.len() {
        out[ABSOLUTE_POS] = (values[ABSOLUTE_POS] - offset) / scale;
    }
}

/// Whole numbers as floats.
#[cube(launch)]
fn convert(values: &[u32], out: &mut [f32]) {
    if ABSOLUTE_POS < out.len() {
        out[ABSOLUTE_POS] = f32::cast_from(values[ABSOLUTE_POS]);
    }
}

/// A buffer like `values`, and cubes for a unit of each of its voxels.
fn prepare(client: &Client, values: &Handle) -> (Handle, CubeCount, CubeDim) {
    let voxels = words::length(values);
    let dim = CubeDim::new(client, voxels);
    let count = calculate_cube_count_elemwise(client, voxels, dim);
    (client.empty(values.size_in_used() as usize), count, dim)
}

/// Sums along one axis of `shape` with an odd number of weights.
pub(crate) fn launch_convolve_axis(
    client: &Client,
    values: &Handle,
    shape: [usize; 3],
    axis: usize,
    weights: &[f32],
) -> Handle {
    let (out, count, dim) = prepare(client, values);
    let weights = client.create_from_slice(bytemuck::cast_slice(weights));
    let stride = shape[axis + 1..].iter().product();
    let (from, to) = (words::all(values), words::all(&out));
    convolve_axis::launch(client, count, dim, from, words::all(&weights), to, shape[axis], stride);
    out
}

/// The Sobel operator along an axis; `None`: the length of the gradient.
pub(crate) fn launch_differences(
    client: &Client,
    values: &Handle,
    [nz, ny, nx]: [usize; 3],
    axis: Option<usize>,
) -> Handle {
    let (out, count, dim) = prepare(client, values);
    let volume = VolumeLaunch::new(nz, ny, nx);
    let axis = axis.map_or(3, |axis| axis as u32);
    differences::launch(client, count, dim, words::all(values), words::all(&out), volume, axis);
    out
}

/// The median of the box of `2 * radius + 1` voxels around each voxel.
pub(crate) fn launch_median(
    client: &Client,
    values: &Handle,
    [nz, ny, nx]: [usize; 3],
    radius: [usize; 3],
) -> Handle {
    let (out, count, dim) = prepare(client, values);
    let volume = VolumeLaunch::new(nz, ny, nx);
    middle::launch(client, count, dim, words::all(values), words::all(&out), volume, radius);
    out
}

/// `(value - offset) / scale`.
pub(crate) fn launch_rescale(client: &Client, values: &Handle, offset: f32, scale: f32) -> Handle {
    let (out, count, dim) = prepare(client, values);
    rescale::launch(client, count, dim, words::all(values), words::all(&out), offset, scale);
    out
}

/// Whole numbers as floats.
pub(crate) fn launch_convert(client: &Client, values: &Handle) -> Handle {
    let (out, count, dim) = prepare(client, values);
    convert::launch(client, count, dim, words::all(values), words::all(&out));
    out
}
