//! `exavox filter`: a filter of a whole volume, channel by channel.

use std::fmt;

use exavox_compute::ops::distance_transform::{Border, DistanceKind, DistanceOptions};
use exavox_compute::ops::filter::{
    Boundary, ClaheOptions, Dimensions, Filter, Gradient, Normalization,
};
use exavox_io::volume::{Codec, WriteMode};
use exavox_io::{BoundingBox, DataType, Volume, VoxelSize};
use exavox_pipeline::filter::{filter_by_blocks, filter_goes_by_blocks, memory_bytes};
use exavox_pipeline::{FilterOptions, FilterReport, filter};
use indicatif::DecimalBytes;
use serde::Serialize;

use super::job;
use crate::context::Context;
use crate::exit_status::ExitStatus;
use crate::failure::Hint;
use crate::source_args::SourceArgs;
use crate::values;

/// Filter every channel: gaussian, median, sobel, clahe, normalize, or the distance to background.
///
/// A channel is read whole, filtered and written: the memory that takes is told before it is read. If it is
/// more than --memory, a .zarr, .n5 or .precomputed target is made block by block, with the same bits; killed
/// and run again, it goes on. The distance takes 4 bytes of disk a voxel twice on the way. Other targets are
/// refused then: choose a part with --roi.
///
/// A channel that cannot be read is named and left out, the others are written, and the exit status is 1.
/// The CPU computes unless --device names another: gaussian, median, sobel and normalize (mean-std, min-max)
/// may then differ in the last bits; what the device cannot do the CPU does, with a warning. By blocks it is
/// always the CPU.
///
/// By blocks, what cannot be read is tried again when the command is, and DST appears when all is there.
#[derive(Debug, clap::Args)]
#[command(mut_args(|arg| if arg.is_positional() { arg } else { arg.global(true) }))]
pub(crate) struct Args {
    /// The volume to read.
    #[arg(value_name = "SRC")]
    source: String,
    /// The volume to write: .zarr, .n5, .tif, .npy, …
    #[arg(value_name = "DST")]
    target: String,
    /// Part to filter: z0:z1,y0:y1,x0:x1 in voxels, half open; an end may be left out.
    #[arg(long, value_name = "REGION")]
    roi: Option<BoundingBox>,
    #[command(flatten)]
    from: SourceArgs,
    /// Type of the result; integers are rounded and clipped, and what lies between 0 and 1 (clahe,
    /// normalize) is stretched to the highest value [default: the filter's].
    #[arg(long, value_name = "TYPE")]
    dtype: Option<DataType>,
    /// Compression: raw, zstd[:LEVEL], blosc[:LEVEL] or gzip[:LEVEL].
    #[arg(long, value_parser = values::codec)]
    codec: Option<Codec>,
    /// Replace a target that exists, once the new one is whole.
    #[arg(long)]
    overwrite: bool,
    #[command(subcommand)]
    filter: FilterArgs,
}

/// The filters.
#[derive(Debug, clap::Subcommand)]
enum FilterArgs {
    /// Smooth with a Gaussian, cut at 4 sigma; the result is float32.
    Gaussian {
        /// Standard deviations in voxels along z, y and x; 0 leaves an axis as it is.
        #[arg(long, value_name = "Z,Y,X", value_parser = values::sigma_zyx)]
        sigma: [f64; 3],
        /// Beyond the border: reflect or nearest.
        #[arg(long, value_name = "BOUNDARY", default_value = "reflect")]
        boundary: Boundary,
    },
    /// The median of a box around each voxel; the result has the type of SRC.
    Median {
        /// Voxels on each side along z, y and x: 1,1,1 is a box of 3 x 3 x 3.
        #[arg(long, value_name = "Z,Y,X", value_parser = values::sizes_zyx)]
        radius: [usize; 3],
        /// Beyond the border: reflect or nearest.
        #[arg(long, value_name = "BOUNDARY", default_value = "reflect")]
        boundary: Boundary,
    },
    /// Equalise contrast within tiles (CLAHE); the result is float32 between 0 and 1.
    Clahe {
        /// Voxels of a tile [default: an eighth of the volume].
        #[arg(long, value_name = "Z,Y,X", value_parser = values::sizes_zyx)]
        tile: Option<[usize; 3]>,
        /// Tiles in three dimensions, instead of each plane by itself.
        #[arg(long = "3d")]
        three: bool,
        /// How much of a tile may have one gray level, 0 to 1; 0 does not limit the contrast.
        #[arg(long, value_name = "SHARE", default_value_t = 0.01)]
        clip_limit: f64,
        /// Values that become the lowest and the highest gray level [default: the channel's extremes].
        #[arg(long, value_name = "LOW,HIGH", value_parser = values::pair, allow_hyphen_values = true)]
        range: Option<[f64; 2]>,
    },
    /// Bring intensities to mean 0 and deviation 1, or to 0 to 1; the result is float32.
    Normalize {
        /// mean-std, min-max, or percentiles.
        #[arg(long, default_value = "mean-std")]
        method: Method,
        /// The percentiles that become 0 and 1, with --method percentiles.
        #[arg(long, value_name = "LOW,HIGH", value_parser = values::pair, default_value = "1,99")]
        percentiles: [f64; 2],
        /// The values that become 0 and 1, in place of a method.
        #[arg(long, value_name = "LOW,HIGH", value_parser = values::pair, conflicts_with = "method")]
        #[arg(allow_hyphen_values = true)]
        range: Option<[f64; 2]>,
    },
    /// Edges by the Sobel operator, not normalised; the result is float32.
    Sobel {
        /// magnitude of the gradient, or its part along z, y or x.
        #[arg(long, value_name = "PART", default_value = "magnitude")]
        gradient: Gradient,
    },
    /// Exact Euclidean distance of voxels that are not 0 to the nearest 0; the result is float32.
    ///
    /// In nanometres if the voxel size is known, otherwise in voxels.
    Distance {
        /// Edge lengths of a voxel, in place of the source's: distances are in their unit. 1,1,1 counts
        /// voxels.
        #[arg(long, value_name = "Z,Y,X", value_parser = values::voxel_size)]
        voxel_size: Option<VoxelSize>,
        /// The squared distance.
        #[arg(long)]
        squared: bool,
        /// Beyond the border: open (nothing) or background.
        #[arg(long, value_name = "BORDER", default_value = "open")]
        border: Border,
    },
}

/// How intensities are normalised.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Method {
    MeanStd,
    MinMax,
    Percentiles,
}

const TOO_LARGE: Hint =
    Hint("--roi chooses a part, --scale a coarser scale, --memory how much may be taken");

/// Filters, and tells how fast and what is missing.
pub(crate) fn run(args: Args, context: &Context) -> anyhow::Result<ExitStatus> {
    let source = Volume::open_with(&args.source, &args.from.open_options(context))?;
    let options = options(&args, &source, context)?;
    let needed = memory_bytes(&source, &options)?;
    let fits = needed <= context.memory_bytes();
    if fits {
        context.printer.note(&format!("takes about {} of memory", DecimalBytes(needed)));
    }
    let report = if !fits && filter_goes_by_blocks(&args.target, &options) {
        let folder = job::beside(&args.target)?;
        job::note_blocks(&args.source, needed, &folder, context);
        let (engine, observer) = (job::engine(context)?, &context.observer);
        let done = filter_by_blocks(&source, &args.target, &options, &folder, &engine, observer)?;
        match done.report {
            Some(report) => report,
            None => return job::incomplete(&folder, done.run, context),
        }
    } else {
        match filter(&source, &args.target, &options, &context.observer) {
            Err(error) if !fits => return Err(anyhow::Error::new(error).context(TOO_LARGE)),
            filtered => filtered?,
        }
    };
    let complete = report.failed().count() == 0;
    let unit = unit(&options.filter, &source, &args.filter);
    let summary = Summary {
        input: args.source,
        output: args.target,
        filter: options.filter.name(),
        unit,
        report,
    };
    context.printer.summary(&summary)?;
    Ok(if complete { ExitStatus::Done } else { ExitStatus::Incomplete })
}

fn options(args: &Args, source: &Volume, context: &Context) -> anyhow::Result<FilterOptions> {
    let mut options = FilterOptions::new(args.filter.settings(source));
    options.region = args.roi;
    options.dtype = args.dtype;
    options.codec = args.codec;
    options.mode = if args.overwrite { WriteMode::Overwrite } else { WriteMode::CreateNew };
    options.memory_bytes = Some(context.memory_bytes());
    options.device = context.asked_for_device()?;
    Ok(options)
}

impl FilterArgs {
    fn settings(&self, source: &Volume) -> Filter {
        match self {
            Self::Gaussian { sigma, boundary } => {
                Filter::Gaussian { sigma_zyx: *sigma, boundary: *boundary }
            }
            Self::Median { radius, boundary } => {
                Filter::Median { radius_zyx: *radius, boundary: *boundary }
            }
            Self::Clahe { tile, three, clip_limit, range } => {
                let mut options = ClaheOptions::default();
                options.tile_zyx = *tile;
                options.dimensions = if *three { Dimensions::Three } else { Dimensions::Two };
                options.clip_limit = *clip_limit;
                options.range = *range;
                Filter::Clahe(options)
            }
            Self::Normalize { method, percentiles: [low, high], range } => {
                let (low, high) = (*low, *high);
                Filter::Normalize(match (range, method) {
                    (Some([low, high]), _) => Normalization::Range { low: *low, high: *high },
                    (None, Method::MeanStd) => Normalization::MeanStd,
                    (None, Method::MinMax) => Normalization::MinMax,
                    (None, Method::Percentiles) => Normalization::Percentiles { low, high },
                })
            }
            Self::Sobel { gradient } => Filter::Sobel(*gradient),
            Self::Distance { voxel_size, squared, border } => {
                let mut options = DistanceOptions::default();
                let size = voxel_size.or(source.metadata().voxel_size);
                options.voxel_size_zyx = size.map_or([1.0; 3], |size| size.nm_zyx);
                options.kind =
                    if *squared { DistanceKind::Squared } else { DistanceKind::Euclidean };
                options.border = *border;
                Filter::Distance(options)
            }
        }
    }
}

/// What distances are counted in; none for other filters and for a voxel size of one's own.
fn unit(filter: &Filter, source: &Volume, args: &FilterArgs) -> Option<&'static str> {
    match (filter, args) {
        (Filter::Distance(_), FilterArgs::Distance { voxel_size: None, .. }) => {
            let known = source.metadata().voxel_size.is_some();
            Some(if known { "nm" } else { "voxel" })
        }
        _ => None,
    }
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Summary {
    input: String,
    output: String,
    filter: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<&'static str>,
    #[serde(flatten)]
    report: FilterReport,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (all, failed) = (self.report.channels.len(), self.report.failed().count());
        write!(f, "{}: {} of {all} channels, {}", self.output, all - failed, self.report.dtype)?;
        if let Some(unit) = self.unit {
            write!(f, ", in {unit}")?;
        }
        if let Some(peak) = self.report.peak_memory_bytes {
            write!(f, ", at most {} of memory", DecimalBytes(peak))?;
        }
        Ok(())
    }
}
