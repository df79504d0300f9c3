//! A job of one step, for a command whose region does not fit into memory.

use std::fs;
use std::path::{Path, PathBuf};

use exavox_compute::{ComputeDevice, DeviceSpec};
use exavox_io::volume::WriteMode;
use exavox_io::{Error as IoError, Place};

use super::steps::StepSpec;
use super::{Job, Plan, RunReport, SharedTarget};
use crate::blocks::LocalEngine;
use crate::error::Result;
use crate::progress::Observer;

/// What a run did.
pub(crate) struct Beside<T> {
    /// Of this run.
    pub(crate) run: RunReport,
    /// What was made, if nothing is left to do.
    pub(crate) made: Option<Made<T>>,
}

/// What a job made.
pub(crate) struct Made<T> {
    /// What the step has found.
    pub(crate) totals: T,
    /// Blocks of the stage that has most.
    pub(crate) blocks: u64,
    /// Memory that the stages take at most, bytes.
    pub(crate) memory_bytes: u64,
}

/// Makes the volume `name` by a step, which is given the name to write to; `totals` reads what it has
/// found from its data folder. The job is in `folder`, which goes when all is done; a run that was killed
/// goes on where it was when it is begun again.
pub(crate) fn run<T>(
    name: &str,
    mode: WriteMode,
    folder: &Path,
    engine: &LocalEngine,
    observer: &dyn Observer,
    step: impl FnOnce(String) -> StepSpec,
    totals: impl FnOnce(&Path) -> Result<T>,
) -> Result<Beside<T>> {
    let target = SharedTarget::local_path(name)?;
    // What is to be replaced stays where it is until the new volume is whole.
    let replaces = mode == WriteMode::Overwrite && target.symlink_metadata().is_ok();
    let file = target.file_name().unwrap_or_default();
    let made = if replaces { folder.join(file) } else { target.clone() };
    let name = if replaces { made.display().to_string() } else { name.to_owned() };
    let job = Job::create(folder, &Plan { synced: false, steps: vec![step(name)] })?;
    let device = ComputeDevice::cpu()
        .or_else(|_| ComputeDevice::open(DeviceSpec::Auto).map(|(device, _)| device))?;
    let run = job.run(engine, &device, observer)?;
    if !run.complete {
        return Ok(Beside { run, made: None });
    }
    let totals = totals(&folder.join("data").join("1"))?;
    let blocks = job.stages().map(|id| job.stage_plan(id).blocks).max().unwrap_or(0);
    let memory_bytes = memory(&job, engine);
    if replaces {
        replace(&made, &target, &folder.join("replaced"))?;
    }
    fs::remove_dir_all(folder).map_err(IoError::at(folder))?;
    Ok(Beside { run, made: Some(Made { totals, blocks, memory_bytes }) })
}

/// Puts a volume in the place of another, which goes to `replaced`.
fn replace(made: &Path, target: &Path, replaced: &PathBuf) -> Result<()> {
    let rename = |from: &Path, to: &Path| {
        fs::rename(from, to).map_err(|source| IoError::io(Place::path(to), source))
    };
    rename(target, replaced)?;
    if let Err(error) = rename(made, target) {
        // A failed overwrite must not lose what was there.
        rename(replaced, target)?;
        return Err(error.into());
    }
    Ok(())
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
