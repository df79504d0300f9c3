//! `exavox agglomerate`: consensus, decision points, and merging of segments.

use std::fmt;
use std::path::PathBuf;

use anyhow::bail;
use exavox_io::volume::WriteMode;
use exavox_io::{BoundingBox, OpenOptions, Volume};
use exavox_pipeline::agglomerate::{
    AgglomerateReport, AgglomerateRun, AgglomerateSettings, ConsensusOptions, ConsensusReport,
    PointOptions, WholeReport, agglomerate, agglomerate_image, consensus, find_points,
    write_points,
};
use exavox_pipeline::segment::SegmentSettings;
use serde::Serialize;

mod pair_args;

use self::pair_args::{PairArgs, PointArgs};
use super::segment::Flags;
use crate::context::Context;
use crate::exit_status::ExitStatus;

const EXAMPLES: &str = "\
Examples:
  exavox agglomerate all raw.zarr objects.zarr --model model.ckpt-27465036
  exavox agglomerate consensus forward.zarr reverse.zarr consensus.zarr --split-min-size 1000
  exavox agglomerate points consensus.zarr points.csv --max-distance 40
  exavox agglomerate merge consensus.zarr raw.zarr objects.zarr --config network.toml
  exavox agglomerate merge crop.zarr raw.zarr objects.zarr --roi 60:188,60:188,60:188 \\
      --model model.ckpt-27465036 --min-iou 0.7";

/// Put segments of one object together: consensus, decision points, resegmentation, merging.
///
/// `all` goes from an image to objects in one command; `merge` from labels, whatever made them, to objects;
/// `consensus` and `points` are two of the steps by themselves. docs/agglomeration.md has the rules.
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
    /// The table to write.
    #[arg(value_name = "POINTS.csv")]
    target: PathBuf,
    #[command(flatten)]
    points: PointArgs,
}

/// Merge segments that a network takes for one object.
///
/// Writes OUT, and beside it STEM.pairs.csv (the merge graph: scores and result of each pair),
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
    common: CommonArgs,
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
    common: CommonArgs,
}

/// What `merge` and `all` share.
#[derive(Debug, clap::Args)]
struct CommonArgs {
    /// Trained weights: prefix of a TensorFlow checkpoint, or a .safetensors file.
    #[arg(long, value_name = "CHECKPOINT")]
    model: Option<PathBuf>,
    /// Settings in TOML: tables model, inference, seeds, masks, agglomerate.
    #[arg(long, value_name = "FILE.toml")]
    config: Option<PathBuf>,
    /// Part of the image: z0:z1,y0:y1,x0:x1 in voxels, half open; an end may be left out.
    #[arg(long, value_name = "REGION")]
    roi: Option<BoundingBox>,
    /// Replace results that exist, once the new ones are whole.
    #[arg(long)]
    overwrite: bool,
    /// Keep the folder of work: another run with other thresholds of the rule then segments nothing again.
    #[arg(long)]
    keep_work: bool,
    #[command(flatten)]
    pairs: PairArgs,
    #[command(flatten)]
    flags: Flags,
}

/// Does the step that was asked for.
pub(crate) fn run(args: Args, context: &Context) -> anyhow::Result<ExitStatus> {
    match args.step {
        Step::Consensus(args) => run_consensus(&args, context)?,
        Step::Points(args) => run_points(&args, context)?,
        Step::Merge(args) => run_merge(&args, context)?,
        Step::All(args) => run_all(&args, context)?,
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
    args.points.apply(&mut options);
    options.memory_bytes = Some(context.memory_bytes() / 2);
    let points = find_points(&labels, None, &options, &context.observer)?;
    write_points(&args.target, &points.points)?;
    let summary = PointsSummary {
        target: args.target.display().to_string(),
        pairs: points.pairs,
        labels: points.labels,
        large_labels: points.large_labels,
        max_distance: points.max_distance,
        voxel_size_zyx: points.voxel_size_zyx,
        blocks: points.blocks,
        seconds: points.seconds,
    };
    context.printer.summary(&summary)
}

fn run_merge(args: &MergeArgs, context: &Context) -> anyhow::Result<()> {
    let settings = args.common.settings()?;
    let labels = Volume::open(&args.labels)?;
    let image = args.common.open_image(&args.image)?;
    let run = args.common.run(&args.target, context)?;
    let report = agglomerate(&labels, &image, &settings, &run, &context.observer)?;
    context.printer.summary(&MergeSummary(report))
}

fn run_all(args: &AllArgs, context: &Context) -> anyhow::Result<()> {
    let mut settings = args.common.settings()?;
    settings.split_min_size = args.split_min_size.unwrap_or(settings.split_min_size);
    let image = args.common.open_image(&args.image)?;
    let run = args.common.run(&args.target, context)?;
    let report = agglomerate_image(&image, &settings, &run, &context.observer)?;
    context.printer.summary(&WholeSummary(report))
}

fn mode(overwrite: bool) -> WriteMode {
    if overwrite { WriteMode::Overwrite } else { WriteMode::CreateNew }
}

impl CommonArgs {
    fn settings(&self) -> anyhow::Result<AgglomerateSettings> {
        let mut settings = match &self.config {
            Some(path) => AgglomerateSettings::from_toml(path)?,
            None => AgglomerateSettings::new(SegmentSettings::new("")),
        };
        self.flags.apply(&mut settings.segment);
        self.pairs.apply(&mut settings);
        if let Some(model) = &self.model {
            settings.segment.checkpoint.clone_from(model);
        }
        settings.segment.roi = self.roi;
        if settings.segment.checkpoint.as_os_str().is_empty() {
            bail!("no checkpoint is given; expected --model, or one in --config");
        }
        Ok(settings)
    }

    fn open_image(&self, name: &str) -> anyhow::Result<Volume> {
        let options = OpenOptions::default().with_scale(self.flags.scale);
        Ok(Volume::open_with(name, &options)?)
    }

    fn run(&self, target: &str, context: &Context) -> anyhow::Result<AgglomerateRun> {
        Ok(AgglomerateRun {
            target: target.to_owned(),
            mode: mode(self.overwrite),
            device: context.open_device()?,
            memory_bytes: context.memory_bytes(),
            keep_work: self.keep_work,
        })
    }
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct ConsensusSummary(ConsensusReport);

impl fmt::Display for ConsensusSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(r) = self;
        let (a, b) = (r.labels_a, r.labels_b);
        writeln!(f, "{a} labels and {b} labels: {} in the consensus, {} split", r.labels, r.split)?;
        writeln!(f, "{} parts of {} voxels were too small", r.dropped_parts, r.dropped_voxels)?;
        write!(f, "labels: {}", r.target)
    }
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct PointsSummary {
    target: String,
    pairs: u64,
    labels: u64,
    large_labels: u64,
    max_distance: f64,
    voxel_size_zyx: [f64; 3],
    blocks: u64,
    seconds: f64,
}

impl fmt::Display for PointsSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (pairs, labels, distance) = (self.pairs, self.large_labels, self.max_distance);
        writeln!(
            f,
            "{pairs} pairs of {labels} labels within {distance} of the point between them"
        )?;
        write!(f, "table: {}", self.target)
    }
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct MergeSummary(AgglomerateReport);

impl fmt::Display for MergeSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(r) = self;
        let (before, after) = (r.labels, r.agglomerated_labels);
        writeln!(
            f,
            "{before} labels became {after}: {} of {} pairs merged",
            r.merged_pairs, r.pairs
        )?;
        for (reason, pairs) in &r.refused_pairs {
            writeln!(f, "  {pairs} not: {reason}")?;
        }
        writeln!(f, "{} steps, {:.1} s on {}", r.fov_steps, r.seconds, r.device)?;
        writeln!(f, "labels:       {}", r.target)?;
        writeln!(f, "pairs:        {}", r.pairs_table.display())?;
        writeln!(f, "equivalences: {}", r.equivalences.display())?;
        write!(f, "report:       {}", r.report.display())
    }
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct WholeSummary(WholeReport);

impl fmt::Display for WholeSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(r) = self;
        writeln!(f, "{} segments, {} from reversed seeds", r.forward_segments, r.reverse_segments)?;
        MergeSummary(r.agglomerated.clone()).fmt(f)
    }
}
