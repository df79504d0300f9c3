//! The same work on more and fewer nodes: strong scaling.

use serde::Serialize;

use super::cluster::ClusterModel;
use super::stage::StageModel;
use super::{Estimate, estimate};
use crate::error::Result;

/// What the work takes on a number of nodes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ScalingRow {
    /// Nodes.
    pub nodes: u64,
    /// If nothing failed, waited or was dealt out unevenly.
    pub ideal_seconds: f64,
    /// As simulated.
    pub simulated_seconds: f64,
    /// How many times as fast as on the fewest nodes.
    pub speedup: f64,
    /// Share of the time of all slots that is work which counts.
    pub efficiency: f64,
    /// At the price that was given.
    pub cost: Option<f64>,
}

/// Estimates the same stages for each number of nodes, with all else as in `cluster`; fewest first.
///
/// # Errors
///
/// Those of [`estimate`].
pub fn compare_nodes(
    stages: &[StageModel],
    cluster: &ClusterModel,
    nodes: &[u64],
    seed: u64,
) -> Result<Vec<ScalingRow>> {
    let mut nodes = nodes.to_vec();
    nodes.sort_unstable();
    nodes.dedup();
    let on = |nodes: u64| estimate(stages, &ClusterModel { nodes, ..cluster.clone() }, seed);
    let mut rows: Vec<ScalingRow> =
        nodes.into_iter().map(|n| on(n).map(|found| row(n, &found))).collect::<Result<_>>()?;
    let slowest = rows.first().map_or(0.0, |row| row.simulated_seconds);
    for row in &mut rows {
        row.speedup = slowest / row.simulated_seconds;
    }
    Ok(rows)
}

fn row(nodes: u64, found: &Estimate) -> ScalingRow {
    let totals = &found.totals;
    ScalingRow {
        nodes,
        ideal_seconds: totals.ideal_seconds,
        simulated_seconds: totals.simulated_seconds,
        speedup: 1.0,
        efficiency: totals.efficiency,
        cost: totals.cost,
    }
}
