//! `exavox submit`: a job for a cluster.

use std::num::NonZeroU64;
use std::path::PathBuf;

use clap::ValueEnum;
use exavox_pipeline::engines::{Chain, Deal, kept_settings};
use exavox_pipeline::job::{Job, Plan};

use super::run::planned;
use crate::context::Context;
use crate::exit_status::ExitStatus;

mod kubernetes;
mod slurm;

/// Run a plan on a cluster: hand its stages to Slurm, or write manifests for Kubernetes.
///
/// Each stage becomes an array of tasks, each of which computes a shard of many blocks with exavox worker.
/// With Slurm a gate follows each stage: it asks the ledger, and only if all blocks are done the next stage
/// begins. What is lost with a node is started again; what fails for good stops the chain, and resume
/// --engine slurm submits what is left. The plan needs 'synced = true', and a folder that all nodes see.
/// Partition, memory and the like come from its table [slurm] or [kubernetes].
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What to make.
    #[arg(value_name = "PLAN.toml")]
    plan: PathBuf,
    /// Folder of the job [default: PLAN.job beside the plan].
    #[arg(long, value_name = "DIR")]
    job: Option<PathBuf>,
    /// The cluster's engine. Manifests for Kubernetes were not tried on a cluster.
    #[arg(long, value_name = "ENGINE")]
    engine: Engine,
    #[command(flatten)]
    cluster: ClusterArgs,
}

/// Engines that jobs are submitted to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Engine {
    Slurm,
    Kubernetes,
}

/// What every submission takes.
#[derive(Debug, clap::Args)]
pub(crate) struct ClusterArgs {
    /// Print what would be submitted, and submit nothing.
    #[arg(long, requires = "engine")]
    dry_run: bool,
    /// Tasks that run at once [default: the plan's, or 20].
    #[arg(long, value_name = "N", requires = "engine")]
    slots: Option<NonZeroU64>,
    /// Shards of a stage for each of them [default: the plan's, or 12].
    #[arg(long, value_name = "N", requires = "engine")]
    shards_per_slot: Option<NonZeroU64>,
    /// One more option for all calls of sbatch, as --sbatch=--qos=low; may be given several times.
    #[arg(long, value_name = "OPTION", allow_hyphen_values = true, requires = "engine")]
    sbatch: Vec<String>,
}

impl ClusterArgs {
    /// Puts flags in the place of settings.
    fn apply(&self, slots: &mut u64, shards_per_slot: &mut u64) {
        *slots = self.slots.map_or(*slots, NonZeroU64::get);
        *shards_per_slot = self.shards_per_slot.map_or(*shards_per_slot, NonZeroU64::get);
    }
}

/// Makes or opens the job, and submits what is left of it.
pub(crate) fn run(args: Args, context: &Context) -> anyhow::Result<ExitStatus> {
    let (plan, folder) = planned(&args.plan, args.job.as_deref())?;
    check_synced(&plan, &args.plan.display().to_string())?;
    let job = if args.cluster.dry_run {
        Job::preview(&folder, &plan)?
    } else {
        Job::create(&folder, &plan)?
    };
    match args.engine {
        Engine::Slurm => slurm::submit(&job, plan.slurm, &args.cluster, context),
        Engine::Kubernetes => kubernetes::submit(&job, plan.kubernetes, &args.cluster, context),
    }
}

/// Submits what is left of a job that was submitted before, with the settings of that time.
pub(crate) fn resume(
    job: &Job,
    engine: Engine,
    args: &ClusterArgs,
    context: &Context,
) -> anyhow::Result<ExitStatus> {
    check_synced(job.plan(), &job.folder().display().to_string())?;
    match engine {
        Engine::Slurm => {
            let settings = kept_settings(job.folder(), slurm::NAME)?.unwrap_or_default();
            slurm::submit(job, settings, args, context)
        }
        Engine::Kubernetes => {
            let settings = kept_settings(job.folder(), kubernetes::NAME)?.unwrap_or_default();
            kubernetes::submit(job, settings, args, context)
        }
    }
}

/// A node that loses power takes with it what it had not synced, and nobody would notice.
fn check_synced(plan: &Plan, place: &str) -> anyhow::Result<()> {
    anyhow::ensure!(plan.synced, "{place}: a cluster needs 'synced = true' at the top of the plan");
    Ok(())
}

/// What is left to submit; tells if that is nothing.
fn chain(job: &Job, deal: &Deal, context: &Context) -> anyhow::Result<Option<Chain>> {
    let chain = Chain::of(job, deal)?;
    if chain.stages.is_empty() {
        let text = format!("{}: complete, nothing is left to submit", job.folder().display());
        context.printer.note(&text);
        return Ok(None);
    }
    Ok(Some(chain))
}
