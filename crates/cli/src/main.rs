//! The program `exavox`: parse, run, one line for an error, an exit status.
#![recursion_limit = "256"]
// Doc comments of arguments are help texts, where `wgpu[:N]` is no link.
#![allow(rustdoc::broken_intra_doc_links)]

mod args;
mod commands;
mod context;
mod env_vars;
mod exit_status;
mod failure;
mod labelling_args;
mod memory_size;
mod printer;
mod progress;
mod source_args;
mod values;

use std::process::ExitCode;

use clap::Parser;

use args::Cli;
use context::Context;
use exit_status::ExitStatus;
use printer::Printer;

fn main() -> ExitCode {
    // Wrong use ends here with status 2, `--help` and `--version` with 0.
    let cli = Cli::parse();
    let printer = Printer::new(&cli.global);
    run(cli, printer).unwrap_or_else(|error| failure::report(&error, &printer)).into()
}

fn run(cli: Cli, printer: Printer) -> anyhow::Result<ExitStatus> {
    let context = Context::new(&cli.global, printer, cli.command.default_threads())?;
    commands::run(cli.command, &context)
}
