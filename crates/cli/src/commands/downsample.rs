//! `exavox downsample`: a pyramid of scales, or one coarser volume.

use std::fmt;

use exavox_compute::ops::downsample::DownsampleMethod;
use exavox_io::store::Durability;
use exavox_io::volume::{Codec, WriteMode};
use exavox_io::{OpenOptions, Volume};
use exavox_pipeline::downsample::{add_scales, downsample};
use exavox_pipeline::{DownsampleOptions, DownsampleReport};
use serde::Serialize;

use crate::context::Context;
use crate::exit_status::ExitStatus;
use crate::source_args::{SourceArgs, bounded};
use crate::values;

/// Make a volume coarser: add the scales of a pyramid to it, or write a new volume.
///
/// Without DST scales are added to SRC itself (OME-Zarr, N5, precomputed), each made of the one before,
/// until the largest axis that the factor shrinks has at most 128 voxels. Scales that are there already
/// are kept, so that a run that was stopped can be started again. With DST one volume is written.
///
/// Cells at the end of an axis hold fewer voxels, and only these count. A mean of integers is rounded
/// to the nearest, halves to the even number. The mode is the most frequent value, of several the
/// smallest; 0 is a value like any other.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The volume to read, and to add scales to if there is no DST.
    #[arg(value_name = "SRC")]
    source: String,
    /// A new volume to write.
    #[arg(value_name = "DST")]
    target: Option<String>,
    /// Voxels along z, y and x that become one; 1 leaves an axis as it is.
    #[arg(long, value_name = "Z,Y,X", default_value = "2,2,2", value_parser = values::factor_zyx)]
    factor: [u64; 3],
    /// mean or mode [default: mode for integers of 32 and 64 bits, which hold labels, else mean].
    #[arg(long)]
    method: Option<DownsampleMethod>,
    /// Scales besides the finest, without DST [default: until at most 128 voxels are left].
    #[arg(long, value_name = "N", conflicts_with = "target")]
    #[arg(value_parser = clap::value_parser!(u8).range(1..=32))]
    levels: Option<u8>,
    #[command(flatten)]
    from: SourceArgs,
    /// Chunk shape of what is written [default: the finest scale's, or the format's].
    #[arg(long, value_name = "Z,Y,X", value_parser = values::shape_zyx)]
    chunk: Option<[u64; 3]>,
    /// Compression: raw, zstd[:LEVEL], blosc[:LEVEL] or gzip[:LEVEL].
    #[arg(long, value_parser = values::codec)]
    codec: Option<Codec>,
    /// Write each chunk to the disk before it counts as written: survives loss of power.
    #[arg(long)]
    sync: bool,
    /// Replace a DST that exists, once the new one is whole; or what a killed run left where the next
    /// scale is to be.
    #[arg(long, conflicts_with = "resume")]
    overwrite: bool,
    /// Go on where an earlier run with --resume stopped; needs DST.
    #[arg(long, requires = "target")]
    resume: bool,
}

/// Downsamples, and tells what was made.
pub(crate) fn run(args: Args, context: &Context) -> anyhow::Result<ExitStatus> {
    let options = options(&args, context);
    let report = match &args.target {
        Some(target) => {
            let source = Volume::open_with(&args.source, &args.from.open_options(context))?;
            downsample(&source, target, &options, &context.observer)?
        }
        None => {
            anyhow::ensure!(
                args.from.is_default(),
                "{}: scales are made from the finest; --scale and --time need DST",
                args.source
            );
            let levels = args.levels.map(usize::from);
            let open = bounded(OpenOptions::default(), context.memory);
            add_scales(&args.source, levels, &open, &options, &context.observer)?
        }
    };
    let output = args.target.unwrap_or_else(|| args.source.clone());
    context.printer.summary(&Summary {
        input: args.source,
        output,
        factor: args.factor,
        report,
    })?;
    Ok(ExitStatus::Done)
}

fn options(args: &Args, context: &Context) -> DownsampleOptions {
    let mut options = DownsampleOptions::default();
    options.factor = args.factor;
    options.method = args.method;
    options.chunk_shape = args.chunk;
    options.codec = args.codec;
    options.durability = if args.sync { Durability::Synced } else { Durability::Buffered };
    options.mode = match (args.overwrite, args.resume) {
        (true, _) => WriteMode::Overwrite,
        (_, true) => WriteMode::Resume,
        _ => WriteMode::CreateNew,
    };
    options.threads = context.threads;
    options.memory_bytes = context.block_bytes();
    options
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Summary {
    input: String,
    output: String,
    factor: [u64; 3],
    #[serde(flatten)]
    report: DownsampleReport,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.report.shapes.is_empty() {
            return write!(f, "{} is whole already, nothing to do", self.output);
        }
        let shapes = self.report.shapes.iter().map(|[z, y, x]| format!("{z} x {y} x {x}"));
        let shapes = shapes.collect::<Vec<_>>().join(", ");
        write!(f, "{}: {shapes} by {}", self.output, self.report.method)
    }
}
