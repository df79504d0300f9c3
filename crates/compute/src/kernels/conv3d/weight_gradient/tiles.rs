//! Sums of products for GPUs: a cube goes along a slab of the line of positions (see
//! [`super::super::tiles`]) with one row of taps and a tile of channels in and out; operands in shared
//! memory, each unit's sums, of four channels in and four out, in registers.

use cubecl::client::Client;
use cubecl::ir::HardwareProperties;
use cubecl::prelude::*;
use cubecl::server::Handle;

use super::super::staging::{Four, Grid, Line, StagePlan, stage_inputs, stage_outputs};
use super::super::{Fusions, lanes};
use super::{ConvShape, Parts, voxels_of_a_slab};

/// Positions whose operands are in shared memory at once.
const POSITIONS: usize = 32;
/// Most channels in, and out, of a cube.
const CHANNELS: usize = 32;
/// Voxels of a slab: few enough that there are cubes for all of a GPU.
const SLAB: usize = 256;

/// As for a convolution; the weights' place in shared memory is that of the gradients.
fn plan(shape: &ConvShape, relu_input: bool) -> StagePlan {
    let [depth, outputs] =
        [shape.inputs, shape.outputs].map(|channels| CHANNELS.min(channels.next_multiple_of(4)));
    StagePlan {
        kernel: shape.kernel,
        inputs: shape.inputs,
        outputs: shape.outputs,
        fusions: Fusions { relu_input, relu_output: false },
        units: depth / 4 * (outputs / 4),
        tile: [POSITIONS, outputs],
        depth,
        // Positions that are read together then lie in different banks.
        strides: [depth + 4, outputs],
    }
}

/// Whether the device has the units and the shared memory.
pub(super) fn fits(hardware: &HardwareProperties, shape: &ConvShape) -> bool {
    let plan = plan(shape, false);
    let values = plan.staged() * plan.strides[0] + POSITIONS * plan.strides[1];
    let bytes = values * 4 + plan.staged() * 12;
    plan.units <= hardware.max_units_per_cube as usize
        && bytes <= hardware.max_shared_memory_size
        && shape.kernel[0] * shape.kernel[1] <= 65_535
        && shape.inputs.div_ceil(CHANNELS) * shape.outputs.div_ceil(CHANNELS) <= 65_535
}

/// `WI`, `WO`: vectors in which inputs and outputs are read and written. `tiles`: of a slab.
#[cube(launch_unchecked)]
fn sum_tiles<WI: Size, WO: Size>(
    input: &[Vector<f32, WI>],
    gradient: &[Vector<f32, WO>],
    parts: &mut [Vector<f32, WO>],
    grid: Grid,
    tiles: u32,
    #[comptime] plan: StagePlan,
) {
    let depths = comptime!(plan.inputs.div_ceil(plan.depth));
    let first = CUBE_POS_Z as usize % depths * plan.depth;
    let first_output = CUBE_POS_Z as usize / depths * comptime!(plan.tile[1]);
    let ky = comptime!(plan.kernel[1] as u32);
    let tap = (CUBE_POS_Y / ky, CUBE_POS_Y % ky);
    let mut line = Line::empty(plan);
    let mut inputs =
        Shared::<[Vector<f32, Four>]>::new_slice(comptime!(plan.staged() * plan.strides[0] / 4));
    let mut slopes =
        Shared::<[Vector<f32, Four>]>::new_slice(comptime!(plan.tile[0] * plan.tile[1] / 4));
    let mut sums = Array::<Vector<f32, Four>>::new(comptime!(plan.kernel[2] * 4));
    #[unroll]
    for i in 0..comptime!(plan.kernel[2] * 4) {
        sums[i] = Vector::new(0.0f32);
    }
    for tile in 0..tiles {
        let start = (CUBE_POS_X * tiles + tile) * comptime!(plan.tile[0] as u32);
        sync_cube();
        line.fill(&grid, start, plan);
        sync_cube();
        stage_inputs::<f32, WI>(input, &mut inputs, &line, &grid, tap, first, plan);
        stage_outputs::<WO>(gradient, &mut slopes, &line, first_output, plan);
        sync_cube();
        add_products(&inputs, &slopes, &mut sums, plan);
    }
    store::<WO>(parts, &sums, first, first_output, plan);
}

/// Vector of input channels and vector of output channels of this unit.
#[cube]
fn place(#[comptime] plan: StagePlan) -> (usize, usize) {
    let columns = comptime!(plan.tile[1] / 4);
    (UNIT_POS as usize / columns, UNIT_POS as usize % columns)
}

/// Adds the products of what is staged.
#[cube]
fn add_products(
    inputs: &Shared<[Vector<f32, Four>]>,
    slopes: &Shared<[Vector<f32, Four>]>,
    sums: &mut Array<Vector<f32, Four>>,
    #[comptime] plan: StagePlan,
) {
    let (row, column) = place(plan);
    let (stride, columns) = comptime!((plan.strides[0] / 4, plan.tile[1] / 4));
    for position in 0..comptime!(plan.tile[0]) {
        let slope = slopes[position * columns + column];
        #[unroll]
        for tx in 0..comptime!(plan.kernel[2]) {
            let values = inputs[(position + tx) * stride + row];
            #[unroll]
            for lane in 0..4 {
                let value = Vector::<f32, Four>::new(values.extract(lane));
                let sum = comptime!(tx * 4 + lane);
                sums[sum] = fma(value, slope, sums[sum]);
            }
        }
    }
}

/// Writes the sums of this unit, those of channels that there are.
#[cube]
fn store<N: Size>(
    parts: &mut [Vector<f32, N>],
    sums: &Array<Vector<f32, Four>>,
    first: usize,
    first_output: usize,
    #[comptime] plan: StagePlan,
) {
    let (row, column) = place(plan);
    let [kz, ky, kx] = comptime!(plan.kernel);
    let lanes = N::value();
    let taps = CUBE_POS_X as usize * comptime!(kz * ky) + CUBE_POS_Y as usize;
    #[unroll]
    for i in 0..comptime!(kx * 4) {
        let channel = first + row * 4 + comptime!(i % 4);
        if channel < plan.inputs {
            let start = ((taps * kx + comptime!(i / 4)) * plan.inputs + channel) * plan.outputs;
            #[unroll]
            for part in 0..comptime!(4 / lanes) {
                let output = first_output + column * 4 + part * lanes;
                if output < plan.outputs {
                    let mut value = Vector::<f32, N>::new(0.0f32);
                    #[unroll]
                    for lane in 0..lanes {
                        value.insert(lane, sums[i].extract(comptime!(part * lanes + lane)));
                    }
                    parts[(start + output) / lanes] = value;
                }
            }
        }
    }
}

/// Sums of all slabs; the device [`fits`].
#[allow(unsafe_code)]
pub(super) fn launch(
    client: &Client,
    [input, gradient]: [&Handle; 2],
    shape: ConvShape,
    relu_input: bool,
) -> Parts {
    let plan = plan(&shape, relu_input);
    let [nz, ny, nx] = shape.zyx;
    let positions = shape.batch * nz * ny * (nx + shape.kernel[2] / 2);
    let all = positions.div_ceil(POSITIONS);
    // No device allows fewer cubes along an axis.
    let tiles =
        voxels_of_a_slab(client, &shape, SLAB, 4).div_ceil(POSITIONS).max(all.div_ceil(65_535));
    let (count, values) = (all.div_ceil(tiles), shape.weights_len());
    let parts = client.empty(count * values * 4);
    let blocks = shape.inputs.div_ceil(plan.depth) * shape.outputs.div_ceil(plan.tile[1]);
    let rows_of_taps = shape.kernel[0] * shape.kernel[1];
    let cubes = CubeCount::Static(count as u32, rows_of_taps as u32, blocks as u32);
    let dim = CubeDim::new_1d(plan.units as u32);
    // SAFETY: the buffers have these lengths; positions outside the volumes and channels past the last are
    // neither read nor written.
    unsafe {
        sum_tiles::launch_unchecked(
            client,
            cubes,
            dim,
            lanes(4, shape.inputs),
            lanes(4, shape.outputs),
            BufferArg::from_raw_parts(input.clone(), shape.input_len()),
            BufferArg::from_raw_parts(gradient.clone(), shape.output_len()),
            BufferArg::from_raw_parts(parts.clone(), count * values),
            shape.grid(),
            tiles as u32,
            plan,
        );
    }
    Parts { values: parts, count, rows: values / shape.outputs, columns: [shape.outputs; 2] }
}
