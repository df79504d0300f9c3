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
    /// A worker's blocks are not all done, and another try may do them: a full disk, TERM. The number that
    /// sysexits.h gives a temporary failure.
    TryAgain,
    /// A worker's blocks are not all done, and another try will not help: bad input.
    Permanent,
    /// A worker was called wrongly.
    WrongUse,
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        match status {
            ExitStatus::Done => Self::SUCCESS,
            ExitStatus::Incomplete => Self::from(1),
            ExitStatus::CouldNotRun => Self::from(2),
            ExitStatus::TryAgain => Self::from(75),
            ExitStatus::Permanent => Self::from(65),
            ExitStatus::WrongUse => Self::from(64),
        }
    }
}
