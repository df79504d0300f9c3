//! The convolution for GPUs: the units of a cube compute a tile of voxels and output channels as a sum
//! of matrix products, operands in shared memory, each unit's sums in registers.
//!
//! The rows of the volume are laid end to end with `kernel x / 2` zeros after each: the positions of
//! one line. A tile is a range of them, and the neighbours of a voxel along x are its neighbours on the
//! line, so that inputs staged once serve all taps of a row of the kernel.

use cubecl::client::Client;
use cubecl::prelude::*;

use super::staging::{Four, Grid, Line, StagePlan, stage_inputs, stage_weights, store};
use super::{Bound, Buffers, ConvShape, DEPTH, Fusions, lanes};

/// How the work is cut; chosen for a device by measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Tiling {
    /// Units along the positions and along the channels of a tile.
    pub(super) units: [usize; 2],
    /// Positions of a unit.
    pub(super) positions: usize,
    /// Output channels of a unit, in vectors of four.
    pub(super) vectors: usize,
}

impl Tiling {
    pub(super) fn plan(&self, shape: &ConvShape, fusions: Fusions) -> StagePlan {
        let tile = [self.units[0] * self.positions, self.units[1] * self.vectors * 4];
        let depth = DEPTH.min(shape.inputs.next_multiple_of(4));
        StagePlan {
            kernel: shape.kernel,
            inputs: shape.inputs,
            outputs: shape.outputs,
            fusions,
            units: self.units[0] * self.units[1],
            tile,
            depth,
            // Positions that are read together then lie in different banks.
            strides: [depth + 4, tile[1]],
        }
    }
}

/// `WI`, `WO`: vectors in which inputs and outputs are read and written.
#[cube(launch_unchecked)]
fn convolve_tiles<WI: Size, WO: Size>(
    input: &[Vector<f32, WI>],
    weights: &[Vector<f32, WO>],
    bias: &[Vector<f32, WO>],
    mask: ComptimeOption<&[Vector<f32, WO>]>,
    residual: ComptimeOption<&[Vector<f32, WO>]>,
    output: &mut [Vector<f32, WO>],
    grid: Grid,
    #[comptime] tiling: Tiling,
    #[comptime] plan: StagePlan,
) {
    let (kz, ky, kx) = comptime!((plan.kernel[0], plan.kernel[1], plan.kernel[2]));
    let tile = CUBE_POS_Y * CUBE_COUNT_X + CUBE_POS_X;
    let first_output = CUBE_POS_Z as usize * comptime!(plan.tile[1]);
    let line = Line::new(&grid, tile * comptime!(plan.tile[0] as u32), plan);
    let mut inputs =
        Shared::<[Vector<f32, Four>]>::new_slice(comptime!(plan.staged() * plan.strides[0] / 4));
    let mut taps = Shared::<[Vector<f32, Four>]>::new_slice(comptime!(plan.weight_values() / 4));
    let mut sums = Array::<Vector<f32, Four>>::new(comptime!(tiling.positions * tiling.vectors));
    #[unroll]
    for i in 0..comptime!(tiling.positions * tiling.vectors) {
        sums[i] = Vector::new(0.0f32);
    }
    for tz in 0..comptime!(kz as u32) {
        for ty in 0..comptime!(ky as u32) {
            for chunk in 0..comptime!(plan.inputs.div_ceil(plan.depth)) {
                let first = chunk * plan.depth;
                let first_tap = (tz as usize * ky + ty as usize) * kx;
                sync_cube();
                stage_inputs::<f32, WI>(input, &mut inputs, &line, &grid, (tz, ty), first, plan);
                stage_weights::<f32, WO>(weights, &mut taps, first_tap, first, first_output, plan);
                sync_cube();
                add_products(&inputs, &taps, &mut sums, tiling, plan);
            }
        }
    }
    let (unit, column) = place(tiling);
    #[unroll]
    for i in 0..tiling.positions {
        #[unroll]
        for v in 0..tiling.vectors {
            let position = unit + i * tiling.units[0];
            let channel = first_output + (column + v * tiling.units[1]) * 4;
            let sum = sums[comptime!(i * tiling.vectors + v)];
            store::<WO>(sum, bias, &mask, &residual, output, &line, position, channel, plan);
        }
    }
}

/// First position and first vector of channels of this unit.
#[cube]
fn place(#[comptime] tiling: Tiling) -> (usize, usize) {
    let unit = UNIT_POS as usize;
    (unit / tiling.units[1], unit % tiling.units[1])
}

/// Adds the products of what is staged.
#[cube]
fn add_products(
    inputs: &Shared<[Vector<f32, Four>]>,
    taps: &Shared<[Vector<f32, Four>]>,
    sums: &mut Array<Vector<f32, Four>>,
    #[comptime] tiling: Tiling,
    #[comptime] plan: StagePlan,
) {
    let (unit, column) = place(tiling);
    let (row, columns) = comptime!((plan.strides[0] / 4, plan.strides[1] / 4));
    for tx in 0..comptime!(plan.kernel[2]) {
        for c in 0..comptime!(plan.depth / 4) {
            let mut values = Array::<Vector<f32, Four>>::new(tiling.positions);
            #[unroll]
            for i in 0..tiling.positions {
                values[i] = inputs[(unit + i * tiling.units[0] + tx) * row + c];
            }
            #[unroll]
            for lane in 0..4 {
                let at = (tx * plan.depth + c * 4 + lane) * columns + column;
                #[unroll]
                for v in 0..tiling.vectors {
                    let weight = taps[at + v * tiling.units[1]];
                    #[unroll]
                    for i in 0..tiling.positions {
                        let value = Vector::<f32, Four>::new(values[i].extract(lane));
                        let sum = comptime!(i * tiling.vectors + v);
                        sums[sum] = fma(value, weight, sums[sum]);
                    }
                }
            }
        }
    }
}

#[allow(unsafe_code)]
pub(super) fn launch(
    client: &Client,
    buffers: Buffers<'_>,
    shape: ConvShape,
    fusions: Fusions,
    tiling: Tiling,
) {
    let plan = tiling.plan(&shape, fusions);
    let (wi, wo) = (lanes(4, shape.inputs), lanes(4, shape.outputs));
    let dim = CubeDim::new_1d(plan.units as u32);
    let (count, grid) = (shape.tiles(plan.tile), shape.grid());
    let Bound { input, weights, bias, mask, residual, output } = buffers.bind(&shape);
    // SAFETY: the buffers hold what `shape` says, which `super::launch` has checked; positions outside
    // the volumes and channels past the last are neither read nor written.
    unsafe {
        convolve_tiles::launch_unchecked(
            client,
            count,
            dim,
            wi,
            wo,
            input,
            weights,
            bias,
            mask.into(),
            residual.into(),
            output,
            grid,
            tiling,
            plan,
        );
    }
}
