//! Filters of volumes that do not fit into memory.

use std::path::Path;
use std::time::Instant;

use exavox_io::Volume;

use super::{FilterOptions, FilterReport, FilteredChannel, result_dtype};
use crate::blocks::LocalEngine;
use crate::convert::same_place;
use crate::error::{Error, Result};
use crate::job::RunReport;
use crate::job::beside::{Beside, Made};
use crate::job::steps::{CodecName, FilterSettings, FilterSpec, Layout, SourceSpec, StepSpec};
use crate::labelling::{goes_by_blocks, written};
use crate::peak_memory::peak_memory_bytes;
use crate::progress::Observer;
use crate::selection::region_of;

/// What a filter by blocks did.
#[derive(Debug)]
pub struct FilteredByBlocks {
    /// What was made, if nothing is left to do.
    pub report: Option<FilterReport>,
    /// What this run did.
    pub run: RunReport,
}

/// Whether a filter can be run by blocks and its target be written by them.
pub fn filter_goes_by_blocks(target: &str, options: &FilterOptions) -> bool {
    goes_by_blocks(target) && FilterSettings::of(&options.filter).is_some()
}

/// As [`super::filter`], to the bit, by blocks within the memory of the engine. A job in `folder` notes what
/// is done: run again with the same settings, it goes on. The folder goes when all is done. Of the options,
/// the bound on memory is not looked at.
///
/// # Errors
/// As [`crate::job::Job::create`] and [`crate::job::Job::run`]; [`Error::Settings`] if the filter does not go
/// by blocks.
pub fn filter_by_blocks(
    source: &Volume,
    target: &str,
    options: &FilterOptions,
    folder: &Path,
    engine: &LocalEngine,
    observer: &dyn Observer,
) -> Result<FilteredByBlocks> {
    let started = Instant::now();
    same_place::refuse(source.name(), target)?;
    let region = region_of(source.name(), source.shape(), options.region)?;
    let filter = FilterSettings::of(&options.filter).ok_or_else(|| {
        Error::settings(format!("filter {}", options.filter.name()), "does not go by blocks")
    })?;
    let step = |target, layout| StepSpec::Filter(spec(source, target, &filter, options, layout));
    let (mode, shape) = (options.mode, region.shape());
    let beside = Beside { name: target, shape, mode, folder, engine, observer };
    let (run, made) = beside.run(step, |_| Ok(()))?;
    let report = made.map(|made| report(source, options, shape, &run, made, started));
    Ok(FilteredByBlocks { report, run })
}

fn report(
    source: &Volume,
    options: &FilterOptions,
    shape: [u64; 3],
    run: &RunReport,
    made: Made<()>,
    started: Instant,
) -> FilterReport {
    let names = &source.metadata().channels;
    let stages: f64 = run.stages.iter().map(|stage| stage.seconds).sum();
    let filter_seconds = stages / names.len() as f64;
    let channel =
        |name: &String| FilteredChannel { name: name.clone(), filter_seconds, error: None };
    let voxels = shape.into_iter().fold(names.len() as u64, u64::saturating_mul);
    let seconds = started.elapsed().as_secs_f64();
    FilterReport {
        channels: names.iter().map(channel).collect(),
        shape,
        dtype: result_dtype(source, options).name(),
        voxels,
        seconds,
        voxels_per_second: voxels as f64 / seconds.max(1e-9),
        expected_memory_bytes: made.memory_bytes,
        peak_memory_bytes: peak_memory_bytes(),
    }
}

fn spec(
    source: &Volume,
    target: String,
    filter: &FilterSettings,
    options: &FilterOptions,
    layout: Layout,
) -> FilterSpec {
    FilterSpec {
        source: source.name().to_owned(),
        part: SourceSpec {
            scale: source.scale(),
            time: source.time(),
            channels: Vec::new(),
            region: options.region.map(|region| written(&region)),
        },
        target,
        filter: filter.clone(),
        dtype: options.dtype.map(|dtype| dtype.name().to_owned()),
        codec: options.codec.map(CodecName),
        layout,
    }
}
