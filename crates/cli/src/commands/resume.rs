//! `exavox resume`: what is left of a job.

use std::path::PathBuf;

use super::job::{open, run_all};
use crate::context::Context;
use crate::exit_status::ExitStatus;

/// Go on with a job: compute the blocks that are missing, those that failed among them.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder of the job.
    #[arg(value_name = "JOB")]
    job: PathBuf,
}

/// Does what is left.
pub(crate) fn run(args: Args, context: &Context) -> anyhow::Result<ExitStatus> {
    run_all(&open(&args.job)?, context)
}
