//! `exavox resume`: what is left of a job.

use std::path::PathBuf;

use super::job::{open, run_all};
use super::submit::{self, ClusterArgs, Engine};
use crate::context::Context;
use crate::exit_status::ExitStatus;

/// Go on with a job: compute the blocks that are missing, those that failed among them.
///
/// With --engine they are not computed here but submitted, with the settings of the last submission.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder of the job.
    #[arg(value_name = "JOB")]
    job: PathBuf,
    /// Submit what is left to slurm or kubernetes.
    #[arg(long, value_name = "ENGINE")]
    engine: Option<Engine>,
    #[command(flatten)]
    cluster: ClusterArgs,
}

/// Does what is left.
pub(crate) fn run(args: Args, context: &Context) -> anyhow::Result<ExitStatus> {
    let job = open(&args.job)?;
    match args.engine {
        Some(engine) => submit::resume(&job, engine, &args.cluster, context),
        None => run_all(&job, context),
    }
}
