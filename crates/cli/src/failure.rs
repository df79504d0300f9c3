//! From an error to one line on stderr and an exit status.

use std::fmt;

use crate::exit_status::ExitStatus;
use crate::printer::{Printer, StdoutError};

/// The cure for an error, where a command knows it; attached with `anyhow`'s `context` and printed
/// on a line of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hint(pub(crate) &'static str);

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// Tells of the error. A reader of stdout that has gone away (`exavox info v | head -1`) is none.
pub(crate) fn report(error: &anyhow::Error, printer: &Printer) -> ExitStatus {
    if error.downcast_ref::<StdoutError>().is_some_and(StdoutError::is_broken_pipe) {
        return ExitStatus::Done;
    }
    let hint = error.downcast_ref::<Hint>().or_else(|| changed_plan(error));
    printer.error(&one_line(error, hint), hint.map(|h| h.0));
    ExitStatus::CouldNotRun
}

/// Whoever asks for something new where something else was begun may want either.
const CHANGED: Hint =
    Hint("ask for the same as before to go on with it, or remove that folder to begin anew");

fn changed_plan(error: &anyhow::Error) -> Option<&'static Hint> {
    let error = error.downcast_ref::<exavox_pipeline::Error>()?;
    matches!(error, exavox_pipeline::Error::PlanChanged { .. }).then_some(&CHANGED)
}

/// All causes on one line; a cause that the line holds already (errors of the libraries show their
/// source themselves) is not said twice.
fn one_line(error: &anyhow::Error, hint: Option<&Hint>) -> String {
    let mut line = String::new();
    for cause in error.chain() {
        let text = cause.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
        if hint.is_some_and(|h| h.0 == text) || line.contains(&text) {
            continue;
        }
        if !line.is_empty() {
            line.push_str(": ");
        }
        line.push_str(&text);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_share_a_line_and_none_comes_twice() {
        let disk = std::io::Error::other("disk on fire");
        let volume = exavox_io::Error::io(exavox_io::Place::new("a.npy"), disk);
        let error = anyhow::Error::new(volume).context("channel 3");
        assert_eq!(one_line(&error, None), "channel 3: a.npy: disk on fire");
    }

    #[test]
    fn a_hint_is_not_part_of_the_line() {
        let hint = Hint("buy a larger disk");
        let error = anyhow::anyhow!("line one\nline two").context(hint);
        assert_eq!(error.downcast_ref::<Hint>(), Some(&hint));
        assert_eq!(one_line(&error, Some(&hint)), "line one line two");
    }
}
