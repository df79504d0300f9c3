//! `exavox worker`: one shard of one stage, for arrays of tasks on a cluster.

use std::fmt;
use std::path::PathBuf;

use exavox_pipeline::blocks::StageReport;
use exavox_pipeline::job::shard_range;
use serde::Serialize;

use super::job::{StageLine, device, engine, open};
use crate::context::Context;
use crate::exit_status::ExitStatus;

/// Compute one shard of one stage of a job: what a task of a cluster's array runs.
///
/// Any number of workers may run at once, on any machines that share the job's folder; blocks that are done
/// are skipped. Asked to end (TERM) it finishes the block at hand.
///
/// Exit status 0: all blocks of the shard are done; 75: try again (TERM, disk, memory); 65: bad input, trying
/// again will not help; 64: wrong use.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder of the job.
    #[arg(long, value_name = "DIR")]
    job: PathBuf,
    /// The stage, as status names it.
    #[arg(long, value_name = "STAGE")]
    stage: String,
    /// Number of the shard, from 0.
    #[arg(long, value_name = "I")]
    shard: u64,
    /// Shards that the stage is cut into.
    #[arg(long, value_name = "N")]
    shards: u64,
}

/// Does the shard; says with the exit status how it went.
pub(crate) fn run(args: Args, context: &Context) -> anyhow::Result<ExitStatus> {
    match work(&args, context) {
        Ok(report) => {
            let status = status(&report);
            context.printer.summary(&Summary { report })?;
            Ok(status)
        }
        Err(error) => {
            let temporary = error
                .downcast_ref::<exavox_pipeline::Error>()
                .is_some_and(exavox_pipeline::Error::is_temporary);
            crate::failure::report(&error, &context.printer);
            Ok(if temporary { ExitStatus::TryAgain } else { ExitStatus::Permanent })
        }
    }
}

fn work(args: &Args, context: &Context) -> anyhow::Result<StageReport> {
    let job = open(&args.job)?;
    let stage = job.stage_by_name(&args.stage)?;
    let range = shard_range(job.stage_plan(stage).blocks, args.shard, args.shards)?;
    let (engine, device) = (engine(context)?, device(&job, context)?);
    Ok(job.run_stage(stage, range, &engine, &device, &context.observer)?)
}

/// A shard of which one block failed for good is not tried again: the others are done.
fn status(report: &StageReport) -> ExitStatus {
    match report {
        report if report.is_complete() => ExitStatus::Done,
        report if report.failures.iter().any(|failure| !failure.temporary) => ExitStatus::Permanent,
        _ => ExitStatus::TryAgain,
    }
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Summary {
    #[serde(flatten)]
    report: StageReport,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        StageLine(&self.report).fmt(f)
    }
}
