//! What the program tells the shell.

use std::process::ExitCode;

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExitStatus {
    /// All is done.
    Done,
    /// The run went to its end, but a channel or block failed, or a check is not met.
    Incomplete,
    /// The run could not start or had to stop: bad input, a full disk, wrong use.
    CouldNotRun,
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        match status {
            ExitStatus::Done => Self::SUCCESS,
            ExitStatus::Incomplete => Self::from(1),
            ExitStatus::CouldNotRun => Self::from(2),
        }
    }
}
