//! Voxels near a border between labels, section by section, as the CREMI challenge leaves them out.

use crate::error::{Error, Result};

/// Voxels that a mask may reach along y or x: blocks are read with as many around them.
const MOST_REACH: u64 = 1024;

/// The part of a section around a border voxel that a mask covers: an ellipse.
///
/// A voxel is at the border if one of its four neighbours in the section (y and x) has another label;
/// voxels whose distance to the nearest border voxel of the section is at most `distance` are masked, so
/// that at distance 0 the border itself is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BorderMask {
    /// For each distance in rows, from 0: how far along x.
    reach: Vec<u32>,
}

impl BorderMask {
    /// A mask of `distance`, in the unit of `spacing_yx`, the edges of a voxel. `[1.0, 1.0]` counts voxels.
    ///
    /// # Errors
    /// [`Error::Usage`] if a number is not finite, the distance is below 0 or above 1024 voxels.
    pub fn new(distance: f64, spacing_yx: [f64; 2]) -> Result<Self> {
        let good = distance.is_finite() && distance >= 0.0;
        if !good || spacing_yx.iter().any(|s| !(s.is_finite() && *s > 0.0)) {
            let message = format!(
                "distance to a border: expected a finite number of at least 0 and voxels of a size, found \
                 {distance} of {spacing_yx:?}"
            );
            return Err(Error::Usage(message));
        }
        // In voxels along x, as the challenge counts.
        let (limit, row) = (distance / spacing_yx[1], spacing_yx[0] / spacing_yx[1]);
        if limit > MOST_REACH as f64 || limit / row > MOST_REACH as f64 {
            let message = format!(
                "distance to a border: expected at most {MOST_REACH} voxels, found {:.0}",
                limit.max(limit / row)
            );
            return Err(Error::Usage(message));
        }
        let near = |dy: u64, dx: u64| {
            let (dy, dx) = (dy as f64 * row, dx as f64);
            (dy * dy + dx * dx).sqrt() <= limit
        };
        let rows = (0..=MOST_REACH).take_while(|dy| near(*dy, 0));
        let along = |dy| (0..=MOST_REACH).take_while(|dx| near(dy, *dx)).count() as u32 - 1;
        Ok(Self { reach: rows.map(along).collect() })
    }

    /// Voxels `[z, y, x]` around a block that its mask depends on.
    pub fn halo(&self) -> [u64; 3] {
        // One more: whether a voxel is at the border is seen at its neighbours.
        [0, self.reach.len() as u64, u64::from(self.reach[0]) + 1]
    }

    /// Whether each voxel of labels `[z, y, x]` is masked. Voxels outside the labels are no neighbours.
    /// Time: the voxels, and for those of each row as many rows as the mask reaches.
    ///
    /// # Panics
    /// If there are not as many labels as the shape says.
    pub fn of(&self, labels: &[u64], shape: [usize; 3]) -> Vec<bool> {
        assert_eq!(labels.len(), shape.iter().product::<usize>(), "labels of shape {shape:?}");
        let [_, height, width] = shape;
        let mut masked = vec![false; labels.len()];
        let section = (height * width).max(1);
        let mut distances = vec![0; section];
        for (labels, masked) in labels.chunks(section).zip(masked.chunks_mut(section)) {
            along_rows(labels, [height, width], self.reach[0] + 1, &mut distances);
            for y in 0..height {
                let row = &mut masked[y * width..][..width];
                self.mask_row(&distances, y, height, row);
            }
        }
        masked
    }

    fn mask_row(&self, distances: &[u32], y: usize, height: usize, masked: &mut [bool]) {
        let width = masked.len();
        for (dy, reach) in self.reach.iter().enumerate() {
            let rows = [y.checked_sub(dy), (dy > 0 && y + dy < height).then_some(y + dy)];
            for row in rows.into_iter().flatten() {
                let near = &distances[row * width..][..width];
                masked.iter_mut().zip(near).for_each(|(masked, d)| *masked |= d <= reach);
            }
        }
    }
}

/// Distance of each voxel of a section to the nearest border voxel of its row, at most `most`.
fn along_rows(labels: &[u64], [height, width]: [usize; 2], most: u32, distances: &mut [u32]) {
    for y in 0..height {
        let row = &labels[y * width..][..width];
        let above = y.checked_sub(1).map(|y| &labels[y * width..][..width]);
        let below = (y + 1 < height).then(|| &labels[(y + 1) * width..][..width]);
        let out = &mut distances[y * width..][..width];
        for x in 0..width {
            let label = row[x];
            let differs = |other: Option<&u64>| other.is_some_and(|other| *other != label);
            let border = differs(x.checked_sub(1).map(|x| &row[x]))
                || differs(row.get(x + 1))
                || differs(above.map(|row| &row[x]))
                || differs(below.map(|row| &row[x]));
            out[x] = if border { 0 } else { most };
        }
        for x in 1..width {
            out[x] = out[x].min(out[x - 1] + 1);
        }
        for x in (1..width).rev() {
            out[x - 1] = out[x - 1].min(out[x] + 1);
        }
    }
}
