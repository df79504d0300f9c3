//! 3x3x3 convolution on the CPU with far fewer products: Winograd's minimal filtering in all three
//! axes.
//!
//! Along one axis F(m, 3) gives m outputs of a filter of 3 taps from m + 2 inputs with m + 2 products
//! in place of 3 m, after linear transforms of inputs, taps and products (Winograd 1980; for networks
//! Lavin and Gray, arXiv:1509.09308). Nested over three axes, F(5, 3) in z and y and F(3, 3) in x needs
//! 8 times fewer products than the definition; in exchange numbers of slightly different size are
//! added, so that errors are some 1e-5 of the largest logit instead of 1e-6.
//!
//! The points of a tile's products form a grid of (m + 2)^3; each is a small matrix product over
//! channels. The unit of work is a strip, one tile in z and y and all tiles in x, so that everything
//! between input and output of a strip stays in the second-level cache:
//!
//! ```text
//! input rows -> z -> ring -> y -> rows -> x -> V, V U = M, M -> x -> rows -> y -> W -> z -> output
//!                    [pz][row][x][c]               per point             [pz][oy][x][c]
//! ```
//!
//! Strips are independent of each other and of the thread that computes them: results do not depend on
//! the number of threads.

mod arithmetic;
#[cfg(feature = "train")]
mod gradient;
mod product;
#[cfg(feature = "train")]
mod repack;
mod schedule;
mod strip;
#[cfg(feature = "train")]
mod taps;
mod tiling;
mod transform;
mod weights;

use std::ops::Range;

use crate::precision::Precision;
use crate::simd::lanes::{
    Integers, Isa, LANES, Simd, WithIntegers, WithLanes, has_integers, with_integers, with_lanes,
};
use arithmetic::{Arithmetic, Floats, Shorts};
#[cfg(feature = "train")]
pub(super) use gradient::weight_gradient;
#[cfg(feature = "train")]
pub(super) use repack::Weights;
use schedule::Schedule;
use strip::{Scratch, StripContext};
use tiling::{Kind, Tile, Tiling};
pub(super) use weights::PackedWeights;

/// Around a convolution, at no cost: applied while values pass by.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Around<'a> {
    /// Negative inputs count as zero.
    pub(super) relu_input: bool,
    /// Negative outputs become zero.
    pub(super) relu_output: bool,
    /// What is in the output is added.
    pub(super) accumulate: bool,
    /// Where this is not above 0, in the output's shape, the convolution counts as 0; without ReLU of
    /// the output.
    pub(super) mask: Option<&'a [f32]>,
    /// Added, in the output's shape.
    pub(super) residual: Option<&'a [f32]>,
}

/// Sizes that a packed set of weights is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sizes {
    /// Voxels of one image along z, y and x.
    pub(super) volume: [usize; 3],
    /// Channels of the input.
    pub(super) inputs: usize,
    /// Channels of the output.
    pub(super) outputs: usize,
}

/// Everything that follows from sizes and instruction set.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    isa: Isa,
    sizes: Sizes,
    /// `Fast` only where the CPU has integers.
    precision: Precision,
    tiling: Tiling,
    kinds: Vec<Kind>,
    /// Input channels that a product takes at once, 16 or 32.
    depth: usize,
    /// Vectors of output channels that a product gives at once.
    width: usize,
    /// Tiles in x that a product takes at once.
    groups: Vec<Range<usize>>,
}

impl Plan {
    /// The fastest way for these sizes on this instruction set.
    pub(super) fn new(sizes: Sizes, precision: Precision, isa: Isa) -> Self {
        let fast = precision == Precision::Fast && isa == Isa::best() && has_integers();
        let precision = if fast { Precision::Fast } else { Precision::Exact };
        let depth = if sizes.inputs <= LANES { LANES } else { 2 * LANES };
        let width = isa.tile()[1].min(sizes.outputs.div_ceil(LANES).max(1));
        // Integers have no digits to spare: with F(5, 3) logits would be wrong by 0.06.
        let largest = if fast { Tile::F3 } else { Tile::F5 };
        let tiling = Tiling::new(sizes.volume, largest);
        let count = tiling.x.div_ceil(isa.tile()[0]);
        let groups = (0..count).map(|i| tiling.x * i / count..tiling.x * (i + 1) / count).collect();
        let kinds = tiling.kinds();
        Self { isa, sizes, precision, tiling, kinds, depth, width, groups }
    }

    /// Input channels with padding.
    fn padded_inputs(&self) -> usize {
        self.sizes.inputs.next_multiple_of(self.depth)
    }

    /// Output channels with padding.
    fn padded_outputs(&self) -> usize {
        self.sizes.outputs.next_multiple_of(self.width * LANES)
    }
}

/// Convolves `input`, `[batch, z, y, x, inputs]`, with zero padding that keeps the size; `output`:
/// `[batch, z, y, x, outputs]`. Runs on the threads of rayon's current pool.
///
/// # Panics
/// If a length is not that of the plan: a mistake of ours.
pub(super) fn convolve(
    plan: &Plan,
    input: &[f32],
    weights: &PackedWeights<'_>,
    bias: &[f32],
    around: Around<'_>,
    output: &mut [f32],
) {
    let [nz, ny, nx] = plan.sizes.volume;
    let voxels = nz * ny * nx;
    assert_eq!(bias.len(), plan.sizes.outputs, "one bias for each output channel");
    assert_eq!(weights.len(), plan.packed_len(), "weights are packed for this plan");
    if voxels == 0 || plan.sizes.outputs == 0 || output.is_empty() {
        return;
    }
    let batch = output.len() / (voxels * plan.sizes.outputs);
    assert_eq!(output.len(), batch * voxels * plan.sizes.outputs, "whole output images");
    assert_eq!(input.len(), batch * voxels * plan.sizes.inputs, "whole input images");
    for beside in [around.mask, around.residual].into_iter().flatten() {
        assert_eq!(beside.len(), output.len(), "mask and residual have the output's shape");
    }
    let schedule = Schedule::new(plan, output);
    let context = StripContext { plan, input, weights, bias, around };
    schedule.run(|worker| {
        Scratch::with(plan, |scratch| {
            let strips = Strips { worker, context, scratch };
            match plan.precision {
                Precision::Exact => with_lanes(plan.isa, strips),
                // The plan has made sure that there are integers.
                Precision::Fast => with_integers(strips).unwrap_or_default(),
            }
        });
    });
}

/// One worker's part of a convolution.
struct Strips<'a, 'o> {
    worker: schedule::Worker<'a, 'o>,
    context: StripContext<'a>,
    scratch: &'a mut Scratch,
}

impl Strips<'_, '_> {
    #[inline(always)]
    fn compute<A: Arithmetic<S>, S: Simd>(self, simd: S) {
        for mut strip in self.worker {
            strip::compute::<A, S>(simd, &self.context, &mut strip, self.scratch);
        }
    }
}

impl WithLanes for Strips<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        self.compute::<Floats, S>(simd);
    }
}

impl WithIntegers for Strips<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Integers>(self, simd: S) {
        self.compute::<Shorts, S>(simd);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// As it is defined, in f64.
    fn naive(
        sizes: Sizes,
        x: &[f32],
        w: &[f32],
        b: &[f32],
        around: Around<'_>,
        old: &[f32],
    ) -> Vec<f64> {
        let Sizes { volume: [nz, ny, nx], inputs, outputs } = sizes;
        let relu = |v: f64, on: bool| if on { v.max(0.0) } else { v };
        let mut out = Vec::new();
        for at in 0..x.len() / inputs * outputs {
            let (voxel, output) = (at / outputs, at % outputs);
            let (image, z, y, x0) =
                (voxel / (nz * ny * nx), voxel / (ny * nx) % nz, voxel / nx % ny, voxel % nx);
            let mut sum = f64::from(b[output]);
            for tap in 0..27 {
                let [z, y, x0] = [z + tap / 9, y + tap / 3 % 3, x0 + tap % 3];
                if z == 0 || z > nz || y == 0 || y > ny || x0 == 0 || x0 > nx {
                    continue;
                }
                let from = (((image * nz + z - 1) * ny + y - 1) * nx + x0 - 1) * inputs;
                for i in 0..inputs {
                    let weight = f64::from(w[(tap * inputs + i) * outputs + output]);
                    sum += relu(f64::from(x[from + i]), around.relu_input) * weight;
                }
            }
            let hidden = around.mask.is_some_and(|mask| mask[at] <= 0.0);
            let sum = if hidden { 0.0 } else { sum };
            let sum = sum + if around.accumulate { f64::from(old[at]) } else { 0.0 };
            out.push(relu(sum, around.relu_output));
        }
        out
    }

    fn number(i: usize, seed: usize) -> f32 {
        ((i * 7919 + seed * 31) % 23) as f32 / 11.0 - 1.0
    }

    fn run(
        plan: &Plan,
        threads: usize,
        x: &[f32],
        w: &[f32],
        b: &[f32],
        around: Around<'_>,
    ) -> Vec<f32> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let packed = plan.pack(w);
        let mut out = vec![0.25; x.len() / plan.sizes.inputs * plan.sizes.outputs];
        pool.install(|| {
            convolve(plan, x, &PackedWeights::new(&packed), b, around, &mut out);
        });
        out
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn every_instruction_set_gives_the_definition_on_any_number_of_threads(
            volume in [1usize..13, 1usize..13, 1usize..40], channels in prop::sample::select(
                vec![(1, 1), (2, 32), (3, 5), (16, 16), (17, 33), (32, 32), (40, 8), (8, 1)]),
            batch in 1usize..3, flags in 0u8..32, seed in 0usize..1000,
        ) {
            let sizes = Sizes { volume, inputs: channels.0, outputs: channels.1 };
            let voxels: usize = batch * volume.iter().product::<usize>();
            let x: Vec<f32> = (0..sizes.inputs * voxels).map(|i| number(i, seed)).collect();
            let w: Vec<f32> =
                (0..27 * sizes.outputs * sizes.inputs).map(|i| number(i + 5, seed)).collect();
            let b: Vec<f32> = (0..sizes.outputs).map(|i| number(i, seed)).collect();
            let [relu_input, relu_output, accumulate, mask, residual] =
                [1, 2, 4, 8, 16].map(|bit| flags & bit != 0);
            let beside: Vec<f32> =
                (0..sizes.outputs * voxels).map(|i| number(i + 9, seed)).collect();
            let (mask, residual) =
                (mask.then_some(&beside[..]), residual.then_some(&beside[..]));
            let relu_output = relu_output && mask.is_none();
            let around = Around { relu_input, relu_output, accumulate, mask, residual };
            let old = residual.map_or_else(|| vec![0.25; beside.len()], <[f32]>::to_vec);
            let adds = Around { accumulate: accumulate || residual.is_some(), ..around };
            let expected = naive(sizes, &x, &w, &b, adds, &old);
            // Of the sum of all absolute products.
            let tolerance = 1e-5 * (27 * sizes.inputs.max(4)) as f64;
            for isa in Isa::all() {
                let plan = Plan::new(sizes, Precision::Exact, isa);
                let found = run(&plan, 1, &x, &w, &b, around);
                for (f, e) in found.iter().zip(&expected) {
                    let error = (f64::from(*f) - e).abs();
                    prop_assert!(error < tolerance, "{}: {f} {e}", isa.name());
                }
                for threads in [2, 5] {
                    prop_assert_eq!(&run(&plan, threads, &x, &w, &b, around), &found);
                }
            }
            let plan = Plan::new(sizes, Precision::Fast, Isa::best());
            let found = run(&plan, 1, &x, &w, &b, around);
            prop_assert_eq!(&run(&plan, 5, &x, &w, &b, around), &found);
            for (f, e) in found.iter().zip(&expected) {
                prop_assert!((f64::from(*f) - e).abs() < 100.0 * tolerance, "integers: {f} {e}");
            }
        }
    }
}
