//! What blocks of a job take, measured on a sample of them.

use std::time::Instant;

use exavox_compute::ComputeDevice;

use super::{Job, StageId};
use crate::error::{Error, Result};
use crate::estimate::{Distribution, StageModel};
use crate::progress::{Event, Observer, Unit};

/// Bytes a second that a slot reads or writes where nothing was measured: a disk's, not a memory's.
const BYTES_PER_SECOND: f64 = 0.2e9;

/// Blocks of one stage that were timed.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// The stage.
    pub stage: StageId,
    /// Seconds of each block on one thread.
    pub seconds: Vec<f64>,
}

impl Job {
    /// Computes `count` blocks of the first stage that is not complete, spread evenly over those that are
    /// missing, one after the other on one thread. They count as done. `None` if the job is complete.
    ///
    /// # Errors
    /// The first block that fails ends it.
    pub fn measure(
        &self,
        count: u64,
        device: &ComputeDevice,
        memory_bytes: u64,
        observer: &dyn Observer,
    ) -> Result<Option<Measured>> {
        let mut next = None;
        for id in self.stages() {
            let found = self.ledger(id).count()?;
            if found.done < found.blocks {
                next = Some((id, found.blocks - found.done));
                break;
            }
        }
        let Some((id, missing)) = next else { return Ok(None) };
        let (ledger, count) = (self.ledger(id), count.min(missing).max(1));
        let stage = self.open_stage(id, 1, device, memory_bytes, observer)?;
        let name = format!("sample of {}", self.stage_name(id));
        observer.notify(&Event::Started { stage: &name, total: count, unit: Unit::Blocks });
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
        let pool = pool.map_err(|e| Error::settings("1 thread", e.to_string()))?;
        let step = (missing / count).max(1) as usize;
        let sample = ledger.missing(0..ledger.blocks()).skip(step / 2).step_by(step);
        let seconds = pool.install(|| -> Result<Vec<f64>> {
            let mut worker = stage.worker()?;
            let timed = sample.take(count as usize).map(|block| {
                let (block, started) = (block?, Instant::now());
                ledger.record(block, worker.run(block)?)?;
                observer.notify(&Event::Advanced { by: 1, note: "" });
                Ok(started.elapsed().as_secs_f64())
            });
            timed.collect()
        })?;
        ledger.seal(0..ledger.blocks())?;
        Ok(Some(Measured { stage: id, seconds }))
    }

    /// What is to be done, for [`crate::estimate::estimate`]: all stages with all their blocks. A stage
    /// that was not measured takes as long as its bytes do at 0.2 GB/s, and its operations at
    /// `flops` a second.
    pub fn models(&self, measured: Option<&Measured>, flops: Option<f64>) -> Vec<StageModel> {
        let model = |id: StageId| {
            let plan = self.stage_plan(id);
            let seconds = match measured.filter(|m| m.stage == id) {
                Some(measured) => Distribution::Samples(measured.seconds.clone()),
                None => {
                    let bytes = (plan.read_bytes_per_block + plan.write_bytes_per_block) as f64;
                    let computing = flops.map_or(0.0, |rate| plan.flop_per_block / rate);
                    Distribution::from_mean((bytes / BYTES_PER_SECOND).max(computing), 0.0)
                }
            };
            StageModel {
                name: self.stage_name(id),
                blocks: plan.blocks,
                blocks_per_shard: None,
                read_bytes: u128::from(plan.read_bytes_per_block) * u128::from(plan.blocks),
                written_bytes: u128::from(plan.write_bytes_per_block) * u128::from(plan.blocks),
                flop: plan.flop_per_block * plan.blocks as f64,
                memory_bytes_per_block: plan.bytes_per_block.saturating_add(plan.shared_bytes),
                seconds_per_block: seconds,
            }
        };
        self.stages().map(model).collect()
    }
}
