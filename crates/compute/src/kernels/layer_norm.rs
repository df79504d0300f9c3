//! Normalisation over the channels of each voxel, and its gradients. A unit computes whole voxels.

use cubecl::calculate_cube_count_elemwise;
use cubecl::client::Client;
use cubecl::prelude::*;
use cubecl::server::Handle;

use super::words;

#[cfg(feature = "train")]
pub(crate) mod gradient;

/// Fixed when the kernel is compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Plan {
    channels: usize,
    /// Vectors of a voxel.
    vectors: usize,
    /// Voxels of a unit.
    run: usize,
    /// Bits of what is added to the variance, f32.
    epsilon: u32,
}

/// How a launch is cut.
struct Work {
    plan: Plan,
    lanes: usize,
    voxels: usize,
}

impl Work {
    fn new(client: &Client, [voxels, channels]: [usize; 2], epsilon: f32) -> Self {
        let hardware = &client.properties().hardware;
        let widest = (hardware.load_width as usize / 32).max(1);
        let lanes = super::conv3d::lanes(widest, channels);
        // Where units are threads, a unit should be worth its start.
        let run = if hardware.num_cpu_cores.is_some() { 16 } else { 1 };
        let plan = Plan { channels, vectors: channels / lanes, run, epsilon: epsilon.to_bits() };
        Self { plan, lanes, voxels }
    }

    /// Cubes, and units of each.
    fn units(&self, client: &Client) -> (CubeCount, CubeDim) {
        let units = self.voxels.div_ceil(self.plan.run);
        let dim = CubeDim::new(client, units);
        (calculate_cube_count_elemwise(client, units, dim), dim)
    }
}

/// Sum of the lanes.
#[cube]
fn total<N: Size>(value: Vector<f32, N>) -> f32 {
    let mut sum = value.extract(0usize);
    #[unroll]
    for lane in 1..N::value() {
        sum += value.extract(lane);
    }
    sum
}

/// Mean of a voxel, and one over its deviation.
#[cube]
fn moments<N: Size>(x: &[Vector<f32, N>], first: usize, #[comptime] plan: Plan) -> (f32, f32) {
    let channels = comptime!(plan.channels as f32);
    let mut sums = Vector::<f32, N>::new(0.0f32);
    for v in 0..plan.vectors {
        sums += x[first + v];
    }
    let mean = total::<N>(sums) / channels;
    let mut squares = Vector::<f32, N>::new(0.0f32);
    for v in 0..plan.vectors {
        let centred = x[first + v] - Vector::new(mean);
        squares += centred * centred;
    }
    let variance = total::<N>(squares) / channels;
    let epsilon = comptime!(f32::from_bits(plan.epsilon));
    (mean, 1.0f32 / (variance + epsilon).sqrt())
}

#[cube(launch)]
fn normalise<N: Size>(
    x: &[Vector<f32, N>],
    scale: &[Vector<f32, N>],
    bias: &[Vector<f32, N>],
    out: &mut [Vector<f32, N>],
    voxels: usize,
    #[comptime] plan: Plan,
) {
    let start = ABSOLUTE_POS * plan.run;
    for voxel in start..min(start + plan.run, voxels) {
        let first = voxel * plan.vectors;
        let (mean, inverse) = moments::<N>(x, first, plan);
        for v in 0..plan.vectors {
            let centred = x[first + v] - Vector::new(mean);
            out[first + v] = centred * (scale[v] * Vector::new(inverse)) + bias[v];
        }
    }
}

/// `(x - mean) / sqrt(variance + epsilon) * scale + bias` of each voxel. `x` and result: f32 `[voxel,
/// channel]` of these sizes, at least one channel; `scale` and `bias`: `[channel]`.
pub(crate) fn launch(
    client: &Client,
    [x, scale, bias]: [&Handle; 3],
    sizes: [usize; 2],
    epsilon: f32,
) -> Handle {
    let work = Work::new(client, sizes, epsilon);
    let out = client.empty(sizes.iter().product::<usize>() * 4);
    let (count, dim) = work.units(client);
    let [x, scale, bias, result] = [x, scale, bias, &out].map(words::all);
    let Work { plan, lanes, voxels } = work;
    normalise::launch(client, count, dim, lanes, x, scale, bias, result, voxels, plan);
    out
}
