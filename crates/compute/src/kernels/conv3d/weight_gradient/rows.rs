//! Sums of products for devices without shared memory to speak of: a unit goes along the rows of a slab
//! with one row of taps, a block of input channels and a block of output channels, sums in registers.

use cubecl::calculate_cube_count_elemwise;
use cubecl::client::Client;
use cubecl::prelude::*;
use cubecl::server::Handle;

use super::super::lanes;
use super::super::padding::{Padding, columns, widened};
use super::{ConvShape, Parts, voxels_of_a_slab};

/// Voxels of a slab: few enough that it stays in a core's cache while all its sums are made.
const SLAB: usize = 2048;

/// Fixed when the kernel is compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct ProductPlan {
    /// Kernel size along z, y and x.
    kernel: [usize; 3],
    inputs: usize,
    /// Blocks of input channels, and channels of each.
    blocks: usize,
    channels: usize,
    /// Vectors of all output channels, and of a block.
    vectors: usize,
    block_vectors: usize,
}

impl ProductPlan {
    /// As many sums as there are registers for.
    fn new(shape: &ConvShape, vectors: usize, sums: usize) -> Self {
        let block_vectors = [2, 3].into_iter().find(|n| vectors.is_multiple_of(*n)).unwrap_or(1);
        let most = (sums / block_vectors / shape.kernel[2]).max(1);
        let blocks = shape.inputs.div_ceil(most);
        let channels = shape.inputs.div_ceil(blocks);
        let (kernel, inputs) = (shape.kernel, shape.inputs);
        Self { kernel, inputs, blocks, channels, vectors, block_vectors }
    }

    const fn sums(&self) -> usize {
        self.kernel[2] * self.channels * self.block_vectors
    }

    /// Units of a slab.
    const fn units(&self) -> usize {
        self.kernel[0] * self.kernel[1] * self.blocks * (self.vectors / self.block_vectors)
    }
}

/// What a unit adds up: a row of taps along x, a block of input channels, a block of output channels.
#[derive(CubeType)]
struct Share {
    tz: usize,
    ty: usize,
    block: usize,
    /// First vector of output channels.
    first: usize,
}

#[cube]
impl Share {
    fn of(unit: usize, #[comptime] plan: ProductPlan) -> Share {
        let columns = comptime!(plan.vectors / plan.block_vectors);
        let tap = unit / comptime!(columns * plan.blocks);
        Share {
            tz: tap / comptime!(plan.kernel[1]),
            ty: tap % comptime!(plan.kernel[1]),
            block: unit / columns % plan.blocks,
            first: unit % columns * plan.block_vectors,
        }
    }
}

/// `input`: blocks of channels as [`Padding`] makes them.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
fn sum_products<N: Size>(
    input: &[f32],
    gradient: &[Vector<f32, N>],
    parts: &mut [Vector<f32, N>],
    nz: usize,
    ny: usize,
    nx: usize,
    rows: usize,
    rows_of_a_slab: usize,
    #[comptime] plan: ProductPlan,
) {
    let slab = ABSOLUTE_POS / comptime!(plan.units());
    let first_row = slab * rows_of_a_slab;
    if first_row >= rows {
        terminate!();
    }
    let share = Share::of(ABSOLUTE_POS % comptime!(plan.units()), plan);
    let mut sums = Array::<Vector<f32, N>>::new(comptime!(plan.sums()));
    #[unroll]
    for i in 0..comptime!(plan.sums()) {
        sums[i] = Vector::new(0.0f32);
    }
    let [kz, ky, kx] = comptime!(plan.kernel);
    for row in first_row..min(first_row + rows_of_a_slab, rows) {
        let (z, y) = (row / ny % nz + share.tz, row % ny + share.ty);
        let inside = z >= comptime!(kz / 2)
            && z < nz + comptime!(kz / 2)
            && y >= comptime!(ky / 2)
            && y < ny + comptime!(ky / 2);
        if inside {
            let ahead = row + share.tz * ny + share.ty;
            let source = ahead - comptime!(kz / 2) * ny - comptime!(ky / 2);
            let line = (nx + comptime!(kx - 1)) * plan.channels;
            let from = (source * plan.blocks + share.block) * line;
            let to = row * nx * plan.vectors + share.first;
            for x in 0..nx {
                let (from, to) = (from + x * plan.channels, to + x * plan.vectors);
                add_voxel::<N>(input, gradient, &mut sums, from, to, plan);
            }
        }
    }
    store::<N>(parts, &sums, slab, &share, plan);
}

/// Adds the products of one voxel of the gradient with its neighbours along x.
#[cube]
fn add_voxel<N: Size>(
    input: &[f32],
    gradient: &[Vector<f32, N>],
    sums: &mut Array<Vector<f32, N>>,
    from: usize,
    to: usize,
    #[comptime] plan: ProductPlan,
) {
    let mut slopes = Array::<Vector<f32, N>>::new(plan.block_vectors);
    #[unroll]
    for v in 0..plan.block_vectors {
        slopes[v] = gradient[to + v];
    }
    #[unroll]
    for pair in 0..comptime!(plan.kernel[2] * plan.channels) {
        let value = Vector::<f32, N>::new(input[from + pair]);
        #[unroll]
        for v in 0..plan.block_vectors {
            let sum = comptime!(pair * plan.block_vectors + v);
            sums[sum] = fma(value, slopes[v], sums[sum]);
        }
    }
}

#[cube]
fn store<N: Size>(
    parts: &mut [Vector<f32, N>],
    sums: &Array<Vector<f32, N>>,
    slab: usize,
    share: &Share,
    #[comptime] plan: ProductPlan,
) {
    let [kz, ky, kx] = comptime!(plan.kernel);
    #[unroll]
    for pair in 0..comptime!(kx * plan.channels) {
        let (tx, c) = comptime!((pair / plan.channels, pair % plan.channels));
        let channel = share.block * plan.channels + c;
        if channel < plan.inputs {
            let tap = ((slab * kz + share.tz) * ky + share.ty) * kx + tx;
            let at = (tap * plan.inputs + channel) * plan.vectors + share.first;
            #[unroll]
            for v in 0..plan.block_vectors {
                parts[at + v] = sums[comptime!(pair * plan.block_vectors + v)];
            }
        }
    }
}

/// Sums of all slabs; `sums`: most vectors that a unit holds.
#[allow(unsafe_code)]
pub(super) fn launch(
    client: &Client,
    [input, gradient]: [&Handle; 2],
    shape: ConvShape,
    relu_input: bool,
    sums: usize,
) -> Parts {
    let [nz, ny, nx] = shape.zyx;
    let rows = shape.batch * nz * ny;
    let widest = (client.properties().hardware.load_width as usize / 32).max(1);
    let columns = columns(widest, shape.outputs);
    let lanes = lanes(widest, columns);
    let plan = ProductPlan::new(&shape, columns / lanes, sums);
    let (blocks, block, margin) = (plan.blocks, plan.channels, shape.kernel[2] / 2);
    let padding = Padding { channels: shape.inputs, blocks, block, margin, relu: relu_input };
    let input = padding.launch(client, input, rows, nx);
    let gradient = if columns == shape.outputs {
        gradient.clone()
    } else {
        widened(client, gradient, shape.voxels(), [shape.outputs, columns], lanes)
    };
    let rows_of_a_slab = voxels_of_a_slab(client, &shape, SLAB, 1).div_ceil(nx.max(1));
    let count = rows.div_ceil(rows_of_a_slab);
    let values = shape.weights_len() / shape.outputs * columns;
    let parts = client.empty(count * values * 4);
    let dim = CubeDim::new(client, count * plan.units());
    let cubes = calculate_cube_count_elemwise(client, count * plan.units(), dim);
    let padded = rows * blocks * (nx + 2 * margin) * block;
    // SAFETY: the buffers have these lengths; a unit reads rows of its slab and their neighbours inside of
    // the volume, and writes its own sums in the part of its slab.
    unsafe {
        sum_products::launch_unchecked(
            client,
            cubes,
            dim,
            lanes,
            BufferArg::from_raw_parts(input, padded),
            BufferArg::from_raw_parts(gradient, shape.voxels() * columns),
            BufferArg::from_raw_parts(parts.clone(), count * values),
            nz,
            ny,
            nx,
            rows,
            rows_of_a_slab,
            plan,
        );
    }
    Parts { values: parts, count, rows: values / columns, columns: [columns, shape.outputs] }
}
