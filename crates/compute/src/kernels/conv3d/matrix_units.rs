//! As `tiles`, with the products on the device's matrix units: operands of 16 bits, sums in f32.
//!
//! A plane computes fragments of 16 positions by 16 channels. Since positions are a line, the operand
//! of a tap along x is the same staged memory, one row further.

use cubecl::client::Client;
use cubecl::ir::features::MmaConfig;
use cubecl::ir::{ElemType, FloatKind};
use cubecl::prelude::*;

use super::staging::{Four, Grid, Line, StagePlan, stage_inputs, stage_weights, store};
use super::{Bound, Buffers, ConvShape, Fusions, lanes};

/// Positions, channels out and channels in of a fragment.
const SIDE: usize = 16;
/// Values by which rows in shared memory are longer than they must be: fragments are to begin at
/// multiples of 32 bytes, and their rows in different banks.
const PAD: usize = 16;

/// How the work is cut; chosen for a device by measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Fragments {
    /// Planes of a cube.
    pub(super) planes: usize,
    /// Fragments of a plane along positions.
    pub(super) positions: usize,
    /// Fragments along channels; every plane computes them all.
    pub(super) channels: usize,
    /// Fragments of input channels in a stage.
    pub(super) depth: usize,
}

impl Fragments {
    pub(super) fn plan(&self, shape: &ConvShape, fusions: Fusions, plane_size: usize) -> StagePlan {
        let channels = self.channels.min(shape.outputs.div_ceil(SIDE));
        let depth = self.depth.min(shape.inputs.div_ceil(SIDE)) * SIDE;
        StagePlan {
            kernel: shape.kernel,
            inputs: shape.inputs,
            outputs: shape.outputs,
            fusions,
            units: self.planes * plane_size,
            tile: [self.planes * self.positions * SIDE, channels * SIDE],
            depth,
            strides: [depth + PAD, channels * SIDE + PAD],
        }
    }

    /// Bytes of shared memory: operands, and a fragment of sums for each plane.
    pub(super) fn shared_bytes(&self, plan: &StagePlan) -> usize {
        plan.shared_bytes(2) + self.planes * SIDE * SIDE * 4
    }
}

/// The 16-bit type that the device's matrix units take with sums in f32; f16, which rounds eight times
/// finer, before bf16. `None` if it has no such units.
pub(super) fn operand(client: &Client) -> Option<FloatKind> {
    let properties = client.properties();
    let hardware = &properties.hardware;
    let side = SIDE as u32;
    let offered = |kind: FloatKind| {
        let (operand, sum) = (ElemType::Float(kind), ElemType::Float(FloatKind::F32));
        properties.features.matmul.cmma.contains(&MmaConfig {
            a_type: operand,
            b_type: operand,
            cd_type: sum,
            m: side,
            n: side,
            k: side,
        })
    };
    if hardware.plane_size_min != hardware.plane_size_max {
        return None;
    }
    [FloatKind::F16, FloatKind::BF16].into_iter().find(|kind| offered(*kind))
}

#[cube(launch_unchecked)]
fn convolve_fragments<E: Float, WI: Size, WO: Size>(
    input: &[Vector<f32, WI>],
    weights: &[Vector<f32, WO>],
    bias: &[Vector<f32, WO>],
    mask: ComptimeOption<&[Vector<f32, WO>]>,
    residual: ComptimeOption<&[Vector<f32, WO>]>,
    output: &mut [Vector<f32, WO>],
    grid: Grid,
    #[comptime] fragments: Fragments,
    #[comptime] plan: StagePlan,
    #[define(E)] _operand: ElemType,
) {
    let (kz, ky, kx) = comptime!((plan.kernel[0], plan.kernel[1], plan.kernel[2]));
    let tile = CUBE_POS_Y * CUBE_COUNT_X + CUBE_POS_X;
    let first_output = CUBE_POS_Z as usize * comptime!(plan.tile[1]);
    let line = Line::new(&grid, tile * comptime!(plan.tile[0] as u32), plan);
    let mut inputs = Shared::<[Vector<E, Four>]>::new_aligned_slice(
        comptime!(plan.staged() * plan.strides[0] / 4),
        32usize,
    );
    let mut taps = Shared::<[Vector<E, Four>]>::new_aligned_slice(
        comptime!(plan.weight_values() / 4),
        32usize,
    );
    let columns = comptime!(plan.tile[1] / SIDE);
    let mut sums = Sequence::<cmma::Matrix<f32>>::new();
    #[unroll]
    for _ in 0..comptime!(fragments.positions * columns) {
        sums.push(cmma::Matrix::<f32>::from_value(
            cmma::MatrixIdent::Accumulator,
            SIDE,
            SIDE,
            SIDE,
            cmma::MatrixLayout::Undefined,
            0.0f32,
        ));
    }
    for tz in 0..comptime!(kz as u32) {
        for ty in 0..comptime!(ky as u32) {
            for chunk in 0..comptime!(plan.inputs.div_ceil(plan.depth)) {
                let first = chunk * plan.depth;
                let first_tap = (tz as usize * ky + ty as usize) * kx;
                sync_cube();
                stage_inputs::<E, WI>(input, &mut inputs, &line, &grid, (tz, ty), first, plan);
                stage_weights::<E, WO>(weights, &mut taps, first_tap, first, first_output, plan);
                sync_cube();
                add_products::<E>(&inputs, &taps, &sums, fragments, plan);
            }
        }
    }
    store_sums::<WO>(&sums, bias, &mask, &residual, output, &line, first_output, fragments, plan);
}

/// First position of this plane.
#[cube]
fn first_position(#[comptime] fragments: Fragments) -> usize {
    UNIT_POS_Y as usize * comptime!(fragments.positions * SIDE)
}

/// Adds the products of what is staged.
#[cube]
fn add_products<E: Float>(
    inputs: &Shared<[Vector<E, Four>]>,
    taps: &Shared<[Vector<E, Four>]>,
    sums: &Sequence<cmma::Matrix<f32>>,
    #[comptime] fragments: Fragments,
    #[comptime] plan: StagePlan,
) {
    let (row, tap_row) = comptime!((plan.strides[0] / 4, plan.strides[1] / 4));
    let columns = comptime!(plan.tile[1] / SIDE);
    let position = first_position(fragments);
    for tx in 0..comptime!(plan.kernel[2]) {
        #[unroll]
        for c in 0..comptime!(plan.depth / SIDE) {
            #[unroll]
            for n in 0..columns {
                let from = (tx * plan.depth + c * SIDE) * tap_row + n * comptime!(SIDE / 4);
                let b = operand_at::<E>(taps, from, plan.strides[1], cmma::MatrixIdent::B);
                #[unroll]
                for m in 0..fragments.positions {
                    let from = (position + m * SIDE + tx) * row + c * comptime!(SIDE / 4);
                    let a = operand_at::<E>(inputs, from, plan.strides[0], cmma::MatrixIdent::A);
                    let sum = sums.index(comptime!(m * columns + n));
                    cmma::execute(&a, &b, sum, sum);
                }
            }
        }
    }
}

/// The fragment of staged values that begins at a vector.
#[cube]
fn operand_at<E: Float>(
    values: &Shared<[Vector<E, Four>]>,
    from: usize,
    #[comptime] stride: usize,
    #[comptime] ident: cmma::MatrixIdent,
) -> cmma::Matrix<Vector<E, Four>> {
    cmma::Matrix::<Vector<E, Four>>::from_slice(
        ident,
        SIDE,
        SIDE,
        SIDE,
        cmma::MatrixLayout::RowMajor,
        &values[from..values.len()],
        comptime!(stride as u32),
    )
}

/// Writes the sums by way of shared memory, a fragment of each plane at a time.
#[cube]
fn store_sums<N: Size>(
    sums: &Sequence<cmma::Matrix<f32>>,
    bias: &[Vector<f32, N>],
    mask: &ComptimeOption<&[Vector<f32, N>]>,
    residual: &ComptimeOption<&[Vector<f32, N>]>,
    output: &mut [Vector<f32, N>],
    line: &Line,
    first_output: usize,
    #[comptime] fragments: Fragments,
    #[comptime] plan: StagePlan,
) {
    let vectors = comptime!(SIDE * SIDE / 4);
    let mut stage = Shared::<[Vector<f32, Four>]>::new_aligned_slice(
        comptime!(fragments.planes * vectors),
        32usize,
    );
    let own = UNIT_POS_Y as usize * vectors;
    let columns = comptime!(plan.tile[1] / SIDE);
    let units = comptime!(plan.units / fragments.planes);
    #[unroll]
    for m in 0..fragments.positions {
        #[unroll]
        for n in 0..columns {
            let sum = sums.index(comptime!(m * columns + n));
            let layout = cmma::MatrixLayout::RowMajor;
            cmma::store(&mut stage[own..own + vectors], sum, comptime!(SIDE as u32), layout);
            sync_cube();
            for i in range_stepped(UNIT_POS_X as usize, vectors, units) {
                let position = first_position(fragments) + m * SIDE + i / comptime!(SIDE / 4);
                let channel = first_output + n * SIDE + i % comptime!(SIDE / 4) * 4;
                let value = stage[own + i];
                store::<N>(value, bias, mask, residual, output, line, position, channel, plan);
            }
            sync_cube();
        }
    }
}

/// As `tiles::launch`; `operand` from [`operand`].
#[allow(unsafe_code)]
pub(super) fn launch(
    client: &Client,
    buffers: Buffers<'_>,
    shape: ConvShape,
    fusions: Fusions,
    fragments: Fragments,
    operand: FloatKind,
) {
    let plane_size = client.properties().hardware.plane_size_max;
    let plan = fragments.plan(&shape, fusions, plane_size as usize);
    let (wi, wo) = (lanes(4, shape.inputs), lanes(4, shape.outputs));
    let dim = CubeDim::new_2d(plane_size, fragments.planes as u32);
    let (count, grid) = (shape.tiles(plan.tile), shape.grid());
    let Bound { input, weights, bias, mask, residual, output } = buffers.bind(&shape);
    // SAFETY: as in `tiles::launch`.
    unsafe {
        convolve_fragments::launch_unchecked(
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
            fragments,
            plan,
            ElemType::Float(operand),
        );
    }
}
