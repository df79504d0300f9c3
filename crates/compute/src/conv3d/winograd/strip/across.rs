//! One point in z: along y and x to the products, and back.

use super::super::product::{self, Weights};
use super::super::schedule::Place;
use super::super::tiling::{MAX_OUTPUTS, Tile};
use super::super::transform::{input_3, input_5, output_3, output_5};
use super::super::{Plan, StripContext};
use super::rows::{rows, rows_mut, transform};
use super::{Rows, SLOTS, Scratch};
use crate::simd::lanes::{LANES, Lanes, Simd, vectors, vectors_mut};

/// Rows of the ring, transformed along y.
#[inline(always)]
pub(super) fn from_ring<S: Simd>(
    simd: S,
    plan: &Plan,
    place: Place,
    point: usize,
    scratch: &mut Scratch,
) {
    let sizes = Rows::new(plan);
    let length = sizes.padded * sizes.inputs;
    let ring = &scratch.ring[point * SLOTS * length..][..SLOTS * length];
    let row = |i: usize| {
        let slot = (place.y.start + i) % SLOTS;
        vectors(&ring[slot * length..][..length])
    };
    let to = &mut scratch.rows;
    match place.y.tile {
        Tile::F3 => {
            let to = rows_mut::<5>(to, sizes.shared(), length);
            transform(simd, std::array::from_fn(row), to, |d| input_3(simd, d));
        }
        Tile::F5 => {
            let to = rows_mut::<7>(to, sizes.shared(), length);
            transform(simd, std::array::from_fn(row), to, |d| input_5(simd, d));
        }
    }
}

/// Each row along x, its products, and back along x into the same row.
#[inline(always)]
pub(super) fn multiply<S: Simd>(
    simd: S,
    context: &StripContext<'_>,
    place: Place,
    point_z: usize,
    scratch: &mut Scratch,
) {
    let plan = context.plan;
    let (points_y, points_x) = (place.y.tile.points(), Tile::F3.points());
    let offset = plan.kind_offset(place.z.tile, place.y.tile);
    let last = place.z.tile.points() * points_y * points_x - 1;
    let at = |point: usize| context.weights.at(offset, point.min(last), plan.point_len());
    let shared = Rows::new(plan).shared();
    for (point_y, row) in scratch.rows.chunks_exact_mut(shared).take(points_y).enumerate() {
        let first = (point_z * points_y + point_y) * points_x;
        into_v(simd, plan, row, &mut scratch.v);
        let v = scratch.v.chunks_exact(plan.tiling.x * plan.padded_inputs());
        let m = scratch.m.chunks_exact_mut(plan.tiling.x * plan.padded_outputs());
        for (point_x, (v, m)) in v.zip(m).enumerate() {
            let point = first + point_x;
            product::multiply(simd, plan, v, Weights { now: at(point), next: at(point + 1) }, m);
        }
        from_m(simd, plan, &scratch.m, row);
    }
}

/// A row to the points in x.
#[inline(always)]
fn into_v<S: Simd>(simd: S, plan: &Plan, row: &[f32], v: &mut [f32]) {
    let channels = plan.padded_inputs() / LANES;
    let depth = plan.depth / LANES;
    let tiles = plan.tiling.x;
    let row = vectors(row);
    let mut points = rows_mut::<5>(v, tiles * plan.padded_inputs(), tiles * plan.padded_inputs());
    for tile in 0..tiles {
        let inputs = &row[3 * tile * channels..][..5 * channels];
        for channel in 0..channels {
            let d = std::array::from_fn(|i| simd.load(&inputs[i * channels + channel]));
            let at = (channel / depth * tiles + tile) * depth + channel % depth;
            for (point, value) in points.iter_mut().zip(input_3(simd, d)) {
                simd.store(value, &mut point[at]);
            }
        }
    }
}

/// The products at the points in x to a row of outputs.
#[inline(always)]
fn from_m<S: Simd>(simd: S, plan: &Plan, m: &[f32], row: &mut [f32]) {
    let channels = plan.padded_outputs() / LANES;
    let (width, tiles) = (plan.width, plan.tiling.x);
    let length = tiles * plan.padded_outputs();
    let points: [&[Lanes]; 5] = rows(m, length, length);
    let row = vectors_mut(row);
    for tile in 0..tiles {
        let outputs = &mut row[3 * tile * channels..][..3 * channels];
        for channel in 0..channels {
            let at = (channel / width * tiles + tile) * width + channel % width;
            let values = output_3(simd, std::array::from_fn(|i| simd.load(&points[i][at])));
            for (i, value) in values.into_iter().enumerate() {
                simd.store(value, &mut outputs[i * channels + channel]);
            }
        }
    }
}

/// The rows back along y.
#[inline(always)]
pub(super) fn to_w<S: Simd>(
    simd: S,
    plan: &Plan,
    place: Place,
    point: usize,
    scratch: &mut Scratch,
) {
    let sizes = Rows::new(plan);
    let length = sizes.whole * sizes.outputs;
    let w = &mut scratch.w[point * MAX_OUTPUTS * length..][..MAX_OUTPUTS * length];
    match place.y.tile {
        Tile::F3 => {
            let from = rows::<5>(&scratch.rows, sizes.shared(), length);
            transform(simd, from, rows_mut::<3>(w, length, length), |m| output_3(simd, m));
        }
        Tile::F5 => {
            let from = rows::<7>(&scratch.rows, sizes.shared(), length);
            transform(simd, from, rows_mut::<5>(w, length, length), |m| output_5(simd, m));
        }
    }
}
