//! What was decided where blocks meet, on disk.

use std::path::{Path, PathBuf};

use exavox_io::BoundingBox;

use super::global_ids::GlobalIds;
use super::links::{Decided, Verdict};
use crate::error::{Error, Result};
use crate::records::{Record, RecordWriter, Written};
use crate::union::Edge;

/// A pair of labels that overlap, and what became of it.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
pub struct FaceRecord {
    /// Global id of the first block's label.
    pub a: u64,
    /// Global id of the second block's label.
    pub b: u64,
    /// Voxels that have both.
    pub voxels: u64,
    /// Voxels of the first label in the common box.
    pub voxels_a: u64,
    /// Voxels of the second label in the common box.
    pub voxels_b: u64,
    /// The first voxel that has both, in the volume.
    pub place_zyx: [u64; 3],
    verdict: u64,
}

impl Record for FaceRecord {
    const KIND: &'static str = "face";
}

/// Verdicts by their numbers in files.
const VERDICTS: [Verdict; 5] = [
    Verdict::Link,
    Verdict::TooSmall,
    Verdict::FractionTooLow,
    Verdict::NotMutualBest,
    Verdict::Conflict,
];

impl FaceRecord {
    /// What became of the pair; `None` for a number that no version has written.
    pub fn verdict(&self) -> Option<Verdict> {
        VERDICTS.get(usize::try_from(self.verdict).ok()?).copied()
    }
}

/// Where two blocks meet.
#[derive(Debug, Clone, Copy)]
pub struct Face {
    /// Numbers of the two blocks.
    pub blocks: [u64; 2],
    /// Their common box, in the volume.
    pub common: BoundingBox,
}

/// The two files of a number of faces, such as those of a shard's blocks: `STEM.edges` holds the links for
/// [`crate::union::union`], `STEM.faces` all pairs of labels with what became of them.
#[derive(Debug)]
pub struct FacesWriter {
    edges: RecordWriter<Edge>,
    faces: RecordWriter<FaceRecord>,
}

/// What finished files hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FacesWritten {
    /// `STEM.edges`.
    pub edges: Written,
    /// `STEM.faces`.
    pub faces: Written,
}

/// `STEM.edges`.
pub fn edges_path(stem: &Path) -> PathBuf {
    suffixed(stem, ".edges")
}

/// `STEM.faces`.
pub fn faces_path(stem: &Path) -> PathBuf {
    suffixed(stem, ".faces")
}

fn suffixed(stem: &Path, suffix: &str) -> PathBuf {
    let mut name = stem.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

impl FacesWriter {
    /// Begins both files, in place of those that may be there.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn create(stem: &Path) -> Result<Self> {
        let edges = RecordWriter::create(&edges_path(stem))?;
        Ok(Self { edges, faces: RecordWriter::create(&faces_path(stem))? })
    }

    /// Adds what was decided for a face. Labels are those in the blocks.
    ///
    /// # Errors
    /// If a label is none that `ids` allows, a place is outside of the common box, or the system cannot
    /// write.
    pub fn add(&mut self, ids: &GlobalIds, face: &Face, decided: &[Decided]) -> Result<()> {
        for pair in decided {
            let a = ids.id(face.blocks[0], pair.overlap.a)?;
            let b = ids.id(face.blocks[1], pair.overlap.b)?;
            let number = VERDICTS.iter().position(|verdict| *verdict == pair.verdict);
            self.faces.push(FaceRecord {
                a,
                b,
                voxels: pair.overlap.voxels,
                voxels_a: pair.voxels_a,
                voxels_b: pair.voxels_b,
                place_zyx: place(face, pair.overlap.first)?,
                verdict: number.unwrap_or(VERDICTS.len()) as u64,
            })?;
            if pair.verdict == Verdict::Link {
                self.edges.push(Edge { a, b })?;
            }
        }
        Ok(())
    }

    /// Puts both files to their names, the links last: they are on the disk when this returns.
    ///
    /// # Errors
    /// If the system cannot write.
    pub fn finish(self) -> Result<FacesWritten> {
        let faces = self.faces.finish()?;
        Ok(FacesWritten { edges: self.edges.finish()?, faces })
    }
}

/// The voxel in the volume of an index in the common box.
fn place(face: &Face, index: u64) -> Result<[u64; 3]> {
    let (start, shape) = (face.common.start, face.common.shape());
    if index >= face.common.num_voxels() {
        let message = format!("voxel {index} is outside of the common box {}", face.common);
        return Err(Error::settings(format!("blocks {:?}", face.blocks), message));
    }
    let within = [index / shape[2] / shape[1], index / shape[2] % shape[1], index % shape[2]];
    Ok(std::array::from_fn(|axis| start[axis] + within[axis]))
}
