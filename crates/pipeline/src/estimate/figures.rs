//! What an estimate says: figures of each stage and of all together.

use serde::Serialize;

use super::bound::{Bound, IdealTime};
use super::cluster::ClusterModel;
use super::simulation::{Planned, Simulation, StageRun};
use super::stage::StageModel;

/// Bytes of the ledger for a block: its number, and the digest of its output.
const LEDGER_BYTES_PER_BLOCK: u64 = 32;

/// What a run takes. The names are those of `--json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Estimate {
    /// The machines.
    pub cluster: ClusterModel,
    /// One for each stage, in order.
    pub stages: Vec<StageEstimate>,
    /// All stages together.
    pub totals: Totals,
    /// What one should know before beginning.
    pub notes: Vec<String>,
    /// The simulated run.
    #[serde(skip)]
    pub simulation: Simulation,
}

/// What a stage takes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StageEstimate {
    /// What people call it.
    pub name: String,
    /// Blocks.
    pub blocks: u64,
    /// Blocks that a task works off, one after the other.
    pub blocks_per_shard: u64,
    /// Tasks.
    pub shards: u64,
    /// Job arrays that hold the tasks.
    pub arrays: u64,
    /// Bytes from the store.
    pub read_bytes: u128,
    /// Bytes to the store.
    pub written_bytes: u128,
    /// Floating point operations, where they are counted.
    pub flop: f64,
    /// Bytes of memory of a block.
    pub memory_bytes_per_block: u64,
    /// Blocks that a node works on at once.
    pub blocks_at_once_per_node: u64,
    /// Mean seconds of a block on one slot.
    pub block_seconds: f64,
    /// If nothing failed, waited or was dealt out unevenly.
    pub ideal_seconds: f64,
    /// As simulated, from its submission to the end of its gate.
    pub simulated_seconds: f64,
    /// Share of the slots' time that is work which counts.
    pub efficiency: f64,
    /// What would have to be better for the stage to take less.
    pub bound_by: Bound,
    /// Nodes that failed while it ran.
    pub failures: u64,
    /// Slot-seconds of work that was done again.
    pub lost_slot_seconds: f64,
    /// Events into which the simulation gathered the shards.
    pub simulated_units: u64,
}

/// What all stages take together.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Totals {
    /// Blocks.
    pub blocks: u64,
    /// Tasks.
    pub shards: u64,
    /// Bytes from the store.
    pub read_bytes: u128,
    /// Bytes to the store.
    pub written_bytes: u128,
    /// Floating point operations, where they are counted.
    pub flop: f64,
    /// Bytes of the ledgers.
    pub ledger_bytes: u64,
    /// If nothing failed, waited or was dealt out unevenly.
    pub ideal_seconds: f64,
    /// As simulated.
    pub simulated_seconds: f64,
    /// Share of the time of all slots that is work which counts.
    pub efficiency: f64,
    /// Nodes that failed.
    pub failures: u64,
    /// Hours of all nodes, whether they have something to do or not.
    pub node_hours: f64,
    /// Of these hours, at the price that was given.
    pub cost: Option<f64>,
    /// Of these hours, at the power that was given.
    pub kilowatt_hours: Option<f64>,
}

/// Bytes of the ledgers of so many blocks.
pub(super) fn ledger_bytes(blocks: u64) -> u64 {
    blocks.saturating_mul(LEDGER_BYTES_PER_BLOCK)
}

pub(super) fn stage_estimate(
    stage: &StageModel,
    planned: &Planned<'_>,
    run: &StageRun,
    cluster: &ClusterModel,
) -> StageEstimate {
    let ideal = IdealTime::of(stage, planned, cluster);
    let simulated = run.end_seconds - run.begin_seconds;
    StageEstimate {
        name: stage.name.clone(),
        blocks: stage.blocks,
        blocks_per_shard: planned.blocks_per_shard,
        shards: planned.shards,
        arrays: planned.shards.div_ceil(cluster.max_array_size),
        read_bytes: stage.read_bytes,
        written_bytes: stage.written_bytes,
        flop: stage.flop,
        memory_bytes_per_block: stage.memory_bytes_per_block,
        blocks_at_once_per_node: planned.slots_per_node,
        block_seconds: planned.sampler.block_seconds(),
        ideal_seconds: ideal.seconds(),
        simulated_seconds: simulated,
        efficiency: share(ideal.slot_seconds(), simulated * run.slots as f64),
        bound_by: ideal.bound(),
        failures: run.failures,
        lost_slot_seconds: run.lost_slot_seconds,
        simulated_units: run.units,
    }
}

fn share(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { (part / whole).min(1.0) } else { 1.0 }
}

pub(super) fn totals(
    stages: &[StageEstimate],
    simulation: &Simulation,
    cluster: &ClusterModel,
) -> Totals {
    let seconds = simulation.seconds;
    let node_hours = seconds / 3600.0 * cluster.nodes as f64;
    let useful: f64 = stages.iter().map(|s| s.block_seconds * s.blocks as f64).sum();
    let slots = (cluster.nodes * cluster.slots_per_node) as f64;
    let sum =
        |figure: fn(&StageEstimate) -> u64| stages.iter().map(figure).fold(0, u64::saturating_add);
    let bytes = |figure: fn(&StageEstimate) -> u128| {
        stages.iter().map(figure).fold(0, u128::saturating_add)
    };
    Totals {
        blocks: sum(|s| s.blocks),
        shards: sum(|s| s.shards),
        read_bytes: bytes(|s| s.read_bytes),
        written_bytes: bytes(|s| s.written_bytes),
        flop: stages.iter().map(|s| s.flop).sum(),
        ledger_bytes: ledger_bytes(sum(|s| s.blocks)),
        ideal_seconds: stages.iter().map(|s| s.ideal_seconds).sum(),
        simulated_seconds: seconds,
        efficiency: share(useful, seconds * slots),
        failures: simulation.failure_seconds.len() as u64,
        node_hours,
        cost: cluster.price_per_node_hour.map(|price| price * node_hours),
        kilowatt_hours: cluster.watts_per_node.map(|watts| watts * node_hours / 1e3),
    }
}
