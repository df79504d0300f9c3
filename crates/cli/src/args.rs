//! The command line as a whole. What one command takes sits with the command.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use exavox_compute::DeviceSpec;

#[cfg(feature = "train")]
use crate::commands::train;
use crate::commands::{
    agglomerate, bench, bench_row, completions, components, convert, convert_model, demo, devices,
    downsample, evaluate, filter, flood, info, plan, project, resume, run, segment, status, submit,
    verify, worker,
};
use crate::context::{all_cores, all_cores_but_one};
use crate::env_vars;
use crate::memory_size::MemorySize;

/// Image volumes too large for memory into projections and segmentations.
#[derive(Debug, Parser)]
#[command(name = "exavox", version, about, after_help = env_vars::HELP)]
#[command(arg_required_else_help = true, subcommand_required = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: GlobalArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct GlobalArgs {
    /// Where to compute: auto, cpu, cpu-jit, wgpu[:N] or cuda[:N]; several with commas: subvolumes of a
    /// segmentation are dealt out to all of them, all else uses the first.
    #[arg(long, global = true, value_name = "DEVICE", default_value = "auto")]
    #[arg(value_delimiter = ',')]
    #[arg(env = env_vars::DEVICE, hide_env_values = true)]
    pub(crate) device: Vec<DeviceSpec>,
    /// CPU threads [default: all cores but one; all cores for filter, segment, train, run, worker, demo and bench].
    #[arg(long, global = true, value_name = "N")]
    #[arg(env = env_vars::THREADS, hide_env_values = true)]
    pub(crate) threads: Option<NonZeroUsize>,
    /// Memory to stay below: 4GiB, 500MB.
    #[arg(long, global = true, value_name = "SIZE")]
    #[arg(env = env_vars::MEMORY, hide_env_values = true)]
    pub(crate) memory: Option<MemorySize>,
    /// Memory of each GPU, or of cpu-jit, that a segmentation keeps images and logits of objects in, at most; the
    /// rest stays in the memory of this machine [default: up to the largest buffer of the device].
    #[arg(long, global = true, value_name = "SIZE")]
    pub(crate) device_memory: Option<MemorySize>,
    /// Record what each thread did when: .svg a picture, else JSON for ui.perfetto.dev.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,
    /// Print the result as one JSON object on stdout.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Print results, warnings and errors only.
    #[arg(long, global = true)]
    pub(crate) quiet: bool,
    /// Show no progress.
    #[arg(long, global = true)]
    pub(crate) no_progress: bool,
}

/// The commands, in the order of the help text.
#[derive(Debug, Subcommand)]
// One value lives per run: its size does not matter.
#[allow(clippy::large_enum_variant)]
pub(crate) enum Command {
    Info(info::Args),
    Convert(convert::Args),
    Downsample(downsample::Args),
    Project(project::Args),
    Components(components::Args),
    Flood(flood::Args),
    Filter(filter::Args),
    Segment(segment::Args),
    ConvertModel(convert_model::Args),
    #[cfg(feature = "train")]
    Train(train::Args),
    Agglomerate(agglomerate::Args),
    Evaluate(evaluate::Args),
    Run(run::Args),
    Submit(submit::Args),
    Resume(resume::Args),
    Status(status::Args),
    Verify(verify::Args),
    Worker(worker::Args),
    Plan(plan::Args),
    Devices(devices::Args),
    Demo(demo::Args),
    Bench(bench::Args),
    #[command(hide = true)]
    BenchRow(bench_row::Args),
    Completions(completions::Args),
}

impl Command {
    /// Threads where the user names no number. A network on the CPU takes hours and wants every
    /// core; the others leave one free.
    pub(crate) fn default_threads(&self) -> NonZeroUsize {
        match self {
            Self::Segment(_) | Self::Demo(_) | Self::Bench(_) | Self::Filter(_) => all_cores(),
            #[cfg(feature = "train")]
            Self::Train(_) => all_cores(),
            Self::Agglomerate(_) | Self::Run(_) | Self::Resume(_) | Self::Worker(_) => all_cores(),
            _ => all_cores_but_one(),
        }
    }
}
