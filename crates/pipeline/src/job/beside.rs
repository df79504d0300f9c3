//! A job of one step, for a command whose region does not fit into memory.

use std::fs;
use std::path::Path;

use exavox_compute::{ComputeDevice, DeviceSpec};
use exavox_io::volume::WriteMode;
use exavox_io::{Error as IoError, Place};

use super::steps::{Layout, StepSpec};
use super::{Inputs, Job, Plan, RunReport, SharedTarget};
use crate::blocks::{LocalEngine, StagePlan};
use crate::error::Result;
use crate::progress::Observer;

/// Voxels of a block, from the largest that is worth its memory to the smallest that is worth its surface.
const BLOCK_VOXELS: [u64; 3] = [1 << 21, 1 << 19, 1 << 17];
/// The same for filters, of which each block reads its halo.
const FILTER_VOXELS: [u64; 4] = [1 << 24, 1 << 22, 1 << 20, 1 << 18];

/// A volume that is to be made by a job.
pub(crate) struct Beside<'a> {
    /// Its name.
    pub(crate) name: &'a str,
    /// Its shape `[z, y, x]`.
    pub(crate) shape: [u64; 3],
    /// What becomes of one that is there.
    pub(crate) mode: WriteMode,
    /// Folder of the job, which goes when all is done.
    pub(crate) folder: &'a Path,
    /// Who computes.
    pub(crate) engine: &'a LocalEngine,
    /// Told of progress.
    pub(crate) observer: &'a dyn Observer,
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

impl Beside<'_> {
    /// Makes it by a step, which is given the name to write to and how that is cut; `totals` reads what
    /// the step has found from its data folder. A run that was killed goes on where it was when it is
    /// begun again. `None` if something is left to do.
    pub(crate) fn run<T>(
        &self,
        step: impl Fn(String, Layout) -> StepSpec,
        totals: impl FnOnce(&Path) -> Result<T>,
    ) -> Result<(RunReport, Option<Made<T>>)> {
        let Self { folder, engine, .. } = *self;
        let target = SharedTarget::local_path(self.name)?;
        // What is to be replaced stays where it is until the new volume is whole.
        let replaces = self.mode == WriteMode::Overwrite && target.symlink_metadata().is_ok();
        let made = folder.join(target.file_name().unwrap_or_default());
        let name = if replaces { made.display().to_string() } else { self.name.to_owned() };
        let layout = layout(folder, self.shape, engine, |layout| step(name.clone(), layout))?;
        let job = Job::create(folder, &Plan::of_step(step(name, layout)))?;
        let device = ComputeDevice::cpu()
            .or_else(|_| ComputeDevice::open(DeviceSpec::Auto).map(|(device, _)| device))?;
        let run = job.run(engine, &device, self.observer)?;
        if !run.complete {
            return Ok((run, None));
        }
        let totals = totals(&folder.join("data").join("1"))?;
        let blocks = job.stages().map(|id| job.stage_plan(id).blocks).max().unwrap_or(0);
        let memory_bytes = memory(&job, engine);
        let replaced = folder.join("replaced");
        // It is there if that was done, and the process killed thereafter.
        if replaces && replaced.symlink_metadata().is_err() {
            replace(&made, &target, &replaced)?;
        }
        fs::remove_dir_all(folder).map_err(IoError::at(folder))?;
        Ok((run, Some(Made { totals, blocks, memory_bytes })))
    }
}

/// That of a job that was begun; else with the largest blocks of which one for each thread fits into
/// memory, or with the smallest.
fn layout(
    folder: &Path,
    shape: [u64; 3],
    engine: &LocalEngine,
    step: impl Fn(Layout) -> StepSpec,
) -> Result<Layout> {
    let begun = Job::open(folder).ok();
    match begun.as_ref().map(|job| &job.plan().steps[..]) {
        Some([StepSpec::Components(spec)]) => return Ok(spec.layout),
        Some([StepSpec::Flood(spec)]) => return Ok(spec.layout),
        Some([StepSpec::Filter(spec)]) => return Ok(spec.layout),
        _ => (),
    }
    let mut layout = Layout::default();
    let candidates = match step(layout) {
        StepSpec::Filter(_) => &FILTER_VOXELS[..],
        _ => &BLOCK_VOXELS,
    };
    for &voxels in candidates {
        layout = Layout::default().with_blocks(shape, voxels);
        let planned = step(layout).plan(&mut Inputs::default())?;
        let fits = |stage: &StagePlan| {
            let wanted = stage.blocks.min(engine.threads.get() as u64);
            stage.at_once(engine.memory_bytes).is_ok_and(|at_once| at_once >= wanted)
        };
        if planned.stages().iter().all(fits) {
            break;
        }
    }
    Ok(layout)
}

/// Puts a volume in the place of another, which goes to `replaced`.
fn replace(made: &Path, target: &Path, replaced: &Path) -> Result<()> {
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
