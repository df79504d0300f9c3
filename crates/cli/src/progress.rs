//! Shows the pipeline's events: a bar on a terminal, a plain line now and then elsewhere.

use std::io::IsTerminal;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use exavox_pipeline::{Event, Observer, Unit};
use indicatif::{DecimalBytes, HumanCount, HumanDuration, ProgressBar, ProgressStyle};

use crate::args::GlobalArgs;
use crate::printer::Printer;

/// Time between two plain lines.
const PAUSE: Duration = Duration::from_secs(10);

/// Shows progress on stderr; warnings and failed items always, the rest as the flags want it.
#[derive(Debug)]
pub(crate) struct Progress {
    printer: Printer,
    style: Style,
    stage: Mutex<Option<Stage>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Bar,
    Lines,
    Hidden,
}

/// The stage that runs now.
#[derive(Debug)]
struct Stage {
    name: String,
    unit: Unit,
    total: u64,
    done: u64,
    started: Instant,
    last_line: Instant,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Bars if stderr is a terminal, lines if not, nothing with `--quiet` or `--no-progress`.
    pub(crate) fn new(global: &GlobalArgs, printer: Printer) -> Self {
        let style = match global.quiet || global.no_progress {
            true => Style::Hidden,
            false if std::io::stderr().is_terminal() => Style::Bar,
            false => Style::Lines,
        };
        Self { printer, style, stage: Mutex::new(None) }
    }

    /// Whether there is a terminal to show progress on, and it is wanted.
    #[cfg(feature = "train")]
    pub(crate) fn is_on_terminal(&self) -> bool {
        self.style == Style::Bar
    }

    fn stage(&self) -> MutexGuard<'_, Option<Stage>> {
        // A worker that panicked while it held the lock leaves nothing worse than a wrong number.
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(&self, name: &str, total: u64, unit: Unit) {
        let now = Instant::now();
        let bar = (self.style == Style::Bar).then(|| new_bar(name, total, unit));
        let name = name.to_owned();
        *self.stage() =
            Some(Stage { name, unit, total, done: 0, started: now, last_line: now, bar });
    }

    fn advance(&self, by: u64, note: &str) {
        let mut stage = self.stage();
        let Some(stage) = stage.as_mut() else { return };
        stage.done = stage.done.saturating_add(by);
        if let Some(bar) = &stage.bar {
            bar.inc(by);
            if !note.is_empty() {
                bar.set_message(note.to_owned());
            }
        } else if self.style == Style::Lines && stage.last_line.elapsed() >= PAUSE {
            stage.last_line = Instant::now();
            self.printer.note(&stage.line(note));
        }
    }

    fn finish(&self, name: &str, seconds: f64) {
        let Some(stage) = self.stage().take() else { return };
        if let Some(bar) = &stage.bar {
            bar.finish_and_clear();
        }
        if self.style != Style::Hidden {
            let done = amount(stage.done, stage.unit);
            let rate = rate(stage.done, seconds, stage.unit);
            self.printer.note(&format!("{name}: {done} in {seconds:.1} s ({rate})"));
        }
    }

    /// Prints past the bar, if there is one.
    fn print(&self, print: impl FnOnce()) {
        match self.stage().as_ref().and_then(|s| s.bar.as_ref()) {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }
}

impl Observer for Progress {
    fn notify(&self, event: &Event<'_>) {
        match *event {
            Event::Started { stage, total, unit } => self.start(stage, total, unit),
            Event::Advanced { by, note } => self.advance(by, note),
            Event::Item { name, error: None } => {
                self.print(|| self.printer.note(&format!("{name}: done")));
            }
            Event::Item { name, error: Some(error) } => {
                self.print(|| self.printer.warning(&format!("{name} failed: {error}")));
            }
            Event::Finished { stage, seconds } => self.finish(stage, seconds),
            Event::Warning(text) => self.print(|| self.printer.warning(text)),
            _ => {}
        }
    }
}

impl Stage {
    /// `convert: 43 % of 3.00 GB, 120 MB/s, 15 seconds left`.
    fn line(&self, note: &str) -> String {
        let seconds = self.started.elapsed().as_secs_f64();
        let share = self.done as f64 / self.total.max(1) as f64;
        let total = amount(self.total, self.unit);
        let rate = rate(self.done, seconds, self.unit);
        let mut line = format!("{}: {:.0} % of {total}, {rate}", self.name, 100.0 * share);
        if share > 0.0 && share < 1.0 {
            let left = Duration::from_secs_f64((seconds / share - seconds).min(1e9));
            line.push_str(&format!(", {} left", HumanDuration(left)));
        }
        if !note.is_empty() {
            line.push_str(&format!(", {note}"));
        }
        line
    }
}

fn new_bar(name: &str, total: u64, unit: Unit) -> ProgressBar {
    let counts = match unit {
        Unit::Bytes => "{decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec}",
        _ => "{human_pos}/{human_len} {per_sec}",
    };
    let template = format!("{{prefix}} [{{bar:30}}] {{percent}} % {counts} ETA {{eta}} {{msg}}");
    // The template is ours; were it wrong, indicatif's own bar is good enough.
    let style = ProgressStyle::with_template(&template)
        .map_or_else(|_| ProgressStyle::default_bar(), |style| style.progress_chars("=> "));
    let bar = ProgressBar::new(total).with_style(style).with_prefix(name.to_owned());
    bar.enable_steady_tick(Duration::from_millis(250));
    bar
}

/// A count with its unit.
pub(crate) fn amount(count: u64, unit: Unit) -> String {
    match unit {
        Unit::Bytes => DecimalBytes(count).to_string(),
        Unit::Voxels => format!("{} voxels", HumanCount(count)),
        Unit::Seeds => format!("{} seeds", HumanCount(count)),
        Unit::Blocks => format!("{} blocks", HumanCount(count)),
        Unit::Steps => format!("{} steps", HumanCount(count)),
        Unit::Seconds => format!("{} seconds", HumanCount(count)),
        Unit::Pairs => format!("{} pairs", HumanCount(count)),
        Unit::Endpoints => format!("{} endpoints", HumanCount(count)),
    }
}

fn rate(count: u64, seconds: f64, unit: Unit) -> String {
    format!("{}/s", amount((count as f64 / seconds.max(1e-9)) as u64, unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_line_has_share_rate_and_time_left() {
        let started =
            Instant::now().checked_sub(Duration::from_secs(10)).unwrap_or_else(Instant::now);
        let (name, unit) = ("convert".to_owned(), Unit::Bytes);
        let stage = Stage {
            name,
            unit,
            total: 4_000_000,
            done: 1_000_000,
            started,
            last_line: started,
            bar: None,
        };
        let line = stage.line("12 blocks");
        assert!(line.starts_with("convert: 25 % of 4.00 MB, "), "{line}");
        assert!(
            line.ends_with("30 seconds left, 12 blocks") || line.contains("29 seconds"),
            "{line}"
        );
    }
}
