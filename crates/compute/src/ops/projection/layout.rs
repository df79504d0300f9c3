//! How the axis of a projection lies in a C-order block.

use exavox_io::Axis;

use crate::error::{Error, Result};

/// A C-order block seen from an axis: `outer` times `depth` rows of `inner` values. Value `k` along
/// the axis of cell `(o, i)` is at `(o * depth + k) * inner + i`; the cell itself is `o * inner + i`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Product of the sizes before the axis.
    pub outer: usize,
    /// Size along the axis.
    pub depth: usize,
    /// Product of the sizes after the axis.
    pub inner: usize,
}

impl Layout {
    /// The layout of a block `[z, y, x]` along an axis.
    ///
    /// # Errors
    /// [`Error::Usage`] if the axis is not z, y or x, or the block is empty.
    pub fn new(shape: [usize; 3], axis: Axis) -> Result<Self> {
        let index = axis
            .zyx_index()
            .ok_or_else(|| Error::Usage(format!("axis {axis}: expected z, y or x")))?;
        if shape.contains(&0) {
            return Err(Error::Usage(format!("cannot project a block of shape {shape:?}")));
        }
        Ok(Self {
            outer: shape[..index].iter().product(),
            depth: shape[index],
            inner: shape[index + 1..].iter().product(),
        })
    }

    /// Cells of the projection.
    pub fn cells(&self) -> usize {
        self.outer * self.inner
    }
}
