//! The rows of voxels that the boxes around one row take.

use super::key::Sample;
use crate::ops::filter::Boundary;

/// A box in a volume.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    /// Of the volume.
    pub(super) shape: [usize; 3],
    pub(super) radius: [usize; 3],
    pub(super) boundary: Boundary,
}

impl Window {
    /// Voxels of the box.
    pub(super) fn voxels(&self) -> usize {
        self.radius.iter().map(|r| 2 * r + 1).product()
    }

    /// Voxels of a row with what lies beyond its ends.
    pub(super) fn padded(&self) -> usize {
        self.shape[2] + 2 * self.radius[2]
    }

    /// Puts the rows around row `[z, y]`, each with what lies beyond its ends, one after the other.
    #[inline(always)]
    pub(super) fn fill<T: Sample>(
        &self,
        values: &[T],
        [z, y]: [usize; 2],
        padded: &mut Vec<T::Key>,
    ) {
        let [nz, ny, nx] = self.shape;
        let [rz, ry, rx] = self.radius;
        let near = |at: usize, k: usize, r: usize, n: usize| {
            self.boundary.position((at + k) as i64 - r as i64, n)
        };
        padded.clear();
        for k in 0..2 * rz + 1 {
            for j in 0..2 * ry + 1 {
                let start = (near(z, k, rz, nz) * ny + near(y, j, ry, ny)) * nx;
                let row = &values[start..start + nx];
                padded.extend((0..rx).map(|i| row[near(0, i, rx, nx)].key()));
                padded.extend(row.iter().map(|v| v.key()));
                padded.extend((0..rx).map(|i| row[near(nx, i, 0, nx)].key()));
            }
        }
    }
}
