//! The volume that need not exist, and what is to be done with it.

use exavox_io::DataType;
use exavox_pipeline::estimate::{ComputeRate, Hypothetical, Work};

use crate::values;

/// Shapes, and what is known of the speed.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Volume and work")]
pub(super) struct VolumeArgs {
    /// Voxels of the volume.
    #[arg(long, value_name = "Z,Y,X", value_parser = values::shape_zyx)]
    #[arg(required_unless_present = "plan")]
    shape: Option<[u64; 3]>,
    /// Type of its values.
    #[arg(long, value_name = "TYPE", default_value = "uint8")]
    dtype: DataType,
    /// What is done: segment and components also reconcile blocks and make a pyramid.
    #[arg(long, default_value = "segment")]
    work: WorkArg,
    /// Subvolumes of segment.
    #[arg(long, value_name = "Z,Y,X", default_value = "512,512,512", value_parser = values::shape_zyx)]
    subvolume: [u64; 3],
    /// Voxels that neighbouring subvolumes share.
    #[arg(long, value_name = "Z,Y,X", default_value = "64,64,64", value_parser = values::position_zyx)]
    overlap: [u64; 3],
    /// Voxels that filter reads around each block.
    #[arg(long, value_name = "Z,Y,X", default_value = "8,8,8", value_parser = values::position_zyx)]
    halo: [u64; 3],
    /// Chunks of the output.
    #[arg(long, value_name = "Z,Y,X", default_value = "64,64,64", value_parser = values::shape_zyx)]
    chunk: [u64; 3],
    /// Shards of the output's files, a multiple of the chunk [default: none].
    #[arg(long, value_name = "Z,Y,X", value_parser = values::shape_zyx)]
    shard: Option<[u64; 3]>,
    /// Blocks of all other work, a multiple of chunk or shard [default: at least 256 voxels].
    #[arg(long, value_name = "Z,Y,X", value_parser = values::shape_zyx)]
    block: Option<[u64; 3]>,
    /// Levels of the pyramid [default: until a level is one block; none for filter and convert].
    #[arg(long, value_name = "N")]
    levels: Option<u32>,
    /// Mean seconds of a block of the first stage on one slot, as measured.
    #[arg(long, value_name = "S")]
    seconds_per_block: Option<f64>,
    /// Steps of the network in a second on one slot, as measured.
    #[arg(long, value_name = "R", conflicts_with = "seconds_per_block")]
    steps_per_second: Option<f64>,
    /// Operations of the network in a second on one slot, in 10^12, as reached.
    #[arg(long, value_name = "T", conflicts_with_all = ["seconds_per_block", "steps_per_second"])]
    tflops: Option<f64>,
    /// How unlike blocks are: standard deviation of their times, as a share of the mean.
    #[arg(long, value_name = "SHARE", default_value_t = 0.25)]
    spread: f64,
    /// How many times smaller the image is in the store.
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0)]
    image_compression: f64,
    /// How many times smaller labels are in the store.
    #[arg(long, value_name = "FACTOR", default_value_t = 10.0)]
    label_compression: f64,
}

/// [`Work`] as the command line names it.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum WorkArg {
    Segment,
    Components,
    Filter,
    Project,
    Downsample,
    Convert,
}

impl From<WorkArg> for Work {
    fn from(work: WorkArg) -> Self {
        match work {
            WorkArg::Segment => Self::Segment,
            WorkArg::Components => Self::Components,
            WorkArg::Filter => Self::Filter,
            WorkArg::Project => Self::Project,
            WorkArg::Downsample => Self::Downsample,
            WorkArg::Convert => Self::Convert,
        }
    }
}

impl VolumeArgs {
    /// Operations of the network in a second on one slot, if they were named.
    pub(super) fn flops(&self) -> Option<f64> {
        self.tflops.map(|tflops| tflops * 1e12)
    }

    /// As the pipeline knows it.
    pub(super) fn hypothetical(&self) -> Hypothetical {
        let rate = (self.seconds_per_block.map(ComputeRate::SecondsPerBlock))
            .or(self.steps_per_second.map(ComputeRate::StepsPerSecond))
            .or(self.tflops.map(|tflops| ComputeRate::FlopPerSecond(tflops * 1e12)));
        Hypothetical {
            work: self.work.into(),
            // Without a plan clap insists on a shape.
            shape_zyx: self.shape.unwrap_or_default(),
            dtype: self.dtype,
            chunk_zyx: self.chunk,
            shard_zyx: self.shard,
            block_zyx: self.block,
            subvolume_zyx: self.subvolume,
            overlap_zyx: self.overlap,
            halo_zyx: self.halo,
            levels: self.levels,
            rate,
            spread: self.spread,
            image_compression: self.image_compression,
            label_compression: self.label_compression,
        }
    }
}
