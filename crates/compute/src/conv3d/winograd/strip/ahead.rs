//! Memory that will be needed soon, asked for while products keep the core busy.

use super::super::schedule::Taken;
use super::StripContext;
use super::input::{input_row, needed};
use crate::simd::lanes::{Simd, vectors};

/// Asks for a row that this strip will write and for one that the next strip will read. Each point in z
/// and y has its own, so that all are asked for when the products of the strip are done.
#[inline(always)]
pub(super) fn ask<S: Simd>(
    simd: S,
    context: &StripContext<'_>,
    strip: &Taken<'_>,
    [z, y]: [usize; 2],
) {
    let place = strip.place;
    let along_y = place.y.tile.outputs().min(context.plan.sizes.volume[1] - place.y.start);
    let own = if y < along_y { strip.rows.get(z * along_y + y) } else { None };
    for line in vectors(own.map_or(&[], |row| row)) {
        simd.prefetch_far(line);
    }
    for line in vectors(of_next(context, strip, [z, y]).unwrap_or_default()) {
        simd.prefetch_far(line);
    }
}

/// The `y`th of the rows in plane `z` that the next strip reads and this one did not.
#[inline(always)]
fn of_next<'a>(
    context: &StripContext<'a>,
    strip: &Taken<'_>,
    [z, y]: [usize; 2],
) -> Option<&'a [f32]> {
    let (place, next) = (strip.place, strip.next?);
    let same = (place.image, place.z) == (next.image, next.z);
    let held = if same { needed(place) } else { 0..0 };
    let row = needed(next).filter(|row| !held.contains(row)).nth(y)?;
    let inside = z < next.z.tile.points() && row <= context.plan.sizes.volume[1];
    let row = row.checked_sub(1).filter(|_| inside)?;
    input_row(context, next, next.z.start + z, row)
}
