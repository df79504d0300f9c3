//! One strip: a tile in z and y, all tiles in x.

use std::cell::RefCell;
use std::ops::Range;

use super::arithmetic::Arithmetic;
use super::schedule::Taken;
use super::tiling::{MAX_OUTPUTS, MAX_POINTS, Tile};
use super::{Around, PackedWeights, Plan};
use crate::simd::aligned::AlignedBuffer;
use crate::simd::lanes::{Lanes, Simd};

mod across;
mod input;
mod output;
pub(super) mod rows;

/// What all strips of a convolution share.
#[derive(Clone, Copy)]
pub(super) struct StripContext<'a> {
    pub(super) plan: &'a Plan,
    /// `[batch, z, y, x, inputs]`.
    pub(super) input: &'a [f32],
    pub(super) weights: &'a PackedWeights<'a>,
    pub(super) bias: &'a [f32],
    pub(super) around: Around<'a>,
}

/// Sizes of the intermediate rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rows {
    /// Voxels of an input row, with one of padding before it and at least one after.
    padded: usize,
    /// Voxels of an output row, up to whole tiles.
    whole: usize,
    /// Channels with padding.
    inputs: usize,
    outputs: usize,
}

impl Rows {
    fn new(plan: &Plan) -> Self {
        let whole = plan.tiling.x * Tile::F3.outputs();
        let (inputs, outputs) = (plan.padded_inputs(), plan.padded_outputs());
        Self { padded: whole + 2, whole, inputs, outputs }
    }

    /// Values of a row that holds inputs at first and outputs later.
    fn shared(self) -> usize {
        (self.padded * self.inputs).max(self.whole * self.outputs)
    }
}

/// The intermediate values of a thread, kept between convolutions: below 1 MB for a FOV of 33 with 32
/// channels.
#[derive(Default)]
pub(super) struct Scratch {
    /// Input rows transformed along z: `[point z][slot][x][channel]`.
    ring: AlignedBuffer,
    /// Which rows of which image and tile in z the ring has.
    held: Option<Held>,
    /// One point in z: `[point y][x][channel]`.
    rows: AlignedBuffer,
    /// Bounds of their inputs' absolute values, lane by lane.
    bounds: [Lanes; MAX_POINTS],
    /// One point in z and y, `[point x][block of inputs][tile][depth]`.
    v: AlignedBuffer,
    /// Its products, `[point x][block of outputs][tile][width]`.
    m: AlignedBuffer,
    /// All points in z: `[point z][output y][x][channel]`.
    w: AlignedBuffer,
    /// Rows on their way in or out whose channels are no whole vectors, and outputs past the end.
    spare: AlignedBuffer,
    /// A row of zeros, for planes outside the volume. Never written.
    zeros: AlignedBuffer,
}

/// Rows in the ring, counted with the padding: row 0 lies before the volume.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Held {
    image: usize,
    z_start: usize,
    rows: Range<usize>,
}

/// Row `i` is in slot `i % SLOTS`.
const SLOTS: usize = MAX_POINTS;

impl Scratch {
    /// Runs `work` with the scratch memory of this thread.
    pub(super) fn with<T>(plan: &Plan, work: impl FnOnce(&mut Self) -> T) -> T {
        thread_local! {
            static SCRATCH: RefCell<Scratch> = RefCell::default();
        }
        SCRATCH.with_borrow_mut(|scratch| {
            scratch.fit(plan);
            work(scratch)
        })
    }

    fn fit(&mut self, plan: &Plan) {
        let rows = Rows::new(plan);
        let points_x = Tile::F3.points();
        let row = rows.padded * rows.inputs.max(rows.outputs);
        self.held = None;
        self.ring.fit(MAX_POINTS * SLOTS * rows.padded * rows.inputs);
        self.rows.fit(MAX_POINTS * rows.shared());
        self.v.fit(points_x * plan.tiling.x * rows.inputs);
        self.m.fit(points_x * plan.tiling.x * rows.outputs);
        self.w.fit(MAX_POINTS * MAX_OUTPUTS * rows.whole * rows.outputs);
        self.spare.fit(MAX_POINTS * row);
        self.zeros.fit(row);
    }
}

/// Computes one strip.
#[inline(always)]
pub(super) fn compute<A: Arithmetic<S>, S: Simd>(
    simd: S,
    context: &StripContext<'_>,
    strip: &mut Taken<'_>,
    scratch: &mut Scratch,
) {
    let place = strip.place;
    input::fill_ring(simd, context, place, scratch);
    for point in 0..place.z.tile.points() {
        across::from_ring::<A, S>(simd, context.plan, place, point, scratch);
        across::multiply::<A, S>(simd, context, place, point, scratch);
        across::to_w(simd, context.plan, place, point, scratch);
    }
    output::write(simd, context, place, scratch, &mut strip.rows);
}
