//! The table as CSV: one line for each row, plain numbers, empty where there is none.

use super::outcome::Verdict;
use super::table::{Row, Section, Table};
use crate::error::{Error, Result};

const HEADER: [&str; 22] = [
    "group",
    "case",
    "shape_z",
    "shape_y",
    "shape_x",
    "implementation",
    "threads",
    "runs",
    "median_seconds",
    "best_seconds",
    "worst_seconds",
    "voxels_per_second",
    "bytes_per_second",
    "peak_memory_bytes",
    "utilisation",
    "ratio_to_scalar",
    "ratio_to_limit",
    "limit_read_bytes_per_second_1",
    "limit_read_bytes_per_second_n",
    "limit_f32_flops_per_second_1",
    "limit_f32_flops_per_second_n",
    "reason",
];

/// The table as CSV with a header.
///
/// # Errors
/// If the memory cannot be had.
pub fn csv(table: &Table) -> Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let wrong = |e: &dyn std::fmt::Display| Error::settings("table", e.to_string());
    writer.write_record(HEADER).map_err(|e| wrong(&e))?;
    for section in &table.sections {
        for row in &section.rows {
            writer.write_record(record(section, row)).map_err(|e| wrong(&e))?;
        }
    }
    writer.into_inner().map_err(|e| wrong(&e))
}

fn record(section: &Section, row: &Row) -> [String; HEADER.len()] {
    let number = |value: Option<f64>| value.map_or(String::new(), |v| v.to_string());
    let (measured, reason) = match &row.outcome.verdict {
        Verdict::Measured(m) => (Some(m), ""),
        Verdict::Refused { reason } => (None, reason.as_str()),
    };
    let (best, worst) = measured.map(|m| m.extremes()).unzip();
    let peak = measured.and_then(|m| m.peak_memory_bytes);
    let [z, y, x] = section.shape_zyx.map(|v| v.to_string());
    let machine = &section.machine;
    [
        section.group.to_owned(),
        section.case.to_owned(),
        z,
        y,
        x,
        row.outcome.name(),
        row.outcome.threads.map_or(String::new(), |t| t.to_string()),
        measured.map_or(String::new(), |m| m.seconds.len().to_string()),
        number(row.median_seconds),
        number(best),
        number(worst),
        number(row.voxels_per_second),
        number(row.bytes_per_second),
        peak.map_or(String::new(), |b| b.to_string()),
        number(row.utilisation),
        number(row.ratio_to_scalar),
        number(row.ratio_to_limit),
        machine.read_bytes_per_second_1.to_string(),
        machine.read_bytes_per_second_n.to_string(),
        machine.f32_flops_per_second_1.to_string(),
        machine.f32_flops_per_second_n.to_string(),
        reason.to_owned(),
    ]
}
