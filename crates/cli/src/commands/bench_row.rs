//! `exavox bench-row`: measures one row for `exavox bench`, in a process of its own.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use exavox_pipeline::bench::{Budget, Ground, find_group, measure};

use crate::context::Context;
use crate::exit_status::ExitStatus;

/// Measure one row of `exavox bench` and print it as one line of JSON.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name of the group.
    group: String,
    /// Name of the case.
    case: String,
    /// The implementation and its cores: cpu-1, cpu-n.
    implementation: String,
    /// Where the inputs are.
    folder: PathBuf,
    /// Seconds after which no further run is begun.
    #[arg(long)]
    seconds: f64,
    /// Runs after which no further run is begun.
    #[arg(long)]
    runs: usize,
}

/// Measures and prints.
pub(crate) fn run(args: Args, context: &Context) -> anyhow::Result<ExitStatus> {
    let (group, _) = find_group(&args.group)?;
    let case = group.cases().iter().find(|case| case.name == args.case);
    let case = case.with_context(|| format!("{} has no case {}", args.group, args.case))?;
    let implementations = group.implementations();
    let implementation = implementations.iter().find(|i| i.key() == args.implementation);
    let unknown = || format!("{} has no implementation {}", args.group, args.implementation);
    let implementation = implementation.with_context(unknown)?;
    let time = Duration::try_from_secs_f64(args.seconds).context("--seconds")?;
    let budget = Budget { time, runs: args.runs };
    let ground = Ground { folder: &args.folder, threads: context.threads, device: context.device };
    // This thread is one of the pool: waiting for another to wake up is no part of the work.
    let pool =
        rayon::ThreadPoolBuilder::new().num_threads(context.threads.get()).use_current_thread();
    let pool = pool.build().context("threads could not be started")?;
    let outcome = pool.install(|| measure(group, case, implementation, &ground, budget));
    context.printer.data(&serde_json::to_string(&outcome)?)?;
    Ok(ExitStatus::Done)
}
