//! What the kernels for GPUs share: operands on their way into shared memory, results on their way out.

use cubecl::prelude::*;

use super::Fusions;

/// Vectors in which shared memory is read and written.
pub(super) type Four = Const<4>;

/// Sizes of the volumes, known when the kernel is launched.
#[derive(CubeType, CubeLaunch)]
pub(super) struct Grid {
    pub(super) nz: u32,
    pub(super) ny: u32,
    pub(super) nx: u32,
    /// Rows along x of all volumes.
    pub(super) rows: u32,
}

/// Fixed when the kernel is compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct StagePlan {
    /// Kernel size along z, y and x.
    pub(super) kernel: [usize; 3],
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    pub(super) fusions: Fusions,
    /// Units of a cube.
    pub(super) units: usize,
    /// Positions and output channels of a tile.
    pub(super) tile: [usize; 2],
    /// Input channels of a stage; a multiple of four.
    pub(super) depth: usize,
    /// Values from one position to the next and from one weight row to the next in shared memory;
    /// multiples of four.
    pub(super) strides: [usize; 2],
}

impl StagePlan {
    /// Positions with inputs in shared memory: those of the tile and their neighbours along x.
    pub(super) const fn staged(&self) -> usize {
        self.tile[0] + self.kernel[2] - 1
    }

    /// Values of the weights in shared memory.
    pub(super) const fn weight_values(&self) -> usize {
        self.kernel[2] * self.depth * self.strides[1]
    }

    /// Bytes of shared memory, for values of a size.
    pub(super) const fn shared_bytes(&self, value: usize) -> usize {
        let inputs = self.staged() * self.strides[0];
        (inputs + self.weight_values()) * value + self.staged() * 12
    }
}

/// A coordinate that is in no volume.
const OUTSIDE: u32 = 1 << 30;

/// Where the positions of a tile lie: `voxel` in the order of memory, `z` [`OUTSIDE`] if there is none.
#[derive(CubeType)]
pub(super) struct Line {
    voxel: Shared<[u32]>,
    y: Shared<[u32]>,
    z: Shared<[u32]>,
}

#[cube]
impl Line {
    /// The positions from `start` on and `kernel x / 2` before. To be followed by `sync_cube`.
    pub(super) fn new(grid: &Grid, start: u32, #[comptime] plan: StagePlan) -> Line {
        let mut line = Line::empty(plan);
        line.fill(grid, start, plan);
        line
    }

    /// Room for the positions of a tile.
    pub(super) fn empty(#[comptime] plan: StagePlan) -> Line {
        let staged = comptime!(plan.staged());
        Line {
            voxel: Shared::new_slice(staged),
            y: Shared::new_slice(staged),
            z: Shared::new_slice(staged),
        }
    }

    /// As [`Self::new`], into room that no unit reads any more.
    pub(super) fn fill(&mut self, grid: &Grid, start: u32, #[comptime] plan: StagePlan) {
        let staged = comptime!(plan.staged());
        let half = comptime!(plan.kernel[2] as u32 / 2);
        let pitch = grid.nx + half;
        for i in range_stepped(UNIT_POS, comptime!(staged as u32), comptime!(plan.units as u32)) {
            let shifted = start + i;
            let position = max(shifted, half) - half;
            let (row, x) = (position / pitch, position % pitch);
            let inside = shifted >= half && x < grid.nx && row < grid.rows;
            let at = i as usize;
            self.voxel[at] = row * grid.nx + x;
            self.y[at] = row % grid.ny;
            self.z[at] = select(inside, (row / grid.ny) % grid.nz, OUTSIDE);
        }
    }
}

/// Four values from `at` on; those from the `count`th on are 0. `N` divides `at`.
#[cube]
fn read<N: Size>(values: &[Vector<f32, N>], at: usize, count: usize) -> Vector<f32, Four> {
    let lanes = N::value();
    let mut result = Vector::<f32, Four>::new(0.0f32);
    #[unroll]
    for part in 0..comptime!(4 / lanes) {
        if part * lanes < count {
            let value = values[at / lanes + part];
            #[unroll]
            for lane in 0..lanes {
                result.insert(comptime!(part * lanes + lane), value.extract(lane));
            }
        }
    }
    result
}

/// Stages a depth of input channels from `first` on, for the taps of row `(tz, ty)` of the kernel.
#[cube]
pub(super) fn stage_inputs<E: Float, N: Size>(
    input: &[Vector<f32, N>],
    stage: &mut Shared<[Vector<E, Four>]>,
    line: &Line,
    grid: &Grid,
    tap: (u32, u32),
    first: usize,
    #[comptime] plan: StagePlan,
) {
    let columns = comptime!(plan.depth / 4);
    let (hz, hy) = comptime!((plan.kernel[0] as u32 / 2, plan.kernel[1] as u32 / 2));
    let (tz, ty) = tap;
    for i in
        range_stepped(UNIT_POS as usize, comptime!(plan.staged() * columns), comptime!(plan.units))
    {
        let (position, column) = (i / columns, i % columns);
        let (z, y) = (line.z[position] + tz, line.y[position] + ty);
        let channel = first + column * 4;
        let mut value = Vector::<f32, Four>::new(0.0f32);
        if z >= hz && z < grid.nz + hz && y >= hy && y < grid.ny + hy && channel < plan.inputs {
            let ahead = (tz * grid.ny + ty) * grid.nx;
            let voxel = line.voxel[position] + ahead - (hz * grid.ny + hy) * grid.nx;
            let at = voxel as usize * plan.inputs + channel;
            value = read::<N>(input, at, plan.inputs - channel);
            if comptime!(plan.fusions.relu_input) {
                value = max(value, Vector::new(0.0f32));
            }
        }
        stage[position * comptime!(plan.strides[0] / 4) + column] = Vector::cast_from(value);
    }
}

/// Stages the output channels of the tile from `first` on, for its positions; zeros outside.
#[cfg(feature = "train")]
#[cube]
pub(super) fn stage_outputs<N: Size>(
    values: &[Vector<f32, N>],
    stage: &mut Shared<[Vector<f32, Four>]>,
    line: &Line,
    first: usize,
    #[comptime] plan: StagePlan,
) {
    let columns = comptime!(plan.tile[1] / 4);
    let count = comptime!(plan.tile[0] * columns);
    for i in range_stepped(UNIT_POS as usize, count, comptime!(plan.units)) {
        let (position, column) = (i / columns + comptime!(plan.kernel[2] / 2), i % columns);
        let channel = first + column * 4;
        let mut value = Vector::<f32, Four>::new(0.0f32);
        if line.z[position] < OUTSIDE && channel < plan.outputs {
            let at = line.voxel[position] as usize * plan.outputs + channel;
            value = read::<N>(values, at, plan.outputs - channel);
        }
        stage[i] = value;
    }
}

/// Stages the weights of a row of taps from `first_tap` on, for a depth of input channels from
/// `first` on and the tile's output channels from `first_output` on.
#[cube]
pub(super) fn stage_weights<E: Float, N: Size>(
    weights: &[Vector<f32, N>],
    stage: &mut Shared<[Vector<E, Four>]>,
    first_tap: usize,
    first: usize,
    first_output: usize,
    #[comptime] plan: StagePlan,
) {
    let columns = comptime!(plan.tile[1] / 4);
    let rows = comptime!(plan.kernel[2] * plan.depth);
    for i in range_stepped(UNIT_POS as usize, comptime!(rows * columns), comptime!(plan.units)) {
        let (row, column) = (i / columns, i % columns);
        let tap = first_tap + row / plan.depth;
        let channel = first + row % plan.depth;
        let output = first_output + column * 4;
        let mut value = Vector::<f32, Four>::new(0.0f32);
        if channel < plan.inputs && output < plan.outputs {
            let at = (tap * plan.inputs + channel) * plan.outputs + output;
            value = read::<N>(weights, at, plan.outputs - output);
        }
        stage[row * comptime!(plan.strides[1] / 4) + column] = Vector::cast_from(value);
    }
}

/// Writes four channels from `channel` on of the `position`th voxel of a tile, if there is one.
#[cube]
pub(super) fn store<N: Size>(
    sum: Vector<f32, Four>,
    bias: &[Vector<f32, N>],
    mask: &ComptimeOption<&[Vector<f32, N>]>,
    residual: &ComptimeOption<&[Vector<f32, N>]>,
    output: &mut [Vector<f32, N>],
    line: &Line,
    position: usize,
    channel: usize,
    #[comptime] plan: StagePlan,
) {
    let at = position + comptime!(plan.kernel[2] / 2);
    if line.z[at] < OUTSIDE {
        let lanes = N::value();
        #[unroll]
        for part in 0..comptime!(4 / lanes) {
            let first = channel + part * lanes;
            if first < plan.outputs {
                let mut value = bias[first / lanes];
                #[unroll]
                for lane in 0..lanes {
                    let add = sum.extract(comptime!(part * lanes + lane));
                    value.insert(lane, value.extract(lane) + add);
                }
                let to = (line.voxel[at] as usize * plan.outputs + first) / lanes;
                #[comptime]
                if let ComptimeOption::Some(mask) = mask {
                    let zero = Vector::new(0.0f32);
                    value = select_many(mask[to].greater_than(&zero), value, zero);
                }
                #[comptime]
                if let ComptimeOption::Some(residual) = residual {
                    value += residual[to];
                }
                if comptime!(plan.fusions.relu_output) {
                    value = max(value, Vector::new(0.0f32));
                }
                output[to] = value;
            }
        }
    }
}
