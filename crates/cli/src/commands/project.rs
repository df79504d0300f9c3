//! `exavox project`: a projection of every channel along an axis.

use std::fmt;
use std::ops::Range;

use exavox_compute::DeviceSpec;
use exavox_compute::ops::projection::engine_of;
use exavox_compute::ops::projection::focus::FocusOptions;
use exavox_io::volume::{Codec, WriteMode};
use exavox_io::{Axis, Volume};
use exavox_pipeline::project::{depth_colour, extended_focus};
use exavox_pipeline::{ProjectOptions, ProjectReport, project};
use indicatif::DecimalBytes;
use serde::Serialize;

use crate::context::Context;
use crate::exit_status::ExitStatus;
use crate::source_args::SourceArgs;
use crate::values;

use self::kind::Kind;

mod kind;

/// Project every channel along an axis: maximum, minimum, mean, sum, std, variance, median, argmax,
/// colour by depth, or extended focus.
///
/// SRC is a volume, or a pattern such as 'images/mosaic_{channel}_z{z}.tif'. With {channel} in DST each
/// channel gets a file of its own. A channel that cannot be read is named and left out, the others are
/// written, and the exit status is 1.
///
/// depth-colour: the hue of a pixel says in which plane its maximum lies, blue in the first, over cyan,
/// green and yellow to red in the last; its brightness how high the maximum is. DST gets red, green and
/// blue as channels.
///
/// extended-focus: each pixel has the value of the plane that varies most around it. The planes' indices
/// are smoothed by a median first; --height-map writes them.
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
    /// max, min, mean, sum, std, variance, median, argmax (index of the first plane with the maximum),
    /// depth-colour or extended-focus.
    #[arg(long, value_name = "KIND", default_value = "max")]
    kind: Kind,
    /// Axis along which to project: z, y or x.
    #[arg(long, value_name = "AXIS", default_value = "z", value_parser = values::axis)]
    axis: Axis,
    /// Planes that take part: a:b, half open; an end may be left out.
    #[arg(long, value_name = "A:B", value_parser = values::range)]
    z_range: Option<Range<u64>>,
    /// depth-colour: values that become black and bright [default: each channel's range of maxima].
    #[arg(long, value_name = "LOW,HIGH", value_parser = values::bounds)]
    range: Option<[f64; 2]>,
    /// extended-focus: pixels from the centre of the window to its edge [default: 2, 5 x 5 pixels].
    #[arg(long, value_name = "PIXELS")]
    focus_radius: Option<usize>,
    /// extended-focus: the same for the median that smooths the heights; 0 for none [default: 2].
    #[arg(long, value_name = "PIXELS")]
    smooth_radius: Option<usize>,
    /// extended-focus: write the indices of the planes, too; named as DST is.
    #[arg(long, value_name = "FILE")]
    height_map: Option<String>,
    #[command(flatten)]
    from: SourceArgs,
    /// Compression: raw, zstd[:LEVEL], blosc[:LEVEL] or gzip[:LEVEL] [default: raw for TIFF, else zstd
    /// where the format has it].
    #[arg(long, value_parser = values::codec)]
    codec: Option<Codec>,
    /// Replace a target that exists, once the new one is whole.
    #[arg(long)]
    overwrite: bool,
}

/// Projects, and tells how fast and what is missing.
pub(crate) fn run(args: Args, context: &Context) -> anyhow::Result<ExitStatus> {
    args.check()?;
    let options = options(&args, context)?;
    let source = Volume::open_with(&args.source, &args.from.open_options(context))?;
    let report = args.project(&source, &options, context)?;
    let complete = report.failed().count() == 0;
    let (kind, axis) = (args.kind.name(), args.axis.name());
    let (input, output) = (args.source, args.target);
    context.printer.summary(&Summary { input, output, kind, axis, report })?;
    Ok(if complete { ExitStatus::Done } else { ExitStatus::Incomplete })
}

impl Args {
    /// Refuses flags of another kind: nobody should think that they did something.
    fn check(&self) -> anyhow::Result<()> {
        let colour = [("--range", self.range.is_some())];
        let focus = [
            ("--focus-radius", self.focus_radius.is_some()),
            ("--smooth-radius", self.smooth_radius.is_some()),
            ("--height-map", self.height_map.is_some()),
        ];
        let of = |kind, flags: &[(&str, bool)]| {
            let given = flags.iter().find(|flag| flag.1 && self.kind != kind);
            given.map_or(Ok(()), |flag| anyhow::bail!("{} is for --kind {kind}", flag.0))
        };
        of(Kind::DepthColour, &colour)?;
        of(Kind::ExtendedFocus, &focus)
    }

    fn project(
        &self,
        source: &Volume,
        options: &ProjectOptions,
        context: &Context,
    ) -> anyhow::Result<ProjectReport> {
        let (target, observer) = (&self.target, &context.observer);
        Ok(match self.kind {
            Kind::Plain(_) => project(source, target, options, observer)?,
            Kind::DepthColour => {
                let range = self.range.map(|[low, high]| low..=high);
                depth_colour(source, target, range, options, observer)?
            }
            Kind::ExtendedFocus => {
                let height_map = self.height_map.as_deref();
                extended_focus(source, target, height_map, &self.focus(), options, observer)?
            }
        })
    }

    fn focus(&self) -> FocusOptions {
        let mut focus = FocusOptions::default();
        focus.radius = self.focus_radius.unwrap_or(focus.radius);
        focus.smooth_radius = self.smooth_radius.unwrap_or(focus.smooth_radius);
        focus
    }
}

fn options(args: &Args, context: &Context) -> anyhow::Result<ProjectOptions> {
    let mut options = ProjectOptions::default();
    if let Kind::Plain(kind) = args.kind {
        options.kind = kind;
    }
    options.axis = args.axis;
    options.z_range.clone_from(&args.z_range);
    options.codec = args.codec;
    options.mode = if args.overwrite { WriteMode::Overwrite } else { WriteMode::CreateNew };
    options.threads = context.threads;
    options.memory_bytes = context.memory;
    let plain = matches!(args.kind, Kind::Plain(_));
    if plain && !matches!(context.device, DeviceSpec::Auto | DeviceSpec::Cpu) {
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
