//! The image of the values at given heights.

use exavox_io::{Axis, DataType, Element, Voxels, match_dtype};

use super::map::{finished, fitting};
use crate::error::{Error, Result};
use crate::ops::projection::projector::filled;

/// Picks, for each pixel, the value in the plane of its height, from a stack that comes block by block
/// along the axis. Works on the calling thread.
pub struct Composer {
    axis: Axis,
    shape: [usize; 3],
    planes_seen: usize,
    heights: Vec<u32>,
    image: Voxels,
}

impl Composer {
    /// Begins with a stack of a type and shape `[z, y, x]`, and heights with 1 voxel along the axis.
    ///
    /// # Errors
    /// [`Error::Usage`] if the heights have another shape, or one is no plane of the stack.
    pub fn new(dtype: DataType, axis: Axis, shape: [usize; 3], heights: &Voxels) -> Result<Self> {
        let a = axis.zyx_index().unwrap_or(0);
        let mut plane = shape;
        plane[a] = 1;
        let mut indices = filled(0_u32, heights.len())?;
        match_dtype!(heights.dtype(), T => {
            let values = heights.as_slice::<T>()?;
            indices.iter_mut().zip(values).for_each(|(to, from)| *to = from.to_f64() as u32);
        });
        let highest = indices.iter().max().map_or(0, |h| *h as usize);
        if heights.shape() != plane || highest >= shape[a] {
            return Err(Error::Usage(format!(
                "focus along {axis}: expected heights of shape {plane:?} below {}, found {:?} up to \
                 {highest}",
                shape[a],
                heights.shape()
            )));
        }
        let image = Voxels::zeros(dtype, plane)?;
        Ok(Self { axis, shape, planes_seen: 0, heights: indices, image })
    }

    /// Takes the next block; its shape is the stack's but for the axis, its type the stack's.
    ///
    /// # Errors
    /// [`Error::Usage`] if shape or type do not fit.
    pub fn push(&mut self, block: &Voxels) -> Result<()> {
        let layout = fitting(self.axis, self.shape, self.planes_seen, block)?;
        let first_plane = self.planes_seen;
        match_dtype!(block.dtype(), T => {
            let values = block.as_slice::<T>()?;
            let pixels = self.image.as_mut_slice::<T>()?.iter_mut().zip(&self.heights);
            for (at, (pixel, &height)) in pixels.enumerate() {
                let Some(k) = (height as usize).checked_sub(first_plane) else { continue };
                if k < layout.depth {
                    let (o, i) = (at / layout.inner, at % layout.inner);
                    *pixel = values[(o * layout.depth + k) * layout.inner + i];
                }
            }
        });
        self.planes_seen += layout.depth;
        Ok(())
    }

    /// The image: the stack's shape with 1 on the axis.
    ///
    /// # Errors
    /// [`Error::Usage`] if planes are missing.
    pub fn finish(self) -> Result<Voxels> {
        finished(self.axis, self.shape, self.planes_seen)?;
        Ok(self.image)
    }
}
