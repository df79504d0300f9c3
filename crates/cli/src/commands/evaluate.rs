//! `exavox evaluate`: a segmentation against a ground truth.

use std::fmt;

use exavox_compute::metrics::ScoreOptions;
use exavox_io::{BoundingBox, Volume};
use exavox_pipeline::evaluate::{EvaluateOptions, EvaluateReport, evaluate};
use serde::Serialize;

use crate::context::Context;
use crate::exit_status::ExitStatus;

/// Compare a segmentation with a ground truth: variation of information (bits) and Rand error.
///
/// Voxels without ground truth (label 0) do not count; voxels that the segmentation leaves out
/// (label 0) count as one object, unless --foreground-only drops them.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The segmentation.
    #[arg(value_name = "LABELS")]
    labels: String,
    /// The ground truth, of the same shape.
    #[arg(value_name = "TRUTH")]
    truth: String,
    /// Label of the ground truth whose voxels do not count, or 'none'.
    #[arg(long, value_name = "LABEL", default_value = "0", value_parser = ignored_label)]
    ignore_truth: IgnoredLabel,
    /// Drop voxels that the segmentation leaves out, too.
    #[arg(long)]
    foreground_only: bool,
    /// Part to compare: z0:z1,y0:y1,x0:x1 in voxels, half open.
    #[arg(long, value_name = "REGION")]
    roi: Option<BoundingBox>,
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
    let (labels, truth) = (Volume::open(&args.labels)?, Volume::open(&args.truth)?);
    let scores = ScoreOptions::default()
        .with_ignore_truth(args.ignore_truth.0)
        .with_foreground_only(args.foreground_only);
    let options = EvaluateOptions { scores, roi: args.roi };
    let report = evaluate(&labels, &truth, &options, &context.observer)?;
    context.printer.answer(&Answer(report))?;
    Ok(ExitStatus::Done)
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Answer(EvaluateReport);

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(r) = self;
        writeln!(f, "VOI split           {:.4} bits", r.voi_split)?;
        writeln!(f, "VOI merge           {:.4} bits", r.voi_merge)?;
        writeln!(f, "adapted Rand error  {:.4}", r.adapted_rand_error)?;
        writeln!(f, "Rand split          {:.4}", r.rand_split)?;
        writeln!(f, "Rand merge          {:.4}", r.rand_merge)?;
        if let Some(error) = r.snemi_adapted_rand_error {
            writeln!(f, "SNEMI Rand error    {error:.4}")?;
        }
        write!(f, "{} voxels, {} labels, {} true labels", r.voxels, r.labels, r.truth_labels)
    }
}
