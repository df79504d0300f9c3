//! The machines, what goes wrong with them, and what they cost.

use exavox_pipeline::estimate::ClusterModel;

use crate::context::Context;
use crate::memory_size::MemorySize;

/// Nodes, store, faults, prices.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Machines")]
pub(super) struct ClusterArgs {
    /// Machines.
    #[arg(long, value_name = "N", default_value_t = 1)]
    nodes: u64,
    /// Blocks that each works on at once: its GPUs, or its cores.
    #[arg(long, value_name = "N", default_value_t = 1)]
    slots: u64,
    /// Memory for the blocks of a node; --memory means the same here [default: not checked].
    #[arg(long, value_name = "SIZE")]
    node_memory: Option<MemorySize>,
    /// Bytes a second between a node and the store, such as 1GB/s.
    #[arg(long, value_name = "RATE", default_value = "1GB/s", value_parser = rate)]
    node_bandwidth: f64,
    /// Bytes a second of the store to and from all nodes [default: no bound].
    #[arg(long, value_name = "RATE", value_parser = rate)]
    store_bandwidth: Option<f64>,
    /// Seconds of each block besides its work: opening, committing.
    #[arg(long, value_name = "S", default_value_t = 0.05)]
    block_latency: f64,
    /// Seconds until the scheduler begins with an array or a gate [default: 30; 0 on one node].
    #[arg(long, value_name = "S")]
    job_latency: Option<f64>,
    /// Seconds in which a task starts [default: 5; 0 on one node].
    #[arg(long, value_name = "S")]
    task_start: Option<f64>,
    /// Tasks that the scheduler starts in a second.
    #[arg(long, value_name = "N", default_value_t = 50.0)]
    starts_per_second: f64,
    /// Tasks of an array at most: `scontrol show config` says MaxArraySize.
    #[arg(long, value_name = "N", default_value_t = 1001)]
    max_array_size: u64,
    /// Shortest and longest shard that is aimed at, in minutes.
    #[arg(long, value_name = "LOW,HIGH", default_value = "5,30", value_parser = crate::values::pair)]
    shard_minutes: [f64; 2],
    /// Mean hours between failures of one node; 0 for never.
    #[arg(long, value_name = "H", default_value_t = 20_000.0)]
    mtbf_hours: f64,
    /// Seconds until the shards of a node that has failed are queued again.
    #[arg(long, value_name = "S", default_value_t = 420.0)]
    requeue: f64,
    /// Seconds until a node that has failed works again.
    #[arg(long, value_name = "S", default_value_t = 3600.0)]
    repair: f64,
    /// Share of the shards that are slow, and how many times as long they take.
    #[arg(long, value_name = "SHARE,FACTOR", default_value = "0.01,3", value_parser = crate::values::pair)]
    stragglers: [f64; 2],
    /// Price of a node for an hour.
    #[arg(long, value_name = "P")]
    price: Option<f64>,
    /// Power of a node, in watts.
    #[arg(long, value_name = "W")]
    watts: Option<f64>,
}

/// `1GB/s`, `200GB`.
fn rate(text: &str) -> Result<f64, String> {
    let size: MemorySize = text.strip_suffix("/s").unwrap_or(text).parse()?;
    Ok(size.0 as f64)
}

impl ClusterArgs {
    /// As the pipeline knows it.
    pub(super) fn model(&self, context: &Context) -> ClusterModel {
        // On one machine there is no scheduler, and no program to start for each task.
        let unless_alone = |seconds: f64| if self.nodes == 1 { 0.0 } else { seconds };
        ClusterModel {
            nodes: self.nodes,
            slots_per_node: self.slots,
            memory_bytes_per_node: self.node_memory.map(|memory| memory.0).or(context.memory),
            bytes_per_second_per_node: self.node_bandwidth,
            store_bytes_per_second: self.store_bandwidth,
            block_latency_seconds: self.block_latency,
            job_latency_seconds: self.job_latency.unwrap_or(unless_alone(30.0)),
            task_start_seconds: self.task_start.unwrap_or(unless_alone(5.0)),
            starts_per_second: self.starts_per_second,
            mtbf_hours: Some(self.mtbf_hours).filter(|hours| *hours != 0.0),
            requeue_seconds: self.requeue,
            repair_seconds: self.repair,
            straggler_fraction: self.stragglers[0],
            straggler_factor: self.stragglers[1],
            shard_seconds: self.shard_minutes.map(|minutes| minutes * 60.0),
            max_array_size: self.max_array_size,
            price_per_node_hour: self.price,
            watts_per_node: self.watts,
        }
    }
}
