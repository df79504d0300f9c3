//! `exavox run`: a plan, from its first block to its last.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use exavox_pipeline::job::{Job, Plan};

use super::job::{enter, run_all};
use crate::context::Context;
use crate::exit_status::ExitStatus;

/// Run a plan: steps over volumes larger than memory, block by block.
///
/// Names in PLAN.toml are relative to its folder. What is done is noted in the folder of the job (--job):
/// killed anywhere and run again, it goes on where it was. Another plan, or inputs that have changed, are
/// refused with what differs. Blocks that fail are named and do not stop the others; exit status 1 says so,
/// and running again tries only them. Plans to start from are in the folder examples.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What to make.
    #[arg(value_name = "PLAN.toml")]
    plan: PathBuf,
    /// Folder of the job [default: PLAN.job beside the plan].
    #[arg(long, value_name = "DIR")]
    job: Option<PathBuf>,
}

/// Makes or opens the job, and does what is left of it.
pub(crate) fn run(args: Args, context: &Context) -> anyhow::Result<ExitStatus> {
    let (plan, folder) = planned(&args.plan, args.job.as_deref())?;
    run_all(&Job::create(&folder, &plan)?, context)
}

/// A plan and the folder of its job; the plan's folder becomes the working directory.
pub(crate) fn planned(plan: &Path, folder: Option<&Path>) -> anyhow::Result<(Plan, PathBuf)> {
    let absolute =
        |path: &Path| std::path::absolute(path).with_context(|| path.display().to_string());
    let path = absolute(plan)?;
    let folder = absolute(folder.unwrap_or(&path.with_extension("job")))?;
    let plan = Plan::open(&path)?;
    enter(path.parent().unwrap_or(Path::new("/")))?;
    Ok((plan, folder))
}
