//! The passes along y and z: `out[i]` is the least of `input[j] + weight * (i - j)^2` over all j.
//!
//! Neighbouring columns are lanes of vectors. Where distances are short, candidates are tried from near
//! to far until none farther can be less. A bundle for which that takes too long is done over by
//! divide and conquer: the best candidate of a column moves forward with i, so that the best of the
//! middle bounds those of both halves. Then the cost per voxel grows with the logarithm of the length.

use super::Border;
use crate::simd::lanes::{LANES, Simd};

/// A row of a tile: sixteen columns each.
type Row<const G: usize> = [[f32; LANES]; G];

/// Steps from near to far per voxel before a bundle is done by divide and conquer.
const BUDGET: usize = 24;

/// Memory of a thread for one bundle.
#[derive(Default)]
pub(super) struct ColumnScratch {
    tile: Vec<f32>,
    /// Rows that are finite.
    finite: Vec<usize>,
    parts: Vec<Part>,
}

/// What is the same for all bundles of a pass.
#[derive(Clone, Copy)]
pub(super) struct Pass<'a> {
    /// `weight * k^2` for k from 0 to the length of the axis.
    pub(super) parabola: &'a [f32],
    pub(super) border: Border,
}

/// `weight * k^2` for k from 0 to `length`.
pub(super) fn parabola(length: usize, spacing: f64) -> Vec<f32> {
    (0..=length).map(|k| (spacing * spacing * k as f64 * k as f64) as f32).collect()
}

/// Transforms a bundle of columns in place.
#[inline(always)]
pub(super) fn transform<S: Simd>(
    simd: S,
    scratch: &mut ColumnScratch,
    bundle: &mut [&mut [f32]],
    pass: Pass<'_>,
) {
    match bundle.first().map_or(0, |run| run.len()) {
        0 => {}
        1..=16 => transform_tile::<S, 1>(simd, scratch, bundle, pass),
        17..=32 => transform_tile::<S, 2>(simd, scratch, bundle, pass),
        33..=64 => transform_tile::<S, 4>(simd, scratch, bundle, pass),
        _ => transform_tile::<S, 8>(simd, scratch, bundle, pass),
    }
}

#[inline(always)]
fn transform_tile<S: Simd, const G: usize>(
    simd: S,
    scratch: &mut ColumnScratch,
    bundle: &mut [&mut [f32]],
    pass: Pass<'_>,
) {
    let lowest = copy_rows::<S, G>(simd, scratch, bundle);
    if pass.border == Border::Open && scratch.finite.is_empty() {
        return;
    }
    let rows: &[Row<G>] = scratch.tile.as_chunks().0.as_chunks().0;
    if !search::<S, G>(simd, rows, bundle, pass, lowest) {
        divide::<S, G>(simd, rows, &scratch.finite, &mut scratch.parts, bundle, pass);
    }
}

/// Copies the bundle; columns that a tile has more than the bundle are as the last one. Gives the
/// least value.
#[inline(always)]
fn copy_rows<S: Simd, const G: usize>(
    simd: S,
    scratch: &mut ColumnScratch,
    bundle: &[&mut [f32]],
) -> f32 {
    scratch.tile.resize(bundle.len() * G * LANES, 0.0);
    scratch.finite.clear();
    let mut lowest = simd.splat(f32::INFINITY);
    for (i, (row, run)) in scratch.tile.chunks_exact_mut(G * LANES).zip(bundle).enumerate() {
        let (start, rest) = row.split_at_mut(run.len());
        // A loop: the call of a function for so few bytes takes as long as the copy.
        start.iter_mut().zip(run.iter()).for_each(|(to, from)| *to = *from);
        rest.fill(run.last().copied().unwrap_or_default());
        for group in row.as_chunks().0 {
            lowest = simd.min(lowest, simd.load(group));
        }
        // Rows are finite throughout or nowhere: the pass along x ends with that, the others keep it.
        if row[0] < f32::INFINITY {
            scratch.finite.push(i);
        }
    }
    extremes(simd, lowest).0
}

/// Candidates from near to far. False if that takes too long; then the bundle holds anything.
#[inline(always)]
fn search<S: Simd, const G: usize>(
    simd: S,
    rows: &[Row<G>],
    bundle: &mut [&mut [f32]],
    pass: Pass<'_>,
    lowest: f32,
) -> bool {
    let last = rows.len() - 1;
    let mut budget = BUDGET * rows.len();
    for (i, run) in bundle.iter_mut().enumerate() {
        let mut best = begin::<S, G>(simd, &rows[i], outside(i, rows.len(), pass));
        let mut k = 1;
        while k < rows.len() && any_above(simd, &best, pass.parabola[k] + lowest) {
            // Past an end the row at the end counts once more, with more than its distance: no harm.
            let (before, after) = (&rows[i.saturating_sub(k)], &rows[(i + k).min(last)]);
            let more = simd.splat(pass.parabola[k]);
            for g in 0..G {
                let nearer = simd.min(simd.load(&before[g]), simd.load(&after[g]));
                best[g] = simd.min(best[g], simd.add(nearer, more));
            }
            k += 1;
        }
        put(simd, &best, run);
        if k > budget {
            return false;
        }
        budget -= k;
    }
    true
}

/// What the nearer of the two borders contributes to position `i`.
#[inline(always)]
fn outside(i: usize, length: usize, pass: Pass<'_>) -> f32 {
    match pass.border {
        Border::Open => f32::INFINITY,
        Border::Background => pass.parabola[(i + 1).min(length - i)],
    }
}

#[inline(always)]
fn begin<S: Simd, const G: usize>(simd: S, row: &Row<G>, at_most: f32) -> [S::Vector; G] {
    let at_most = simd.splat(at_most);
    let mut best = [at_most; G];
    for g in 0..G {
        best[g] = simd.min(simd.load(&row[g]), at_most);
    }
    best
}

#[inline(always)]
fn any_above<S: Simd, const G: usize>(simd: S, row: &[S::Vector; G], bound: f32) -> bool {
    let mut highest = row[0];
    for g in 1..G {
        highest = simd.max(highest, row[g]);
    }
    simd.any_above(highest, bound)
}

#[inline(always)]
fn put<S: Simd, const G: usize>(simd: S, best: &[S::Vector; G], run: &mut [f32]) {
    if run.len() == G * LANES {
        for (best, to) in best.iter().zip(run.as_chunks_mut().0) {
            simd.store(*best, to);
        }
        return;
    }
    for (best, to) in best.iter().zip(run.chunks_mut(LANES)) {
        let mut lanes = [0.0; LANES];
        simd.store(*best, &mut lanes);
        to.copy_from_slice(&lanes[..to.len()]);
    }
}

/// Positions whose best candidates are known to be among some.
struct Part {
    positions: std::ops::Range<usize>,
    /// Indices into the list of finite rows.
    candidates: std::ops::Range<usize>,
}

/// Divide and conquer over the positions.
#[inline(always)]
fn divide<S: Simd, const G: usize>(
    simd: S,
    rows: &[Row<G>],
    finite: &[usize],
    parts: &mut Vec<Part>,
    bundle: &mut [&mut [f32]],
    pass: Pass<'_>,
) {
    parts.clear();
    parts.push(Part { positions: 0..rows.len(), candidates: 0..finite.len() });
    while let Some(Part { positions, candidates }) = parts.pop() {
        if positions.is_empty() {
            continue;
        }
        let i = positions.start + positions.len() / 2;
        let among = &finite[candidates.clone()];
        let (best, first, last) = best_among::<S, G>(simd, rows, among, i, pass);
        put(simd, &best, bundle[i]);
        let (first, last) = (candidates.start + first, candidates.start + last);
        parts.push(Part { positions: positions.start..i, candidates: candidates.start..last + 1 });
        parts.push(Part { positions: i + 1..positions.end, candidates: first..candidates.end });
    }
}

/// The least candidates for position `i`, and the first and last index of them over the columns.
#[inline(always)]
fn best_among<S: Simd, const G: usize>(
    simd: S,
    rows: &[Row<G>],
    among: &[usize],
    i: usize,
    pass: Pass<'_>,
) -> ([S::Vector; G], usize, usize) {
    let mut best = [simd.splat(f32::INFINITY); G];
    let at_most = simd.splat(outside(i, rows.len(), pass));
    // Whole numbers below 2^24 are exact; a line that long takes more memory than there is.
    let mut index = [simd.splat(0.0); G];
    for (n, j) in among.iter().enumerate() {
        let more = simd.splat(pass.parabola[i.abs_diff(*j)]);
        let n = simd.splat(n as f32);
        for g in 0..G {
            let candidate = simd.add(simd.load(&rows[*j][g]), more);
            index[g] = simd.select_less(candidate, best[g], n, index[g]);
            best[g] = simd.min(candidate, best[g]);
        }
    }
    let (first, last) = span(simd, &index);
    for best in &mut best {
        *best = simd.min(*best, at_most);
    }
    (best, first, last)
}

/// The smallest and largest of indices.
#[inline(always)]
fn span<S: Simd, const G: usize>(simd: S, index: &[S::Vector; G]) -> (usize, usize) {
    let (mut first, mut last) = (index[0], index[0]);
    for g in 1..G {
        (first, last) = (simd.min(first, index[g]), simd.max(last, index[g]));
    }
    (extremes(simd, first).0 as usize, extremes(simd, last).1 as usize)
}

/// The least and the largest lane.
#[inline(always)]
fn extremes<S: Simd>(simd: S, values: S::Vector) -> (f32, f32) {
    let mut lanes = [0.0; LANES];
    simd.store(values, &mut lanes);
    let (mut least, mut largest) = (lanes[0], lanes[0]);
    for lane in lanes {
        least = if lane < least { lane } else { least };
        largest = if lane > largest { lane } else { largest };
    }
    (least, largest)
}
