//! What the steps of an agglomeration answer.

use std::fmt;
use std::path::Path;

use exavox_pipeline::agglomerate::{
    AgglomerateReport, ConsensusReport, EndpointReport, Points, WholeReport,
};
use serde::Serialize;

/// What `--json` prints.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(super) struct ConsensusSummary(pub(super) ConsensusReport);

impl fmt::Display for ConsensusSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(r) = self;
        let (a, b) = (r.labels_a, r.labels_b);
        writeln!(f, "{a} labels and {b} labels: {} in the consensus, {} split", r.labels, r.split)?;
        writeln!(f, "{} parts of {} voxels were too small", r.dropped_parts, r.dropped_voxels)?;
        write!(f, "labels: {}", r.target)
    }
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
pub(super) struct PointsSummary {
    target: String,
    pairs: u64,
    labels: u64,
    large_labels: u64,
    max_distance: f64,
    distance_unit: String,
    voxel_size_zyx: [f64; 3],
    blocks: u64,
    seconds: f64,
}

impl PointsSummary {
    pub(super) fn new(target: &Path, points: Points) -> Self {
        Self {
            target: target.display().to_string(),
            pairs: points.pairs,
            labels: points.labels,
            large_labels: points.large_labels,
            max_distance: points.max_distance,
            distance_unit: points.distance_unit,
            voxel_size_zyx: points.voxel_size_zyx,
            blocks: points.blocks,
            seconds: points.seconds,
        }
    }
}

impl fmt::Display for PointsSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (pairs, labels, distance) = (self.pairs, self.large_labels, self.max_distance);
        writeln!(
            f,
            "{pairs} pairs of {labels} labels within {distance} of the point between them"
        )?;
        write!(f, "table: {}", self.target)
    }
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(super) struct MergeSummary(pub(super) AgglomerateReport);

impl fmt::Display for MergeSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(r) = self;
        let (before, after) = (r.labels, r.agglomerated_labels);
        writeln!(
            f,
            "{before} labels became {after}: {} of {} pairs merged",
            r.merged_pairs, r.pairs
        )?;
        for (reason, pairs) in &r.refused_pairs {
            writeln!(f, "  {pairs} not: {reason}")?;
        }
        writeln!(f, "{} steps, {:.1} s on {}", r.fov_steps, r.seconds, r.device)?;
        writeln!(f, "labels:       {}", r.target)?;
        writeln!(f, "pairs:        {}", r.pairs_table.display())?;
        writeln!(f, "equivalences: {}", r.equivalences.display())?;
        write!(f, "report:       {}", r.report.display())
    }
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(super) struct WholeSummary(pub(super) WholeReport);

impl fmt::Display for WholeSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(r) = self;
        writeln!(f, "{} segments, {} from reversed seeds", r.forward_segments, r.reverse_segments)?;
        MergeSummary(r.agglomerated.clone()).fmt(f)
    }
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(super) struct EndpointSummary(pub(super) EndpointReport);

impl fmt::Display for EndpointSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(r) = self;
        writeln!(
            f,
            "{} endpoints: {} recovered, {} reach another segment, {} without a run",
            r.endpoints, r.recovered, r.reach_another, r.without_run
        )?;
        writeln!(f, "{} steps, {:.1} s on {}", r.fov_steps, r.seconds, r.device)?;
        writeln!(f, "endpoints: {}", r.target.display())?;
        write!(f, "covered:   {}", r.covered_table.display())
    }
}
