//! Input rows, transformed along z, into the ring.

use super::super::schedule::Place;
use super::super::tiling::Tile;
use super::super::transform::{AfterRelu, Input3, Input5, Transform};
use super::rows::{rows_mut, transform};
use super::{Held, Rows, SLOTS, Scratch, StripContext};
use crate::simd::lanes::{Simd, vectors};

/// Brings the rows of a strip into the ring; those of the strip before that it needs too are there.
#[inline(always)]
pub(super) fn fill_ring<S: Simd>(
    simd: S,
    context: &StripContext<'_>,
    place: Place,
    scratch: &mut Scratch,
) {
    let needed = place.y.start..place.y.start + place.y.tile.points();
    let (image, z_start) = (place.image, place.z.start);
    let held = scratch.held.take().filter(|h| (h.image, h.z_start) == (image, z_start));
    let held = held.map_or(0..0, |h| h.rows);
    for row in needed.clone().filter(|row| !held.contains(row)) {
        match place.z.tile {
            Tile::F3 => fill_row::<Input3, S, 5>(simd, context, place, row, scratch),
            Tile::F5 => fill_row::<Input5, S, 7>(simd, context, place, row, scratch),
        }
    }
    scratch.held = Some(Held { image, z_start, rows: needed });
}

/// One row at all points in z. Rows and planes outside the volume are zero.
#[inline(always)]
fn fill_row<T: Transform<P, P>, S: Simd, const P: usize>(
    simd: S,
    context: &StripContext<'_>,
    place: Place,
    row: usize,
    scratch: &mut Scratch,
) {
    let [_, ny, nx] = context.plan.sizes.volume;
    let rows = Rows::new(context.plan);
    let (length, points) = (rows.padded * rows.inputs, SLOTS * rows.padded * rows.inputs);
    let slots = &mut scratch.ring[row % SLOTS * length..];
    if !(1..=ny).contains(&row) {
        slots.chunks_mut(points).take(P).for_each(|slot| slot[..length].fill(0.0));
        return;
    }
    let inside = rows.inputs..(nx + 1) * rows.inputs;
    for slot in slots.chunks_mut(points).take(P) {
        slot[..inside.start].fill(0.0);
        slot[inside.end..length].fill(0.0);
    }
    stage(context, place, row - 1, &mut scratch.spare, P);
    let count = nx * rows.inputs;
    let (spare, zeros) = (&scratch.spare, &scratch.zeros);
    let from = std::array::from_fn(|i| {
        let source = input_row(context, place, place.z.start + i, row - 1);
        vectors(match source {
            None => &zeros[..count],
            Some(source) if context.plan.sizes.inputs == rows.inputs => source,
            Some(_) => &spare[i * count..(i + 1) * count],
        })
    });
    let to = rows_mut::<P>(&mut slots[inside.start..], points, count);
    match context.around.relu_input {
        true => transform::<AfterRelu<T>, S, P, P>(simd, from, to),
        false => transform::<T, S, P, P>(simd, from, to),
    }
}

/// A row of the input; `plane` counted with the padding. `None` outside the volume.
#[inline(always)]
fn input_row<'a>(
    context: &StripContext<'a>,
    place: Place,
    plane: usize,
    y: usize,
) -> Option<&'a [f32]> {
    let [nz, ny, nx] = context.plan.sizes.volume;
    let z = plane.checked_sub(1).filter(|z| *z < nz)?;
    let length = nx * context.plan.sizes.inputs;
    let start = ((place.image * nz + z) * ny + y) * length;
    Some(&context.input[start..start + length])
}

/// Widens voxels to whole vectors of channels where they are none.
fn stage(context: &StripContext<'_>, place: Place, y: usize, spare: &mut [f32], planes: usize) {
    let (narrow, wide) = (context.plan.sizes.inputs, context.plan.padded_inputs());
    if narrow == wide {
        return;
    }
    let count = context.plan.sizes.volume[2] * wide;
    for (i, row) in spare.chunks_exact_mut(count).take(planes).enumerate() {
        let Some(source) = input_row(context, place, place.z.start + i, y) else { continue };
        for (to, from) in row.chunks_exact_mut(wide).zip(source.chunks_exact(narrow)) {
            to[..narrow].copy_from_slice(from);
            to[narrow..].fill(0.0);
        }
    }
}
