//! A whole job in one process.

use std::fs::{File, TryLockError};
use std::time::Instant;

use exavox_compute::ComputeDevice;
use exavox_io::Place;
use serde::Serialize;

use super::{Job, boot};
use crate::blocks::{LocalEngine, StageReport};
use crate::error::{Error, Result};
use crate::peak_memory::peak_memory_bytes;
use crate::progress::{Event, Observer};

/// What a run of a job did.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct RunReport {
    /// Stages in order, up to the first one that is not complete.
    pub stages: Vec<StageReport>,
    /// Whether the whole job is done.
    pub complete: bool,
    /// Wall-clock time.
    pub seconds: f64,
    /// Largest resident memory of the process, where the system tells it.
    pub peak_memory_bytes: Option<u64>,
}

impl Job {
    /// Does what is left of all stages. A stage of which a block fails is gone through to its end; the
    /// stages after it are left.
    ///
    /// # Errors
    /// [`Error::Settings`] if another run of this machine works on the job, or a stage does not fit into
    /// memory: nothing is computed then. Else as [`Job::run_stage`].
    pub fn run(
        &self,
        engine: &LocalEngine,
        device: &ComputeDevice,
        observer: &dyn Observer,
    ) -> Result<RunReport> {
        let started = Instant::now();
        for id in self.stages() {
            self.stage_plan(id).at_once(engine.memory_bytes)?;
        }
        let _lock = self.lock()?;
        self.distrust_after_restart(observer)?;
        let mut stages = Vec::new();
        let mut complete = true;
        for id in self.stages() {
            let blocks = self.stage_plan(id).blocks;
            if self.ledger(id).count()?.done == blocks {
                continue;
            }
            let report = self.run_stage(id, 0..blocks, engine, device, observer)?;
            complete = report.is_complete();
            stages.push(report);
            if !complete {
                break;
            }
        }
        let seconds = started.elapsed().as_secs_f64();
        Ok(RunReport { stages, complete, seconds, peak_memory_bytes: peak_memory_bytes() })
    }

    /// Held by a run of this machine as long as it lives.
    fn lock(&self) -> Result<File> {
        let path = self.folder.join("run.lock");
        let io = |source| Error::from(exavox_io::Error::io(Place::path(&path), source));
        let file =
            File::options().create(true).truncate(false).write(true).open(&path).map_err(io)?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => {
                let message = "another process is at work on this job";
                Err(Error::settings(path.display().to_string(), message))
            }
            Err(TryLockError::Error(source)) => Err(io(source)),
        }
    }

    /// Without syncing, what was written before the machine went down may be lost: steps that were not
    /// finished are begun again. Finished ones were synced.
    fn distrust_after_restart(&self, observer: &dyn Observer) -> Result<()> {
        if !boot::changed(&self.folder)? || self.document.plan.synced {
            return Ok(());
        }
        for (step, document) in self.document.steps.iter().enumerate() {
            let ids = (0..document.stages.len()).map(|stage| super::StageId { step, stage });
            let ledgers: Vec<_> = ids.map(|id| self.ledger(id)).collect();
            let mut done = 0;
            for ledger in &ledgers {
                done += ledger.count()?.done;
            }
            if done == 0 || done == ledgers.iter().map(|l| l.blocks()).sum::<u64>() {
                continue;
            }
            ledgers.iter().try_for_each(|ledger| ledger.clear())?;
            let text = format!(
                "step {}: the machine was restarted since; {done} blocks are computed again (with \
                 'synced = true' they would count)",
                step + 1
            );
            observer.notify(&Event::Warning(&text));
        }
        Ok(())
    }
}
