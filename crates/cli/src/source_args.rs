//! Which part of a file a command opens: flags that several commands share.

use exavox_io::volume::FileAccess;
use exavox_io::{OpenOptions, VoxelSize};

use crate::context::Context;
use crate::values;

/// Scale and time point of the volume to read.
#[derive(Debug, clap::Args)]
pub(crate) struct SourceArgs {
    /// Scale of a pyramid to read, 0 = finest.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) scale: usize,
    /// Scale of a pyramid to read: the coarsest whose voxels are at most this large, in nanometres.
    #[arg(long, value_name = "Z,Y,X", value_parser = values::voxel_size, conflicts_with = "scale")]
    pub(crate) scale_voxel_size: Option<VoxelSize>,
    /// Time point to read of a volume with a time axis.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) time: usize,
}

impl SourceArgs {
    /// Whether nothing was chosen.
    pub(crate) fn is_default(&self) -> bool {
        self.scale == 0 && self.time == 0 && self.scale_voxel_size.is_none()
    }

    /// How to open the volume within the memory of this run.
    pub(crate) fn open_options(&self, context: &Context) -> OpenOptions {
        let options = match self.scale_voxel_size {
            Some(size) => OpenOptions::default().with_scale_of(size),
            None => OpenOptions::default().with_scale(self.scale),
        };
        bounded(options.with_time(self.time), context.memory)
    }
}

/// Within `--memory`, decoded chunks that are kept take a sixteenth, and files are read, not mapped:
/// pages of a mapping count as memory of the process.
pub(crate) fn bounded(options: OpenOptions, memory: Option<u64>) -> OpenOptions {
    let Some(memory) = memory else { return options };
    let cache_bytes = options.cache_bytes.min(memory / 16);
    options.with_cache_bytes(cache_bytes).with_file_access(FileAccess::Read)
}
