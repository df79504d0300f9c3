//! Stage `label`: what is known of each block's own components.

use std::path::{Path, PathBuf};

use exavox_io::store::Durability;
use exavox_io::{BoundingBox, Volume, Voxels};

use super::super::files;
use super::super::surface::Surface;
use super::{Components, blocks_folder};
use crate::blocks::{BlockWorker, Digest, Stage};
use crate::components::Objects;
use crate::error::Result;
use crate::job::StageContext;
use crate::records::Record;

/// A component of a block, which may be a part of a larger one. Those of a block lie in its file in the
/// order of their labels, from 1 on.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
pub(super) struct Part {
    /// Its first voxel: index in the region, in C order.
    pub(super) first: u64,
    /// Its size.
    pub(super) voxels: u64,
}

impl Record for Part {
    const KIND: &'static str = "component part";
}

/// The file of a block's parts.
pub(super) fn parts_path(data: &Path, block: u64) -> PathBuf {
    files::of_block(&blocks_folder(data), block, "parts")
}

/// The file of a block's surface.
pub(super) fn surface_path(data: &Path, block: u64) -> PathBuf {
    files::of_block(&blocks_folder(data), block, "surface")
}

/// The stage.
pub(super) struct Label<'a> {
    step: &'a Components,
    volume: Volume,
    data: PathBuf,
    durability: Durability,
}

impl<'a> Label<'a> {
    pub(super) fn open(step: &'a Components, context: &StageContext<'_>) -> Result<Self> {
        let (volume, data) = (step.part.open(context)?, context.data.clone());
        Ok(Self { step, volume, data, durability: context.durability })
    }

    fn run(&self, block: u64) -> Result<Digest> {
        let area = self.step.grid.block(block);
        let (voxels, found) = self.step.label(&self.volume, &area)?;
        let (shape, labels) = (voxels.shape(), found.labels.as_slice::<u32>()?);
        let mut parts = parts(labels, shape[2], found.count as usize);
        let surface =
            Surface::new(shape, labels, parts.len(), &[], |label| match self.step.objects {
                Objects::Mask(_) => 0,
                Objects::Equal => bits(&voxels, parts[label as usize - 1].first as usize),
            });
        let surface = surface.write(&surface_path(&self.data, block), self.durability)?;
        let region = self.step.grid.region().shape();
        parts.iter_mut().for_each(|part| part.first = in_region(part.first, &area, region));
        let path = parts_path(&self.data, block);
        let parts = files::write_records(&path, &parts, self.durability)?;
        Ok(both(surface, files::written_digest(parts)))
    }
}

impl Stage for Label<'_> {
    fn worker(&self) -> Result<Box<dyn BlockWorker + '_>> {
        Ok(Box::new(|block| self.run(block)))
    }

    fn describe(&self, block: u64) -> String {
        self.step.grid.block(block).to_string()
    }

    fn digest(&self, block: u64) -> Result<Digest> {
        let shape = self.step.grid.block(block).shape().map(|v| v as usize);
        let surface = Surface::read(&surface_path(&self.data, block), shape)?;
        let parts = files::records_digest::<Part>(&parts_path(&self.data, block))?;
        Ok(both(surface.digest(), parts))
    }
}

fn both(surface: Digest, parts: Digest) -> Digest {
    Digest::of_parts([&surface.0.to_le_bytes()[..], &parts.0.to_le_bytes()[..]])
}

/// First voxel in the block and size of each label. Labels are numbered in the order of their first voxels.
fn parts(labels: &[u32], row: usize, count: usize) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::with_capacity(count);
    let mut at = 0;
    for row in labels.chunks(row.max(1)) {
        for run in row.chunk_by(|a, b| a == b) {
            if let Some(label) = (run[0] as usize).checked_sub(1) {
                if label == parts.len() {
                    parts.push(Part { first: at, voxels: 0 });
                }
                parts[label].voxels += run.len() as u64;
            }
            at += run.len() as u64;
        }
    }
    parts
}

/// The value of a voxel as a number; integers of one type are equal if these are.
fn bits(voxels: &Voxels, at: usize) -> u64 {
    let size = voxels.dtype().size();
    let mut bits = [0; 8];
    bits[..size].copy_from_slice(&voxels.bytes()[at * size..][..size]);
    u64::from_le_bytes(bits)
}

/// Index in a region of a voxel with an index in a box of it.
fn in_region(at: u64, area: &BoundingBox, region: [u64; 3]) -> u64 {
    let [_, ny, nx] = area.shape();
    let [z, y, x] = [at / (ny * nx), at / nx % ny, at % nx];
    let [z, y, x] = [z + area.start[0], y + area.start[1], x + area.start[2]];
    (z * region[1] + y) * region[2] + x
}
