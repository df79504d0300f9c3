//! The median of heights over a window, which takes out single wrong heights and keeps edges.

use exavox_io::{Axis, Element, Voxels, match_dtype};

use super::plane_shape;
use crate::error::Result;
use crate::ops::projection::projector::filled;

/// Heights (1 voxel along the axis) with each replaced by the median over a window of `radius`
/// pixels to each side, or what of it lies in the image; the lower of the two middle ones for an even
/// count. Works on the calling thread.
///
/// # Errors
/// [`crate::Error::Io`] if the memory cannot be had.
pub fn smoothed(heights: &Voxels, axis: Axis, radius: usize) -> Result<Voxels> {
    if radius == 0 {
        return Ok(heights.clone());
    }
    let [rows, columns] = plane_shape(heights.shape(), axis)?;
    match_dtype!(heights.dtype(), T => {
        let values = medians(heights.as_slice::<T>()?, rows, columns, radius)?;
        Ok(Voxels::from_vec(heights.shape(), values)?)
    })
}

fn medians<T: Element>(
    heights: &[T],
    rows: usize,
    columns: usize,
    radius: usize,
) -> Result<Vec<T>> {
    let mut medians = filled(T::default(), heights.len())?;
    let mut window = Vec::with_capacity((2 * radius + 1).pow(2));
    for (at, median) in medians.iter_mut().enumerate() {
        let (y, x) = (at / columns, at % columns);
        let across = x.saturating_sub(radius)..(x + radius + 1).min(columns);
        window.clear();
        for r in y.saturating_sub(radius)..(y + radius + 1).min(rows) {
            window.extend_from_slice(&heights[r * columns..][across.clone()]);
        }
        let middle = (window.len() - 1) / 2;
        let order = |a: &T, b: &T| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal);
        *median = *window.select_nth_unstable_by(middle, order).1;
    }
    Ok(medians)
}
