//! Outcomes beside each other: times, rates, ratios; as text.

use std::fmt;

use exavox_compute::machine::Roofline;
use serde::Serialize;

use super::outcome::{Measurement, Outcome, Verdict};
use super::{Case, Group, Work};

/// Answers may differ by this share: sums of f32 in another order do.
const TOLERANCE: f64 = 1e-3;

/// Limits of the machine, measured in the same run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Machine {
    /// Cores of the machine.
    pub cores: usize,
    /// Threads of rows on all cores.
    pub threads: usize,
    /// Bytes of memory that one thread reads in a second.
    pub read_bytes_per_second_1: f64,
    /// Bytes of memory that all threads read in a second.
    pub read_bytes_per_second_n: f64,
    /// f32 operations of one thread in a second.
    pub f32_flops_per_second_1: f64,
    /// f32 operations of all threads in a second.
    pub f32_flops_per_second_n: f64,
}

impl Machine {
    /// From what was measured on one thread and on `threads` of a machine of `cores`.
    pub fn new(one: Roofline, all: Roofline, threads: usize, cores: usize) -> Self {
        Self {
            cores,
            threads,
            read_bytes_per_second_1: one.read_bytes_per_second,
            read_bytes_per_second_n: all.read_bytes_per_second,
            f32_flops_per_second_1: one.f32_flops_per_second,
            f32_flops_per_second_n: all.f32_flops_per_second,
        }
    }

    /// Seconds below which `threads` threads cannot do the work; `None` counts as all.
    fn seconds(&self, work: Work, threads: Option<usize>) -> f64 {
        let (read, flops) = match threads {
            Some(1) => (self.read_bytes_per_second_1, self.f32_flops_per_second_1),
            _ => (self.read_bytes_per_second_n, self.f32_flops_per_second_n),
        };
        let limit = Roofline { read_bytes_per_second: read, f32_flops_per_second: flops };
        limit.seconds(work.bytes, work.flops)
    }
}

/// One implementation in the table.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// As it was measured, or why not.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// The middle time.
    pub median_seconds: Option<f64>,
    /// Voxels of input a second.
    pub voxels_per_second: Option<f64>,
    /// Bytes of input and output a second.
    pub bytes_per_second: Option<f64>,
    /// The driver's word for GPUs, time on cores by time of all cores for CPUs; 0 to 1.
    pub utilisation: Option<f64>,
    /// How many times as fast as the naive loop.
    pub ratio_to_scalar: Option<f64>,
    /// Share of what as many cores could do at most; `None` for GPUs.
    pub ratio_to_limit: Option<f64>,
    /// Whether the output is that of the first row.
    pub agrees: Option<bool>,
}

/// One case with all its rows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Section {
    /// Name of the group.
    pub group: &'static str,
    /// Name of the case.
    pub case: &'static str,
    /// What is done, for people.
    pub about: &'static str,
    /// Voxels along z, y and x.
    pub shape_zyx: [usize; 3],
    /// Limits that were measured just before.
    pub machine: Machine,
    /// Voxels a second that one thread and all threads could do at most.
    pub limit_voxels_per_second: [f64; 2],
    /// Who did it.
    pub rows: Vec<Row>,
}

impl Section {
    /// Puts outcomes beside each other; the naive loop comes first.
    pub fn new(
        group: &dyn Group,
        case: &Case,
        shape_zyx: [usize; 3],
        machine: Machine,
        outcomes: Vec<Outcome>,
    ) -> Self {
        let work = group.work(case, shape_zyx);
        let figures = |outcome: &Outcome| match &outcome.verdict {
            Verdict::Measured(m) => Some((m.median_seconds(), m.answer)),
            Verdict::Refused { .. } => None,
        };
        let first = outcomes.iter().find_map(figures);
        let scalar = outcomes.iter().find(|o| o.implementation == "scalar").and_then(figures);
        let context = Context { work, machine, first, scalar };
        let rows = outcomes.into_iter().map(|outcome| context.row(outcome)).collect();
        let limit = |threads| work.voxels as f64 / machine.seconds(work, threads);
        Self {
            group: group.name(),
            case: case.name,
            about: group.about(case),
            shape_zyx,
            machine,
            limit_voxels_per_second: [limit(Some(1)), limit(None)],
            rows,
        }
    }
}

/// What the figures of a row depend on besides its own.
struct Context {
    work: Work,
    machine: Machine,
    first: Option<(f64, f64)>,
    scalar: Option<(f64, f64)>,
}

impl Context {
    fn row(&self, outcome: Outcome) -> Row {
        let Verdict::Measured(measurement) = &outcome.verdict else { return refused(outcome) };
        let seconds = measurement.median_seconds();
        let of_scalar = |(scalar, _): (f64, f64)| scalar / seconds;
        let on_gpu = is_gpu(&outcome);
        let limit = self.machine.seconds(self.work, outcome.threads);
        // Nothing is computed there that could agree.
        let compared = outcome.implementation != "pure read";
        let agrees = self.first.filter(|_| compared);
        Row {
            median_seconds: Some(seconds),
            voxels_per_second: Some(self.work.voxels as f64 / seconds),
            bytes_per_second: Some(self.work.bytes as f64 / seconds),
            utilisation: self.utilisation(measurement, on_gpu),
            ratio_to_scalar: self.scalar.map(of_scalar),
            ratio_to_limit: (!on_gpu).then_some(limit / seconds),
            agrees: agrees.map(|(_, answer)| close(answer, measurement.answer)),
            outcome,
        }
    }

    fn utilisation(&self, measurement: &Measurement, on_gpu: bool) -> Option<f64> {
        if on_gpu {
            return measurement.device_utilisation;
        }
        let wall: f64 = measurement.seconds.iter().sum();
        // The system counts in hundredths of a second.
        if wall < 0.2 {
            return None;
        }
        Some(measurement.cpu_seconds? / (wall * self.machine.cores as f64))
    }
}

fn refused(outcome: Outcome) -> Row {
    Row {
        outcome,
        median_seconds: None,
        voxels_per_second: None,
        bytes_per_second: None,
        utilisation: None,
        ratio_to_scalar: None,
        ratio_to_limit: None,
        agrees: None,
    }
}

/// Whether it ran on something else than the machine's cores.
fn is_gpu(outcome: &Outcome) -> bool {
    let named = |device: &str| device.starts_with("cuda") || device.starts_with("wgpu");
    outcome.device.as_deref().is_some_and(|d| named(d) && !d.contains("software"))
}

fn close(expected: f64, found: f64) -> bool {
    (expected - found).abs() <= TOLERANCE * expected.abs().max(1.0)
}

/// All that a run of the benchmark gives.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Table {
    /// Version of this library.
    pub version: &'static str,
    /// One for each case.
    pub sections: Vec<Section>,
}

impl Table {
    /// A table of sections.
    pub fn new(sections: Vec<Section>) -> Self {
        Self { version: env!("CARGO_PKG_VERSION"), sections }
    }

    /// Rows whose output is not that of the first: something is wrong with them.
    pub fn disagreeing(&self) -> impl Iterator<Item = (&Section, &Row)> {
        let rows = self.sections.iter().flat_map(|s| s.rows.iter().map(move |row| (s, row)));
        rows.filter(|(_, row)| row.agrees == Some(false))
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, section) in self.sections.iter().enumerate() {
            if number > 0 {
                writeln!(f)?;
            }
            write!(f, "{section}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ([z, y, x], m) = (self.shape_zyx, &self.machine);
        writeln!(f, "{} {}: {}, {z} x {y} x {x}", self.group, self.case, self.about)?;
        writeln!(
            f,
            "limit on 1 thread {:.1} GB/s read, {:.0} GFLOP/s; on {} of {} cores {:.1} GB/s, {:.0} GFLOP/s",
            m.read_bytes_per_second_1 / 1e9,
            m.f32_flops_per_second_1 / 1e9,
            m.threads,
            m.cores,
            m.read_bytes_per_second_n / 1e9,
            m.f32_flops_per_second_n / 1e9
        )?;
        writeln!(
            f,
            "{:<24} {:>3} {:>10} {:>19} {:>10} {:>8} {:>9} {:>5} {:>8} {:>6}",
            "implementation",
            "thr",
            "median",
            "spread",
            "Mvoxel/s",
            "GB/s",
            "peak",
            "util",
            "x scalar",
            "limit"
        )?;
        self.rows.iter().try_for_each(|row| writeln!(f, "{row}"))
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let threads = self.outcome.threads.map_or("-".to_owned(), |t| t.to_string());
        write!(f, "{:<24} {threads:>3} ", self.outcome.name())?;
        let m = match &self.outcome.verdict {
            Verdict::Measured(m) => m,
            Verdict::Refused { reason } => return write!(f, "{:>10} {reason}", "-"),
        };
        let (best, worst) = m.extremes();
        let spread = format!("{}-{}", time(best), time(worst));
        let percent = |share: f64| format!("{:.0}%", share * 100.0);
        write!(
            f,
            "{:>10} {spread:>19} {:>10} {:>8} {:>9} {:>5} {:>8} {:>6}",
            time(m.median_seconds()),
            or_dash(self.voxels_per_second, |v| three_digits(v / 1e6)),
            or_dash(self.bytes_per_second, |v| three_digits(v / 1e9)),
            or_dash(m.peak_memory_bytes, |b| format!("{:.0} MB", b as f64 / 1e6)),
            self.utilisation.map_or("n/a".to_owned(), percent),
            or_dash(self.ratio_to_scalar, three_digits),
            or_dash(self.ratio_to_limit, percent),
        )?;
        if self.agrees == Some(false) { write!(f, "  another output!") } else { Ok(()) }
    }
}

fn or_dash<T>(value: Option<T>, text: impl Fn(T) -> String) -> String {
    value.map_or("-".to_owned(), text)
}

fn time(seconds: f64) -> String {
    match seconds {
        s if s < 1e-3 => format!("{:.1} us", s * 1e6),
        s if s < 1.0 => format!("{:.2} ms", s * 1e3),
        s => format!("{s:.2} s"),
    }
}

fn three_digits(value: f64) -> String {
    match value {
        v if v >= 100.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
}
