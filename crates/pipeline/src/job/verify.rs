//! Whether what the ledger says is what lies there.

use exavox_compute::ComputeDevice;
use rayon::prelude::*;
use serde::Serialize;

use super::{Job, StageId};
use crate::blocks::Digest;
use crate::error::Result;
use crate::progress::{Event, Observer, Unit};

/// Blocks that are checked before progress is told.
const BATCH: u64 = 256;
/// Blocks that a report names.
const LISTED: usize = 100;

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct VerifyReport {
    /// Name of the stage.
    pub stage: String,
    /// Blocks in all.
    pub blocks: u64,
    /// Blocks whose output is what it was when it was committed.
    pub good: u64,
    /// Blocks that are not done.
    pub missing: u64,
    /// Number of blocks whose output is another, or cannot be read.
    pub bad: u64,
    /// The first hundred of these, and why.
    pub bad_blocks: Vec<String>,
}

impl VerifyReport {
    /// Whether all blocks are done and good.
    pub fn is_good(&self) -> bool {
        self.good == self.blocks
    }
}

impl Job {
    /// Reads the output of every block of a stage and compares its digest with the ledger's.
    ///
    /// # Errors
    /// If the ledger cannot be read, or the stage cannot be opened.
    pub fn verify(
        &self,
        id: StageId,
        device: &ComputeDevice,
        memory_bytes: u64,
        observer: &dyn Observer,
    ) -> Result<VerifyReport> {
        let (ledger, name) = (self.ledger(id), self.stage_name(id));
        let stage = self.open_stage(id, 1, device, memory_bytes, observer)?;
        let blocks = ledger.blocks();
        observer.notify(&Event::Started { stage: &name, total: blocks, unit: Unit::Blocks });
        let mut report = VerifyReport { stage: name, blocks, ..VerifyReport::default() };
        for first in (0..blocks).step_by(BATCH as usize) {
            let batch: Vec<u64> = (first..(first + BATCH).min(blocks)).collect();
            let found: Vec<Found> = batch
                .par_iter()
                .map(|block| match ledger.digest(*block)? {
                    None => Ok(Found::Missing),
                    Some(expected) => Ok(found(expected, stage.digest(*block))),
                })
                .collect::<Result<_>>()?;
            for (block, found) in batch.iter().zip(found) {
                report.add(*block, &stage.describe(*block), found);
            }
            observer.notify(&Event::Advanced { by: batch.len() as u64, note: "" });
        }
        Ok(report)
    }
}

enum Found {
    Good,
    Missing,
    Bad(String),
}

fn found(expected: Digest, digest: Result<Digest>) -> Found {
    match digest {
        Ok(found) if found == expected => Found::Good,
        Ok(found) => Found::Bad(format!("expected digest {expected}, found {found}")),
        Err(error) => Found::Bad(error.to_string()),
    }
}

impl VerifyReport {
    fn add(&mut self, block: u64, place: &str, found: Found) {
        match found {
            Found::Good => self.good += 1,
            Found::Missing => self.missing += 1,
            Found::Bad(why) => {
                self.bad += 1;
                if self.bad_blocks.len() < LISTED {
                    self.bad_blocks.push(format!("block {block} ({place}): {why}"));
                }
            }
        }
    }
}
