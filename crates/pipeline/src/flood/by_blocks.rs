//! Floods of regions that do not fit into memory.

use std::time::Instant;

use exavox_io::Volume;

use super::{FloodOptions, FloodReport, label_type, seeds_in};
use crate::blocks::LocalEngine;
use crate::convert::same_place;
use crate::error::Result;
use crate::job::beside;
use crate::job::steps::{FloodSpec, FloodTotals, Layout, StepSpec};
use crate::labelling::{ByBlocks, Part};
use crate::peak_memory::peak_memory_bytes;
use crate::progress::Observer;

/// As [`super::flood`], to the voxel, by blocks in bounded memory; blocks that the flood does not come to
/// are not read. What is needed between the blocks lies in the folder `.NAME.job` beside `target`, which
/// goes when the labels are whole; a run that was killed goes on there when it is begun again.
///
/// # Errors
/// If a seed lies outside of the region, or an option does not fit the volume; if `target` is no volume of
/// many objects on a local disk (`.zarr`, `.n5`, `.precomputed`); if the folder was begun with other
/// options; if the flood leaks; if the volume cannot be read, or the labels cannot be written.
pub fn flood_by_blocks(
    source: &Volume,
    target: &str,
    options: &FloodOptions,
    by: &ByBlocks,
    engine: &LocalEngine,
    observer: &dyn Observer,
) -> Result<FloodReport> {
    let started = Instant::now();
    let part = Part::of(source, &options.labelling)?;
    seeds_in(&part, &options.seeds)?;
    same_place::refuse(source.name(), target)?;
    let step = |target| StepSpec::Flood(spec(source, target, options, by));
    let mode = options.labelling.mode;
    let found = beside::run(target, mode, engine, observer, step, FloodTotals::read)?;
    let (voxels, seconds) = (part.region.num_voxels(), started.elapsed().as_secs_f64());
    Ok(FloodReport {
        filled_voxels: found.totals.filled_voxels,
        components: found.totals.components,
        seeds: found.totals.seeds,
        seeds_out_of_range: found.totals.seeds_out_of_range,
        seeds_taken: found.totals.seeds_taken,
        dtype: label_type(&options.seeds).name(),
        voxels,
        blocks: Some(found.blocks),
        seconds,
        compute_seconds: found.seconds,
        voxels_per_second: voxels as f64 / seconds.max(1e-9),
        memory_needed_bytes: found.memory_bytes,
        peak_memory_bytes: peak_memory_bytes(),
    })
}

fn spec(source: &Volume, target: String, options: &FloodOptions, by: &ByBlocks) -> FloodSpec {
    FloodSpec {
        source: source.name().to_owned(),
        target,
        part: by.part(&options.labelling),
        range: options.range.to_string(),
        seeds: options.seeds.clone(),
        seed_file: None,
        connectivity: options.spread.connectivity.neighbours(),
        max_voxels: options.spread.max_voxels,
        layout: Layout { block: by.block, chunk: by.chunk, shard: None },
    }
}
