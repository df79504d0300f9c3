//! The definitions, one value after the other: what the fast projections are tested against.

use exavox_io::{Axis, Element, Voxels, match_dtype};

use super::{Layout, ProjectionKind};
use crate::error::Result;

/// Projects a whole block along an axis by the definition of the kind. Slow.
///
/// # Errors
/// As [`super::project`].
pub fn project(kind: ProjectionKind, axis: Axis, block: &Voxels) -> Result<Voxels> {
    let layout = Layout::new(block.shape(), axis)?;
    match_dtype!(block.dtype(), T => {
        let values = block.as_slice::<T>()?;
        let mut shape = block.shape();
        shape[axis.zyx_index().unwrap_or(0)] = 1;
        let columns = (0..layout.cells()).map(|cell| column(values, layout, cell));
        match kind {
            ProjectionKind::Max => voxels(shape, columns.map(|c| extremum(&c, |a, b| a > b))),
            ProjectionKind::Min => voxels(shape, columns.map(|c| extremum(&c, |a, b| a < b))),
            ProjectionKind::Mean => voxels(shape, columns.map(|c| mean(&c) as f32)),
            ProjectionKind::Std => voxels(shape, columns.map(|c| variance(&c).sqrt() as f32)),
            ProjectionKind::Variance => voxels(shape, columns.map(|c| variance(&c) as f32)),
            ProjectionKind::Median => voxels(shape, columns.map(|c| median(&c))),
            ProjectionKind::Sum => match T::DTYPE.kind() {
                'u' => voxels(shape, columns.map(|c| integer_sum(&c) as u64)),
                'i' => voxels(shape, columns.map(|c| integer_sum(&c) as i64)),
                _ => voxels(shape, columns.map(|c| c.iter().map(|v| v.to_f64()).sum::<f64>())),
            },
            ProjectionKind::Argmax if layout.depth <= 1 << 16 => {
                voxels(shape, columns.map(|c| argmax(&c) as u16))
            }
            ProjectionKind::Argmax => voxels(shape, columns.map(|c| argmax(&c) as u32)),
        }
    })
}

fn voxels<O: Element>(shape: [usize; 3], values: impl Iterator<Item = O>) -> Result<Voxels> {
    Ok(Voxels::from_vec(shape, values.collect())?)
}

fn column<T: Element>(values: &[T], layout: Layout, cell: usize) -> Vec<T> {
    let (o, i) = (cell / layout.inner, cell % layout.inner);
    (0..layout.depth).map(|k| values[(o * layout.depth + k) * layout.inner + i]).collect()
}

fn is_nan<T: Element>(value: T) -> bool {
    value.to_f64().is_nan()
}

fn extremum<T: Element>(column: &[T], better: fn(&T, &T) -> bool) -> T {
    let mut best = column[0];
    for &value in column {
        if is_nan(value) {
            return value;
        }
        best = if better(&value, &best) { value } else { best };
    }
    best
}

fn argmax<T: Element>(column: &[T]) -> usize {
    let maximum = extremum(column, |a, b| a > b);
    let is_maximum = |v: &T| *v == maximum || (is_nan(*v) && is_nan(maximum));
    column.iter().position(is_maximum).unwrap_or(0)
}

/// Exact value of an integer: 64-bit values do not fit into an f64.
fn integer<T: Element>(value: T) -> i128 {
    value.to_string().parse().unwrap_or(0)
}

fn integer_sum<T: Element>(column: &[T]) -> i128 {
    column.iter().map(|&v| integer(v)).sum()
}

fn mean<T: Element>(column: &[T]) -> f64 {
    let n = column.len() as f64;
    match T::DTYPE.kind() {
        'f' => column.iter().map(|v| v.to_f64()).sum::<f64>() / n,
        _ => integer_sum(column) as f64 / n,
    }
}

fn variance<T: Element>(column: &[T]) -> f64 {
    let mean = mean(column);
    let distance: f64 = column.iter().map(|v| (v.to_f64() - mean).powi(2)).sum();
    distance / column.len() as f64
}

fn median<T: Element>(column: &[T]) -> T {
    if let Some(&nan) = column.iter().find(|v| is_nan(**v)) {
        return nan;
    }
    let mut sorted = column.to_vec();
    sorted.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    let (low, high) = (sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2]);
    if sorted.len() % 2 == 1 { low } else { middle(low, high) }
}

/// Mean of two values: f32 in f32 as NumPy does, integers toward zero.
fn middle<T: Element>(low: T, high: T) -> T {
    match T::DTYPE.size() {
        _ if T::DTYPE.kind() != 'f' => {
            let half = (integer(low) + integer(high)) / 2;
            bytemuck::pod_read_unaligned(&half.to_le_bytes()[..size_of::<T>()])
        }
        4 => T::from_f64(f64::from((low.to_f64() as f32 + high.to_f64() as f32) / 2.0)),
        _ => T::from_f64((low.to_f64() + high.to_f64()) / 2.0),
    }
}
