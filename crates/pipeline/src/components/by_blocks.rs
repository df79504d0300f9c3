//! Components of regions that do not fit into memory.

use std::time::Instant;

use exavox_compute::ops::connected_components::{Foreground, label_dtype};
use exavox_io::Volume;

use super::{ComponentsOptions, ComponentsReport, Objects};
use crate::blocks::LocalEngine;
use crate::convert::same_place;
use crate::error::Result;
use crate::job::beside;
use crate::job::steps::{ComponentTotals, ComponentsSpec, Layout, StepSpec};
use crate::labelling::{ByBlocks, Part};
use crate::peak_memory::peak_memory_bytes;
use crate::progress::Observer;

/// As [`super::components`], to the voxel, by blocks in bounded memory. What is needed between the blocks
/// lies in the folder `.NAME.job` beside `target`, which goes when the labels are whole; a run that was
/// killed goes on there when it is begun again.
///
/// # Errors
/// If an option does not fit the volume; if `target` is no volume of many objects on a local disk
/// (`.zarr`, `.n5`, `.precomputed`); if the folder was begun with other options; if the volume cannot be
/// read, or the labels cannot be written.
pub fn components_by_blocks(
    source: &Volume,
    target: &str,
    options: &ComponentsOptions,
    by: &ByBlocks,
    engine: &LocalEngine,
    observer: &dyn Observer,
) -> Result<ComponentsReport> {
    let started = Instant::now();
    let part = Part::of(source, &options.labelling)?;
    super::check_type(source, options)?;
    same_place::refuse(source.name(), target)?;
    let step = |target| StepSpec::Components(spec(source, target, options, by));
    let mode = options.labelling.mode;
    let found = beside::run(target, mode, engine, observer, step, ComponentTotals::read)?;
    let (voxels, seconds) = (part.region.num_voxels(), started.elapsed().as_secs_f64());
    Ok(ComponentsReport {
        components: found.totals.components,
        dropped: found.totals.dropped,
        foreground_voxels: found.totals.foreground_voxels,
        largest_voxels: found.totals.largest_voxels,
        dtype: label_dtype(part.region.shape()).name(),
        voxels,
        blocks: Some(found.blocks),
        seconds,
        compute_seconds: found.seconds,
        voxels_per_second: voxels as f64 / seconds.max(1e-9),
        memory_needed_bytes: found.memory_bytes,
        peak_memory_bytes: peak_memory_bytes(),
    })
}

fn spec(
    source: &Volume,
    target: String,
    options: &ComponentsOptions,
    by: &ByBlocks,
) -> ComponentsSpec {
    let range = match options.objects {
        Objects::Mask(Foreground::Range(range)) => Some(range.to_string()),
        _ => None,
    };
    ComponentsSpec {
        source: source.name().to_owned(),
        target,
        part: by.part(&options.labelling),
        range,
        multi_label: options.objects == Objects::Equal,
        connectivity: options.connectivity.neighbours(),
        min_size: options.min_voxels,
        layout: Layout { block: by.block, chunk: by.chunk, shard: None },
    }
}
