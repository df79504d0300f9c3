//! `exavox worker`: one shard of one stage, for arrays of tasks on a cluster.

use std::fmt;
use std::path::PathBuf;

use exavox_pipeline::blocks::StageReport;
use exavox_pipeline::engines::array_task;
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
/// Without --shard it takes the index that the array of Slurm, Kubernetes (Indexed Job), AWS Batch, LSF, SGE or
/// PBS gives it; arrays of LSF and SGE begin at 1. Only Slurm's was tried on a cluster.
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
    /// Number of the shard, from 0 [default: the index in the array].
    #[arg(long, value_name = "I", conflicts_with = "offset")]
    shard: Option<u64>,
    /// Shards that the stage is cut into.
    #[arg(long, value_name = "N")]
    shards: u64,
    /// Added to the index in the array, where a stage has more shards than an array may have tasks.
    #[arg(long, value_name = "N", default_value_t = 0, allow_hyphen_values = true)]
    offset: i64,
}

impl Args {
    /// The shard of this process.
    fn shard(&self) -> anyhow::Result<u64> {
        if let Some(shard) = self.shard {
            anyhow::ensure!(
                shard < self.shards,
                "--shard {shard}: expected less than {}",
                self.shards
            );
            return Ok(shard);
        }
        match array_task(|name| std::env::var(name).ok())? {
            Some(task) => Ok(task.shard(self.offset, self.shards)?),
            None => anyhow::bail!("--shard: is needed outside of an array of tasks"),
        }
    }
}

/// Does the shard; says with the exit status how it went.
pub(crate) fn run(args: Args, context: &Context) -> anyhow::Result<ExitStatus> {
    let shard = match args.shard() {
        Ok(shard) => shard,
        Err(error) => {
            crate::failure::report(&error, &context.printer);
            return Ok(ExitStatus::WrongUse);
        }
    };
    match work(&args, shard, context) {
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

fn work(args: &Args, shard: u64, context: &Context) -> anyhow::Result<StageReport> {
    let job = open(&args.job)?;
    let stage = job.stage_by_name(&args.stage)?;
    let range = shard_range(job.stage_plan(stage).blocks, shard, args.shards)?;
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
