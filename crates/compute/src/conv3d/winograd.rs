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

mod product;
mod schedule;
mod strip;
mod tiling;
mod transform;
mod weights;

use crate::simd::lanes::{Isa, LANES, Simd, WithLanes, with_lanes};
use schedule::Schedule;
use strip::{Scratch, StripContext};
use tiling::Tiling;
pub(super) use weights::PackedWeights;

/// Around a convolution, at no cost: applied while values pass by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Around {
    /// Negative inputs count as zero.
    pub(super) relu_input: bool,
    /// Negative outputs become zero.
    pub(super) relu_output: bool,
    /// What is in the output is added.
    pub(super) accumulate: bool,
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
    tiling: Tiling,
    /// Input channels that a product takes at once, 16 or 32.
    depth: usize,
    /// Vectors of output channels that a product gives at once.
    width: usize,
}

impl Plan {
    /// The fastest way for these sizes on this instruction set.
    pub(super) fn new(sizes: Sizes, isa: Isa) -> Self {
        let depth = if sizes.inputs <= LANES { LANES } else { 2 * LANES };
        let width = isa.tile()[1].min(sizes.outputs.div_ceil(LANES).max(1));
        Self { isa, sizes, tiling: Tiling::new(sizes.volume), depth, width }
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
    around: Around,
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
    let schedule = Schedule::new(plan, output);
    let context = StripContext { plan, input, weights, bias, around };
    schedule.run(|worker| {
        Scratch::with(plan, |scratch| with_lanes(plan.isa, Strips { worker, context, scratch }));
    });
}

/// One worker's part of a convolution.
struct Strips<'a, 'o> {
    worker: schedule::Worker<'a, 'o>,
    context: StripContext<'a>,
    scratch: &'a mut Scratch,
}

impl WithLanes for Strips<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        for (place, mut rows) in self.worker {
            strip::compute(simd, &self.context, place, self.scratch, &mut rows);
        }
    }
}
