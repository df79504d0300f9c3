//! `exavox completions`: a completion script for a shell.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::args::Cli;
use crate::context::Context;
use crate::exit_status::ExitStatus;

/// Print a completion script for a shell, to be put where the shell looks for them.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The shell.
    shell: Shell,
}

/// Prints the script on stdout.
pub(crate) fn run(args: Args, context: &Context) -> anyhow::Result<ExitStatus> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "exavox", &mut script);
    context.printer.data(&String::from_utf8_lossy(&script))?;
    Ok(ExitStatus::Done)
}
