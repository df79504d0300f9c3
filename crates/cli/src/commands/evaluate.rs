//! `exavox evaluate`: a segmentation against a ground truth, or along skeletons.

use std::path::{Path, PathBuf};
use std::time::Instant;

use exavox_compute::metrics::ScoreOptions;
use exavox_io::staging::{Staged, WriteMode};
use exavox_io::{BoundingBox, Error as IoError, Volume, VoxelSize};
use exavox_pipeline::evaluate::skeletons::{SkeletonReport, evaluate_skeletons};
use exavox_pipeline::evaluate::{
    BorderDistance, EvaluateOptions, EvaluateReport, EvaluationPage, Judged, evaluate,
};

use crate::context::Context;
use crate::exit_status::ExitStatus;
use crate::values;

mod answer;
mod skeleton_args;

use answer::Answer;
use skeleton_args::SkeletonArgs;

/// Compare a segmentation with a ground truth, or judge it along skeletons.
///
/// Variation of information (bits), Rand errors and the challenges' scores; expected run length. Voxels
/// without ground truth (label 0) do not count; voxels that the segmentation leaves out (label 0) count as one
/// object, unless --foreground-only drops them. Channel 0 of each volume is taken. Formulas: docs/evaluation.md.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The segmentation.
    #[arg(value_name = "LABELS")]
    labels: String,
    /// The ground truth, of the same shape. May be left out with --skeletons.
    #[arg(value_name = "TRUTH", required_unless_present = "skeletons")]
    truth: Option<String>,
    /// Label of the ground truth whose voxels do not count, or 'none'.
    #[arg(long, value_name = "LABEL", default_value = "0", value_parser = ignored_label)]
    ignore_truth: IgnoredLabel,
    /// Drop voxels that the segmentation leaves out, too.
    #[arg(long)]
    foreground_only: bool,
    /// Voxels so near to a border between true labels in their section (y, x) do not count: 6.25 voxels, or
    /// 25nm.
    #[arg(long, value_name = "DISTANCE", requires = "truth")]
    ignore_border: Option<BorderDistance>,
    /// As the CREMI challenge: --ignore-border 25nm.
    #[arg(long, conflicts_with = "ignore_border", requires = "truth")]
    cremi: bool,
    /// Edge lengths of a voxel in nanometres, in place of those that the volumes say.
    #[arg(long, value_name = "Z,Y,X", value_parser = values::voxel_size)]
    voxel_size: Option<VoxelSize>,
    /// Part to compare: z0:z1,y0:y1,x0:x1 in voxels, half open.
    #[arg(long, value_name = "REGION")]
    roi: Option<BoundingBox>,
    /// Write what each true object is split into and each label merges, a line for each.
    #[arg(long, value_name = "FILE.csv", requires = "truth")]
    objects: Option<PathBuf>,
    /// Share of an object's voxels from which on a part of it counts as one.
    #[arg(long, value_name = "SHARE", default_value_t = 0.01)]
    min_share: f64,
    /// How many of the worst objects of each kind are named and pictured.
    #[arg(long, value_name = "N", default_value_t = 10)]
    worst: usize,
    /// Write a page with the figures and pictures of the worst objects.
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
    /// The image under the pictures of the page, of the same shape.
    #[arg(long, value_name = "VOLUME", requires_all = ["report", "truth"])]
    image: Option<String>,
    /// Replace files that exist.
    #[arg(long)]
    overwrite: bool,
    #[command(flatten)]
    skeletons: SkeletonArgs,
}

/// A label, or none.
#[derive(Debug, Clone, Copy)]
struct IgnoredLabel(Option<u64>);

fn ignored_label(text: &str) -> Result<IgnoredLabel, String> {
    if text == "none" {
        return Ok(IgnoredLabel(None));
    }
    let label = text.parse().map_err(|_| format!("expected a label or 'none', found '{text}'"))?;
    Ok(IgnoredLabel(Some(label)))
}

/// Prints the figures on stdout.
pub(crate) fn run(args: Args, context: &Context) -> anyhow::Result<ExitStatus> {
    let started = Instant::now();
    let labels = Volume::open(&args.labels)?;
    let truth = args.truth.as_deref().map(Volume::open).transpose()?;
    let image = args.image.as_deref().map(Volume::open).transpose()?;
    let (options, mode) = (args.options(), args.mode());
    args.check_files()?;
    // Files that are in the way are found before the work begins.
    let staged = |path: &Option<PathBuf>| -> anyhow::Result<Option<Staged>> {
        Ok(path.as_deref().map(|path| Staged::new(path, mode)).transpose()?)
    };
    let (page, table) = (staged(&args.report)?, staged(&args.skeletons.skeleton_table)?);
    let compared: Option<EvaluateReport> = match &truth {
        Some(truth) => Some(evaluate(&labels, truth, &options, &context.observer)?),
        None => None,
    };
    let along: Option<SkeletonReport> = match args.skeletons.options(args.voxel_size, args.roi) {
        Some(options) => Some(evaluate_skeletons(&labels, &options, &context.observer)?),
        None => None,
    };
    if let (Some(staged), Some(path), Some(along)) = (table, &args.skeletons.skeleton_table, &along)
    {
        write(staged, path, &along.table()?)?;
    }
    if let (Some(staged), Some(path)) = (page, &args.report) {
        let judged = truth.as_ref().zip(compared.as_ref());
        let judged = judged.map(|(truth, report)| {
            let (image, options) = (image.as_ref(), &options);
            Judged { truth, image, options, report }
        });
        let page = EvaluationPage { labels: &labels, judged, skeletons: along.as_ref() };
        write(staged, path, page.render(&context.observer)?.as_bytes())?;
    }
    let seconds = started.elapsed().as_secs_f64();
    context.printer.answer(&Answer { compared, along, seconds })?;
    Ok(ExitStatus::Done)
}

impl Args {
    /// Each result has a file of its own.
    fn check_files(&self) -> anyhow::Result<()> {
        let files = [&self.report, &self.objects, &self.skeletons.skeleton_table];
        let named: Vec<&PathBuf> = files.into_iter().flatten().collect();
        for (n, path) in named.iter().enumerate() {
            anyhow::ensure!(
                !named[..n].contains(path),
                "{}: expected another file for each result",
                path.display()
            );
        }
        Ok(())
    }

    fn mode(&self) -> WriteMode {
        if self.overwrite { WriteMode::Overwrite } else { WriteMode::CreateNew }
    }

    fn options(&self) -> EvaluateOptions {
        EvaluateOptions {
            scores: ScoreOptions::default()
                .with_ignore_truth(self.ignore_truth.0)
                .with_foreground_only(self.foreground_only),
            roi: self.roi,
            ignore_border: self.ignore_border.or(self.cremi.then_some(BorderDistance::CREMI)),
            voxel_size: self.voxel_size,
            min_share: self.min_share,
            worst: self.worst,
            objects: self.objects.clone(),
            mode: self.mode(),
        }
    }
}

fn write(staged: Staged, path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    std::fs::write(staged.path(), bytes).map_err(IoError::at(path))?;
    Ok(staged.commit()?)
}
