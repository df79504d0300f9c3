//! What happens on a cluster, event by event: shards are dealt out to slots in order, start, share the
//! store, end late or early; nodes fail, their shards go on elsewhere from the block that was not
//! finished, gates wait for the last one. The same seed gives the same run.
//!
//! Shards, not blocks, are events. All running shards share the bandwidth of the store alike; how far
//! each has come is counted in a time of its own that slows down with the store, so that an event costs
//! the logarithm of the number of slots and no shard is touched when another one starts.

use self::nodes::Nodes;
use self::stage_run::StageEngine;
use self::units::Units;
use super::cluster::ClusterModel;
use super::distribution::Sampler;
use crate::error::{Error, Result};

mod events;
mod nodes;
mod profile;
mod stage_run;
mod units;

pub use profile::{Profile, SlotCounts};

/// A stage whose shards are chosen.
#[derive(Debug, Clone)]
pub(super) struct Planned<'a> {
    pub(super) name: &'a str,
    pub(super) sampler: Sampler<'a>,
    pub(super) blocks: u64,
    pub(super) blocks_per_shard: u64,
    pub(super) shards: u64,
    /// Blocks at once on each node.
    pub(super) slots_per_node: u64,
    pub(super) bytes_per_block: f64,
    /// How long the gate reads the ledger.
    pub(super) gate_seconds: f64,
}

/// How a simulated run went.
#[derive(Debug, Clone, PartialEq)]
pub struct Simulation {
    /// One for each stage, in order.
    pub stages: Vec<StageRun>,
    /// From the submission of the first array to the end of the last gate.
    pub seconds: f64,
    /// When nodes failed, in seconds from the start.
    pub failure_seconds: Vec<f64>,
}

/// How a stage went. Times are seconds from the start of the run.
#[derive(Debug, Clone, PartialEq)]
pub struct StageRun {
    /// When its array was submitted.
    pub begin_seconds: f64,
    /// When its last shard was done.
    pub last_shard_seconds: f64,
    /// When its gate let the next stage begin.
    pub end_seconds: f64,
    /// Slots of all nodes.
    pub slots: u64,
    /// What slots did, from `begin_seconds` on.
    pub profile: Profile,
    /// When the last shard was handed out.
    pub tail_begin_seconds: f64,
    /// The same from then on, in finer steps.
    pub tail: Profile,
    /// Nodes that failed while shards ran.
    pub failures: u64,
    /// Slot-seconds of work that was done again.
    pub lost_slot_seconds: f64,
    /// Shards that were slow.
    pub stragglers: u64,
    /// Events into which the shards were gathered; as many as shards unless there are very many.
    pub units: u64,
}

/// Failures of nodes that a simulation is worth.
const MOST_FAILURES: f64 = 2e6;

/// Runs all stages, one after the other.
///
/// # Errors
///
/// If nodes fail so often that blocks do not come to their end.
pub(super) fn simulate(
    stages: &[Planned<'_>],
    cluster: &ClusterModel,
    seed: u64,
) -> Result<Simulation> {
    check_failures(stages, cluster)?;
    let mut nodes = Nodes::new(cluster, seed);
    let (mut now, mut runs) = (0.0, Vec::with_capacity(stages.len()));
    for (number, stage) in stages.iter().enumerate() {
        let units = Units::new(stage, cluster, seed, number as u64 + 1);
        let mut run = StageEngine::new(stage, cluster, &mut nodes, units, now).run();
        run.end_seconds = run.last_shard_seconds + cluster.job_latency_seconds + stage.gate_seconds;
        now = run.end_seconds;
        runs.push(run);
    }
    Ok(Simulation { stages: runs, seconds: now, failure_seconds: nodes.into_failures() })
}

fn check_failures(stages: &[Planned<'_>], cluster: &ClusterModel) -> Result<()> {
    let Some(hours) = cluster.mtbf_hours else { return Ok(()) };
    for stage in stages {
        let block_hours = stage.sampler.block_seconds() / 3600.0;
        if block_hours > hours {
            let message = format!(
                "a block takes {block_hours:.1} h, a node fails every {hours} h: smaller blocks \
                 would come to an end"
            );
            return Err(Error::settings(stage.name, message));
        }
    }
    let hours_of = |stage: &Planned<'_>| {
        let slots = (cluster.nodes * stage.slots_per_node) as f64;
        stage.sampler.block_seconds() * stage.blocks as f64 / slots / 3600.0
    };
    let expected = stages.iter().map(hours_of).sum::<f64>() * cluster.nodes as f64 / hours;
    if expected > MOST_FAILURES {
        let message = format!(
            "{expected:.0} failures of nodes are to be expected, at most {MOST_FAILURES:.0} are \
             simulated: fewer nodes, or more hours between failures"
        );
        return Err(Error::settings("hours between failures", message));
    }
    Ok(())
}
