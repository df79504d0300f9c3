//! Which labels are one.

use super::Segment;
use super::faces::checked;
use super::places::Places;
use crate::blocks::{BlockWorker, Digest, Stage};
use crate::error::Result;
use crate::job::StageContext;
use crate::progress::Silent;
use crate::reconcile::edges_path;
use crate::union::{MIN_MEMORY_BYTES, Renaming, union};

/// More memory than this is of no use to it.
const MAX_MEMORY_BYTES: u64 = 8 << 30;

struct Union<'a> {
    step: &'a Segment,
    places: Places,
    memory_bytes: u64,
}

pub(super) fn open<'a>(
    step: &'a Segment,
    context: &StageContext<'_>,
) -> Result<Box<dyn Stage + 'a>> {
    let memory_bytes = context.memory_bytes.clamp(MIN_MEMORY_BYTES, MAX_MEMORY_BYTES);
    Ok(Box::new(Union { step, places: Places::new(&context.data), memory_bytes }))
}

impl Stage for Union<'_> {
    fn worker(&self) -> Result<Box<dyn BlockWorker + '_>> {
        Ok(Box::new(|_block: u64| {
            let parts = 0..self.step.stages[super::FACES].blocks;
            let edges: Vec<_> = parts.map(|n| edges_path(&self.places.faces(n))).collect();
            let (work, map) = (self.places.data(), self.places.map());
            let report = union(&edges, work, &map, self.memory_bytes, &Silent)?;
            Ok(Digest(report.digest.into()))
        }))
    }

    fn describe(&self, _block: u64) -> String {
        "labels of all subvolumes".to_owned()
    }

    fn digest(&self, _block: u64) -> Result<Digest> {
        Ok(Digest(checked::<Renaming>(&self.places.map())?.into()))
    }
}
