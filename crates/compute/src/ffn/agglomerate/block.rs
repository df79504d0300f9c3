//! What lies around a decision point.

use crate::error::{Error, Result};

/// A block around a decision point.
#[derive(Debug, Clone, Copy)]
pub struct PairBlock<'a> {
    /// Labels `[z, y, x]` in C order, 0 = background.
    pub labels: &'a [u64],
    /// Voxels along z, y and x.
    pub shape: [usize; 3],
    /// The two segments. The second is 0 where one segment is to be followed beyond its end: then all others
    /// are removed too, as google/ffn does where a point has no `id_b`.
    pub ids: [u64; 2],
    /// The decision point, in voxels of the block.
    pub point_zyx: [usize; 3],
    /// Box, first voxel and one past the last, in which runs are compared.
    pub analysis: [[usize; 3]; 2],
    /// Edge lengths of a voxel.
    pub voxel_size_zyx: [f64; 3],
}

impl PairBlock<'_> {
    pub(super) fn check(&self) -> Result<()> {
        let inside = (0..3).all(|a| {
            self.point_zyx[a] < self.shape[a]
                && self.analysis[0][a] < self.analysis[1][a]
                && self.analysis[1][a] <= self.shape[a]
        });
        if self.shape.iter().product::<usize>() == self.labels.len() && inside {
            return Ok(());
        }
        let message = format!(
            "block of shape {:?} with {} labels: point {:?} or box {:?} is not inside",
            self.shape,
            self.labels.len(),
            self.point_zyx,
            self.analysis
        );
        Err(Error::Usage(message))
    }

    /// Whether one segment is followed, not two compared.
    pub(super) fn is_endpoint(&self) -> bool {
        self.ids[1] == 0
    }

    /// Labels of the segments that are obstacles; 0 elsewhere.
    pub(super) fn obstacles(&self) -> Vec<i32> {
        let is_obstacle =
            |label: &u64| *label != 0 && !self.is_endpoint() && !self.ids.contains(label);
        self.labels.iter().map(|label| i32::from(is_obstacle(label))).collect()
    }
}
