//! `exavox project`: a projection of every channel along an axis.

use std::fmt;
use std::ops::Range;

use exavox_compute::DeviceSpec;
use exavox_compute::ops::projection::{ProjectionKind, engine_of};
use exavox_io::volume::{Codec, WriteMode};
use exavox_io::{Axis, Volume};
use exavox_pipeline::{ProjectOptions, ProjectReport, project};
use indicatif::DecimalBytes;
use serde::Serialize;

use crate::context::Context;
use crate::exit_status::ExitStatus;
use crate::source_args::SourceArgs;
use crate::values;

/// Project every channel along an axis: maximum, minimum, mean, sum, std, median or argmax.
///
/// SRC is a volume, or a pattern such as 'images/mosaic_{channel}_z{z}.tif'. With {channel} in DST each
/// channel gets a file of its own. A channel that cannot be read is named and left out, the others are
/// written, and the exit status is 1.
///
/// The CPU computes unless --device names another: reading takes longer than computing.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The volume to read.
    #[arg(value_name = "SRC")]
    source: String,
    /// The projection to write: .tif, .png, .npy, .zarr, or a pattern with {channel}.
    #[arg(value_name = "DST")]
    target: String,
    /// max, min, mean, sum, std, median, or argmax (index of the first plane with the maximum).
    #[arg(long, value_name = "KIND", default_value = "max")]
    kind: ProjectionKind,
    /// Axis along which to project: z, y or x.
    #[arg(long, value_name = "AXIS", default_value = "z", value_parser = values::axis)]
    axis: Axis,
    /// Planes that take part: a:b, half open; an end may be left out.
    #[arg(long, value_name = "A:B", value_parser = values::range)]
    z_range: Option<Range<u64>>,
    #[command(flatten)]
    from: SourceArgs,
    /// Compression: raw, zstd[:LEVEL], blosc[:LEVEL] or gzip[:LEVEL].
    #[arg(long, value_parser = values::codec)]
    codec: Option<Codec>,
    /// Replace a target that exists, once the new one is whole.
    #[arg(long)]
    overwrite: bool,
}

/// Projects, and tells how fast and what is missing.
pub(crate) fn run(args: Args, context: &Context) -> anyhow::Result<ExitStatus> {
    let options = options(&args, context)?;
    let source = Volume::open_with(&args.source, &args.from.open_options(context))?;
    let report = project(&source, &args.target, &options, &context.observer)?;
    let complete = report.failed().count() == 0;
    let (kind, axis) = (args.kind.name(), args.axis.name());
    let (input, output) = (args.source, args.target);
    context.printer.summary(&Summary { input, output, kind, axis, report })?;
    Ok(if complete { ExitStatus::Done } else { ExitStatus::Incomplete })
}

fn options(args: &Args, context: &Context) -> anyhow::Result<ProjectOptions> {
    let mut options = ProjectOptions::default();
    options.kind = args.kind;
    options.axis = args.axis;
    options.z_range.clone_from(&args.z_range);
    options.codec = args.codec;
    options.mode = if args.overwrite { WriteMode::Overwrite } else { WriteMode::CreateNew };
    options.threads = context.threads;
    options.memory_bytes = context.memory;
    if !matches!(context.device, DeviceSpec::Auto | DeviceSpec::Cpu) {
        options.device = engine_of(&context.open_device()?);
    }
    Ok(options)
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Summary {
    input: String,
    output: String,
    kind: &'static str,
    axis: &'static str,
    #[serde(flatten)]
    report: ProjectReport,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (all, failed) = (self.report.channels.len(), self.report.failed().count());
        write!(f, "{}: {} of {all} channels", self.output, all - failed)?;
        if let Some(peak) = self.report.peak_memory_bytes {
            write!(f, ", at most {} of memory", DecimalBytes(peak))?;
        }
        Ok(())
    }
}
