//! Heights: the plane of the largest local variance of each pixel.

use exavox_io::{Axis, Element, Voxels, match_dtype};

use super::{FocusOptions, height_dtype, plane_shape};
use crate::error::{Error, Result};
use crate::ops::projection::Layout;
use crate::ops::projection::projector::filled;
use crate::simd::{Vectorised, dispatch};

/// Finds the heights of a stack that comes block by block along the axis. Works on the calling thread.
pub struct FocusMap {
    axis: Axis,
    shape: [usize; 3],
    rows_columns: [usize; 2],
    radius: usize,
    planes_seen: usize,
    /// Largest variance of each pixel so far, times the square of the window's pixels.
    best: Vec<f64>,
    height: Vec<u32>,
    plane: Plane,
}

/// One plane on its way to its variances.
struct Plane {
    values: Vec<f64>,
    /// Sums along rows of values and of squares.
    sums: Vec<f64>,
    squares: Vec<f64>,
}

impl FocusMap {
    /// Begins with a stack of shape `[z, y, x]` along an axis.
    ///
    /// # Errors
    /// [`Error::Usage`] if the shape is empty, has more than 2^32 - 1 planes, or the options cannot be;
    /// [`Error::Io`] if the memory cannot be had.
    pub fn new(axis: Axis, shape: [usize; 3], options: &FocusOptions) -> Result<Self> {
        options.check()?;
        let layout = Layout::new(shape, axis)?;
        if u32::try_from(layout.depth).is_err() {
            let message = format!("axis {axis}: {} planes; at most 2^32 - 1 work", layout.depth);
            return Err(Error::Usage(message));
        }
        let cells = layout.cells();
        let plane = Plane {
            values: filled(0.0, cells)?,
            sums: filled(0.0, cells)?,
            squares: filled(0.0, cells)?,
        };
        Ok(Self {
            axis,
            shape,
            rows_columns: plane_shape(shape, axis)?,
            radius: options.radius,
            planes_seen: 0,
            best: filled(f64::NEG_INFINITY, cells)?,
            height: filled(0, cells)?,
            plane,
        })
    }

    /// Takes the next block; its shape is the stack's but for the axis.
    ///
    /// # Errors
    /// [`Error::Usage`] if the shape does not fit.
    pub fn push(&mut self, block: &Voxels) -> Result<()> {
        let layout = fitting(self.axis, self.shape, self.planes_seen, block)?;
        match_dtype!(block.dtype(), T => {
            let values = block.as_slice::<T>()?;
            for k in 0..layout.depth {
                for (o, row) in self.plane.values.chunks_exact_mut(layout.inner).enumerate() {
                    let first = (o * layout.depth + k) * layout.inner;
                    let source = &values[first..first + layout.inner];
                    row.iter_mut().zip(source).for_each(|(to, from)| *to = from.to_f64());
                }
                let index = (self.planes_seen + k) as u32;
                dispatch(Sharpest { map: self, index });
            }
        });
        self.planes_seen += layout.depth;
        Ok(())
    }

    /// The heights: the stack's shape with 1 on the axis, uint16, or uint32 for more than 65 536 planes.
    ///
    /// # Errors
    /// [`Error::Usage`] if planes are missing.
    pub fn finish(self) -> Result<Voxels> {
        let shape = finished(self.axis, self.shape, self.planes_seen)?;
        if height_dtype(self.planes_seen).size() == 4 {
            return Ok(Voxels::from_vec(shape, self.height)?);
        }
        let narrow = self.height.iter().map(|h| *h as u16).collect();
        Ok(Voxels::from_vec(shape, narrow)?)
    }
}

/// How a block lies, if it is the next one of a stack.
pub(super) fn fitting(
    axis: Axis,
    shape: [usize; 3],
    planes_seen: usize,
    block: &Voxels,
) -> Result<Layout> {
    let (found, a) = (block.shape(), axis.zyx_index().unwrap_or(0));
    let left = shape[a] - planes_seen;
    let same = (0..3).all(|i| i == a || found[i] == shape[i]);
    if !same || found[a] > left {
        return Err(Error::Usage(format!(
            "focus along {axis}: expected a block of {shape:?} with at most {left} planes left, \
             found {found:?}"
        )));
    }
    Layout::new(found, axis)
}

/// Shape of the result, if all planes have come.
pub(super) fn finished(
    axis: Axis,
    mut shape: [usize; 3],
    planes_seen: usize,
) -> Result<[usize; 3]> {
    let a = axis.zyx_index().unwrap_or(0);
    if planes_seen != shape[a] {
        let message =
            format!("focus along {axis}: expected {} planes, found {planes_seen}", shape[a]);
        return Err(Error::Usage(message));
    }
    shape[a] = 1;
    Ok(shape)
}

/// Holds the variances of the plane against the best so far.
struct Sharpest<'a> {
    map: &'a mut FocusMap,
    index: u32,
}

impl Vectorised for Sharpest<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let [rows, columns] = self.map.rows_columns;
        let radius = self.map.radius;
        add_along_rows(&mut self.map.plane, columns, radius);
        let (plane, mut sum, mut square) =
            (&self.map.plane, vec![0.0; columns], vec![0.0; columns]);
        for y in 0..rows {
            let (low, high) = (y.saturating_sub(radius), (y + radius + 1).min(rows));
            sum.fill(0.0);
            square.fill(0.0);
            for r in low..high {
                add(&mut sum, &plane.sums[r * columns..(r + 1) * columns]);
                add(&mut square, &plane.squares[r * columns..(r + 1) * columns]);
            }
            let at = y * columns..(y + 1) * columns;
            let best = self.map.best[at.clone()].iter_mut().zip(&mut self.map.height[at]);
            for (x, (best, height)) in best.enumerate() {
                let width = (x + radius + 1).min(columns) - x.saturating_sub(radius);
                let pixels = (width * (high - low)) as f64;
                let scaled_variance = pixels * square[x] - sum[x] * sum[x];
                let wins = scaled_variance > *best;
                *best = if wins { scaled_variance } else { *best };
                *height = if wins { self.index } else { *height };
            }
        }
    }
}

#[inline(always)]
fn add(sums: &mut [f64], values: &[f64]) {
    sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
}

/// Sums of values and squares over the part of each row that the window takes in.
#[inline(always)]
fn add_along_rows(plane: &mut Plane, columns: usize, radius: usize) {
    let sums = plane.sums.chunks_exact_mut(columns).zip(plane.squares.chunks_exact_mut(columns));
    for (values, (sums, squares)) in plane.values.chunks_exact(columns).zip(sums) {
        sums.copy_from_slice(values);
        squares.iter_mut().zip(values).for_each(|(square, v)| *square = v * v);
        for shift in 1..=radius.min(columns - 1) {
            let (left, right) = (&values[..columns - shift], &values[shift..]);
            add(&mut sums[shift..], left);
            add(&mut sums[..columns - shift], right);
            squares[shift..].iter_mut().zip(left).for_each(|(square, v)| *square += v * v);
            squares[..columns - shift].iter_mut().zip(right).for_each(|(s, v)| *s += v * v);
        }
    }
}
