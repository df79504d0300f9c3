//! The gradient of the weights, with as few products as the convolution itself.
//!
//! A tap's gradient is the sum over voxels of input times gradient of the output, itself a filter with
//! three outputs along each axis. The transpose of F(m, 3): inputs at the points of a tile as in the
//! convolution, gradients of m outputs at the same points (`Gradient3`, `Gradient5`), products of
//! both, and the transposed taps transform of their sums over all tiles.
//!
//! The unit of work is a slab, one tile in z and all of y and x. At each point the products of all tiles
//! of a slab are one matrix product, `[inputs, tiles] x [tiles, outputs]`, which goes to the taps while
//! it is in the cache:
//!
//! ```text
//! input    rows -> z -> slab -> y -> rows -> x -> V  \
//!                       [pz][y][x][c]    [py][px][k][c]  V^T E -> x -> y -> z -> [3][3][3][in][out]
//! gradient rows -> z -> slab -> y -> rows -> x -> E  /
//! ```
//!
//! Slabs go to parts that depend on the sizes alone, and parts are added in their order: results do not
//! depend on the number of threads.

use std::cell::Cell;

use rayon::prelude::*;

use super::Sizes;
use super::taps::Matrix;
use super::tiling::{MAX_POINTS, Placed, Tile, Tiling};
use crate::simd::aligned::AlignedBuffer;
use crate::simd::lanes::{Isa, LANES, Simd, WithLanes, with_lanes};
use side::Side;

mod products;
mod side;

/// The most parts that are added up.
const PARTS: usize = 32;
/// Tiles in y whose products are taken at once: their factors fill half of a second-level cache.
const GROUP: usize = 6;

/// Everything that follows from sizes and instruction set.
struct GradientPlan {
    isa: Isa,
    sizes: Sizes,
    tiling: Tiling,
    /// Channels up to whole vectors.
    wide_inputs: usize,
    wide_outputs: usize,
}

impl GradientPlan {
    fn new(sizes: Sizes, isa: Isa) -> Self {
        let tiling = Tiling::new(sizes.volume, Tile::F5);
        let wide = |channels: usize| channels.next_multiple_of(LANES);
        let (wide_inputs, wide_outputs) = (wide(sizes.inputs), wide(sizes.outputs));
        Self { isa, sizes, tiling, wide_inputs, wide_outputs }
    }

    /// Gradients of one tap, `[input][output]`, and some room: lines that are a power of two apart would
    /// share a few places of the first-level cache.
    fn line(&self) -> usize {
        self.sizes.inputs * self.wide_outputs + 2 * LANES
    }

    /// Gradients of taps, then of biases.
    fn part(&self) -> usize {
        27 * self.line() + self.wide_outputs
    }

    /// Voxels of a row up to whole tiles.
    fn whole(&self) -> usize {
        self.tiling.x * Tile::F3.outputs()
    }

    /// Rows of a slab up to whole tiles.
    fn rows(&self) -> usize {
        self.tiling.y.last().map_or(0, |last| last.start + last.tile.outputs())
    }
}

/// Gradients of weights, `[3, 3, 3, inputs, outputs]`, and biases of a convolution.
///
/// `input`: `[batch, z, y, x, inputs]`, of which negative values count as zero if `relu_input`;
/// `gradient` of the output: `[batch, z, y, x, outputs]`. Runs on the threads of rayon's current pool.
///
/// # Panics
/// If a length is not that of the sizes: a mistake of ours.
pub(in crate::conv3d) fn weight_gradient(
    sizes: Sizes,
    isa: Isa,
    input: &[f32],
    relu_input: bool,
    gradient: &[f32],
    weights: &mut [f32],
    bias: &mut [f32],
) {
    let plan = GradientPlan::new(sizes, isa);
    let voxels: usize = sizes.volume.iter().product();
    assert_eq!(weights.len(), 27 * sizes.inputs * sizes.outputs, "weights are [3, 3, 3, in, out]");
    assert_eq!(bias.len(), sizes.outputs, "one bias for each output channel");
    if voxels == 0 || sizes.outputs == 0 || sizes.inputs == 0 || gradient.is_empty() {
        weights.fill(0.0);
        bias.fill(0.0);
        return;
    }
    let batch = gradient.len() / (voxels * sizes.outputs);
    assert_eq!(gradient.len(), batch * voxels * sizes.outputs, "whole output images");
    assert_eq!(input.len(), batch * voxels * sizes.inputs, "whole input images");
    let images = (0..batch).flat_map(|image| plan.tiling.z.iter().map(move |z| (image, *z)));
    let slabs: Vec<(usize, Placed)> = images.collect();
    let count = slabs.len().min(PARTS);
    let mut parts = PARTIAL.take();
    parts.fit(count * plan.part());
    parts.par_chunks_mut(plan.part()).enumerate().for_each(|(i, part)| {
        let slabs = &slabs[slabs.len() * i / count..slabs.len() * (i + 1) / count];
        let input = Side::new(&plan, input, Factor::Input { relu: relu_input });
        let gradient = Side::new(&plan, gradient, Factor::Gradient);
        Scratch::with(&plan, |scratch| {
            with_lanes(plan.isa, Part { plan: &plan, slabs, input, gradient, part, scratch });
        });
    });
    add_up(&plan, &parts, weights, bias);
    PARTIAL.set(parts);
}

thread_local! {
    /// Sums of parts. Taken while they are in use, so that a thread that waits may begin anew.
    static PARTIAL: Cell<AlignedBuffer> = Cell::default();
}

/// Sums of all parts, in their order, without the padding of channels.
fn add_up(plan: &GradientPlan, parts: &[f32], weights: &mut [f32], bias: &mut [f32]) {
    let (outputs, wide) = (plan.sizes.outputs, plan.wide_outputs);
    let sum = |to: &mut [f32], start: usize| {
        to.fill(0.0);
        for part in parts.chunks_exact(plan.part()) {
            to.iter_mut().zip(&part[start..]).for_each(|(to, value)| *to += value);
        }
    };
    let inputs = plan.sizes.inputs;
    weights.par_chunks_mut(outputs).enumerate().with_min_len(64).for_each(|(row, to)| {
        sum(to, row / inputs * plan.line() + row % inputs * wide);
    });
    sum(bias, 27 * plan.line());
}

/// One of the two factors of the products.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Factor {
    /// Inputs of the convolution.
    Input {
        /// Negative ones count as zero.
        relu: bool,
    },
    /// Gradients of its outputs.
    Gradient,
}

/// The intermediate values of a thread, kept between calls: some 4 MB for a FOV of 33 with 32 channels.
#[derive(Default)]
struct Scratch {
    /// All points in z of both factors: `[pz][y][x][channel]`.
    slabs: [AlignedBuffer; 2],
    /// One point in z and one tile in y: `[py][x][channel]`.
    rows: [AlignedBuffer; 2],
    /// One point in z: `[py][px][tile][channel]`.
    points: [AlignedBuffer; 2],
    /// Products at the points in x, `[px][line]`.
    products: AlignedBuffer,
    /// `[py][kx][line]`.
    along_x: AlignedBuffer,
    /// `[pz][ky][kx][line]`.
    along_y: AlignedBuffer,
    /// Rows whose channels are no whole vectors, widened.
    spare: AlignedBuffer,
    /// A row of zeros. Never written.
    zeros: AlignedBuffer,
}

impl Scratch {
    /// Runs `work` with the scratch memory of this thread.
    fn with<T>(plan: &GradientPlan, work: impl FnOnce(&mut Self) -> T) -> T {
        thread_local! {
            static SCRATCH: Cell<Option<Box<Scratch>>> = const { Cell::new(None) };
        }
        let mut scratch = SCRATCH.take().unwrap_or_default();
        scratch.fit(plan);
        let result = work(&mut scratch);
        SCRATCH.set(Some(scratch));
        result
    }

    fn fit(&mut self, plan: &GradientPlan) {
        let (line, px) = (plan.line(), Tile::F3.points());
        // Inputs reach one voxel further on both sides.
        let sides = [(2, plan.wide_inputs), (0, plan.wide_outputs)];
        for (i, (more, wide)) in sides.into_iter().enumerate() {
            let row = (plan.whole() + more) * wide;
            self.slabs[i].fit(MAX_POINTS * (plan.rows() + more) * row);
            self.rows[i].fit(MAX_POINTS * row);
            self.points[i].fit(MAX_POINTS * px * GROUP * plan.tiling.x * wide);
        }
        self.products.fit(px * line);
        self.along_x.fit(MAX_POINTS * 3 * line);
        self.along_y.fit(MAX_POINTS * 9 * line);
        let row = (plan.whole() + 2) * plan.wide_inputs.max(plan.wide_outputs);
        self.spare.fit(MAX_POINTS * row);
        self.zeros.fit(row);
    }
}

/// Slabs whose gradients are added up.
struct Part<'a> {
    plan: &'a GradientPlan,
    slabs: &'a [(usize, Placed)],
    input: Side<'a>,
    gradient: Side<'a>,
    /// `[3][3][3][line]`, then biases.
    part: &'a mut [f32],
    scratch: &'a mut Scratch,
}

impl WithLanes for Part<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { plan, slabs, input, gradient, part, scratch } = self;
        part.fill(0.0);
        let (taps, bias) = part.split_at_mut(27 * plan.line());
        for (image, z) in slabs.iter().copied() {
            for side in [&input, &gradient] {
                side.fill(simd, image, z, bias, scratch);
            }
            for point in 0..z.tile.points() {
                at_point(simd, plan, [&input, &gradient], point, scratch);
            }
            let points = z.tile.points() * 9 * plan.line();
            Matrix::of(z.tile).to_taps(simd, &scratch.along_y[..points], taps, true);
        }
    }
}

/// All products with one point in z, as far as the taps in y and x.
#[inline(always)]
fn at_point<S: Simd>(
    simd: S,
    plan: &GradientPlan,
    sides: [&Side<'_>; 2],
    point: usize,
    scratch: &mut Scratch,
) {
    let (line, px) = (plan.line(), Tile::F3.points());
    let kinds = plan.tiling.y.chunk_by(|a, b| a.tile == b.tile);
    let groups = kinds.flat_map(|kind| kind.chunks(GROUP));
    for (number, group) in groups.enumerate() {
        let tiles = group.len() * plan.tiling.x;
        for (at, y) in group.iter().enumerate() {
            for side in sides {
                side.to_points(simd, point, *y, [at, group.len()], scratch);
            }
        }
        let tile = group[0].tile;
        for py in 0..tile.points() {
            for (x, products) in scratch.products.chunks_exact_mut(line).enumerate() {
                let of = |i: usize, wide: usize| {
                    let length = tiles * wide;
                    &scratch.points[i][(py * px + x) * length..][..length]
                };
                let factors = [of(0, plan.wide_inputs), of(1, plan.wide_outputs)];
                products::multiply(simd, plan, factors, products);
            }
            let to = &mut scratch.along_x[py * 3 * line..][..3 * line];
            Matrix::of(Tile::F3).to_taps(simd, &scratch.products, to, false);
        }
        let from = &scratch.along_x[..tile.points() * 3 * line];
        let to = &mut scratch.along_y[point * 9 * line..][..9 * line];
        Matrix::of(tile).to_taps(simd, from, to, number > 0);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// As it is defined, in f64: weights, then biases.
    fn naive(sizes: Sizes, x: &[f32], relu: bool, dy: &[f32]) -> Vec<f64> {
        let Sizes { volume: [nz, ny, nx], inputs, outputs } = sizes;
        let mut sums = vec![0.0; (27 * inputs + 1) * outputs];
        for (voxel, slopes) in dy.chunks_exact(outputs).enumerate() {
            let (image, z, y, x0) =
                (voxel / (nz * ny * nx), voxel / (ny * nx) % nz, voxel / nx % ny, voxel % nx);
            let mut add = |row: usize, value: f64| {
                for (o, slope) in slopes.iter().enumerate() {
                    sums[row * outputs + o] += value * f64::from(*slope);
                }
            };
            add(27 * inputs, 1.0);
            for tap in 0..27 {
                let [z, y, x0] = [z + tap / 9, y + tap / 3 % 3, x0 + tap % 3];
                if z == 0 || z > nz || y == 0 || y > ny || x0 == 0 || x0 > nx {
                    continue;
                }
                let from = (((image * nz + z - 1) * ny + y - 1) * nx + x0 - 1) * inputs;
                for i in 0..inputs {
                    let value = x[from + i];
                    add(tap * inputs + i, f64::from(if relu { value.max(0.0) } else { value }));
                }
            }
        }
        sums
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn every_instruction_set_gives_the_definition_on_any_number_of_threads(
            volume in [1usize..13, 1usize..13, 1usize..30], inputs in 1usize..40,
            outputs in 1usize..40, batch in 1usize..3, relu in any::<bool>(),
        ) {
            let sizes = Sizes { volume, inputs, outputs };
            let voxels = batch * volume.iter().product::<usize>();
            let number = |i: usize| ((i * 7919) % 23) as f32 / 11.0 - 1.0;
            let x: Vec<f32> = (0..inputs * voxels).map(number).collect();
            let dy: Vec<f32> = (0..outputs * voxels).map(|i| number(i + 5)).collect();
            let expected = naive(sizes, &x, relu, &dy);
            let on = |isa: Isa, threads: usize| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                let mut found = vec![f32::NAN; expected.len()];
                let (weights, bias) = found.split_at_mut(27 * inputs * outputs);
                pool.install(|| weight_gradient(sizes, isa, &x, relu, &dy, weights, bias));
                found
            };
            // Of the sum of all absolute products.
            let tolerance = 3e-5 * voxels.max(10) as f64;
            for isa in Isa::all() {
                let found = on(isa, 1);
                for (f, e) in found.iter().zip(&expected) {
                    prop_assert!((f64::from(*f) - e).abs() < tolerance, "{}: {f} {e}", isa.name());
                }
                for threads in [2, 5] {
                    prop_assert!(on(isa, threads) == found, "{} on {threads}", isa.name());
                }
            }
        }
    }
}
