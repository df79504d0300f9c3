//! `exavox convert`: a volume in another format, type or layout, or a part of it.

use std::fmt;

use exavox_io::store::Durability;
use exavox_io::volume::{Codec, Encoding, OmeVersion, WriteMode};
use exavox_io::{BoundingBox, DataType, Volume, VoxelSize};
use exavox_pipeline::convert::Precision;
use exavox_pipeline::{ConvertOptions, ConvertReport, Error, convert};
use serde::Serialize;

use crate::context::Context;
use crate::exit_status::ExitStatus;
use crate::failure::Hint;
use crate::source_args::SourceArgs;
use crate::values;

/// Write a volume in another format, type, chunk shape or codec, or a part of it.
///
/// The name of the target tells its format: .zarr (OME-Zarr), .n5, .precomputed, .npy, .raw, .tif,
/// .png or a pattern of planes such as 'x_{channel}_z{z}.tif'. The target appears when it is whole.
///
/// With --resume a run that was stopped or killed is gone on with: run the same command again, until
/// it succeeds. Blocks that are written are not written twice.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The volume to read.
    #[arg(value_name = "SRC")]
    source: String,
    /// The volume to write.
    #[arg(value_name = "DST")]
    target: String,
    /// Part to convert: z0:z1,y0:y1,x0:x1 in voxels, half open; an end may be left out.
    #[arg(long, value_name = "REGION")]
    roi: Option<BoundingBox>,
    /// Channel to convert, by name or number; can be repeated [default: all].
    #[arg(long = "channel", value_name = "NAME")]
    channels: Vec<String>,
    #[command(flatten)]
    from: SourceArgs,
    /// Type of the values: uint8 ... uint64, int8 ... int64, float32, float64.
    #[arg(long, value_name = "TYPE")]
    dtype: Option<DataType>,
    /// Round and clip values that the type cannot hold, instead of stopping at the first.
    #[arg(long)]
    allow_lossy: bool,
    /// Chunk shape of a target made of chunks.
    #[arg(long, value_name = "Z,Y,X", value_parser = values::shape_zyx)]
    chunk: Option<[u64; 3]>,
    /// Shard shape of an OME-Zarr 0.5 target, a multiple of the chunk shape.
    #[arg(long, value_name = "Z,Y,X", value_parser = values::shape_zyx)]
    shard: Option<[u64; 3]>,
    /// Compression: raw, zstd[:LEVEL], blosc[:LEVEL] or gzip[:LEVEL].
    #[arg(long, value_parser = values::codec)]
    codec: Option<Codec>,
    /// Encoding of the chunks of a precomputed target: raw, compressed_segmentation or png.
    #[arg(long, default_value = "raw", value_parser = values::encoding)]
    encoding: Encoding,
    /// Version of OME-Zarr to write.
    #[arg(long, value_name = "VERSION", default_value = "0.4", value_parser = values::ome_version)]
    ome: OmeVersion,
    /// Voxel size in nanometres, in place of the source's.
    #[arg(long, value_name = "Z,Y,X", value_parser = values::voxel_size)]
    voxel_size: Option<VoxelSize>,
    /// Write each chunk to the disk before it counts as written: survives loss of power.
    #[arg(long)]
    sync: bool,
    /// Replace a target that exists, once the new one is whole.
    #[arg(long, conflicts_with = "resume")]
    overwrite: bool,
    /// Go on where an earlier run with --resume stopped, or begin; nothing to do if the target is whole.
    /// For .zarr, .n5, .precomputed, .npy and .raw targets on local disks.
    #[arg(long)]
    resume: bool,
}

/// Converts, and tells how fast.
pub(crate) fn run(args: Args, context: &Context) -> anyhow::Result<ExitStatus> {
    let options = options(&args, context);
    let source = Volume::open_with(&args.source, &args.from.open_options(context))?;
    let report = convert(&source, &args.target, &options, &context.observer)
        .map_err(|error| with_hint(error, args.resume))?;
    context.printer.summary(&Summary { input: args.source, output: args.target, report })?;
    Ok(ExitStatus::Done)
}

fn options(args: &Args, context: &Context) -> ConvertOptions {
    let mut options = ConvertOptions::default();
    options.region = args.roi;
    options.channels.clone_from(&args.channels);
    options.dtype = args.dtype;
    options.precision = if args.allow_lossy { Precision::Lossy } else { Precision::Exact };
    options.chunk_shape = args.chunk;
    options.shard_shape = args.shard;
    options.codec = args.codec;
    options.encoding = args.encoding;
    options.durability = if args.sync { Durability::Synced } else { Durability::Buffered };
    options.ome = args.ome;
    options.voxel_size = args.voxel_size;
    options.mode = match (args.overwrite, args.resume) {
        (true, _) => WriteMode::Overwrite,
        (_, true) => WriteMode::Resume,
        _ => WriteMode::CreateNew,
    };
    options.threads = context.threads;
    options.memory_bytes = context.block_bytes();
    options
}

fn with_hint(error: Error, resume: bool) -> anyhow::Error {
    let hint = match &error {
        Error::LossyCast { .. } => Some(Hint("--allow-lossy rounds and clips such values")),
        Error::PlanChanged { .. } => {
            Some(Hint("remove that file, and .partial beside it, to begin again"))
        }
        Error::Io(exavox_io::Error::Io { .. }) if resume => {
            Some(Hint("what is written is kept; the same command goes on with it"))
        }
        _ => None,
    };
    let error = anyhow::Error::new(error);
    match hint {
        Some(hint) => error.context(hint),
        None => error,
    }
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Summary {
    input: String,
    output: String,
    #[serde(flatten)]
    report: ConvertReport,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (blocks, resumed) = (self.report.blocks, self.report.blocks_resumed);
        if self.report.already_whole {
            return write!(f, "{} is whole already, nothing to do", self.output);
        }
        let plural = if blocks == 1 { "" } else { "s" };
        write!(f, "{} is written ({blocks} block{plural}", self.output)?;
        if resumed > 0 {
            write!(f, " now, {resumed} before")?;
        }
        f.write_str(")")
    }
}
