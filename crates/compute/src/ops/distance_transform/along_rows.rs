//! The first pass: squared distances along x, where the input is a mask.
//!
//! Distances in voxels double their reach with each step, `d[i] = min(d[i], d[i - s] + s, d[i + s] + s)`
//! for s = 1, 2, 4, …, in bytes: 64 of them are one vector. Rows with a longer run than bytes count are
//! done by two scans.

use super::Border;

/// Distances from here on are not counted in bytes.
const FAR: u8 = u8::MAX;
/// The longest step: steps of 1, 2, … 128 reach 255 voxels, which is [`FAR`].
const LONGEST: usize = 128;

/// Memory of a thread for rows.
#[derive(Default)]
pub(super) struct RowScratch {
    /// Distances before and after a step, with a margin of [`LONGEST`] on both sides.
    distances: [Vec<u8>; 2],
}

/// Squared distances of a row of a mask (0 is background) to the nearest background of the row;
/// infinite if there is none. `weight`: the squared length of a voxel.
#[inline(always)]
pub(super) fn transform(
    scratch: &mut RowScratch,
    is_object: impl Iterator<Item = bool>,
    out: &mut [f32],
    weight: f32,
    border: Border,
) {
    let length = out.len();
    let beyond = if border == Border::Background { 0 } else { FAR };
    for margin in &mut scratch.distances {
        margin.clear();
        margin.resize(length + 2 * LONGEST, FAR);
        margin[LONGEST - 1] = beyond;
        margin[LONGEST + length] = beyond;
    }
    let [first, second] = &mut scratch.distances;
    let inner = &mut first[LONGEST..LONGEST + length];
    inner.iter_mut().zip(is_object).for_each(|(d, object)| *d = if object { FAR } else { 0 });
    let (mut from, mut to) = (first, second);
    let (mut step, mut farthest) = (1, FAR);
    // Distances below the reach of the steps so far are final.
    while step <= LONGEST && usize::from(farthest) >= step {
        farthest = double_reach(from, to, step);
        std::mem::swap(&mut from, &mut to);
        step *= 2;
    }
    let distances = &from[LONGEST..LONGEST + length];
    for (out, d) in out.iter_mut().zip(distances) {
        let d = f32::from(*d);
        *out = d * d * weight;
    }
    if farthest == FAR {
        scan(distances, out, weight, border);
    }
}

/// One step; gives the largest distance after it.
#[inline(always)]
fn double_reach(from: &[u8], to: &mut [u8], step: usize) -> u8 {
    let length = from.len() - 2 * LONGEST;
    let at = |offset: usize| &from[offset..offset + length];
    let (before, here, after) = (at(LONGEST - step), at(LONGEST), at(LONGEST + step));
    let to = &mut to[LONGEST..LONGEST + length];
    let mut farthest = 0;
    for (((to, b), h), a) in to.iter_mut().zip(before).zip(here).zip(after) {
        let nearer = (*b).min(*a).saturating_add(step as u8);
        *to = nearer.min(*h);
        farthest = farthest.max(*to);
    }
    farthest
}

/// Two scans from end to end, for rows with long runs.
fn scan(near: &[u8], out: &mut [f32], weight: f32, border: Border) {
    let square = |d: Option<usize>| d.map_or(f32::INFINITY, |d| d as f32 * d as f32 * weight);
    let start = (border == Border::Background).then_some(0);
    let mut distance = start;
    for (out, near) in out.iter_mut().zip(near) {
        distance = if *near == 0 { Some(0) } else { distance.map(|d| d + 1) };
        if *near == FAR {
            *out = square(distance);
        }
    }
    distance = start;
    for (out, near) in out.iter_mut().zip(near).rev() {
        distance = if *near == 0 { Some(0) } else { distance.map(|d| d + 1) };
        if *near == FAR {
            *out = out.min(square(distance));
        }
    }
}
