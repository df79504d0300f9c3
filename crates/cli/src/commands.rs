//! One module per command: its `Args`, and `run`.

pub(crate) mod agglomerate;
pub(crate) mod bench;
pub(crate) mod bench_row;
pub(crate) mod completions;
pub(crate) mod components;
pub(crate) mod convert;
pub(crate) mod convert_model;
pub(crate) mod demo;
pub(crate) mod devices;
pub(crate) mod downsample;
pub(crate) mod evaluate;
pub(crate) mod filter;
pub(crate) mod flood;
pub(crate) mod info;
pub(crate) mod job;
pub(crate) mod plan;
pub(crate) mod project;
pub(crate) mod resume;
pub(crate) mod run;
pub(crate) mod segment;
pub(crate) mod status;
pub(crate) mod submit;
#[cfg(feature = "train")]
pub(crate) mod train;
pub(crate) mod verify;
pub(crate) mod worker;

use crate::args::Command;
use crate::context::Context;
use crate::exit_status::ExitStatus;

/// Runs the command that was asked for.
pub(crate) fn run(command: Command, context: &Context) -> anyhow::Result<ExitStatus> {
    match command {
        Command::Info(args) => info::run(args, context),
        Command::Convert(args) => convert::run(args, context),
        Command::ConvertModel(args) => convert_model::run(args, context),
        Command::Downsample(args) => downsample::run(args, context),
        Command::Project(args) => project::run(args, context),
        Command::Filter(args) => filter::run(args, context),
        Command::Components(args) => components::run(args, context),
        Command::Flood(args) => flood::run(args, context),
        Command::Segment(args) => segment::run(args, context),
        #[cfg(feature = "train")]
        Command::Train(args) => train::run(args, context),
        Command::Agglomerate(args) => agglomerate::run(args, context),
        Command::Evaluate(args) => evaluate::run(args, context),
        Command::Run(args) => run::run(args, context),
        Command::Resume(args) => resume::run(args, context),
        Command::Submit(args) => submit::run(args, context),
        Command::Status(args) => status::run(args, context),
        Command::Verify(args) => verify::run(args, context),
        Command::Worker(args) => worker::run(args, context),
        Command::Plan(args) => plan::run(args, context),
        Command::Devices(args) => devices::run(args, context),
        Command::Demo(args) => demo::run(args, context),
        Command::Bench(args) => bench::run(args, context),
        Command::BenchRow(args) => bench_row::run(args, context),
        Command::Completions(args) => completions::run(args, context),
    }
}
