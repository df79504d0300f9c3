//! The convolution for devices without shared memory to speak of: CubeCL's CPU runtime, where a unit
//! is a thread and vectors are wide. A unit computes a run of voxels of one row for all channels of a
//! block, its sums held in registers.

use cubecl::calculate_cube_count_elemwise;
use cubecl::client::Client;
use cubecl::ir::HardwareProperties;
use cubecl::prelude::*;

use super::padding::{columns, widened};
use super::{Bound, Buffers, ConvShape, DEPTH, Fusions, lanes};
use crate::kernels::words;
use store::store_run;

mod store;

/// How the work is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Run {
    /// Most vectors of sums that a unit holds.
    pub(super) sums: usize,
}

impl Run {
    /// For CubeCL's CPU runtime: some registers are left for weights and inputs.
    pub(super) fn of_cpu(hardware: &HardwareProperties) -> Self {
        let registers = hardware.vector_register_count.unwrap_or(16) as usize;
        Self { sums: if registers >= 32 { 24 } else { 12 } }
    }
}

/// Fixed when the kernel is compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct RowPlan {
    /// Kernel size along z, y and x.
    kernel: [usize; 3],
    inputs: usize,
    outputs: usize,
    /// Vectors of all output channels, as they are computed, and of a block.
    vectors: usize,
    block_vectors: usize,
    /// Voxels of a run.
    run: usize,
    fusions: Fusions,
}

/// `N`: vectors of sums; `S`: vectors, as wide or narrower, in which output is written.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
fn convolve_rows<N: Size, S: Size>(
    input: &[f32],
    weights: &[Vector<f32, N>],
    bias: &[Vector<f32, S>],
    mask: ComptimeOption<&[Vector<f32, S>]>,
    residual: ComptimeOption<&[Vector<f32, S>]>,
    output: &mut [Vector<f32, S>],
    nz: usize,
    ny: usize,
    nx: usize,
    rows: usize,
    #[comptime] plan: RowPlan,
) {
    let blocks = comptime!(plan.vectors / plan.block_vectors);
    let runs = nx.div_ceil(plan.run);
    let block = ABSOLUTE_POS % blocks;
    let run = ABSOLUTE_POS / blocks;
    let row = run / runs;
    if row >= rows {
        terminate!();
    }
    let x0 = (run % runs) * plan.run;
    let first = block * plan.block_vectors;
    let y = row % ny;
    let z = (row / ny) % nz;

    let mut sums = Array::<Vector<f32, N>>::new(comptime!(plan.run * plan.block_vectors));
    #[unroll]
    for i in 0..comptime!(plan.run * plan.block_vectors) {
        sums[i] = Vector::new(0.0f32);
    }

    let [kz, ky, kx] = comptime!(plan.kernel);
    let mut window = Array::<f32>::new(comptime!((plan.run + kx - 1) * plan.inputs));
    for tz in 0..kz {
        for ty in 0..ky {
            let (zz, yy) = (z + tz, y + ty);
            let inside = zz >= comptime!(kz / 2)
                && zz < nz + comptime!(kz / 2)
                && yy >= comptime!(ky / 2)
                && yy < ny + comptime!(ky / 2);
            if inside {
                let from = row + tz * ny + ty - comptime!(kz / 2) * ny - comptime!(ky / 2);
                fill_window(input, &mut window, from * nx, x0, nx, plan);
                let tap = (tz * ky + ty) * kx;
                for chunk in 0..comptime!(plan.inputs.div_ceil(DEPTH)) {
                    add_row::<N>(weights, &window, &mut sums, tap, chunk * DEPTH, first, plan);
                }
            }
        }
    }
    store_run::<N, S>(bias, mask, residual, output, &sums, row * nx, x0, nx, first, plan);
}

/// Copies the inputs of a run, with zeros beyond the row's ends.
#[cube]
fn fill_window(
    input: &[f32],
    window: &mut Array<f32>,
    row_start: usize,
    x0: usize,
    nx: usize,
    #[comptime] plan: RowPlan,
) {
    let half = comptime!(plan.kernel[2] / 2);
    for i in 0..comptime!(plan.run + plan.kernel[2] - 1) {
        let x = x0 + i;
        if x >= half && x < nx + half {
            let from = (row_start + x - half) * plan.inputs;
            for c in 0..plan.inputs {
                let value = input[from + c];
                if comptime!(plan.fusions.relu_input) {
                    window[i * plan.inputs + c] = max(value, 0.0f32);
                } else {
                    window[i * plan.inputs + c] = value;
                }
            }
        } else {
            for c in 0..plan.inputs {
                window[i * plan.inputs + c] = 0.0f32;
            }
        }
    }
}

/// Adds the products with one row of the kernel, for a depth of channels from `channel` on.
#[cube]
fn add_row<N: Size>(
    weights: &[Vector<f32, N>],
    window: &Array<f32>,
    sums: &mut Array<Vector<f32, N>>,
    first_tap: usize,
    channel: usize,
    first_vector: usize,
    #[comptime] plan: RowPlan,
) {
    #[unroll]
    for tx in 0..plan.kernel[2] {
        for c in channel..min(channel + DEPTH, plan.inputs) {
            let at = ((first_tap + tx) * plan.inputs + c) * plan.vectors + first_vector;
            #[unroll]
            for v in 0..plan.block_vectors {
                let weight = weights[at + v];
                #[unroll]
                for i in 0..plan.run {
                    let value = Vector::<f32, N>::new(window[(i + tx) * plan.inputs + c]);
                    let sum = comptime!(i * plan.block_vectors + v);
                    sums[sum] = fma(value, weight, sums[sum]);
                }
            }
        }
    }
}

/// Voxels of a run: as many as the sums allow, and of a number that leaves few over in a row.
fn run_length(nx: usize, sums: usize) -> usize {
    let cost = |run: usize| (nx.div_ceil(run) * (run + 1), run);
    (1..=sums.clamp(1, nx.max(1))).rev().min_by_key(|run| cost(*run).0).unwrap_or(1)
}

#[allow(unsafe_code)]
pub(super) fn launch(
    client: &Client,
    buffers: Buffers<'_>,
    shape: ConvShape,
    fusions: Fusions,
    run: Run,
) {
    let [nz, ny, nx] = shape.zyx;
    let widest = (client.properties().hardware.load_width as usize / 32).max(1);
    let columns = columns(widest, shape.outputs);
    let (sums, stores) = (lanes(widest, columns), lanes(widest, shape.outputs));
    let vectors = columns / sums;
    let block_vectors = (1..=2).rev().find(|n| vectors.is_multiple_of(*n)).unwrap_or(1);
    let plan = RowPlan {
        kernel: shape.kernel,
        inputs: shape.inputs,
        outputs: shape.outputs,
        vectors,
        block_vectors,
        run: run_length(nx, run.sums / block_vectors),
        fusions,
    };
    let rows = shape.batch * nz * ny;
    let units = rows * nx.div_ceil(plan.run) * (vectors / block_vectors);
    let dim = CubeDim::new(client, units);
    let count = calculate_cube_count_elemwise(client, units, dim);
    let Bound { input, mut weights, bias, mask, residual, output } = buffers.bind(&shape);
    if columns > shape.outputs {
        let (count, channels) = (shape.weights_len() / shape.outputs, [shape.outputs, columns]);
        weights = words::all(&widened(client, buffers.weights, count, channels, sums));
    }
    // SAFETY: the buffers hold what `shape` says, which `super::launch` has checked, and the weights as
    // many columns as are computed; units past the last row end at once, and the others stay inside their
    // row and write the channels that there are.
    unsafe {
        convolve_rows::launch_unchecked(
            client,
            count,
            dim,
            sums,
            stores,
            input,
            weights,
            bias,
            mask.into(),
            residual.into(),
            output,
            nz,
            ny,
            nx,
            rows,
            plan,
        );
    }
}
