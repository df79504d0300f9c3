//! What a stage has to say.

use serde::{Deserialize, Serialize};

use super::Digest;
use crate::error::Result;

/// Computes blocks, one after the other, on the one thread of the engine that made it: it may hold what
/// cannot move to another, such as a network.
pub trait BlockWorker {
    /// Computes a block and commits its output; gives the digest of the output. Called again for a block
    /// that is done, it must give the same and harm nothing.
    ///
    /// # Errors
    /// The block counts as failed; the others go on.
    fn run(&mut self, block: u64) -> Result<Digest>;
}

impl<F: FnMut(u64) -> Result<Digest>> BlockWorker for F {
    fn run(&mut self, block: u64) -> Result<Digest> {
        self(block)
    }
}

/// A stage that is ready to be computed: its inputs are open.
pub trait Stage: Send + Sync {
    /// A worker for one thread of the engine: whatever it needs for itself (a network, buffers) is made
    /// once, not for each block.
    ///
    /// # Errors
    /// If it cannot be made: the stage cannot run.
    fn worker(&self) -> Result<Box<dyn BlockWorker + '_>>;

    /// The plan with what the device of the stage takes of this machine's memory, where it does.
    fn with_device(&self, plan: &StagePlan) -> StagePlan {
        plan.clone()
    }

    /// Where a block lies, for people: `z0:z1,y0:y1,x0:x1` where it is a box.
    fn describe(&self, block: u64) -> String;

    /// Digest of a block's output as it lies there now, for [`verify`](crate::job::Job::verify).
    ///
    /// # Errors
    /// If the output is missing or cannot be read.
    fn digest(&self, block: u64) -> Result<Digest>;
}

/// A stage as it is planned, before anything is computed: numbers only.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StagePlan {
    /// Name within its job: `filter`, `infer`, `union`.
    pub name: String,
    /// Blocks.
    pub blocks: u64,
    /// Voxels of output of a whole block.
    pub voxels_per_block: u64,
    /// Memory that a block takes at most while it is computed, bytes.
    pub bytes_per_block: u64,
    /// Memory that the process takes once, whatever the number of blocks at once, bytes.
    pub shared_bytes: u64,
    /// Bytes read for a whole block, uncompressed.
    pub read_bytes_per_block: u64,
    /// Bytes written for a whole block, uncompressed.
    pub write_bytes_per_block: u64,
    /// Floating-point operations of a whole block, where they count.
    pub flop_per_block: f64,
}

impl StagePlan {
    /// A stage of one block that only moves names or small tables.
    pub fn single(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            blocks: 1,
            voxels_per_block: 0,
            bytes_per_block: 1 << 20,
            shared_bytes: 0,
            read_bytes_per_block: 0,
            write_bytes_per_block: 0,
            flop_per_block: 0.0,
        }
    }

    /// How many blocks may be computed at once in `memory_bytes`, at least one.
    ///
    /// # Errors
    /// [`crate::Error::Settings`] says what the stage needs if not even one fits.
    pub fn at_once(&self, memory_bytes: u64) -> Result<u64> {
        let left = memory_bytes.saturating_sub(self.shared_bytes);
        let fit = left / self.bytes_per_block.max(1);
        if fit == 0 {
            let needed = self.shared_bytes.saturating_add(self.bytes_per_block);
            let message = format!(
                "needs {} MiB of memory for one block, {} MiB may be used; smaller blocks need less",
                needed.div_ceil(1 << 20),
                memory_bytes >> 20
            );
            return Err(crate::Error::settings(format!("stage {}", self.name), message));
        }
        Ok(fit)
    }
}
