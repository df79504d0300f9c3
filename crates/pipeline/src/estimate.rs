//! What a run over many blocks will take before it begins: shards, bytes, operations, hours, money, and
//! what holds it up, on machines that one may not have.
//!
//! ```
//! use exavox_pipeline::estimate::{ClusterModel, Distribution, StageModel, estimate};
//!
//! let infer = StageModel {
//!     name: "infer".to_owned(),
//!     blocks: 5_000,
//!     blocks_per_shard: None,
//!     read_bytes: 5_000 << 27,
//!     written_bytes: 5_000 << 26,
//!     flop: 0.0,
//!     memory_bytes_per_block: 6 << 30,
//!     seconds_per_block: Distribution::Samples(vec![71.0, 85.0, 64.0]),
//! };
//! let found = estimate(&[infer], &ClusterModel::new(10, 4), 1)?;
//! assert!(found.totals.simulated_seconds > found.totals.ideal_seconds);
//! # Ok::<(), exavox_pipeline::Error>(())
//! ```
//!
//! [`StageModel`] says what a stage is made of: by arithmetic for a volume that need not exist
//! ([`Hypothetical`]), or from blocks that were measured. [`ClusterModel`] says on what it runs.
//! [`estimate`] works out the ideal time and simulates the schedule; [`chart`] draws it.

use serde::Serialize;

use crate::error::{Error, Result};

mod bound;
mod chart;
mod cluster;
mod distribution;
mod grid;
mod hypothetical;
mod label_space;
mod quantity;
mod random;
mod scaling;
mod shards;
mod simulation;
mod stage;
mod text;

pub use bound::Bound;
pub use chart::chart;
pub use cluster::ClusterModel;
pub use distribution::Distribution;
pub use grid::BlockGrid;
pub use hypothetical::{ComputeRate, Hypothetical, Work};
pub use label_space::LabelSpace;
pub use scaling::{ScalingRow, compare_nodes};
pub use simulation::{Profile, Simulation, SlotCounts, StageRun};
pub use stage::StageModel;
pub use text::ScalingTable;

use self::bound::IdealTime;
use self::distribution::Sampler;
use self::shards::Shards;
use self::simulation::{Planned, simulate};

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

/// Works out what stages take, one after the other, and simulates them. A second for a million shards;
/// memory for the slots and for a profile of each stage, however many blocks there are.
///
/// # Errors
///
/// If a model has numbers that cannot be, if a block does not fit in the memory of a node, or if nodes
/// fail before a block is done.
pub fn estimate(stages: &[StageModel], cluster: &ClusterModel, seed: u64) -> Result<Estimate> {
    cluster.check()?;
    if stages.is_empty() {
        return Err(Error::settings("stages", "expected at least one, found none"));
    }
    let planned: Vec<Planned<'_>> =
        stages.iter().map(|stage| planned(stage, cluster)).collect::<Result<_>>()?;
    let simulation = simulate(&planned, cluster, seed)?;
    let figures: Vec<StageEstimate> = (stages.iter().zip(&planned).zip(&simulation.stages))
        .map(|((stage, planned), run)| stage_estimate(stage, planned, run, cluster))
        .collect();
    let totals = totals(&figures, &simulation, cluster);
    let notes = notes(&figures, cluster);
    Ok(Estimate { cluster: cluster.clone(), stages: figures, totals, notes, simulation })
}

/// Years beyond which nobody plans, in seconds.
const LONGEST_SECONDS: f64 = 1e15;

fn planned<'a>(stage: &'a StageModel, cluster: &ClusterModel) -> Result<Planned<'a>> {
    stage.check()?;
    let slots_per_node = cluster.blocks_at_once(stage)?;
    let slots = cluster.nodes * slots_per_node;
    let bytes_per_block = stage.bytes_per_block();
    let per_slot = cluster.bytes_per_second_per_node / slots_per_node as f64;
    let floor = bytes_per_block / per_slot;
    let sampler = Sampler::new(&stage.seconds_per_block, floor, cluster.block_latency_seconds);
    let seconds = sampler.block_seconds();
    if seconds * stage.blocks as f64 / slots as f64 > LONGEST_SECONDS {
        let message = format!("{} blocks of {seconds} s take for ever", stage.blocks);
        return Err(Error::settings(&stage.name, message));
    }
    let shards = match stage.blocks_per_shard {
        Some(blocks) => Shards::of(stage.blocks, blocks, cluster),
        None => Shards::choose(stage.blocks, seconds, slots, cluster),
    };
    Ok(Planned {
        name: &stage.name,
        sampler,
        blocks: stage.blocks,
        blocks_per_shard: shards.blocks_per_shard,
        shards: shards.shards,
        slots_per_node,
        bytes_per_block,
        gate_seconds: ledger_bytes(stage.blocks) as f64 / cluster.bytes_per_second_per_node,
    })
}

fn ledger_bytes(blocks: u64) -> u64 {
    blocks.saturating_mul(LEDGER_BYTES_PER_BLOCK)
}

fn stage_estimate(
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

fn totals(stages: &[StageEstimate], simulation: &Simulation, cluster: &ClusterModel) -> Totals {
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

/// Arrays above which somebody should think again.
const MANY_ARRAYS: u64 = 100;

fn notes(stages: &[StageEstimate], cluster: &ClusterModel) -> Vec<String> {
    let mut notes: Vec<String> = stages.iter().flat_map(|s| stage_notes(s, cluster)).collect();
    let gathered: Vec<String> = (stages.iter().filter(|s| s.simulated_units < s.shards))
        .map(|s| format!("{} as {}", s.name, quantity::count(s.simulated_units)))
        .collect();
    if !gathered.is_empty() {
        notes.push(format!(
            "too many shards to simulate each, gathered but for the last ones: {}",
            gathered.join(", ")
        ));
    }
    notes
}

fn stage_notes(stage: &StageEstimate, cluster: &ClusterModel) -> Vec<String> {
    let (name, at_once) = (&stage.name, stage.blocks_at_once_per_node);
    let mut notes = Vec::new();
    if at_once < cluster.slots_per_node {
        notes.push(format!(
            "{name}: the memory of a node is enough for {at_once} of its {} slots",
            cluster.slots_per_node
        ));
    }
    if stage.arrays > MANY_ARRAYS {
        notes.push(format!(
            "{name}: {} arrays of at most {} tasks; longer shards or larger arrays make fewer",
            quantity::count(stage.arrays),
            cluster.max_array_size
        ));
    }
    if cluster.mtbf_hours.is_some_and(|hours| stage.block_seconds > hours * 360.0) {
        notes.push(format!(
            "{name}: a block takes more than a tenth of the time between two failures of a node"
        ));
    }
    notes
}
