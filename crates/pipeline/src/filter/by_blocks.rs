//! Filters of volumes that do not fit into memory: a job of one step, in a folder of its own.

use std::path::Path;
use std::time::Instant;

use exavox_compute::ComputeDevice;
use exavox_io::volume::WriteMode;
use exavox_io::{Volume, VolumeWriter};

use super::{FilterOptions, FilterReport, FilteredChannel, result_dtype};
use crate::blocks::LocalEngine;
use crate::convert::clip;
use crate::error::{Error, Result};
use crate::job::steps::{CodecName, FilterSettings, FilterSpec, Layout, SourceSpec, StepSpec};
use crate::job::{Inputs, Job, Plan, RunReport};
use crate::peak_memory::peak_memory_bytes;
use crate::progress::Observer;

/// Voxels of a block, from the largest that is worth its memory to the smallest that is worth its halo.
const BLOCK_VOXELS: [u64; 4] = [1 << 24, 1 << 22, 1 << 20, 1 << 18];

/// What a filter by blocks did.
#[derive(Debug)]
pub struct FilteredByBlocks {
    /// What was made, if nothing is left to do.
    pub report: Option<FilterReport>,
    /// What this run did.
    pub run: RunReport,
}

/// Whether a filter can be run by blocks and its target be written by them.
pub fn goes_by_blocks(target: &str, options: &FilterOptions) -> bool {
    let name = target.to_ascii_lowercase();
    let many = [".zarr", ".n5", ".precomputed"].iter().any(|e| name.ends_with(e));
    many && FilterSettings::of(&options.filter).is_some()
        && VolumeWriter::resume_path(target).is_ok()
}

/// Filters as [`super::filter`] does, with the same bits, block by block within the memory of the engine. A
/// job in `folder` notes what is done: run again with the same settings, it goes on. The folder is removed
/// when all is done. Of the options, the bound on memory is not looked at.
///
/// # Errors
/// As [`Job::create`] and [`Job::run`]; [`Error::Settings`] if the filter does not go by blocks, or the
/// target is there: blocks do not replace it.
pub fn filter_by_blocks(
    source: &Volume,
    target: &str,
    options: &FilterOptions,
    folder: &Path,
    engine: &LocalEngine,
    observer: &dyn Observer,
) -> Result<FilteredByBlocks> {
    let started = Instant::now();
    if options.mode == WriteMode::Overwrite && Path::new(target).exists() {
        let message = "too large for memory, and blocks do not replace what is there; remove it";
        return Err(Error::settings(target, message));
    }
    let spec = spec(source, target, options, folder, engine)?;
    let job = Job::create(folder, &Plan::of_step(StepSpec::Filter(spec)))?;
    let run = job.run(engine, &ComputeDevice::cpu()?, observer)?;
    if !run.complete {
        return Ok(FilteredByBlocks { report: None, run });
    }
    let expected = job.stages().map(|id| {
        let plan = job.stage_plan(id);
        let at_once = (engine.memory_bytes.saturating_sub(plan.shared_bytes)
            / plan.bytes_per_block.max(1))
        .min(engine.threads.get() as u64);
        plan.shared_bytes.saturating_add(plan.bytes_per_block.saturating_mul(at_once))
    });
    let expected_memory_bytes = expected.max().unwrap_or_default();
    std::fs::remove_dir_all(folder)
        .map_err(|e| exavox_io::Error::io(exavox_io::Place::path(folder), e))?;
    let report = report(source, options, &run, started, expected_memory_bytes)?;
    Ok(FilteredByBlocks { report: Some(report), run })
}

fn report(
    source: &Volume,
    options: &FilterOptions,
    run: &RunReport,
    started: Instant,
    expected_memory_bytes: u64,
) -> Result<FilterReport> {
    let region = clip(options.region, source)?;
    let names = &source.metadata().channels;
    let stages: f64 = run.stages.iter().map(|stage| stage.seconds).sum();
    let filter_seconds = stages / names.len() as f64;
    let channels = names.iter().map(|name| FilteredChannel {
        name: name.clone(),
        filter_seconds,
        error: None,
    });
    let (seconds, channels) = (started.elapsed().as_secs_f64(), channels.collect::<Vec<_>>());
    let voxels = region.num_voxels().saturating_mul(channels.len() as u64);
    Ok(FilterReport {
        channels,
        shape: region.shape(),
        dtype: result_dtype(source, options).name(),
        voxels,
        seconds,
        voxels_per_second: voxels as f64 / seconds.max(1e-9),
        expected_memory_bytes,
        peak_memory_bytes: peak_memory_bytes(),
    })
}

/// The step of the job: with the blocks of a job that is there, else with the largest of which one for each
/// thread fits into memory.
fn spec(
    source: &Volume,
    target: &str,
    options: &FilterOptions,
    folder: &Path,
    engine: &LocalEngine,
) -> Result<FilterSpec> {
    let filter = FilterSettings::of(&options.filter).ok_or_else(|| {
        Error::settings(format!("filter {}", options.filter.name()), "does not go by blocks")
    })?;
    let region = clip(options.region, source)?;
    let mut spec = FilterSpec {
        source: source.name().to_owned(),
        part: SourceSpec {
            scale: source.scale(),
            time: source.time(),
            channels: Vec::new(),
            region: Some(region.to_string()),
        },
        target: target.to_owned(),
        filter,
        dtype: options.dtype.map(|dtype| dtype.name().to_owned()),
        codec: options.codec.map(CodecName),
        layout: Layout::default(),
    };
    if let Some(layout) = begun_layout(folder) {
        spec.layout = layout;
        return Ok(spec);
    }
    for voxels in BLOCK_VOXELS {
        spec.layout = Layout::default().with_blocks(region.shape(), voxels);
        let step = StepSpec::Filter(spec.clone()).plan(&mut Inputs::default())?;
        let at_once = |stage: &crate::blocks::StagePlan| stage.at_once(engine.memory_bytes);
        let fewest = step.stages().iter().map(|s| at_once(s).unwrap_or(0)).min().unwrap_or(0);
        if fewest >= engine.threads.get() as u64 {
            break;
        }
    }
    Ok(spec)
}

/// How the job in a folder cuts its target, if there is a job of one filter.
fn begun_layout(folder: &Path) -> Option<Layout> {
    let job = Job::open(folder).ok()?;
    match &job.plan().steps[..] {
        [StepSpec::Filter(spec)] => Some(spec.layout),
        _ => None,
    }
}
