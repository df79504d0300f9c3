//! The transform pass by pass, for volumes of which only boxes fit into memory.

use exavox_io::{DataType, Voxels, match_dtype};

use super::along_columns::{Pass, parabola};
use super::{DistanceKind, DistanceOptions, check, columns, rows, turned, turns};
use crate::error::{Error, Result};

/// The three passes of [`distance_transform`](super::distance_transform), each along one axis. A pass takes
/// boxes that have whole lines along its axis, in any order, and what it gives is the next one's input; what
/// the last one gives is the transform, to the bit.
#[derive(Debug, Clone, Copy)]
pub struct DistancePasses {
    shape: [usize; 3],
    turns: usize,
    options: DistanceOptions,
}

impl DistancePasses {
    /// Number of passes.
    pub const COUNT: usize = 3;

    /// Of a mask of this type and shape, `[z, y, x]`.
    ///
    /// # Errors
    /// As [`distance_transform`](super::distance_transform).
    pub fn new(mask: DataType, shape: [usize; 3], options: DistanceOptions) -> Result<Self> {
        check(mask, &options)?;
        Ok(Self { shape, turns: turns(shape), options })
    }

    /// The axis of a pass (0, 1 or 2): 0 = z.
    pub fn axis(&self, pass: usize) -> usize {
        (5 - pass - self.turns) % 3
    }

    /// The first pass of a box of the mask: squared distances along its axis, f32, infinite where a line has no
    /// background.
    ///
    /// # Errors
    /// [`Error::Usage`] if lines are not whole, or values no integers; [`Error::Io`] if memory cannot be had.
    pub fn first(&self, mask: &Voxels) -> Result<Voxels> {
        let [_, _, length] = self.turned_box(0, mask.shape())?;
        check(mask.dtype(), &self.options)?;
        let mut out = Voxels::zeros(DataType::F32, mask.shape())?;
        let spacing = turned(self.options.voxel_size_zyx, self.turns)[2];
        if !mask.is_empty() {
            match_dtype!(mask.dtype(), T => {
                let (from, to) = (mask.as_slice::<T>()?, out.as_mut_slice::<f32>()?);
                rows(from, to, length, spacing, self.options.border, 1);
            });
        }
        Ok(out)
    }

    /// A later pass (1 or 2) of a box, f32, in place.
    ///
    /// # Errors
    /// [`Error::Usage`] if lines are not whole, or values not f32.
    pub fn further(&self, pass: usize, values: &mut Voxels) -> Result<()> {
        let [nz, ny, nx] = self.turned_box(pass, values.shape())?;
        if values.is_empty() {
            return Ok(());
        }
        let size = turned(self.options.voxel_size_zyx, self.turns);
        let border = self.options.border;
        let values = values.as_mut_slice::<f32>()?;
        if pass == 1 {
            let along_y = parabola(ny, size[1]);
            let pass = Pass { parabola: &along_y, border };
            for plane in values.chunks_exact_mut(ny * nx) {
                columns(plane, [ny, nx], pass, DistanceKind::Squared, 1);
            }
        } else {
            let along_z = parabola(nz, size[0]);
            let pass = Pass { parabola: &along_z, border };
            columns(values, [nz, ny * nx], pass, self.options.kind, 1);
        }
        Ok(())
    }

    /// The shape of a box as the passes see it, if it has whole lines.
    fn turned_box(&self, pass: usize, shape: [usize; 3]) -> Result<[usize; 3]> {
        let axis = self.axis(pass);
        let (expected, found) = (self.shape[axis], shape[axis]);
        if expected != found {
            let name = ["z", "y", "x"][axis];
            let message =
                format!("expected lines of {expected} voxels along {name}, found {found}");
            return Err(Error::Usage(message));
        }
        Ok(turned(shape, self.turns))
    }
}
