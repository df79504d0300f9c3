//! `exavox status`: how far a job is.

use std::fmt;
use std::path::PathBuf;

use exavox_pipeline::job::{Job, StageStatus};
use indicatif::HumanCount;
use serde::Serialize;

use super::job::{Failures, open};
use crate::context::Context;
use crate::exit_status::ExitStatus;

/// Show what is done of a job, what is left, and which blocks failed.
///
/// Asks the ledger, which only lists what is not yet whole: a million blocks take less than a second.
/// Exit status 0 if the job (or --stage) is complete, 1 if not.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder of the job.
    #[arg(value_name = "JOB")]
    job: PathBuf,
    /// One stage only.
    #[arg(long, value_name = "STAGE")]
    stage: Option<String>,
}

/// Prints a line for each stage.
pub(crate) fn run(args: Args, context: &Context) -> anyhow::Result<ExitStatus> {
    let job = open(&args.job)?;
    let stages = match &args.stage {
        Some(name) => vec![job.stage_status(job.stage_by_name(name)?)?],
        None => job.status()?,
    };
    let complete = stages.iter().all(StageStatus::is_complete);
    context.printer.answer(&Answer { complete, stages, job: &job })?;
    Ok(if complete { ExitStatus::Done } else { ExitStatus::Incomplete })
}

/// What `--json` prints.
#[derive(Serialize)]
struct Answer<'a> {
    complete: bool,
    stages: Vec<StageStatus>,
    #[serde(skip)]
    job: &'a Job,
}

impl fmt::Display for Answer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for status in &self.stages {
            let (done, blocks) = (HumanCount(status.count.done), HumanCount(status.count.blocks));
            write!(f, "{:<16} {done} of {blocks} blocks", status.stage)?;
            if status.count.unstable > 0 {
                write!(f, "; {} gave another output when done again", status.count.unstable)?;
            }
            writeln!(f, "{}", Failures(&status.failures, status.failures.len() as u64))?;
        }
        match self.complete {
            true => write!(f, "complete"),
            false => {
                write!(f, "not complete; go on with: exavox resume {}", self.job.folder().display())
            }
        }
    }
}
