//! `exavox components`: connected components of one channel.

use std::fmt;

use exavox_compute::ops::connected_components::Foreground;
use exavox_compute::ops::{Connectivity, ValueRange};
use exavox_io::Volume;
use exavox_pipeline::components::{
    ComponentsOptions, ComponentsReport, Objects, components, components_by_blocks, goes_by_blocks,
    memory_needed,
};
use indicatif::{DecimalBytes, HumanCount};
use serde::Serialize;

use super::job;
use crate::context::Context;
use crate::exit_status::ExitStatus;
use crate::labelling_args::LabellingArgs;

/// Number the connected components of a mask or of labels.
///
/// Voxels that are not 0 and touch get one number, from 1 on in the order of their first voxels (z, y, x),
/// the order of cc3d; the rest is 0. DST has type uint32 (uint64 from 2^32 voxels on) and SRC's voxel size.
///
/// The whole region is held in memory. If it needs more than --memory, a .zarr, .n5 or .precomputed DST is
/// made by blocks, with the same labels; a run that was killed goes on when it is begun again. Other
/// targets are refused then, before anything is read.
///
/// The CPU computes unless --device names another, which needs a mask or labels of up to 32 bits; the labels
/// are the same. By blocks it is always the CPU.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The volume to read.
    #[arg(value_name = "SRC")]
    source: String,
    /// The labels to write.
    #[arg(value_name = "DST")]
    target: String,
    /// Neighbours of a voxel: 6 (faces), 18 (and edges) or 26 (and corners).
    #[arg(long, value_name = "N", default_value_t)]
    connectivity: Connectivity,
    /// Values that belong to the mask, both ends included [default: all but 0; NaN never does].
    #[arg(long, value_name = "LOW:HIGH", allow_hyphen_values = true)]
    range: Option<ValueRange>,
    /// Join voxels of the same value only, as in a volume of labels.
    #[arg(long, conflicts_with = "range")]
    multi_label: bool,
    /// Drop components of fewer voxels, and number the others without gaps.
    #[arg(long, value_name = "VOXELS", default_value_t = 0)]
    min_size: u64,
    #[command(flatten)]
    labelling: LabellingArgs,
}

/// Finds components, and tells how many.
pub(crate) fn run(args: Args, context: &Context) -> anyhow::Result<ExitStatus> {
    let mut options = ComponentsOptions::default();
    options.objects = match args.range {
        Some(range) => Objects::Mask(Foreground::Range(range)),
        None if args.multi_label => Objects::Equal,
        None => Objects::Mask(Foreground::NonZero),
    };
    options.connectivity = args.connectivity;
    options.min_voxels = args.min_size;
    options.labelling = args.labelling.options(context)?;
    let source = Volume::open_with(&args.source, &args.labelling.from.open_options(context))?;
    let needed = memory_needed(&source, &options)?;
    let (target, observer) = (&args.target, &context.observer);
    let report = if needed > context.memory_bytes() && goes_by_blocks(target) {
        let folder = job::beside(target)?;
        job::note_blocks(&args.source, needed, &folder, context);
        let engine = job::engine(context)?;
        let done = components_by_blocks(&source, target, &options, &folder, &engine, observer)?;
        match done.report {
            Some(report) => report,
            None => return job::incomplete(&folder, done.run, context),
        }
    } else {
        if needed <= context.memory_bytes() {
            let needed = DecimalBytes(needed);
            context.printer.note(&format!("{}: needs {needed} of memory", args.source));
        }
        components(&source, target, &options, observer)?
    };
    let connectivity = args.connectivity.neighbours();
    let (input, output) = (args.source, args.target);
    context.printer.summary(&Summary { input, output, connectivity, report })?;
    Ok(ExitStatus::Done)
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Summary {
    input: String,
    output: String,
    connectivity: u8,
    #[serde(flatten)]
    report: ComponentsReport,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = &self.report;
        let (count, largest) = (HumanCount(report.components), HumanCount(report.largest_voxels));
        write!(f, "{}: {count} components, the largest of {largest} voxels", self.output)?;
        if report.dropped > 0 {
            write!(f, "; {} were too small", HumanCount(report.dropped))?;
        }
        Ok(())
    }
}
