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
//! [`estimate`] works out the ideal time and simulates the schedule; [`chart()`] draws it.

use crate::error::{Error, Result};

mod bound;
pub(crate) mod chart;
mod cluster;
mod distribution;
mod figures;
mod grid;
mod hypothetical;
mod label_space;
mod notes;
mod quantity;
pub(crate) mod random;
mod scaling;
mod shards;
mod simulation;
mod stage;
mod text;

pub use bound::Bound;
pub use chart::chart;
pub use cluster::ClusterModel;
pub use distribution::Distribution;
pub use figures::{Estimate, StageEstimate, Totals};
pub use grid::BlockGrid;
pub use hypothetical::{ComputeRate, Hypothetical, Work};
pub use label_space::LabelSpace;
pub use scaling::{ScalingRow, compare_nodes};
pub use simulation::{Profile, Simulation, SlotCounts, StageRun};
pub use stage::StageModel;
pub use text::ScalingTable;

use self::distribution::Sampler;
use self::figures::{ledger_bytes, stage_estimate, totals};
use self::notes::notes;
use self::shards::Shards;
use self::simulation::{Planned, simulate};

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
