//! `exavox plan PLAN.toml`: what a job over volumes that are there will take, from a sample of its blocks
//! if that is asked for.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use exavox_pipeline::estimate::{
    Distribution, Estimate, ScalingRow, ScalingTable, chart, compare_nodes, estimate,
};
use exavox_pipeline::job::{Job, Measured};
use serde::Serialize;

use super::Args;
use crate::commands::{job, run::planned};
use crate::context::Context;
use crate::exit_status::ExitStatus;

/// A plan that is to be run.
#[derive(Debug, clap::Args)]
pub(super) struct FileArgs {
    /// A plan, as `exavox run` takes it, in place of --shape.
    #[arg(value_name = "PLAN.toml", conflicts_with = "shape")]
    pub(super) plan: Option<PathBuf>,
    /// Compute so many blocks of the first stage that is not complete and reckon with their times; they
    /// count as done.
    #[arg(long, value_name = "N", requires = "plan")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    measure: Option<u64>,
    /// Folder of the job for --measure [default: PLAN.job beside the plan].
    #[arg(long, value_name = "DIR", requires = "measure")]
    job: Option<PathBuf>,
}

/// Estimates, and prints the table.
pub(super) fn run(plan: &Path, args: &Args, context: &Context) -> anyhow::Result<ExitStatus> {
    // Names on the command line are relative to where it was typed, not to the plan.
    let svg = args.output.svg.as_ref().map(std::path::absolute).transpose()?;
    let title = plan.display().to_string();
    let (plan, folder) = planned(plan, args.file.job.as_deref())?;
    let (job, measured) = match args.file.measure {
        None => (Job::preview(&folder, &plan)?, None),
        Some(count) => {
            let job = Job::create(&folder, &plan)?;
            let device = job::device(&job, context)?;
            let memory = context.memory_bytes();
            let measured = job.measure(count, &device, memory, &context.observer)?;
            (job, measured)
        }
    };
    let (cluster, seed) = (args.cluster.model(context), args.output.seed);
    let stages = job.models(measured.as_ref(), args.volume.flops());
    let estimate = estimate(&stages, &cluster, seed)?;
    let scaling = compare_nodes(&stages, &cluster, &args.output.compare_nodes, seed)?;
    let summary =
        Summary { sample: measured.map(|m| Sample::new(&job, m)), plan: title, estimate, scaling };
    if let Some(path) = svg {
        let picture = chart(&summary.plan, &summary.estimate, &summary.scaling);
        std::fs::write(&path, picture).with_context(|| path.display().to_string())?;
    }
    context.printer.answer(&summary)?;
    Ok(ExitStatus::Done)
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Summary {
    plan: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    sample: Option<Sample>,
    estimate: Estimate,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    scaling: Vec<ScalingRow>,
}

/// The blocks that were measured.
#[derive(Debug, Serialize)]
struct Sample {
    stage: String,
    blocks: usize,
    mean_seconds: f64,
    deviation_seconds: f64,
}

impl Sample {
    fn new(job: &Job, measured: Measured) -> Self {
        let (stage, blocks) = (job.stage_name(measured.stage), measured.seconds.len());
        let times = Distribution::Samples(measured.seconds);
        let (mean_seconds, deviation_seconds) = (times.mean_seconds(), times.deviation_seconds());
        Self { stage, blocks, mean_seconds, deviation_seconds }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.plan)?;
        write!(f, "{}", self.estimate)?;
        match &self.sample {
            Some(Sample { stage, blocks, mean_seconds, deviation_seconds }) => writeln!(
                f,
                "measured: {blocks} blocks of {stage} on one thread, {mean_seconds:.3} s each, \
                 deviation {deviation_seconds:.3} s"
            )?,
            None => writeln!(f, "assumed: nothing was measured; --measure N computes a sample")?,
        }
        writeln!(f, "assumed: what was not measured takes as long as its bytes at 0.2 GB/s")?;
        if self.scaling.is_empty() {
            return Ok(());
        }
        write!(f, "\n{}", ScalingTable(&self.scaling))
    }
}
