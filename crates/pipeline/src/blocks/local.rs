//! The engine of one process: as many blocks at once as memory and threads allow.

use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde::Serialize;

use super::breaker::Breaker;
use super::{BlockFailure, BlockWorker, Ledger, Stage, StagePlan};
use crate::error::{Error, Result};
use crate::progress::{Event, Observer, Unit};

/// Failures that a report lists; the ledger has all of them.
const LISTED: usize = 100;

/// Asks a running engine to end: blocks that are being computed are finished, no others are begun.
#[derive(Debug, Clone, Default)]
pub struct StopFlag(Arc<AtomicBool>);

impl StopFlag {
    /// Asks.
    pub fn stop(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether somebody has asked.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// The flag itself, for a signal handler to set.
    pub fn as_atomic(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }
}

/// What became of a stage, or of a part of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct StageReport {
    /// Name of the stage.
    pub name: String,
    /// Blocks that this run was asked for.
    pub blocks: u64,
    /// Blocks of these that were done before, or meanwhile by another process.
    pub done_before: u64,
    /// Blocks computed now.
    pub computed: u64,
    /// Number of blocks that failed.
    pub failed: u64,
    /// The first hundred that failed.
    pub failures: Vec<BlockFailure>,
    /// Why the run ended before its last block.
    pub stopped: Option<String>,
    /// Blocks at a time.
    pub workers: usize,
    /// Wall-clock time.
    pub seconds: f64,
}

impl StageReport {
    /// Whether all blocks that were asked for are done.
    pub fn is_complete(&self) -> bool {
        self.done_before + self.computed == self.blocks
    }
}

/// Computes blocks in this process.
#[derive(Debug, Clone)]
pub struct LocalEngine {
    /// Threads for everything.
    pub threads: NonZeroUsize,
    /// Bytes that all blocks at once may take.
    pub memory_bytes: u64,
    /// Ends the run early.
    pub stop: StopFlag,
}

/// What the workers share.
struct Shared<'a> {
    stage: &'a dyn Stage,
    ledger: &'a Ledger,
    observer: &'a dyn Observer,
    stop: &'a StopFlag,
    missing: Mutex<Box<dyn Iterator<Item = Result<u64>> + Send + 'a>>,
    tally: Mutex<Tally>,
}

#[derive(Default)]
struct Tally {
    computed: u64,
    failed: u64,
    failures: Vec<BlockFailure>,
    breaker: Breaker,
    stopped: Option<String>,
    fatal: Option<Error>,
}

impl LocalEngine {
    /// Computes the blocks of a range that the ledger does not have. A block that fails is recorded and
    /// named in the report; the others go on, unless the first ones all fail in the same way.
    ///
    /// # Errors
    /// [`Error::Settings`] if not one block fits into memory; if a worker cannot be made; if the ledger
    /// cannot be read or written.
    pub fn run(
        &self,
        stage: &dyn Stage,
        plan: &StagePlan,
        ledger: &Ledger,
        range: Range<u64>,
        observer: &dyn Observer,
    ) -> Result<StageReport> {
        let started = Instant::now();
        let blocks = range.end - range.start;
        let at_once = stage.with_device(plan).at_once(self.memory_bytes)?;
        let missing = count_missing(ledger, range.clone())?;
        let workers = (self.threads.get() as u64).min(at_once).min(missing.max(1)) as usize;
        observer.notify(&Event::Started { stage: &plan.name, total: missing, unit: Unit::Blocks });
        let shared = Shared {
            stage,
            ledger,
            observer,
            stop: &self.stop,
            missing: Mutex::new(Box::new(ledger.missing(range.clone()))),
            tally: Mutex::default(),
        };
        if missing > 0 {
            self.work(&shared, workers)?;
        }
        ledger.seal(range)?;
        let seconds = started.elapsed().as_secs_f64();
        observer.notify(&Event::Finished { stage: &plan.name, seconds });
        let tally = shared.tally.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(fatal) = tally.fatal {
            return Err(fatal);
        }
        // Whoever else works on the range takes blocks away between counting and computing.
        let done_before = match &tally.stopped {
            Some(_) => blocks - missing,
            None => blocks - tally.computed - tally.failed,
        };
        Ok(StageReport {
            name: plan.name.clone(),
            blocks,
            done_before,
            computed: tally.computed,
            failed: tally.failed,
            failures: tally.failures,
            stopped: tally.stopped,
            workers,
            seconds,
        })
    }

    /// Runs the workers, each with its share of the threads for what a block does in parallel.
    fn work(&self, shared: &Shared<'_>, workers: usize) -> Result<()> {
        std::thread::scope(|scope| {
            let running: Vec<_> = (0..workers)
                .map(|w| {
                    let threads = share(self.threads.get(), workers, w);
                    scope.spawn(move || {
                        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
                        let pool = pool.map_err(|e| {
                            Error::settings(format!("{threads} threads"), e.to_string())
                        })?;
                        pool.install(|| {
                            let mut worker = shared.stage.worker()?;
                            shared.run_all(worker.as_mut());
                            Ok(())
                        })
                    })
                })
                .collect();
            running.into_iter().try_for_each(|worker| match worker.join() {
                Ok(done) => done,
                Err(panic) => std::panic::resume_unwind(panic),
            })
        })
    }
}

/// Threads of worker `w` of `workers`.
fn share(threads: usize, workers: usize, w: usize) -> usize {
    ((w + 1) * threads / workers - w * threads / workers).max(1)
}

fn count_missing(ledger: &Ledger, range: Range<u64>) -> Result<u64> {
    ledger.missing(range).try_fold(0, |n, block| block.map(|_| n + 1))
}

impl Shared<'_> {
    /// Takes blocks until none is left, or the run is to end.
    fn run_all(&self, worker: &mut dyn BlockWorker) {
        while let Some(block) = self.next() {
            let done = worker.run(block).and_then(|digest| self.ledger.record(block, digest));
            if let Err(error) = done {
                self.failed(block, &error);
                continue;
            }
            let mut tally = self.tally();
            tally.computed += 1;
            tally.breaker.succeeded();
            drop(tally);
            self.observer.notify(&Event::Advanced { by: 1, note: "" });
        }
    }

    fn next(&self) -> Option<u64> {
        if self.stop.is_set() {
            self.tally().stopped = Some("it was asked to end".to_owned());
        }
        let ended = |tally: &Tally| tally.stopped.is_some() || tally.fatal.is_some();
        if ended(&self.tally()) {
            return None;
        }
        let next = self.missing.lock().unwrap_or_else(PoisonError::into_inner).next()?;
        next.map_err(|error| self.tally().fatal = Some(error)).ok()
    }

    fn failed(&self, block: u64, error: &Error) {
        let failure = BlockFailure {
            block,
            place: self.stage.describe(block),
            error: error.to_string(),
            temporary: error.is_temporary(),
        };
        let name = format!("block {block} ({})", failure.place);
        self.observer.notify(&Event::Item { name: &name, error: Some(&failure.error) });
        let noted = self.ledger.fail(&failure);
        let mut tally = self.tally();
        // A full disk cannot take the note either; the report has it.
        if let (Err(error), None) = (noted, &tally.fatal)
            && !failure.temporary
        {
            tally.fatal = Some(error);
        }
        tally.failed += 1;
        if tally.breaker.failed(&failure.error) {
            let text = format!("the first blocks all failed in the same way: {}", failure.error);
            tally.stopped = Some(text);
        }
        if tally.failures.len() < LISTED {
            tally.failures.push(failure);
        }
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
