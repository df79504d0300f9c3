//! The last transform, along z, and what surrounds the convolution.

use super::super::schedule::Place;
use super::super::tiling::{MAX_OUTPUTS, Tile};
use super::super::transform::{output_3, output_5};
use super::rows::{rows, rows_mut, transform};
use super::{Rows, Scratch, StripContext};
use crate::simd::lanes::{LANES, Lanes, Simd, vectors, vectors_mut};

/// Writes the output rows of a strip.
#[inline(always)]
pub(super) fn write<S: Simd>(
    simd: S,
    context: &StripContext<'_>,
    place: Place,
    scratch: &mut Scratch,
    rows: &mut [&mut [f32]],
) {
    let ny = context.plan.sizes.volume[1];
    let along_y = place.y.tile.outputs().min(ny - place.y.start);
    for y in 0..along_y {
        match place.z.tile {
            Tile::F3 => planes::<S, 5, 3>(simd, context, y, scratch, |m| output_3(simd, m)),
            Tile::F5 => planes::<S, 7, 5>(simd, context, y, scratch, |m| output_5(simd, m)),
        }
        let length = context.plan.sizes.volume[2] * context.plan.padded_outputs();
        let planes = scratch.spare.chunks_exact(length);
        for (row, values) in rows.iter_mut().skip(y).step_by(along_y).zip(planes) {
            finish(simd, context, values, row);
        }
    }
}

/// One row of each plane of the tile into the spare rows.
#[inline(always)]
fn planes<S: Simd, const I: usize, const O: usize>(
    simd: S,
    context: &StripContext<'_>,
    y: usize,
    scratch: &mut Scratch,
    work: impl Fn([S::Vector; I]) -> [S::Vector; O],
) {
    let sizes = Rows::new(context.plan);
    let row = sizes.whole * sizes.outputs;
    let length = context.plan.sizes.volume[2] * sizes.outputs;
    let from = rows::<I>(&scratch.w[y * row..], MAX_OUTPUTS * row, length);
    transform(simd, from, rows_mut::<O>(&mut scratch.spare, length, length), work);
}

/// Adds bias and what is to be added, and writes.
#[inline(always)]
fn finish<S: Simd>(simd: S, context: &StripContext<'_>, values: &[f32], row: &mut [f32]) {
    let channels = context.plan.sizes.outputs;
    if channels % LANES == 0 {
        let (bias, values) = (vectors(context.bias), vectors(values));
        let (vectors, count) = (vectors_mut(row), channels / LANES);
        for (voxel, values) in vectors.chunks_exact_mut(count).zip(values.chunks(padded(context))) {
            whole(simd, context, voxel, values, bias);
        }
        return;
    }
    let around = context.around;
    let values = values.chunks_exact(context.plan.padded_outputs());
    for (voxel, values) in row.chunks_exact_mut(channels).zip(values) {
        for ((out, value), bias) in voxel.iter_mut().zip(values).zip(context.bias) {
            let sum = value + bias + if around.accumulate { *out } else { 0.0 };
            *out = if around.relu_output { sum.max(0.0) } else { sum };
        }
    }
}

fn padded(context: &StripContext<'_>) -> usize {
    context.plan.padded_outputs() / LANES
}

/// The channels of one voxel.
#[inline(always)]
fn whole<S: Simd>(
    simd: S,
    context: &StripContext<'_>,
    voxel: &mut [Lanes],
    values: &[Lanes],
    bias: &[Lanes],
) {
    let around = context.around;
    for ((out, value), bias) in voxel.iter_mut().zip(values).zip(bias) {
        let mut sum = simd.add(simd.load(value), simd.load(bias));
        if around.accumulate {
            sum = simd.add(sum, simd.load(out));
        }
        if around.relu_output {
            sum = simd.max(sum, simd.splat(0.0));
        }
        simd.store(sum, out);
    }
}
