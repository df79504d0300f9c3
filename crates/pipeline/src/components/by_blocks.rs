//! Components of regions that do not fit into memory.

use std::path::Path;
use std::time::Instant;

use exavox_compute::ops::connected_components::{Foreground, label_dtype};
use exavox_io::Volume;

use super::{ComponentsOptions, ComponentsReport, Objects};
use crate::blocks::LocalEngine;
use crate::convert::same_place;
use crate::error::Result;
use crate::job::RunReport;
use crate::job::beside::Beside;
use crate::job::steps::{CodecName, ComponentTotals, ComponentsSpec, Layout, StepSpec};
use crate::labelling::{Part, part_spec};
use crate::peak_memory::peak_memory_bytes;
use crate::progress::Observer;

/// What components by blocks did.
#[derive(Debug)]
pub struct ComponentsByBlocks {
    /// What was found, if nothing is left to do.
    pub report: Option<ComponentsReport>,
    /// What this run did.
    pub run: RunReport,
}

/// As [`super::components`], to the voxel, by blocks within the memory of the engine. A job in `folder`
/// notes what is done: run again with the same settings, it goes on. The folder goes when all is done. Of
/// the options, the bound on memory is not looked at.
///
/// # Errors
/// As [`crate::job::Job::create`] and [`crate::job::Job::run`]; if an option does not fit the volume, or
/// `target` is no volume of many objects on a local disk (`.zarr`, `.n5`, `.precomputed`).
pub fn components_by_blocks(
    source: &Volume,
    target: &str,
    options: &ComponentsOptions,
    folder: &Path,
    engine: &LocalEngine,
    observer: &dyn Observer,
) -> Result<ComponentsByBlocks> {
    let started = Instant::now();
    let part = Part::of(source, &options.labelling)?;
    super::check_type(source, options)?;
    same_place::refuse(source.name(), target)?;
    let step = |target, layout| StepSpec::Components(spec(source, target, options, layout));
    let (mode, shape) = (options.labelling.mode, part.region.shape());
    let beside = Beside { name: target, shape, mode, folder, engine, observer };
    let (run, made) = beside.run(step, ComponentTotals::read)?;
    let (voxels, seconds) = (part.region.num_voxels(), started.elapsed().as_secs_f64());
    let report = made.map(|made| ComponentsReport {
        components: made.totals.components,
        dropped: made.totals.dropped,
        foreground_voxels: made.totals.foreground_voxels,
        largest_voxels: made.totals.largest_voxels,
        dtype: label_dtype(part.region.shape()).name(),
        voxels,
        blocks: Some(made.blocks),
        seconds,
        compute_seconds: run.stages.iter().map(|stage| stage.seconds).sum(),
        voxels_per_second: voxels as f64 / seconds.max(1e-9),
        memory_needed_bytes: made.memory_bytes,
        peak_memory_bytes: peak_memory_bytes(),
    });
    Ok(ComponentsByBlocks { report, run })
}

fn spec(
    source: &Volume,
    target: String,
    options: &ComponentsOptions,
    layout: Layout,
) -> ComponentsSpec {
    let range = match options.objects {
        Objects::Mask(Foreground::Range(range)) => Some(range.to_string()),
        _ => None,
    };
    ComponentsSpec {
        source: source.name().to_owned(),
        target,
        part: part_spec(source, &options.labelling),
        range,
        multi_label: options.objects == Objects::Equal,
        connectivity: options.connectivity.neighbours(),
        min_size: options.min_voxels,
        codec: options.labelling.codec.map(CodecName),
        layout,
    }
}
