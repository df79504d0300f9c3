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
        let mut rows = rows.iter_mut().skip(y).step_by(along_y);
        let rows: [&mut [f32]; MAX_OUTPUTS] =
            std::array::from_fn(|_| rows.next().map_or(&mut [][..], |row| &mut **row));
        let around = RowsAround::new(context, place, y);
        match place.z.tile {
            Tile::F3 => planes::<Output3, S, 5, 3>(simd, context, y, scratch, around, rows),
            Tile::F5 => planes::<Output5, S, 7, 5>(simd, context, y, scratch, around, rows),
        }
    }
}

/// What belongs to the output rows of a strip at one y: a row for each plane, empty past the end of
/// the volume or where there is nothing.
#[derive(Clone, Copy)]
struct RowsAround<'a> {
    mask: [&'a [f32]; MAX_OUTPUTS],
    residual: [&'a [f32]; MAX_OUTPUTS],
}

impl<'a> RowsAround<'a> {
    #[inline(always)]
    fn new(context: &StripContext<'a>, place: Place, y: usize) -> Self {
        let [nz, ny, nx] = context.plan.sizes.volume;
        let length = nx * context.plan.sizes.outputs;
        let of = |values: Option<&'a [f32]>| {
            std::array::from_fn(|plane| {
                let (z, y) = (place.z.start + plane, place.y.start + y);
                let start = ((place.image * nz + z) * ny + y) * length;
                let inside = plane < place.z.tile.outputs() && z < nz;
                values.filter(|_| inside).map_or(&[][..], |all| &all[start..start + length])
            })
        };
        Self { mask: of(context.around.mask), residual: of(context.around.residual) }
    }
}

/// One row in each plane of the tile; planes past the end of the volume go to the spare rows.
#[inline(always)]
fn planes<T: Transform<I, O>, S: Simd, const I: usize, const O: usize>(
    simd: S,
    context: &StripContext<'_>,
    y: usize,
    scratch: &mut Scratch,
    around: RowsAround<'_>,
    mut outputs: [&mut [f32]; MAX_OUTPUTS],
) {
    let sizes = Rows::new(context.plan);
    let row = sizes.whole * sizes.outputs;
    let length = context.plan.sizes.volume[2] * sizes.outputs;
    let from = rows::<I>(&scratch.w[y * row..], MAX_OUTPUTS * row, length);
    let mut to = rows_mut::<O>(&mut scratch.spare, length, length);
    for (row, residual) in outputs.iter_mut().zip(around.residual) {
        row[..residual.len()].copy_from_slice(residual);
    }
    if sizes.outputs != context.plan.sizes.outputs {
        transform::<T, S, I, O>(simd, from, to);
        let values = scratch.spare.chunks_exact(length);
        for ((row, mask), values) in outputs.into_iter().zip(around.mask).zip(values) {
            narrow(context, values, mask, row);
        }
        return;
    }
    for (to, row) in to.iter_mut().zip(outputs).filter(|(_, row)| !row.is_empty()) {
        *to = vectors_mut(row);
    }
    let accumulate = context.around.accumulate || context.around.residual.is_some();
    let relu = context.around.relu_output;
    if context.around.mask.is_some() {
        // Rows past the end go to the spare rows; any mask will do for them.
        let mask =
            around.mask.map(|row| if row.is_empty() { &scratch.zeros[..length] } else { row });
        match accumulate {
            false => finish::<T, S, I, O, false, false, true>(simd, context, from, to, mask),
            true => finish::<T, S, I, O, true, false, true>(simd, context, from, to, mask),
        }
        return;
    }
    let mask = [&[][..]; MAX_OUTPUTS];
    match (accumulate, relu) {
        (false, false) => finish::<T, S, I, O, false, false, false>(simd, context, from, to, mask),
        (false, true) => finish::<T, S, I, O, false, true, false>(simd, context, from, to, mask),
        (true, false) => finish::<T, S, I, O, true, false, false>(simd, context, from, to, mask),
        (true, true) => finish::<T, S, I, O, true, true, false>(simd, context, from, to, mask),
    }
}

/// Transforms, adds bias and what is to be added, and writes.
#[inline(always)]
fn finish<
    T,
    S,
    const I: usize,
    const O: usize,
    const ACCUMULATE: bool,
    const RELU: bool,
    const MASK: bool,
>(
    simd: S,
    context: &StripContext<'_>,
    mut from: [&[Lanes]; I],
    mut to: [&mut [Lanes]; O],
    mask: [&[f32]; MAX_OUTPUTS],
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
    let mut masks = mask.map(vectors);
    if MASK {
        for row in &mut masks {
            *row = &row[..length];
        }
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
                if MASK {
                    sum = simd.select_less(zero, simd.load(&masks[o][at]), sum, zero);
                }
                if ACCUMULATE {
                    sum = simd.add(sum, simd.load(out));
                }
                simd.store(if RELU { simd.max(sum, zero) } else { sum }, out);
            }
        }
    }
}

/// As [`finish`], one value at a time, for channels that are no whole vectors.
fn narrow(context: &StripContext<'_>, values: &[f32], mask: &[f32], row: &mut [f32]) {
    let Around { accumulate, residual, relu_output, .. } = context.around;
    let accumulate = accumulate || residual.is_some();
    let outputs = context.plan.sizes.outputs;
    let values = values.chunks_exact(context.plan.padded_outputs());
    for (at, (voxel, values)) in row.chunks_exact_mut(outputs).zip(values).enumerate() {
        for (o, ((out, value), bias)) in voxel.iter_mut().zip(values).zip(context.bias).enumerate()
        {
            let hidden = mask.get(at * outputs + o).is_some_and(|m| *m <= 0.0 || m.is_nan());
            let sum = if hidden { 0.0 } else { value + bias };
            let sum = sum + if accumulate { *out } else { 0.0 };
            *out = if relu_output { sum.max(0.0) } else { sum };
        }
    }
}
