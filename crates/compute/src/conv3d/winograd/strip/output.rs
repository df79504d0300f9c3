//! The last transform, along z, and what surrounds the convolution.

use super::super::Around;
use super::super::schedule::Place;
use super::super::tiling::{MAX_OUTPUTS, Tile};
use super::super::transform::{Output3, Output5, Transform};
use super::rows::{load, rows, rows_mut, transform};
use super::{Rows, Scratch, StripContext};
use crate::simd::lanes::{Lanes, Simd, vectors, vectors_mut};

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
        let rows = rows.iter_mut().skip(y).step_by(along_y);
        match place.z.tile {
            Tile::F3 => planes::<Output3, S, 5, 3>(simd, context, y, scratch, rows),
            Tile::F5 => planes::<Output5, S, 7, 5>(simd, context, y, scratch, rows),
        }
    }
}

/// One row in each plane of the tile; planes past the end of the volume go to the spare rows.
#[inline(always)]
fn planes<'r, 'o: 'r, T: Transform<I, O>, S: Simd, const I: usize, const O: usize>(
    simd: S,
    context: &StripContext<'_>,
    y: usize,
    scratch: &mut Scratch,
    outputs: impl Iterator<Item = &'r mut &'o mut [f32]>,
) {
    let sizes = Rows::new(context.plan);
    let row = sizes.whole * sizes.outputs;
    let length = context.plan.sizes.volume[2] * sizes.outputs;
    let from = rows::<I>(&scratch.w[y * row..], MAX_OUTPUTS * row, length);
    let mut to = rows_mut::<O>(&mut scratch.spare, length, length);
    if sizes.outputs != context.plan.sizes.outputs {
        transform::<T, S, I, O>(simd, from, to);
        let values = scratch.spare.chunks_exact(length);
        outputs.zip(values).for_each(|(row, values)| narrow(context, values, row));
        return;
    }
    for (to, row) in to.iter_mut().zip(outputs) {
        *to = vectors_mut(row);
    }
    let Around { accumulate, relu_output, .. } = context.around;
    match (accumulate, relu_output) {
        (false, false) => finish::<T, S, I, O, false, false>(simd, context, from, to),
        (false, true) => finish::<T, S, I, O, false, true>(simd, context, from, to),
        (true, false) => finish::<T, S, I, O, true, false>(simd, context, from, to),
        (true, true) => finish::<T, S, I, O, true, true>(simd, context, from, to),
    }
}

/// Transforms, adds bias and what is to be added, and writes.
#[inline(always)]
fn finish<T, S, const I: usize, const O: usize, const ACCUMULATE: bool, const RELU: bool>(
    simd: S,
    context: &StripContext<'_>,
    mut from: [&[Lanes]; I],
    mut to: [&mut [Lanes]; O],
) where
    T: Transform<I, O>,
    S: Simd,
{
    let bias = vectors(context.bias);
    let (length, zero) = (from[0].len(), simd.splat(0.0));
    for row in &mut from {
        *row = &row[..length];
    }
    for row in &mut to {
        *row = &mut std::mem::take(row)[..length];
    }
    for first in (0..length).step_by(bias.len()) {
        for (channel, bias) in bias.iter().enumerate() {
            let at = first + channel;
            if at >= length {
                return;
            }
            let values = T::apply(simd, load(simd, &from, at));
            let bias = simd.load(bias);
            for o in 0..O {
                let out = &mut to[o][at];
                let mut sum = simd.add(values[o], bias);
                if ACCUMULATE {
                    sum = simd.add(sum, simd.load(out));
                }
                simd.store(if RELU { simd.max(sum, zero) } else { sum }, out);
            }
        }
    }
}

/// As [`finish`], one value at a time, for channels that are no whole vectors.
fn narrow(context: &StripContext<'_>, values: &[f32], row: &mut [f32]) {
    let around = context.around;
    let values = values.chunks_exact(context.plan.padded_outputs());
    for (voxel, values) in row.chunks_exact_mut(context.plan.sizes.outputs).zip(values) {
        for ((out, value), bias) in voxel.iter_mut().zip(values).zip(context.bias) {
            let sum = value + bias + if around.accumulate { *out } else { 0.0 };
            *out = if around.relu_output { sum.max(0.0) } else { sum };
        }
    }
}
