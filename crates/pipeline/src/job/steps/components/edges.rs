//! Stages `faces` and `union`: labels of neighbouring blocks whose voxels touch, and the sets they make.

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use exavox_io::store::Durability;

use super::super::files;
use super::super::surface::Surface;
use super::super::touching::{directions, for_each_contact, is_forward, neighbour};
use super::Components;
use super::label::surface_path;
use crate::blocks::{BlockWorker, Digest, Stage};
use crate::error::Result;
use crate::job::StageContext;
use crate::progress::Silent;
use crate::records::{RecordReader, RecordWriter};
use crate::union::{Edge, MIN_MEMORY_BYTES, Renaming, union};

/// Files of edges that there are of many blocks, and blocks of one at most.
const FILES: u64 = 4096;

/// Blocks whose edges share a file.
fn batch(blocks: u64) -> u64 {
    (blocks / FILES).clamp(1, FILES)
}

/// Number of files of edges.
pub(super) fn batches(blocks: u64) -> u64 {
    blocks.div_ceil(batch(blocks))
}

fn edges_path(data: &Path, batch: u64) -> PathBuf {
    files::of_block(&data.join("edges"), batch, "edges")
}

/// The file of the sets: each id and the smallest one of its set.
pub(super) fn roots_path(data: &Path) -> PathBuf {
    data.join("roots")
}

/// Stage `faces`.
pub(super) struct Edges<'a> {
    step: &'a Components,
    data: PathBuf,
    durability: Durability,
}

impl<'a> Edges<'a> {
    pub(super) fn new(step: &'a Components, context: &StageContext<'_>) -> Self {
        Self { step, data: context.data.clone(), durability: context.durability }
    }

    fn blocks(&self, number: u64) -> Range<u64> {
        let (blocks, batch) = (self.step.grid.len(), batch(self.step.grid.len()));
        number * batch..((number + 1) * batch).min(blocks)
    }

    fn run(&self, number: u64) -> Result<Digest> {
        let mut writer = RecordWriter::create(&edges_path(&self.data, number))?;
        let mut surfaces = Surfaces { stage: self, last: HashMap::new(), now: HashMap::new() };
        for block in self.blocks(number) {
            writer.extend(&self.edges_of(block, &mut surfaces)?)?;
            surfaces.next_block();
        }
        let written = match self.durability {
            Durability::Synced => writer.finish()?,
            Durability::Buffered => writer.finish_unsynced()?,
        };
        Ok(files::written_digest(written))
    }

    /// Edges between a block and those that come after it, each once.
    fn edges_of(&self, block: u64, surfaces: &mut Surfaces<'_>) -> Result<Vec<Edge>> {
        let Components { grid, connectivity, ids, .. } = self.step;
        let from = surfaces.get(block)?;
        let mut edges = Vec::new();
        if from.labels().is_empty() {
            return Ok(edges);
        }
        for direction in directions(*connectivity).filter(|d| is_forward(*d)) {
            let Some(other) = neighbour(grid, block, direction) else { continue };
            let to = surfaces.get(other)?;
            let mut pairs = Vec::new();
            for_each_contact(&from, &to, direction, *connectivity, |near, far| {
                if from.attributes()[near] == to.attributes()[far] {
                    pairs.push((near, far));
                }
            });
            pairs.sort_unstable();
            pairs.dedup();
            for (near, far) in pairs {
                let a = ids.id(block, from.labels()[near].into())?;
                edges.push(Edge { a, b: ids.id(other, to.labels()[far].into())? });
            }
        }
        Ok(edges)
    }
}

impl Stage for Edges<'_> {
    fn worker(&self) -> Result<Box<dyn BlockWorker + '_>> {
        Ok(Box::new(|number| self.run(number)))
    }

    fn describe(&self, number: u64) -> String {
        let Range { start, end } = self.blocks(number);
        format!("faces of blocks {start}:{end}")
    }

    fn digest(&self, number: u64) -> Result<Digest> {
        files::records_digest::<Edge>(&edges_path(&self.data, number))
    }
}

/// Surfaces that were read; those that neither a block nor the one before has needed are forgotten. The
/// neighbours of blocks in a row are mostly the same.
struct Surfaces<'a> {
    stage: &'a Edges<'a>,
    last: HashMap<u64, Rc<Surface>>,
    now: HashMap<u64, Rc<Surface>>,
}

impl Surfaces<'_> {
    fn get(&mut self, block: u64) -> Result<Rc<Surface>> {
        if let Some(surface) = self.now.get(&block) {
            return Ok(Rc::clone(surface));
        }
        let surface = match self.last.remove(&block) {
            Some(surface) => surface,
            None => {
                let shape = self.stage.step.grid.block(block).shape().map(|v| v as usize);
                Rc::new(Surface::read(&surface_path(&self.stage.data, block), shape)?)
            }
        };
        self.now.insert(block, Rc::clone(&surface));
        Ok(surface)
    }

    fn next_block(&mut self) {
        self.last = std::mem::take(&mut self.now);
    }
}

/// Stage `union`, of one block.
pub(super) struct Union<'a> {
    step: &'a Components,
    data: PathBuf,
    memory_bytes: u64,
}

impl<'a> Union<'a> {
    pub(super) fn new(step: &'a Components, context: &StageContext<'_>) -> Self {
        let memory_bytes = (context.memory_bytes / 2).max(MIN_MEMORY_BYTES);
        Self { step, data: context.data.clone(), memory_bytes }
    }

    fn run(&self) -> Result<Digest> {
        // One file: a process may not have thousands open.
        let all = self.data.join("edges.all");
        let mut writer = RecordWriter::<Edge>::create(&all)?;
        for batch in 0..batches(self.step.grid.len()) {
            for edge in RecordReader::open(&edges_path(&self.data, batch))? {
                writer.push(edge?)?;
            }
        }
        writer.finish_unsynced()?;
        let (work, roots) = (self.data.join("work"), roots_path(&self.data));
        union(std::slice::from_ref(&all), &work, &roots, self.memory_bytes, &Silent)?;
        files::remove(&all);
        files::records_digest::<Renaming>(&roots)
    }
}

impl Stage for Union<'_> {
    fn worker(&self) -> Result<Box<dyn BlockWorker + '_>> {
        Ok(Box::new(|_| self.run()))
    }

    fn describe(&self, _block: u64) -> String {
        "all edges".to_owned()
    }

    fn digest(&self, _block: u64) -> Result<Digest> {
        files::records_digest::<Renaming>(&roots_path(&self.data))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_tile_the_blocks_and_files_stay_few() {
        for blocks in [1, 7, 4096, 4097, 8191, 1_000_000, 1 << 24] {
            let count = batches(blocks);
            assert!(count <= 2 * FILES && (count - 1) * batch(blocks) < blocks);
            assert!(count * batch(blocks) >= blocks);
        }
    }
}
