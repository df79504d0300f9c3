//! The only door to the terminal: results on stdout, all else on stderr.

use std::fmt::Display;
use std::io::{self, Write};

use serde::Serialize;

use crate::args::GlobalArgs;

/// Prints, as the global flags want it. Knows no colours.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Printer {
    json: bool,
    quiet: bool,
}

/// Stdout could not be written.
#[derive(Debug, thiserror::Error)]
#[error("stdout: {0}")]
pub(crate) struct StdoutError(io::Error);

impl StdoutError {
    /// Whether the reader has gone away, which is no failure of ours.
    pub(crate) fn is_broken_pipe(&self) -> bool {
        self.0.kind() == io::ErrorKind::BrokenPipe
    }
}

impl Printer {
    /// A printer for a run.
    pub(crate) fn new(global: &GlobalArgs) -> Self {
        Self { json: global.json, quiet: global.quiet }
    }

    /// What the command was run for (`info`, `evaluate`): JSON or text, on stdout.
    pub(crate) fn answer<T: Serialize + Display>(&self, value: &T) -> anyhow::Result<()> {
        if self.json { self.json(value) } else { self.data(&value.to_string()) }
    }

    /// The account of a command whose result is a file (`convert`): JSON on stdout, or else text on
    /// stderr.
    pub(crate) fn summary<T: Serialize + Display>(&self, value: &T) -> anyhow::Result<()> {
        if self.json {
            return self.json(value);
        }
        self.note(&value.to_string());
        Ok(())
    }

    /// Text on stdout, with a line end.
    pub(crate) fn data(&self, text: &str) -> anyhow::Result<()> {
        let mut stdout = io::stdout().lock();
        writeln!(stdout, "{}", printable(text.trim_end()))
            .and_then(|()| stdout.flush())
            .map_err(StdoutError)?;
        Ok(())
    }

    /// Something to know that is no result; not with `--quiet`.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet {
            self.stderr(text);
        }
    }

    /// Something that should not be missed though the run goes on.
    pub(crate) fn warning(&self, text: &str) {
        self.stderr(&format!("warning: {text}"));
    }

    /// Why the run stops, and the cure if it is known.
    pub(crate) fn error(&self, text: &str, hint: Option<&str>) {
        self.stderr(&format!("error: {text}"));
        if let Some(hint) = hint {
            self.stderr(&format!("hint: {hint}"));
        }
    }

    fn json<T: Serialize>(&self, value: &T) -> anyhow::Result<()> {
        self.data(&serde_json::to_string_pretty(value)?)
    }

    fn stderr(&self, text: &str) {
        // Nobody can be told that stderr is closed, and the result does not depend on it.
        let _ = writeln!(io::stderr().lock(), "{}", printable(text));
    }
}

/// Names from files may hold sequences that control a terminal; they are shown, not obeyed.
fn printable(text: &str) -> String {
    let harmless = |c: char| !c.is_control() || c == '\n' || c == '\t';
    text.chars().map(|c| if harmless(c) { c } else { '\u{fffd}' }).collect()
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn escape_sequences_do_not_reach_the_terminal() {
        assert_eq!(printable("a\tb\nc\u{1b}[31md"), "a\tb\nc\u{fffd}[31md");
    }
}
