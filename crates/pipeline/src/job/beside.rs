//! A job of one step for a command that makes one volume: its folder lies beside the volume, `.NAME.job`,
//! and goes when the volume is whole.

use std::fs;
use std::path::{Path, PathBuf};

use exavox_compute::{ComputeDevice, DeviceSpec};
use exavox_io::Place;
use exavox_io::volume::WriteMode;

use super::steps::StepSpec;
use super::{Job, Plan, SharedTarget};
use crate::blocks::{LocalEngine, StageReport};
use crate::error::{Error, Result};
use crate::progress::Observer;

/// What a run by blocks did besides what it made.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ByBlocks<T> {
    /// What the step has found.
    pub(crate) totals: T,
    /// Blocks of the stage that has most.
    pub(crate) blocks: u64,
    /// Largest memory that a stage was allowed, bytes.
    pub(crate) memory_bytes: u64,
    /// Time of the stages of this run, seconds.
    pub(crate) seconds: f64,
}

/// Makes the volume `name` by a step, which is given the name to write to; `totals` reads what it has
/// found from its data folder. A run that was killed goes on where it was when it is begun again.
pub(crate) fn run<T>(
    name: &str,
    mode: WriteMode,
    engine: &LocalEngine,
    observer: &dyn Observer,
    step: impl FnOnce(String) -> StepSpec,
    totals: impl FnOnce(&Path) -> Result<T>,
) -> Result<ByBlocks<T>> {
    let target = SharedTarget::local_path(name)?;
    if mode != WriteMode::Overwrite && target.symlink_metadata().is_ok() {
        return Err(exavox_io::Error::Exists { place: Place::path(&target) }.into());
    }
    let file = target.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let folder = target.with_file_name(format!(".{file}.job"));
    let made = folder.join(&file);
    let plan = Plan { synced: false, steps: vec![step(made.display().to_string())] };
    let job = begin(&folder, &plan, &made)?;
    let device = ComputeDevice::cpu()
        .or_else(|_| ComputeDevice::open(DeviceSpec::Auto).map(|(device, _)| device))?;
    let report = job.run(engine, &device, observer)?;
    if !report.complete {
        return Err(unfinished(name, &report.stages));
    }
    let totals = totals(&folder.join("data").join("1"))?;
    let blocks = job.stages().map(|id| job.stage_plan(id).blocks).max().unwrap_or(0);
    let seconds = report.stages.iter().map(|stage| stage.seconds).sum();
    show(&made, &target, &folder)?;
    Ok(ByBlocks { totals, blocks, memory_bytes: memory(&job, engine), seconds })
}

/// The job in a folder. One whose volume was shown already, though the folder stayed, is begun anew.
fn begin(folder: &Path, plan: &Plan, made: &Path) -> Result<Job> {
    let job = Job::create(folder, plan)?;
    if made.exists() || !job.status()?.iter().all(super::StageStatus::is_complete) {
        return Ok(job);
    }
    fs::remove_dir_all(folder).map_err(exavox_io::Error::at(folder))?;
    Job::create(folder, plan)
}

/// Puts the finished volume to its name, in place of one that is there.
fn show(made: &Path, target: &Path, folder: &Path) -> Result<()> {
    let rename = |from: &Path, to: &Path| {
        fs::rename(from, to).map_err(|source| exavox_io::Error::io(Place::path(to), source))
    };
    let replaced: PathBuf = folder.join("replaced");
    if target.symlink_metadata().is_ok() {
        rename(target, &replaced)?;
    }
    if let Err(error) = rename(made, target) {
        // A failed overwrite must not lose what was there.
        if replaced.symlink_metadata().is_ok() {
            rename(&replaced, target)?;
        }
        return Err(error.into());
    }
    Ok(fs::remove_dir_all(folder).map_err(exavox_io::Error::at(folder))?)
}

fn unfinished(name: &str, stages: &[StageReport]) -> Error {
    let Some(stage) = stages.last() else { return Error::settings(name, "nothing was done") };
    let why = match (stage.failures.first(), &stage.stopped) {
        (Some(failure), _) => {
            let (error, place) = (&failure.error, &failure.place);
            format!("{} blocks failed, the first ({place}): {error}", stage.failed)
        }
        (None, Some(stopped)) => stopped.clone(),
        (None, None) => "blocks are missing".to_owned(),
    };
    let message = format!("stage {}: {why}; the same command goes on from here", stage.name);
    Error::settings(name, message)
}

/// What the stages take with as many blocks at once as the engine computes.
fn memory(job: &Job, engine: &LocalEngine) -> u64 {
    let of_stage = |id| {
        let plan = job.stage_plan(id);
        let fit = plan.at_once(engine.memory_bytes).unwrap_or(1);
        let at_once = fit.min(engine.threads.get() as u64).min(plan.blocks);
        plan.shared_bytes.saturating_add(plan.bytes_per_block.saturating_mul(at_once))
    };
    job.stages().map(of_stage).max().unwrap_or(0)
}
