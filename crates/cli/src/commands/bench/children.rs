//! Processes that measure one row each, and what they tell.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use exavox_pipeline::bench::{Budget, Implementation, Outcome};

use crate::context::Context;

/// The peers' rows have no name of their own before they are told.
const PEERS: &str = "peers";

/// Starts processes for the rows of one case.
pub(super) struct Children<'a> {
    pub(super) group: &'static str,
    pub(super) case: &'static str,
    pub(super) folder: &'a Path,
    pub(super) budget: Budget,
    pub(super) context: &'a Context,
}

impl Children<'_> {
    /// One row by this program; if its process fails, the reason is the row.
    pub(super) fn measure(&self, implementation: &Implementation) -> Outcome {
        let threads = implementation.threads(self.context.threads);
        let output = std::env::current_exe().map(Command::new).and_then(|mut program| {
            program.args(["--threads", &threads.to_string(), "--quiet"]);
            program.args(["--device", &self.context.device.to_string(), "bench-row"]);
            program.args([self.group, self.case, &implementation.key()]).arg(self.folder);
            self.with_budget(&mut program)
        });
        let outcome = output.map_err(|e| e.to_string()).and_then(|output| {
            let parsed = serde_json::from_slice(&output.stdout);
            parsed.map_err(|_| why(&output))
        });
        outcome.unwrap_or_else(|reason| {
            Outcome::refused(implementation.name, Some(threads.get()), reason)
        })
    }

    /// The rows of other programs, one JSON object a line.
    pub(super) fn measure_peers(&self, python: &Path, script: &Path) -> Vec<Outcome> {
        let mut program = Command::new(python);
        program.arg(script).args([self.group, self.case]).arg(self.folder);
        program.args(["--threads", &self.context.threads.to_string()]);
        let output = match self.with_budget(&mut program) {
            Ok(output) => output,
            Err(error) => {
                let reason = format!("{}: {error}", python.display());
                return vec![Outcome::refused(PEERS, None, reason)];
            }
        };
        let text = String::from_utf8_lossy(&output.stdout);
        let mut rows: Vec<Outcome> =
            text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        if !output.status.success() {
            rows.push(Outcome::refused(PEERS, None, why(&output)));
        }
        rows
    }

    fn with_budget(&self, program: &mut Command) -> std::io::Result<Output> {
        program.args(["--seconds", &self.budget.time.as_secs_f64().to_string()]);
        program.args(["--runs", &self.budget.runs.to_string()]);
        program.stdin(Stdio::null()).output()
    }
}

/// Why a process told nothing: the last line of what it wrote, or how it ended.
fn why(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    let last = text.lines().rev().find(|line| !line.trim().is_empty());
    match last {
        Some(line) => line.trim().trim_start_matches("error: ").to_owned(),
        None => format!("the process ended with {}", output.status),
    }
}
