//! One point in z: along y and x to the products, and back.

use super::super::arithmetic::{Arithmetic, POINTS};
use super::super::product::{self, Inputs, Weights};
use super::super::schedule::Place;
use super::super::tiling::{Kind, MAX_OUTPUTS, Tile};
use super::super::transform::{Input3, Input5, Output3, Output5, Transform};
use super::super::{Plan, StripContext};
use super::rows::{load, rows, rows_mut, split, transform, transform_noting};
use super::{Rows, SLOTS, Scratch};
use crate::simd::lanes::{LANES, Lanes, Simd, vectors, vectors_mut};

/// Rows of the ring, transformed along y, and their bounds.
#[inline(always)]
pub(super) fn from_ring<A: Arithmetic<S>, S: Simd>(
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
    let (to, bounds) = (&mut scratch.rows, &mut scratch.bounds);
    match place.y.tile {
        Tile::F3 => {
            let to = rows_mut::<5>(to, sizes.shared(), length);
            transform_noting::<A, Input3, S, 5, 5>(simd, std::array::from_fn(row), to, bounds);
        }
        Tile::F5 => {
            let to = rows_mut::<7>(to, sizes.shared(), length);
            transform_noting::<A, Input5, S, 7, 7>(simd, std::array::from_fn(row), to, bounds);
        }
    }
}

/// Each row along x, its products, and back along x into the same row.
#[inline(always)]
pub(super) fn multiply<A: Arithmetic<S>, S: Simd>(
    simd: S,
    context: &StripContext<'_>,
    place: Place,
    point_z: usize,
    scratch: &mut Scratch,
) {
    let plan = context.plan;
    let points_y = place.y.tile.points();
    let (length, units) = (plan.point_len(), plan.units() * plan.padded_outputs());
    let kind = Kind { z: place.z.tile, y: place.y.tile };
    let weights = context.weights.of_kind(plan, kind);
    let shared = Rows::new(plan).shared();
    let v_length = plan.tiling.x * plan.padded_inputs() / A::INPUTS;
    let m_length = plan.tiling.x * plan.padded_outputs();
    for (point_y, row) in scratch.rows.chunks_exact_mut(shared).take(points_y).enumerate() {
        let first = (point_z * points_y + point_y) * POINTS;
        let factors = A::input_factors(simd, &scratch.bounds[point_y]);
        into_v::<A, S>(simd, plan, row, &factors, &mut scratch.v);
        let points = scratch.v.chunks_exact(v_length).zip(scratch.m.chunks_exact_mut(m_length));
        for (point_x, (v, m)) in points.take(POINTS).enumerate() {
            let point = first + point_x;
            let (now, scales) = weights[point * length..][..length].split_at(units);
            // After the last point of all comes the first of the next strip.
            let next = if point + 1 == kind.points() { 0 } else { point + 1 };
            let next = &weights[next * length..][..units];
            let v = Inputs { units: v, scale: factors[point_x] };
            product::multiply::<A, S>(simd, plan, v, Weights { now, next, scales }, m);
        }
        from_m(simd, plan, &scratch.m, row);
    }
}

/// A row to the points in x, times the factors of the points.
#[inline(always)]
fn into_v<A: Arithmetic<S>, S: Simd>(
    simd: S,
    plan: &Plan,
    row: &[f32],
    factors: &[f32; POINTS],
    v: &mut [f32],
) {
    // As constants, so that places are checked once a tile, not once a vector.
    match plan.depth / LANES {
        1 => blocks_into_v::<A, S, 1>(simd, plan, row, factors, v),
        _ => blocks_into_v::<A, S, 2>(simd, plan, row, factors, v),
    }
}

/// `D` vectors of inputs in a block.
#[inline(always)]
fn blocks_into_v<A: Arithmetic<S>, S: Simd, const D: usize>(
    simd: S,
    plan: &Plan,
    row: &[f32],
    factors: &[f32; POINTS],
    v: &mut [f32],
) {
    let (channels, tiles) = (plan.padded_inputs() / LANES, plan.tiling.x);
    let units = LANES / A::INPUTS;
    let row = vectors(row);
    let points: [&mut [f32]; POINTS] = split(v, tiles * channels * units);
    for (block, first) in (0..channels).step_by(D).enumerate() {
        for tile in 0..tiles {
            let inputs = &row[3 * tile * channels + first..];
            let mut from = [&[][..]; POINTS];
            for i in 0..POINTS {
                from[i] = &inputs[i * channels..][..D];
            }
            let at = (block * tiles + tile) * D * units;
            let mut vectors = [[simd.splat(0.0); POINTS]; D];
            for channel in 0..D {
                let values = load(simd, &from, channel);
                vectors[channel] = Input3::apply(simd, values);
            }
            for i in 0..POINTS {
                let to = &mut points[i][at..][..D * units];
                for channel in 0..D {
                    let to = &mut to[channel * units..][..units];
                    A::store(simd, vectors[channel][i], factors[i], to);
                }
            }
        }
    }
}

/// The products at the points in x to a row of outputs.
#[inline(always)]
fn from_m<S: Simd>(simd: S, plan: &Plan, m: &[f32], row: &mut [f32]) {
    // See `into_v`.
    match plan.width {
        1 => blocks_from_m::<S, 1>(simd, plan, m, row),
        _ => blocks_from_m::<S, 2>(simd, plan, m, row),
    }
}

/// `W` vectors of outputs in a block.
#[inline(always)]
fn blocks_from_m<S: Simd, const W: usize>(simd: S, plan: &Plan, m: &[f32], row: &mut [f32]) {
    let (channels, tiles) = (plan.padded_outputs() / LANES, plan.tiling.x);
    let length = tiles * plan.padded_outputs();
    let points: [&[Lanes]; POINTS] = rows(m, length, length);
    let row = vectors_mut(row);
    for (block, first) in (0..channels).step_by(W).enumerate() {
        for tile in 0..tiles {
            let at = (block * tiles + tile) * W;
            let mut from = [&[][..]; POINTS];
            for i in 0..POINTS {
                from[i] = &points[i][at..][..W];
            }
            let mut vectors = [[simd.splat(0.0); 3]; W];
            for channel in 0..W {
                vectors[channel] = Output3::apply(simd, load(simd, &from, channel));
            }
            for i in 0..3 {
                let to = &mut row[(3 * tile + i) * channels + first..][..W];
                for channel in 0..W {
                    simd.store(vectors[channel][i], &mut to[channel]);
                }
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
            transform::<Output3, S, 5, 3>(simd, from, rows_mut(w, length, length));
        }
        Tile::F5 => {
            let from = rows::<7>(&scratch.rows, sizes.shared(), length);
            transform::<Output5, S, 7, 5>(simd, from, rows_mut(w, length, length));
        }
    }
}
