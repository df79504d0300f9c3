//! How a volume is opened.

use crate::geometry::VoxelSize;
use crate::limits::Limits;
use crate::metadata::ScaleChoice;

/// How to open a volume.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct OpenOptions {
    /// Bounds on memory that the file's header can ask for.
    pub limits: Limits,
    /// Scale of a pyramid. Default: the finest.
    pub scale: ScaleChoice,
    /// Time point of a volume that has a time axis.
    pub time: usize,
    /// Bytes of decoded chunks to keep for the next read, in formats made of compressed chunks. Chunks
    /// that a region takes whole are not kept. Default 64 MiB.
    pub cache_bytes: u64,
    /// How files of bare values (NPY, raw) are read.
    pub file_access: FileAccess,
}

/// How a file of bare values is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FileAccess {
    /// Mapped into memory. Its pages count as memory of the process, though the system takes them
    /// back when it needs them.
    #[default]
    Mapped,
    /// By ordinary reads: for programs whose resident memory is bounded from outside.
    Read,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            scale: ScaleChoice::default(),
            time: 0,
            cache_bytes: 64 << 20,
            file_access: FileAccess::default(),
        }
    }
}

impl OpenOptions {
    /// Sets the scale of a pyramid, 0 = finest.
    #[must_use]
    pub fn with_scale(mut self, scale: usize) -> Self {
        self.scale = ScaleChoice::Index(scale);
        self
    }

    /// Chooses the scale of a pyramid by the size of its voxels, see [`ScaleChoice`].
    #[must_use]
    pub fn with_scale_of(mut self, voxel_size: VoxelSize) -> Self {
        self.scale = ScaleChoice::VoxelSize(voxel_size);
        self
    }

    /// Sets the bound on decoded chunks that are kept.
    #[must_use]
    pub fn with_cache_bytes(mut self, bytes: u64) -> Self {
        self.cache_bytes = bytes;
        self
    }

    /// Sets how files of bare values are read.
    #[must_use]
    pub fn with_file_access(mut self, access: FileAccess) -> Self {
        self.file_access = access;
        self
    }

    /// Sets the time point of a volume that has a time axis.
    #[must_use]
    pub fn with_time(mut self, time: usize) -> Self {
        self.time = time;
        self
    }

    /// Sets the bounds on memory.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }
}
