//! `exavox agglomerate`: consensus, decision points, and merging of segments.

use std::path::PathBuf;

use exavox_io::Volume;
use exavox_pipeline::Error;
use exavox_pipeline::agglomerate::{
    ConsensusOptions, EndpointRun, PointOptions, agglomerate, agglomerate_image, consensus,
    extend_endpoints, find_points, read_endpoints, write_points,
};

mod answers;
mod common_args;
mod pair_args;

use self::answers::{ConsensusSummary, EndpointSummary, MergeSummary, PointsSummary, WholeSummary};
use self::common_args::{MergingArgs, NetworkArgs, mode};
use self::pair_args::PointArgs;
use crate::context::Context;
use crate::exit_status::ExitStatus;
use crate::failure::Hint;

const EXAMPLES: &str = "\
Examples:
  exavox agglomerate all raw.zarr objects.zarr --model model.ckpt-27465036
  exavox agglomerate consensus forward.zarr reverse.zarr consensus.zarr --split-min-size 1000
  exavox agglomerate points consensus.zarr points.csv --max-distance 40
  exavox agglomerate merge consensus.zarr raw.zarr objects.zarr --config network.toml
  exavox agglomerate merge crop.zarr raw.zarr objects.zarr --roi 60:188,60:188,60:188 \\
      --model model.ckpt-27465036 --min-iou 0.7
  exavox agglomerate endpoints objects.zarr raw.zarr ends.csv extended.csv --config network.toml";

/// Put segments of one object together: consensus, decision points, resegmentation, merging.
///
/// `all` goes from an image to objects in one command; `merge` from labels, whatever made them, to objects;
/// `consensus` and `points` are two of the steps by themselves; `endpoints` follows single segments beyond their
/// ends. docs/agglomeration.md has the rules.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    step: Step,
}

#[derive(Debug, clap::Subcommand)]
// One value lives per run: its size does not matter.
#[allow(clippy::large_enum_variant)]
enum Step {
    Consensus(ConsensusArgs),
    Points(PointsArgs),
    Merge(MergeArgs),
    All(AllArgs),
    Endpoints(EndpointsArgs),
}

/// Keep together what two segmentations of the same volume have together.
///
/// Each pair of labels (a, b) becomes a label: the largest part of a keeps a's, others get new ones, parts
/// below --split-min-size become background.
#[derive(Debug, clap::Args)]
struct ConsensusArgs {
    /// The first segmentation; it gives the labels.
    #[arg(value_name = "A")]
    a: String,
    /// The second, of the same shape.
    #[arg(value_name = "B")]
    b: String,
    /// The labels to write.
    #[arg(value_name = "OUT")]
    target: String,
    /// Parts of fewer voxels become background.
    #[arg(long, value_name = "VOXELS", default_value_t = 1000)]
    split_min_size: u64,
    /// Replace a result that exists, once the new one is whole.
    #[arg(long)]
    overwrite: bool,
}

/// Find the points at which segments are close: a table with a line for each pair.
#[derive(Debug, clap::Args)]
struct PointsArgs {
    /// The labels.
    #[arg(value_name = "LABELS")]
    labels: String,
    /// The table to write: CSV, or Parquet if it ends in .parquet.
    #[arg(value_name = "POINTS.csv")]
    target: PathBuf,
    #[command(flatten)]
    points: PointArgs,
}

/// Merge segments that a network takes for one object.
///
/// Writes OUT, and beside it STEM.pairs.csv or .parquet (the merge graph: scores and result of each pair),
/// STEM.equivalences.csv (labels that became another) and STEM.report.html. Pairs that are done are kept in
/// a folder .OUT.agglomerate: a run that was killed goes on when it is started again.
#[derive(Debug, clap::Args)]
struct MergeArgs {
    /// The labels.
    #[arg(value_name = "LABELS")]
    labels: String,
    /// The image they were made of; with --roi the labels show that part of it.
    #[arg(value_name = "IMAGE")]
    image: String,
    /// The labels to write.
    #[arg(value_name = "OUT")]
    target: String,
    #[command(flatten)]
    common: MergingArgs,
}

/// Segment an image twice, take the consensus, and merge: from an image to objects.
///
/// The second segmentation starts from the origins of the first one in reverse order. All stages are kept
/// in a folder .OUT.agglomerate until OUT is written: a run that was killed goes on when it is started
/// again. For images that do not fit into memory: `segment` twice, `consensus`, `merge`.
#[derive(Debug, clap::Args)]
struct AllArgs {
    /// The image.
    #[arg(value_name = "IMAGE")]
    image: String,
    /// The labels to write.
    #[arg(value_name = "OUT")]
    target: String,
    /// Parts of the consensus of fewer voxels become background [default: 1000].
    #[arg(long, value_name = "VOXELS")]
    split_min_size: Option<u64>,
    #[command(flatten)]
    common: MergingArgs,
}

/// Follow single segments beyond their ends: what do they become without any other?
///
/// Around each point everything is removed, and the network floods from the segment alone. Writes a line for each
/// point: the share of the segment that comes back, growth beyond it, and the segments that the run covers; these
/// also one by one in STEM.covered.csv. Labels stay as they are. A run that was killed goes on when it is
/// started again.
#[derive(Debug, clap::Args)]
struct EndpointsArgs {
    /// The labels.
    #[arg(value_name = "LABELS")]
    labels: String,
    /// The image they were made of; with --roi the labels show that part of it.
    #[arg(value_name = "IMAGE")]
    image: String,
    /// Segments and points: columns id_a (or id), z, y, x in voxels of the labels; id_b is 0, empty, or not there.
    /// CSV, or Parquet if it ends in .parquet.
    #[arg(value_name = "POINTS.csv")]
    points: PathBuf,
    /// The table to write: CSV, or Parquet if it ends in .parquet.
    #[arg(value_name = "OUT.csv")]
    target: PathBuf,
    #[command(flatten)]
    network: NetworkArgs,
}

/// Does the step that was asked for.
pub(crate) fn run(args: Args, context: &Context) -> anyhow::Result<ExitStatus> {
    match args.step {
        Step::Consensus(args) => run_consensus(&args, context)?,
        Step::Points(args) => run_points(&args, context)?,
        Step::Merge(args) => run_merge(&args, context)?,
        Step::All(args) => run_all(&args, context)?,
        Step::Endpoints(args) => run_endpoints(&args, context)?,
    }
    Ok(ExitStatus::Done)
}

fn run_consensus(args: &ConsensusArgs, context: &Context) -> anyhow::Result<()> {
    let (a, b) = (Volume::open(&args.a)?, Volume::open(&args.b)?);
    let mut options = ConsensusOptions::default();
    options.split_min_size = args.split_min_size;
    options.memory_bytes = context.block_bytes();
    options.mode = mode(args.overwrite);
    let report = consensus(&a, &b, &args.target, &options, &context.observer)?;
    context.printer.summary(&ConsensusSummary(report))
}

fn run_points(args: &PointsArgs, context: &Context) -> anyhow::Result<()> {
    let labels = Volume::open(&args.labels)?;
    let mut options = PointOptions::default();
    options.max_distance = args.points.max_distance;
    options.min_voxels = args.points.min_voxels.unwrap_or(options.min_voxels);
    options.memory_bytes = Some(context.memory_bytes() / 2);
    let points = find_points(&labels, None, &options, &context.observer)?;
    write_points(&args.target, &points)?;
    context.printer.summary(&PointsSummary::new(&args.target, points))
}

fn run_merge(args: &MergeArgs, context: &Context) -> anyhow::Result<()> {
    let settings = args.common.settings()?;
    let labels = Volume::open(&args.labels)?;
    let image = args.common.open_image(&args.image)?;
    let run = args.common.run(&args.target, context)?;
    let report =
        agglomerate(&labels, &image, &settings, &run, &context.observer).map_err(hinted)?;
    context.printer.summary(&MergeSummary(report))
}

fn run_all(args: &AllArgs, context: &Context) -> anyhow::Result<()> {
    let mut settings = args.common.settings()?;
    settings.split_min_size = args.split_min_size.unwrap_or(settings.split_min_size);
    let image = args.common.open_image(&args.image)?;
    let run = args.common.run(&args.target, context)?;
    let report = agglomerate_image(&image, &settings, &run, &context.observer).map_err(hinted)?;
    context.printer.summary(&WholeSummary(report))
}

fn run_endpoints(args: &EndpointsArgs, context: &Context) -> anyhow::Result<()> {
    let settings = args.network.settings()?;
    let endpoints = read_endpoints(&args.points)?;
    let labels = Volume::open(&args.labels)?;
    let image = args.network.open_image(&args.image)?;
    let device = context.open_device()?;
    let run = EndpointRun { target: args.target.clone(), mode: args.network.mode(), device };
    let observer = &context.observer;
    let report =
        extend_endpoints(&labels, &image, &endpoints, &settings, &run, observer).map_err(hinted)?;
    context.printer.summary(&EndpointSummary(report))
}

/// How to get rid of what an earlier run has left, where that is in the way.
fn hinted(error: Error) -> anyhow::Error {
    let is_other_plan = matches!(error, Error::PlanChanged { .. });
    let error = anyhow::Error::new(error);
    if is_other_plan {
        return error
            .context(Hint("remove that folder to begin again, or give the settings of before"));
    }
    error
}
