//! Labels where neighbouring subvolumes overlap.
//!
//! Each subvolume is held against the next along z, y and x. Diagonal neighbours are not held against each
//! other: what they have in common lies inside of what two face neighbours have in common twice over, and
//! whatever it could say is said there by larger boxes.

use exavox_io::Volume;

use super::Segment;
use super::places::Places;
use crate::blocks::{BlockWorker, Digest, Stage};
use crate::error::Result;
use crate::job::{StageContext, shard_range};
use crate::reconcile::{
    Face, FaceRecord, FacesWriter, FacesWritten, decide, edges_path, faces_path, overlap,
};
use crate::records::{Record, RecordReader};
use crate::union::Edge;

struct Faces<'a> {
    step: &'a Segment,
    labels: Volume,
    places: Places,
}

pub(super) fn open<'a>(
    step: &'a Segment,
    context: &StageContext<'_>,
) -> Result<Box<dyn Stage + 'a>> {
    let target = step.slots.target(&context.data);
    target.finish()?;
    let places = Places::new(&context.data);
    Ok(Box::new(Faces { step, labels: target.open()?, places }))
}

impl Faces<'_> {
    fn run(&self, part: u64) -> Result<Digest> {
        let all = &self.step.subvolumes;
        let mut writer = FacesWriter::create(&self.places.faces(part))?;
        for subvolume in self.range(part)? {
            for next in (0..3).filter_map(|axis| all.next_along(subvolume, axis)) {
                self.face([subvolume, next], &mut writer)?;
            }
        }
        let FacesWritten { edges, faces } = writer.finish()?;
        Ok(joined(edges.digest, faces.digest))
    }

    /// Subvolumes of a part.
    fn range(&self, part: u64) -> Result<std::ops::Range<u64>> {
        let parts = self.step.stages[super::FACES].blocks;
        shard_range(self.step.subvolumes.len(), part, parts)
    }

    fn face(&self, blocks: [u64; 2], writer: &mut FacesWriter) -> Result<()> {
        let step = self.step;
        let [area, next] = blocks.map(|block| step.subvolumes.area(block));
        let common = area.intersect(&next).filter(|common| !common.is_empty());
        let Some(common) = common else { return Ok(()) };
        let a = step.slots.read(&self.labels, blocks[0], &common)?;
        let b = step.slots.read(&self.labels, blocks[1], &common)?;
        let table = overlap(a.as_slice::<u32>()?, b.as_slice::<u32>()?)?;
        writer.add(&step.ids, &Face { blocks, common }, &decide(&table, &step.link))
    }
}

impl Stage for Faces<'_> {
    fn worker(&self) -> Result<Box<dyn BlockWorker + '_>> {
        Ok(Box::new(|part: u64| self.run(part)))
    }

    fn describe(&self, part: u64) -> String {
        let range = self.range(part).unwrap_or_default();
        format!("subvolumes {} to {}", range.start, range.end.saturating_sub(1))
    }

    fn digest(&self, part: u64) -> Result<Digest> {
        let stem = self.places.faces(part);
        let edges = checked::<Edge>(&edges_path(&stem))?;
        Ok(joined(edges, checked::<FaceRecord>(&faces_path(&stem))?))
    }
}

/// Digest of a file of records, all of which are read.
pub(super) fn checked<T: Record>(path: &std::path::Path) -> Result<u32> {
    let digest = crate::records::RecordFile::<T>::open(path)?.digest();
    RecordReader::<T>::open(path)?.try_for_each(|record| record.map(|_| ()))?;
    Ok(digest)
}

fn joined(edges: u32, faces: u32) -> Digest {
    Digest(u64::from(edges) << 32 | u64::from(faces))
}
