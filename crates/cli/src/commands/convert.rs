//! `exavox convert`: a volume in another format, type or layout, or a part of it.

use std::fmt;

use exavox_io::volume::{Codec, OmeVersion, WriteMode};
use exavox_io::{BoundingBox, DataType, OpenOptions, Volume, VoxelSize};
use exavox_pipeline::convert::Precision;
use exavox_pipeline::{ConvertOptions, ConvertReport, Error, convert};
use serde::Serialize;

use crate::context::Context;
use crate::exit_status::ExitStatus;
use crate::failure::Hint;
use crate::values;

/// Write a volume in another format, type, chunk shape or codec, or a part of it.
///
/// The name of the target tells its format: .zarr (OME-Zarr), .npy, .raw, .tif, .png or a pattern of
/// planes such as 'x_{channel}_z{z}.tif'. The target appears when it is whole.
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
    /// Scale of a pyramid to read, 0 = finest.
    #[arg(long, value_name = "N", default_value_t = 0)]
    scale: usize,
    /// Type of the values: uint8 ... uint64, int8 ... int64, float32, float64.
    #[arg(long, value_name = "TYPE")]
    dtype: Option<DataType>,
    /// Round and clip values that the type cannot hold, instead of stopping at the first.
    #[arg(long)]
    allow_lossy: bool,
    /// Chunk shape of a Zarr target.
    #[arg(long, value_name = "Z,Y,X", value_parser = values::shape_zyx)]
    chunk: Option<[u64; 3]>,
    /// Shard shape of an OME-Zarr 0.5 target, a multiple of the chunk shape.
    #[arg(long, value_name = "Z,Y,X", value_parser = values::shape_zyx)]
    shard: Option<[u64; 3]>,
    /// Compression: raw, zstd[:LEVEL] or gzip[:LEVEL].
    #[arg(long, value_parser = values::codec)]
    codec: Option<Codec>,
    /// Version of OME-Zarr to write.
    #[arg(long, value_name = "VERSION", default_value = "0.4", value_parser = values::ome_version)]
    ome: OmeVersion,
    /// Voxel size in nanometres, in place of the source's.
    #[arg(long, value_name = "Z,Y,X", value_parser = values::voxel_size)]
    voxel_size: Option<VoxelSize>,
    /// Replace a target that exists, once the new one is whole.
    #[arg(long)]
    overwrite: bool,
}

/// Converts, and tells how fast.
pub(crate) fn run(args: Args, context: &Context) -> anyhow::Result<ExitStatus> {
    let options = options(&args, context);
    let source = Volume::open_with(&args.source, &OpenOptions::default().with_scale(args.scale))?;
    let report = convert(&source, &args.target, &options, &context.observer).map_err(with_hint)?;
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
    options.ome = args.ome;
    options.voxel_size = args.voxel_size;
    options.mode = if args.overwrite { WriteMode::Overwrite } else { WriteMode::CreateNew };
    options.threads = context.threads;
    options.memory_bytes = context.memory;
    options
}

fn with_hint(error: Error) -> anyhow::Error {
    let hint = match error {
        Error::LossyCast { .. } => Some(Hint("--allow-lossy rounds and clips such values")),
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
        let blocks = self.report.blocks;
        let plural = if blocks == 1 { "" } else { "s" };
        write!(f, "{} is written ({blocks} block{plural})", self.output)
    }
}
