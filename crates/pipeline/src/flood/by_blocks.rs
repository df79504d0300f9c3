//! Floods of regions that do not fit into memory.

use std::path::Path;
use std::time::Instant;

use exavox_io::Volume;

use super::{FloodOptions, FloodReport, label_type, seeds_in};
use crate::blocks::LocalEngine;
use crate::convert::same_place;
use crate::error::Result;
use crate::job::RunReport;
use crate::job::beside::Beside;
use crate::job::steps::{CodecName, FloodSpec, FloodTotals, Layout, StepSpec};
use crate::labelling::{Part, part_spec};
use crate::peak_memory::peak_memory_bytes;
use crate::progress::Observer;

/// What a flood by blocks did.
#[derive(Debug)]
pub struct FloodByBlocks {
    /// What was reached, if nothing is left to do.
    pub report: Option<FloodReport>,
    /// What this run did.
    pub run: RunReport,
}

/// As [`super::flood`], to the voxel, by blocks within the memory of the engine; blocks that the flood does
/// not come to are not read. A job in `folder` notes what is done: run again with the same settings, it
/// goes on. The folder goes when all is done. Of the options, the bound on memory is not looked at.
///
/// # Errors
/// As [`crate::job::Job::create`] and [`crate::job::Job::run`]; if a seed lies outside of the region, an
/// option does not fit the volume, or `target` is no volume of many objects on a local disk (`.zarr`,
/// `.n5`, `.precomputed`).
pub fn flood_by_blocks(
    source: &Volume,
    target: &str,
    options: &FloodOptions,
    folder: &Path,
    engine: &LocalEngine,
    observer: &dyn Observer,
) -> Result<FloodByBlocks> {
    let started = Instant::now();
    let part = Part::of(source, &options.labelling)?;
    seeds_in(&part, &options.seeds)?;
    same_place::refuse(source.name(), target)?;
    let step = |target, layout| StepSpec::Flood(spec(source, target, options, layout));
    let (mode, shape) = (options.labelling.mode, part.region.shape());
    let beside = Beside { name: target, shape, mode, folder, engine, observer };
    let (run, made) = beside.run(step, FloodTotals::read)?;
    let (voxels, seconds) = (part.region.num_voxels(), started.elapsed().as_secs_f64());
    let report = made.map(|made| FloodReport {
        filled_voxels: made.totals.filled_voxels,
        components: made.totals.components,
        seeds: made.totals.seeds,
        seeds_out_of_range: made.totals.seeds_out_of_range,
        seeds_taken: made.totals.seeds_taken,
        dtype: label_type(&options.seeds).name(),
        voxels,
        blocks: Some(made.blocks),
        seconds,
        compute_seconds: run.stages.iter().map(|stage| stage.seconds).sum(),
        voxels_per_second: voxels as f64 / seconds.max(1e-9),
        memory_needed_bytes: made.memory_bytes,
        peak_memory_bytes: peak_memory_bytes(),
    });
    Ok(FloodByBlocks { report, run })
}

fn spec(source: &Volume, target: String, options: &FloodOptions, layout: Layout) -> FloodSpec {
    FloodSpec {
        source: source.name().to_owned(),
        target,
        part: part_spec(source, &options.labelling),
        range: options.range.to_string(),
        seeds: options.seeds.clone(),
        seed_file: None,
        connectivity: options.spread.connectivity.neighbours(),
        max_voxels: options.spread.max_voxels,
        codec: options.labelling.codec.map(CodecName),
        layout,
    }
}
