//! The passes along y and z: `out[i]` is the least of `input[j] + weight * (i - j)^2` over all j.
//!
//! Neighbouring columns are lanes of vectors. Where distances are short, candidates are tried from near
//! to far until none farther can be less. A bundle for which that takes too long is done over by
//! divide and conquer: the best candidate of a column moves forward with i, so that the best of the
//! middle bounds those of both halves. Then the cost per voxel grows with the logarithm of the length.

use super::Border;
use crate::simd::{LANES, Lanes};

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
pub(super) fn transform<V: Lanes>(
    scratch: &mut ColumnScratch,
    bundle: &mut [&mut [f32]],
    pass: Pass<'_>,
) {
    match bundle.first().map_or(0, |run| run.len()) {
        0 => {}
        1..=16 => transform_tile::<V, 1>(scratch, bundle, pass),
        17..=32 => transform_tile::<V, 2>(scratch, bundle, pass),
        33..=64 => transform_tile::<V, 4>(scratch, bundle, pass),
        _ => transform_tile::<V, 8>(scratch, bundle, pass),
    }
}

#[inline(always)]
fn transform_tile<V: Lanes, const G: usize>(
    scratch: &mut ColumnScratch,
    bundle: &mut [&mut [f32]],
    pass: Pass<'_>,
) {
    let lowest = copy_rows::<V, G>(scratch, bundle);
    if pass.border == Border::Open && scratch.finite.is_empty() {
        return;
    }
    let rows: &[Row<G>] = scratch.tile.as_chunks().0.as_chunks().0;
    if !search::<V, G>(rows, bundle, pass, lowest) {
        divide::<V, G>(rows, &scratch.finite, &mut scratch.parts, bundle, pass);
    }
}

/// Copies the bundle; columns that a tile has more than the bundle are as the last one. Gives the
/// least value.
#[inline(always)]
fn copy_rows<V: Lanes, const G: usize>(scratch: &mut ColumnScratch, bundle: &[&mut [f32]]) -> f32 {
    scratch.tile.resize(bundle.len() * G * LANES, 0.0);
    scratch.finite.clear();
    let mut lowest = V::splat(f32::INFINITY);
    for (i, (row, run)) in scratch.tile.chunks_exact_mut(G * LANES).zip(bundle).enumerate() {
        let (start, rest) = row.split_at_mut(run.len());
        // A loop: the call of a function for so few bytes takes as long as the copy.
        start.iter_mut().zip(run.iter()).for_each(|(to, from)| *to = *from);
        rest.fill(run.last().copied().unwrap_or_default());
        for group in row.as_chunks().0 {
            lowest = lowest.min(V::load(group));
        }
        // Rows are finite throughout or nowhere: the pass along x ends with that, the others keep it.
        if row[0] < f32::INFINITY {
            scratch.finite.push(i);
        }
    }
    extremes(lowest).0
}

/// Candidates from near to far. False if that takes too long; then the bundle holds anything.
#[inline(always)]
fn search<V: Lanes, const G: usize>(
    rows: &[Row<G>],
    bundle: &mut [&mut [f32]],
    pass: Pass<'_>,
    lowest: f32,
) -> bool {
    let last = rows.len() - 1;
    let mut budget = BUDGET * rows.len();
    for (i, run) in bundle.iter_mut().enumerate() {
        let mut best = begin::<V, G>(&rows[i], outside(i, rows.len(), pass));
        let mut k = 1;
        while k < rows.len() && any_above(&best, pass.parabola[k] + lowest) {
            // Past an end the row at the end counts once more, with more than its distance: no harm.
            let (before, after) = (&rows[i.saturating_sub(k)], &rows[(i + k).min(last)]);
            let more = V::splat(pass.parabola[k]);
            for g in 0..G {
                let nearer = V::load(&before[g]).min(V::load(&after[g]));
                best[g] = best[g].min(nearer.add(more));
            }
            k += 1;
        }
        put(&best, run);
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
fn begin<V: Lanes, const G: usize>(row: &Row<G>, at_most: f32) -> [V; G] {
    let at_most = V::splat(at_most);
    let mut best = [at_most; G];
    for g in 0..G {
        best[g] = V::load(&row[g]).min(at_most);
    }
    best
}

#[inline(always)]
fn any_above<V: Lanes, const G: usize>(row: &[V; G], bound: f32) -> bool {
    let mut highest = row[0];
    for g in 1..G {
        highest = highest.max(row[g]);
    }
    highest.any_above(bound)
}

#[inline(always)]
fn put<V: Lanes, const G: usize>(best: &[V; G], run: &mut [f32]) {
    if run.len() == G * LANES {
        for (best, to) in best.iter().zip(run.as_chunks_mut().0) {
            best.store(to);
        }
        return;
    }
    for (best, to) in best.iter().zip(run.chunks_mut(LANES)) {
        let mut lanes = [0.0; LANES];
        best.store(&mut lanes);
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
fn divide<V: Lanes, const G: usize>(
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
        let (best, first, last) = best_among::<V, G>(rows, among, i, pass);
        put(&best, bundle[i]);
        let (first, last) = (candidates.start + first, candidates.start + last);
        parts.push(Part { positions: positions.start..i, candidates: candidates.start..last + 1 });
        parts.push(Part { positions: i + 1..positions.end, candidates: first..candidates.end });
    }
}

/// The least candidates for position `i`, and the first and last index of them over the columns.
#[inline(always)]
fn best_among<V: Lanes, const G: usize>(
    rows: &[Row<G>],
    among: &[usize],
    i: usize,
    pass: Pass<'_>,
) -> ([V; G], usize, usize) {
    let mut best = [V::splat(f32::INFINITY); G];
    let at_most = V::splat(outside(i, rows.len(), pass));
    // Whole numbers below 2^24 are exact; a line that long takes more memory than there is.
    let mut index = [V::splat(0.0); G];
    for (n, j) in among.iter().enumerate() {
        let more = V::splat(pass.parabola[i.abs_diff(*j)]);
        let n = V::splat(n as f32);
        for g in 0..G {
            let candidate = V::load(&rows[*j][g]).add(more);
            index[g] = candidate.select_less(best[g], n, index[g]);
            best[g] = candidate.min(best[g]);
        }
    }
    let (first, last) = span(&index);
    for best in &mut best {
        *best = best.min(at_most);
    }
    (best, first, last)
}

/// The smallest and largest of indices.
#[inline(always)]
fn span<V: Lanes, const G: usize>(index: &[V; G]) -> (usize, usize) {
    let (mut first, mut last) = (index[0], index[0]);
    for g in 1..G {
        (first, last) = (first.min(index[g]), last.max(index[g]));
    }
    (extremes(first).0 as usize, extremes(last).1 as usize)
}

/// The least and the largest lane.
#[inline(always)]
fn extremes<V: Lanes>(values: V) -> (f32, f32) {
    let mut lanes = [0.0; LANES];
    values.store(&mut lanes);
    let (mut least, mut largest) = (lanes[0], lanes[0]);
    for lane in lanes {
        least = if lane < least { lane } else { least };
        largest = if lane > largest { lane } else { largest };
    }
    (least, largest)
}
