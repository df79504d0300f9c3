//! What an agglomeration may use, and what it gave.

use std::collections::BTreeMap;
use std::path::PathBuf;

use exavox_compute::ComputeDevice;
use exavox_io::volume::WriteMode;
use serde::Serialize;

use super::{AgglomerateSettings, PairRecord, Points};
use crate::table::TableFormat;

/// Where results go, and what a run may use.
#[derive(Debug, Clone)]
pub struct AgglomerateRun {
    /// Labels, any format that can be written.
    pub target: String,
    /// What to do with results that are there already.
    pub mode: WriteMode,
    /// The device of the network.
    pub device: ComputeDevice,
    /// Memory that may be used, bytes.
    pub memory_bytes: u64,
    /// Whether the folder of work stays when all is done: another run then need not segment pairs again,
    /// even if it has another rule.
    pub keep_work: bool,
    /// How the table of pairs is written.
    pub pairs_format: TableFormat,
}

impl AgglomerateRun {
    /// A run that creates its results, may use three quarters of the memory, and keeps nothing else.
    pub fn new(target: impl Into<String>, device: ComputeDevice) -> Self {
        let memory_bytes = exavox_io::Limits::default().max_region_bytes;
        let (target, mode) = (target.into(), WriteMode::CreateNew);
        let pairs_format = TableFormat::default();
        Self { target, mode, device, memory_bytes, keep_work: false, pairs_format }
    }
}

/// What an agglomeration gave. The names are those of `--json`.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct AgglomerateReport {
    /// Labels written.
    pub target: String,
    /// Table of pairs written: the merge graph.
    pub pairs_table: PathBuf,
    /// Table of labels that became others.
    pub equivalences: PathBuf,
    /// Report written.
    pub report: PathBuf,
    /// Labels before.
    pub labels: u64,
    /// Labels after.
    pub agglomerated_labels: u64,
    /// Pairs of segments that are close.
    pub pairs: u64,
    /// Pairs that were segmented again by an earlier run.
    pub pairs_done_before: u64,
    /// Pairs that are one.
    pub merged_pairs: u64,
    /// Pairs that are not, by reason.
    pub refused_pairs: BTreeMap<String, u64>,
    /// Distance up to which segments were paired.
    pub max_distance: f64,
    /// Steps of the network in all, those of earlier runs too.
    pub fov_steps: u64,
    /// Device that ran the last step.
    pub device: String,
    /// Wall-clock time of this run.
    pub seconds: f64,
}

impl AgglomerateReport {
    /// What is known once the pairs are done; outputs, device and times are left open.
    pub(super) fn of_pairs(
        points: &Points,
        records: &[PairRecord],
        settings: &AgglomerateSettings,
        target: &str,
    ) -> Self {
        let mut refused_pairs = BTreeMap::new();
        for reason in records.iter().filter_map(|record| record.refusal(&settings.rule)) {
            *refused_pairs.entry(reason).or_insert(0) += 1;
        }
        Self {
            target: target.to_owned(),
            pairs_table: PathBuf::new(),
            equivalences: PathBuf::new(),
            report: PathBuf::new(),
            labels: points.labels,
            agglomerated_labels: points.labels,
            pairs: records.len() as u64,
            pairs_done_before: 0,
            merged_pairs: records.len() as u64 - refused_pairs.values().sum::<u64>(),
            refused_pairs,
            max_distance: points.max_distance,
            fov_steps: records.iter().map(|record| record.steps).sum(),
            device: String::new(),
            seconds: 0.0,
        }
    }
}
