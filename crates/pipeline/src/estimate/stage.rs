//! What a stage is made of, as far as an estimate needs to know.

use super::distribution::Distribution;
use crate::error::{Error, Result};

/// One stage of a run: blocks that do not wait for each other. A stage begins when all blocks of the
/// stage before are done and its gate has found them so.
#[derive(Debug, Clone, PartialEq)]
pub struct StageModel {
    /// What people call it: `infer`, `downsample 3`.
    pub name: String,
    /// Blocks, above 0.
    pub blocks: u64,
    /// Blocks that one task of an array works off, one after the other; chosen by the rule of the
    /// cluster if not given.
    pub blocks_per_shard: Option<u64>,
    /// Bytes that all blocks together read from the store.
    pub read_bytes: u128,
    /// Bytes that all blocks together write to it.
    pub written_bytes: u128,
    /// Floating point operations of all blocks together; 0 where nobody counts them.
    pub flop: f64,
    /// Bytes of memory that a block takes at its peak.
    pub memory_bytes_per_block: u64,
    /// Seconds of computing of a block on one slot.
    pub seconds_per_block: Distribution,
}

impl StageModel {
    /// Bytes to and from the store for a block, on average.
    pub fn bytes_per_block(&self) -> f64 {
        (self.read_bytes as f64 + self.written_bytes as f64) / self.blocks as f64
    }

    /// Refuses what cannot be.
    pub(super) fn check(&self) -> Result<()> {
        if self.blocks == 0 || self.blocks_per_shard == Some(0) {
            return Err(Error::settings(&self.name, "expected blocks, found none"));
        }
        if !self.flop.is_finite() || self.flop < 0.0 {
            let message = format!("expected operations of at least 0, found {}", self.flop);
            return Err(Error::settings(&self.name, message));
        }
        self.seconds_per_block.check(&self.name)
    }
}
