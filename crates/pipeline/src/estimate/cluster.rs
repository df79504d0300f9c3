//! The machines of an estimate.

use serde::Serialize;

use super::stage::StageModel;
use crate::error::{Error, Result};

/// Nodes, what connects them to the store, and what goes wrong with them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClusterModel {
    /// Machines, all alike.
    pub nodes: u64,
    /// Blocks that a node works on at once, if its memory is enough: one for each device or core.
    pub slots_per_node: u64,
    /// Bytes of memory that blocks of a node may take together; not checked if `None`.
    pub memory_bytes_per_node: Option<u64>,
    /// Bytes a second between a node and the store, both directions together.
    pub bytes_per_second_per_node: f64,
    /// Bytes a second that the store gives to and takes from all nodes together; no bound if `None`.
    pub store_bytes_per_second: Option<f64>,
    /// Seconds that each block takes besides its work: opening, committing, the marker.
    pub block_latency_seconds: f64,
    /// Seconds until the scheduler begins with a job: an array, or the gate after a stage.
    pub job_latency_seconds: f64,
    /// Seconds in which a task of an array starts: the program, its weights.
    pub task_start_seconds: f64,
    /// Tasks that the scheduler starts in a second.
    pub starts_per_second: f64,
    /// Mean hours between failures of one node; none fails if `None`.
    pub mtbf_hours: Option<f64>,
    /// Seconds until the shards of a node that has failed are in the queue again.
    pub requeue_seconds: f64,
    /// Seconds until a node that has failed works again.
    pub repair_seconds: f64,
    /// Share of the shards that are slow for no reason of their own, 0 to 1.
    pub straggler_fraction: f64,
    /// How many times as long those take.
    pub straggler_factor: f64,
    /// Shortest and longest shard that is aimed at, in seconds.
    pub shard_seconds: [f64; 2],
    /// Tasks of one array, as the scheduler bounds them (Slurm: `MaxArraySize`).
    pub max_array_size: u64,
    /// Price of a node for an hour.
    pub price_per_node_hour: Option<f64>,
    /// Power of a node at work, in watts.
    pub watts_per_node: Option<f64>,
}

impl ClusterModel {
    /// Nodes with the bounds and faults of a usual cluster: Slurm's defaults for the time in which
    /// it misses a node (300 s) and may start its jobs again (120 s) and for the size of arrays, 1 GB/s
    /// to the store, a failure of each node every 20 000 hours, a shard of a hundred three times as
    /// slow.
    pub fn new(nodes: u64, slots_per_node: u64) -> Self {
        Self {
            nodes,
            slots_per_node,
            memory_bytes_per_node: None,
            bytes_per_second_per_node: 1e9,
            store_bytes_per_second: None,
            block_latency_seconds: 0.05,
            job_latency_seconds: 30.0,
            task_start_seconds: 5.0,
            starts_per_second: 50.0,
            mtbf_hours: Some(20_000.0),
            requeue_seconds: 420.0,
            repair_seconds: 3600.0,
            straggler_fraction: 0.01,
            straggler_factor: 3.0,
            shard_seconds: [300.0, 1800.0],
            max_array_size: 1001,
            price_per_node_hour: None,
            watts_per_node: None,
        }
    }

    /// The same machines where nothing waits and nothing goes wrong.
    pub fn without_faults(self) -> Self {
        Self {
            block_latency_seconds: 0.0,
            job_latency_seconds: 0.0,
            task_start_seconds: 0.0,
            starts_per_second: f64::INFINITY,
            mtbf_hours: None,
            straggler_fraction: 0.0,
            ..self
        }
    }

    /// Blocks of a stage that a node works on at once: its slots, or fewer if memory is short.
    ///
    /// # Errors
    ///
    /// If not even one block fits in the memory of a node.
    pub fn blocks_at_once(&self, stage: &StageModel) -> Result<u64> {
        let Some(memory) = self.memory_bytes_per_node else { return Ok(self.slots_per_node) };
        let needed = stage.memory_bytes_per_block.max(1);
        if needed > memory {
            let share = memory as f64 / needed as f64 * 100.0;
            let message = format!(
                "a block takes {needed} bytes of memory, a node has {memory}: blocks of at most \
                 {share:.3} % of the voxels would fit"
            );
            return Err(Error::settings(&stage.name, message));
        }
        Ok(self.slots_per_node.min(memory / needed))
    }

    /// Refuses numbers that describe no cluster.
    pub(super) fn check(&self) -> Result<()> {
        let counts = [
            ("nodes", self.nodes),
            ("slots of a node", self.slots_per_node),
            ("size of arrays", self.max_array_size),
        ];
        if let Some((name, _)) = counts.into_iter().find(|(_, count)| *count == 0) {
            return Err(Error::settings(name, "expected at least 1, found 0"));
        }
        let slots = self.nodes.saturating_mul(self.slots_per_node);
        if slots > MOST_SLOTS {
            let message = format!("{slots} slots in all, at most {MOST_SLOTS} can be simulated");
            return Err(Error::settings("nodes", message));
        }
        self.check_rates()?;
        self.check_durations()
    }

    fn check_rates(&self) -> Result<()> {
        let rates = [
            ("bytes a second of a node", self.bytes_per_second_per_node),
            ("bytes a second of the store", self.store_bytes_per_second.unwrap_or(1.0)),
            ("starts a second", self.starts_per_second),
            ("hours between failures", self.mtbf_hours.unwrap_or(1.0)),
            ("shortest shard", self.shard_seconds[0]),
            ("longest shard", self.shard_seconds[1]),
        ];
        match rates.into_iter().find(|(_, rate)| rate.is_nan() || *rate <= 0.0) {
            Some((name, found)) => {
                Err(Error::settings(name, format!("expected more than 0, found {found}")))
            }
            None if self.shard_seconds[1] < self.shard_seconds[0] => {
                let [shortest, longest] = self.shard_seconds;
                let message = format!("{longest} s, which is less than the shortest, {shortest} s");
                Err(Error::settings("longest shard", message))
            }
            None => Ok(()),
        }
    }

    fn check_durations(&self) -> Result<()> {
        let durations = [
            ("latency of a block", self.block_latency_seconds),
            ("latency of a job", self.job_latency_seconds),
            ("start of a task", self.task_start_seconds),
            ("time to queue again", self.requeue_seconds),
            ("time of repair", self.repair_seconds),
            ("factor of stragglers", self.straggler_factor - 1.0),
            ("price", self.price_per_node_hour.unwrap_or(0.0)),
            ("watts", self.watts_per_node.unwrap_or(0.0)),
        ];
        if let Some((name, _)) = durations.into_iter().find(|(_, d)| !d.is_finite() || *d < 0.0) {
            let least = if name.starts_with("factor") { 1 } else { 0 };
            return Err(Error::settings(name, format!("expected a number of at least {least}")));
        }
        if !(0.0..=1.0).contains(&self.straggler_fraction) {
            let message = format!("expected 0 to 1, found {}", self.straggler_fraction);
            return Err(Error::settings("share of stragglers", message));
        }
        Ok(())
    }
}

/// Slots that a simulation keeps in memory, some 100 bytes each.
const MOST_SLOTS: u64 = 1_000_000;
