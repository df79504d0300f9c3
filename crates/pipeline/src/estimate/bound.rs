//! How long a stage takes if all goes well, and what it is that takes so long.

use std::fmt;

use serde::Serialize;

use super::cluster::ClusterModel;
use super::simulation::Planned;
use super::stage::StageModel;

/// What would have to be better for a stage to take less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// More or faster slots.
    Compute,
    /// More bandwidth between nodes and the store.
    NodeBandwidth,
    /// More bandwidth of the store.
    StoreBandwidth,
    /// Less time to begin blocks, tasks, jobs and gates, or fewer of them.
    Latency,
    /// More blocks: there are fewer than slots.
    Blocks,
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Compute => "compute",
            Self::NodeBandwidth => "node bandwidth",
            Self::StoreBandwidth => "store bandwidth",
            Self::Latency => "latency",
            Self::Blocks => "few blocks",
        })
    }
}

/// Seconds that each resource needs for a stage by itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct IdealTime {
    compute: f64,
    node: f64,
    store: f64,
    latency: f64,
    one_block: f64,
    slot_seconds: f64,
    slots: f64,
}

impl IdealTime {
    pub(super) fn of(stage: &StageModel, planned: &Planned<'_>, cluster: &ClusterModel) -> Self {
        let slots = (cluster.nodes * planned.slots_per_node) as f64;
        let blocks = stage.blocks as f64;
        let bytes = planned.bytes_per_block * blocks;
        let starts = planned.shards as f64 * cluster.task_start_seconds / slots;
        let jobs = 2.0 * cluster.job_latency_seconds + planned.gate_seconds;
        Self {
            compute: blocks * stage.seconds_per_block.mean_seconds() / slots,
            node: bytes / (cluster.bytes_per_second_per_node * cluster.nodes as f64),
            store: cluster.store_bytes_per_second.map_or(0.0, |store| bytes / store),
            latency: blocks * cluster.block_latency_seconds / slots + starts + jobs,
            one_block: planned.sampler.block_seconds(),
            slot_seconds: planned.sampler.block_seconds() * blocks,
            slots,
        }
    }

    /// Work of all slots together.
    pub(super) fn slot_seconds(&self) -> f64 {
        self.slot_seconds
    }

    /// All slots work all the time; a block is not divided.
    pub(super) fn seconds(&self) -> f64 {
        (self.slot_seconds / self.slots).max(self.store).max(self.one_block)
    }

    pub(super) fn bound(&self) -> Bound {
        let spread = self.slot_seconds / self.slots;
        let blocks = if self.one_block > spread { self.one_block } else { 0.0 };
        let needs = [
            (self.compute, Bound::Compute),
            (self.node, Bound::NodeBandwidth),
            (self.store, Bound::StoreBandwidth),
            (self.latency, Bound::Latency),
            (blocks, Bound::Blocks),
        ];
        needs.into_iter().max_by(|a, b| a.0.total_cmp(&b.0)).map_or(Bound::Compute, |need| need.1)
    }
}
