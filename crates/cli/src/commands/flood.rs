//! `exavox flood`: seeded flood fill of one channel.

use std::fmt;
use std::path::PathBuf;

use exavox_compute::ops::{Connectivity, ValueRange};
use exavox_io::Volume;
use exavox_pipeline::flood::{
    FloodOptions, FloodReport, FloodSeed, flood, flood_by_blocks, goes_by_blocks, memory_needed,
    seeds_from_csv,
};
use indicatif::{DecimalBytes, HumanCount};
use serde::Serialize;

use super::job;
use crate::context::Context;
use crate::exit_status::ExitStatus;
use crate::labelling_args::LabellingArgs;
use crate::values;

/// Fill from seeds what lies within a range of values.
///
/// DST gets 1 (or the label of the seed in --seeds) at all voxels of the range that can be reached from a
/// seed, 0 elsewhere; it has type uint8 (uint32 for labels above 255) and SRC's voxel size. Where seeds of
/// several labels lie in one object, the first of them takes it.
///
/// The whole region is held in memory. If it needs more than --memory, a .zarr, .n5 or .precomputed DST is
/// made by blocks, with the same labels: only blocks that the flood comes to are read, and a run that was
/// killed goes on when it is begun again. Other targets are refused then, before anything is read.
///
/// The CPU computes unless --device names another, which needs voxels of up to 32 bits; the labels are the same.
/// By blocks it is always the CPU.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The volume to read.
    #[arg(value_name = "SRC")]
    source: String,
    /// The labels to write.
    #[arg(value_name = "DST")]
    target: String,
    /// Values to fill, both ends included; an end may be left out. NaN is never filled.
    #[arg(long, value_name = "LOW:HIGH", allow_hyphen_values = true)]
    range: ValueRange,
    /// A voxel to start from; can be repeated.
    #[arg(long = "seed", value_name = "Z,Y,X", value_parser = values::position_zyx)]
    #[arg(required_unless_present = "seed_file")]
    seeds: Vec<[u64; 3]>,
    /// Seeds in a CSV file: z,y,x or z,y,x,label in each line.
    #[arg(long = "seeds", value_name = "FILE.csv")]
    seed_file: Option<PathBuf>,
    /// Neighbours of a voxel: 6 (faces), 18 (and edges) or 26 (and corners).
    #[arg(long, value_name = "N", default_value_t)]
    connectivity: Connectivity,
    /// Stop with an error if more voxels are reached: the flood has leaked.
    #[arg(long, value_name = "VOXELS")]
    max_voxels: Option<u64>,
    #[command(flatten)]
    labelling: LabellingArgs,
}

/// Floods, and tells how far; seeds that reach nothing are named in numbers.
pub(crate) fn run(args: Args, context: &Context) -> anyhow::Result<ExitStatus> {
    let seed = |position_zyx: &[u64; 3]| FloodSeed { position_zyx: *position_zyx, label: 1 };
    let mut seeds: Vec<FloodSeed> = args.seeds.iter().map(seed).collect();
    if let Some(path) = &args.seed_file {
        seeds.extend(seeds_from_csv(path)?);
    }
    let mut options = FloodOptions::new(args.range, seeds);
    options.spread.connectivity = args.connectivity;
    options.spread.max_voxels = args.max_voxels;
    options.labelling = args.labelling.options(context)?;
    let source = Volume::open_with(&args.source, &args.labelling.from.open_options(context))?;
    let needed = memory_needed(&source, &options)?;
    let (target, observer) = (&args.target, &context.observer);
    let report = if needed > context.memory_bytes() && goes_by_blocks(target) {
        let folder = job::beside(target)?;
        job::note_blocks(&args.source, needed, &folder, context);
        let engine = job::engine(context)?;
        let done = flood_by_blocks(&source, target, &options, &folder, &engine, observer)?;
        match done.report {
            Some(report) => report,
            None => return job::incomplete(&folder, done.run, context),
        }
    } else {
        if needed <= context.memory_bytes() {
            let needed = DecimalBytes(needed);
            context.printer.note(&format!("{}: needs at most {needed} of memory", args.source));
        }
        flood(&source, target, &options, observer)?
    };
    warn(&report, context);
    let nothing = report.filled_voxels == 0;
    let connectivity = args.connectivity.neighbours();
    let (input, output) = (args.source, args.target);
    context.printer.summary(&Summary { input, output, connectivity, report })?;
    Ok(if nothing { ExitStatus::Incomplete } else { ExitStatus::Done })
}

fn warn(report: &FloodReport, context: &Context) {
    let all = report.seeds;
    let of_all = [
        (report.seeds_out_of_range, "lie on voxels out of the range"),
        (report.seeds_taken, "lie in objects that an earlier seed with another label has taken"),
    ];
    for (count, what) in of_all.into_iter().filter(|(count, _)| *count > 0) {
        context.printer.warning(&format!("{count} of {all} seeds {what}"));
    }
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Summary {
    input: String,
    output: String,
    connectivity: u8,
    #[serde(flatten)]
    report: FloodReport,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (filled, all) = (self.report.filled_voxels, self.report.voxels);
        let percent = 100.0 * filled as f64 / all.max(1) as f64;
        write!(f, "{}: {} voxels filled ({percent:.2} %)", self.output, HumanCount(filled))
    }
}
