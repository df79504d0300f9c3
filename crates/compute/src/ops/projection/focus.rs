//! Extended focus: for each pixel the value of the plane that is sharpest there.
//!
//! Sharp is what changes from pixel to pixel: the plane with the largest variance of the values in a
//! window around the pixel, within the plane, wins; of several the first. The indices of these planes
//! are the *height map*. It is smoothed by the median over a second window, and the image is composed
//! of the values at the smoothed heights. Windows end at the border of the image.
//!
//! A stack is taken block by block along the axis, twice: [`FocusMap`] finds the heights,
//! [`Composer`] picks the values. Memory for `n` pixels: 36 `n` bytes for the map, then
//! one value and 4 bytes each for the image; none of it grows with the number of planes.
//!
//! Variances are computed in f64 from sums of values and of squares: exact for integers of 8 and 16
//! bits; for other types differences of less than about 1e-15 of the squared values are lost. A window
//! with a NaN or an infinite value has no variance and never wins, except that plane 0 is taken where no
//! plane has any.

use exavox_io::{Axis, DataType, Voxels};

use super::Layout;
use crate::error::{Error, Result};

mod compose;
mod map;
mod smooth;

pub use compose::Composer;
pub use map::FocusMap;
pub use smooth::smoothed;

/// Largest radius of a window: 31 x 31 squares of 16 bits add up exactly.
const MOST: usize = 15;

/// The two windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct FocusOptions {
    /// Pixels from the centre of the window of the variance to its edge. Default 2: 5 x 5 pixels.
    pub radius: usize,
    /// The same for the median of the heights; 0 leaves them as they are. Default 2.
    pub smooth_radius: usize,
}

impl Default for FocusOptions {
    fn default() -> Self {
        Self { radius: 2, smooth_radius: 2 }
    }
}

impl FocusOptions {
    /// `Ok` if both windows can be computed.
    ///
    /// # Errors
    /// [`Error::Usage`] names the radius, expected and found.
    pub fn check(&self) -> Result<()> {
        if !(1..=MOST).contains(&self.radius) {
            let message = format!("focus radius: expected 1 to {MOST}, found {}", self.radius);
            return Err(Error::Usage(message));
        }
        if self.smooth_radius > MOST {
            let found = self.smooth_radius;
            let message = format!("smoothing radius: expected at most {MOST}, found {found}");
            return Err(Error::Usage(message));
        }
        Ok(())
    }

    /// Pixels around a tile on which its heights depend.
    pub fn halo(&self) -> usize {
        self.radius + self.smooth_radius
    }
}

/// Type of the heights of a stack of `planes` planes.
pub fn height_dtype(planes: usize) -> DataType {
    if planes <= 1 << 16 { DataType::U16 } else { DataType::U32 }
}

/// Image and height map of a whole block `[z, y, x]` along an axis; both have 1 voxel along it.
///
/// ```
/// use exavox_compute::ops::projection::focus::{FocusOptions, extended_focus};
/// use exavox_io::{Axis, Voxels};
/// // The first plane is blurred, the second one sharp.
/// let stack = Voxels::from_vec([2, 1, 4], vec![4u8, 5, 4, 5, 0, 9, 0, 9])?;
/// let (image, heights) = extended_focus(&stack, Axis::Z, &FocusOptions::default())?;
/// assert_eq!(image.as_slice::<u8>()?, [0, 9, 0, 9]);
/// assert_eq!(heights.as_slice::<u16>()?, [1, 1, 1, 1]);
/// # Ok::<(), exavox_compute::Error>(())
/// ```
///
/// # Errors
/// [`Error::Usage`] if the block is empty, the axis is not z, y or x, or a radius is too large.
pub fn extended_focus(
    block: &Voxels,
    axis: Axis,
    options: &FocusOptions,
) -> Result<(Voxels, Voxels)> {
    let mut map = FocusMap::new(axis, block.shape(), options)?;
    map.push(block)?;
    let heights = smoothed(&map.finish()?, axis, options.smooth_radius)?;
    let mut composer = Composer::new(block.dtype(), axis, block.shape(), &heights)?;
    composer.push(block)?;
    Ok((composer.finish()?, heights))
}

/// Rows and columns of the planes across an axis: the two axes that stay, in order.
fn plane_shape(shape: [usize; 3], axis: Axis) -> Result<[usize; 2]> {
    Layout::new(shape, axis)?;
    Ok(match axis {
        Axis::Z => [shape[1], shape[2]],
        Axis::Y => [shape[0], shape[2]],
        _ => [shape[0], shape[1]],
    })
}
