//! The last stage of a step: the volume is shown under its name.

use crate::blocks::{BlockWorker, Digest, Stage};
use crate::error::Result;
use crate::job::SharedTarget;

/// Finishes a target; one block.
pub(super) struct Finish<'a>(pub(super) &'a SharedTarget);

impl Stage for Finish<'_> {
    fn worker(&self) -> Result<Box<dyn BlockWorker + '_>> {
        Ok(Box::new(|block| {
            self.0.finish()?;
            self.digest(block)
        }))
    }

    fn describe(&self, _block: u64) -> String {
        self.0.name().to_owned()
    }

    /// Of shape and type: the voxels are the business of the stages before.
    fn digest(&self, _block: u64) -> Result<Digest> {
        let volume = self.0.open()?;
        let metadata = volume.metadata();
        let described = format!("{} {:?}", metadata.dtype, metadata.shape);
        Ok(Digest::of(described.as_bytes()))
    }
}
