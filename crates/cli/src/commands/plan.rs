//! `exavox plan`: what a run will take, before it begins.

use std::fmt;
use std::path::PathBuf;

use anyhow::Context as _;
use exavox_pipeline::estimate::{
    Estimate, Hypothetical, LabelSpace, ScalingRow, ScalingTable, chart, compare_nodes, estimate,
};
use indicatif::DecimalBytes;
use serde::Serialize;

use self::cluster_args::ClusterArgs;
use self::plan_file::FileArgs;
use self::volume_args::VolumeArgs;
use crate::context::Context;
use crate::exit_status::ExitStatus;

mod cluster_args;
mod plan_file;
mod volume_args;

const EXAMPLES: &str = "\
Examples:
  An exabyte on 1000 nodes of 8 GPUs, the schedule as a picture:
    exavox plan --shape 1000000,1000000,1000000 --nodes 1000 --slots 8 --steps-per-second 1000 --svg plan.svg
  A plan of real volumes, from 20 of its blocks, which then are done:
    exavox plan plan.toml --measure 20 --nodes 4 --slots 16
  How many nodes are worth it for the components of a mask of 16 terabyte:
    exavox plan --shape 25000,25000,25000 --work components --slots 32 --compare-nodes 1,10,100";

/// What a run over a volume of any size will take: blocks, shards, bytes, operations, memory, hours, cost.
///
/// The volume need not exist. Blocks are counted, not listed: an exabyte takes seconds and little memory.
/// The schedule is simulated shard by shard, with blocks that take unlike times, stragglers, nodes that
/// fail, and a store that all share; --svg draws it. The same --seed gives the same run. What is taken for
/// granted is printed; give measured figures where there are some.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    file: FileArgs,
    #[command(flatten)]
    volume: VolumeArgs,
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// What is shown.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Result")]
struct OutputArgs {
    /// Draw the simulated schedule.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Also estimate the same work on these numbers of nodes.
    #[arg(long, value_name = "N,N,...", value_delimiter = ',')]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    compare_nodes: Vec<u64>,
    /// Of the random numbers of the simulation.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

/// Estimates, and prints the table.
pub(crate) fn run(args: Args, context: &Context) -> anyhow::Result<ExitStatus> {
    if let Some(plan) = &args.file.plan {
        return plan_file::run(plan, &args, context);
    }
    let plan = args.volume.hypothetical();
    let cluster = args.cluster.model(context);
    if let Some(memory) = cluster.memory_bytes_per_node {
        plan.check_memory(memory)?;
    }
    let (stages, seed) = (plan.stages()?, args.output.seed);
    let found = estimate(&stages, &cluster, seed)?;
    let scaling = compare_nodes(&stages, &cluster, &args.output.compare_nodes, seed)?;
    let summary = Summary::new(&plan, found, scaling)?;
    if let Some(path) = &args.output.svg {
        let picture = chart(&summary.title(), &summary.estimate, &summary.scaling);
        std::fs::write(path, picture).with_context(|| path.display().to_string())?;
    }
    context.printer.answer(&summary)?;
    Ok(ExitStatus::Done)
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Summary {
    work: &'static str,
    shape: [u64; 3],
    dtype: &'static str,
    volume_bytes: u128,
    #[serde(skip_serializing_if = "Option::is_none")]
    label_space: Option<LabelSpace>,
    assumptions: Vec<String>,
    estimate: Estimate,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    scaling: Vec<ScalingRow>,
}

impl Summary {
    fn new(
        plan: &Hypothetical,
        estimate: Estimate,
        scaling: Vec<ScalingRow>,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            work: plan.work.name(),
            shape: plan.shape_zyx,
            dtype: plan.dtype.name(),
            volume_bytes: plan.bytes(),
            label_space: plan.label_space()?,
            assumptions: plan.assumptions(),
            estimate,
            scaling,
        })
    }

    fn title(&self) -> String {
        let ([z, y, x], cluster) = (self.shape, &self.estimate.cluster);
        // More than 1.8e19 bytes are no number of the formatter's.
        let bytes = u64::try_from(self.volume_bytes)
            .map_or(format!("{:.3e} B", self.volume_bytes as f64), |b| DecimalBytes(b).to_string());
        let s = |count: u64| if count == 1 { "" } else { "s" };
        let (nodes, slots) = (cluster.nodes, cluster.slots_per_node);
        format!(
            "{} of {z} x {y} x {x} {} ({bytes}) on {nodes} node{} of {slots} slot{}",
            self.work,
            self.dtype,
            s(nodes),
            s(slots)
        )
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.title())?;
        write!(f, "{}", self.estimate)?;
        if let Some(LabelSpace { block_bits, local_bits, .. }) = self.label_space {
            let sum = block_bits + local_bits;
            writeln!(
                f,
                "labels: {block_bits} bits of block and {local_bits} within it, {sum} of 63"
            )?;
        }
        for line in &self.assumptions {
            writeln!(f, "assumed: {line}")?;
        }
        if self.scaling.is_empty() {
            return Ok(());
        }
        write!(f, "\n{}", ScalingTable(&self.scaling))
    }
}
