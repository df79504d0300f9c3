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
#[cfg(target_os = "linux")]
mod large_blocks;
mod memory_size;
mod model_args;
mod printer;
mod progress;
mod source_args;
mod values;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;
use exavox_compute::Instructions;
use exavox_pipeline::trace::{chrome_trace, timeline};

use args::Cli;
use context::Context;
use exit_status::ExitStatus;
use printer::Printer;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return wrong_use(&error),
    };
    let printer = Printer::new(&cli.global);
    run(cli, printer).unwrap_or_else(|error| failure::report(&error, &printer)).into()
}

/// Wrong use ends with status 2, of a worker with 64, which no array tries again; `--help` with 0.
fn wrong_use(error: &clap::Error) -> ExitCode {
    if error.use_stderr() && std::env::args().nth(1).is_some_and(|arg| arg == "worker") {
        let _ = error.print();
        return ExitStatus::WrongUse.into();
    }
    error.exit()
}

fn run(cli: Cli, printer: Printer) -> anyhow::Result<ExitStatus> {
    limit_instructions()?;
    let context = Context::new(&cli.global, printer, cli.command.default_threads())?;
    let Some(path) = &cli.global.trace else { return commands::run(cli.command, &context) };
    exavox_io::trace::start();
    let status = commands::run(cli.command, &context)?;
    write_trace(path)?;
    Ok(status)
}

/// Writes what was recorded of the run.
fn write_trace(path: &Path) -> anyhow::Result<()> {
    let spans = exavox_io::trace::take();
    let picture = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("svg"));
    let bytes = if picture {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        timeline(&format!("exavox {}", arguments.join(" ")), &spans).into_bytes()
    } else {
        chrome_trace(&spans)
    };
    std::fs::write(path, bytes).with_context(|| path.display().to_string())
}

/// Takes the limit from the environment; wrong values are refused, not ignored.
fn limit_instructions() -> anyhow::Result<()> {
    let Some(value) = std::env::var_os(env_vars::VECTORS) else { return Ok(()) };
    let most = match value.to_str() {
        Some("avx512") => Instructions::Avx512,
        Some("avx2") => Instructions::Avx2,
        Some("portable") => Instructions::Portable,
        _ => anyhow::bail!(
            "{}: expected avx512, avx2 or portable, found {}",
            env_vars::VECTORS,
            value.display()
        ),
    };
    exavox_compute::limit_instructions(most);
    Ok(())
}
