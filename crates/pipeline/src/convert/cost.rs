//! What a block of a conversion takes in memory.

use exavox_io::{DataType, Metadata};

use super::run::Make;
use super::slabs::Slabs;

/// What a worker holds in memory.
pub(super) struct Cost {
    /// Of a block as it is read.
    read: u64,
    /// Of a block as it is made, and of its chunks, cut out of it and as the codec writes them; of as
    /// many voxels as are read.
    made: f64,
    /// The parts in which a block is read.
    slabs: Option<Slabs>,
    pub(super) decoding: u64,
}

impl Cost {
    pub(super) fn new(source: &Metadata, dtype: DataType, make: Make) -> Self {
        let (read, written) = (source.dtype.size() as u64, dtype.size() as u64);
        // Bare files are read straight into the block, and then have no codecs.
        let copies = match (source.format.as_str(), source.codecs.is_empty()) {
            ("raw" | "npy", _) => 0,
            (_, true) => 1,
            (_, false) => 2,
        };
        let decoding = source.chunk_shape.into_iter().fold(copies * read, u64::saturating_mul);
        let (made, slabs) = match make {
            Make::Cast(_) if source.dtype == dtype => (2 * written as i32, None),
            Make::Cast(_) => (3 * written as i32, None),
            Make::Downsample { factor, .. } => {
                (3 * written as i32, Some(Slabs::new(source, factor)))
            }
        };
        let cell = make.factor().into_iter().map(|f| f as f64).product::<f64>();
        Self { read, made: f64::from(made) / cell, slabs, decoding }
    }

    /// Bytes for each voxel that is read, if a block is read in one.
    pub(super) fn per_voxel(&self) -> u64 {
        self.read + self.made.ceil() as u64
    }

    /// Bytes for blocks of a shape, in voxels of the source.
    pub(super) fn of(&self, shape: [u64; 3]) -> u64 {
        let voxels = shape.into_iter().fold(1, u64::saturating_mul);
        let read = match &self.slabs {
            Some(slabs) => slabs.shape(shape).into_iter().fold(self.read, u64::saturating_mul),
            None => voxels.saturating_mul(self.read),
        };
        let made = (voxels as f64 * self.made) as u64;
        read.saturating_add(made).saturating_add(self.decoding)
    }
}
