//! What is known of the blocks that the flood has come to: in memory as far as it reaches, else on disk.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use exavox_io::store::Durability;

use super::super::files;
use super::super::surface::Surface;
use crate::error::Result;
use crate::records::{Record, RecordReader};

/// A label of a block that was reached.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
pub(super) struct Mark {
    /// The block's own label.
    pub(super) label: u32,
    /// Label of the seed.
    pub(super) seed: u32,
    /// 1 if the flood has still to go on from here.
    fresh: u32,
}

impl Record for Mark {
    const KIND: &'static str = "flood mark";
}

/// The file of a block's marks; there is none where nothing was reached.
pub(super) fn marks_path(folder: &Path, block: u64) -> PathBuf {
    files::of_block(folder, block, "marks")
}

/// A block.
pub(super) struct State {
    pub(super) surface: Rc<Surface>,
    /// For each label of the surface that of the seed it was reached from, or 0.
    reached: Vec<u32>,
    /// Indices of labels from which the flood has still to go on.
    fresh: Vec<usize>,
    changed: bool,
    used: u64,
}

impl State {
    /// Label of the seed that a label was reached from, 0 for none.
    pub(super) fn reached(&self, index: usize) -> u32 {
        self.reached[index]
    }

    /// Notes that a label is reached now; gives its voxels.
    pub(super) fn reach(&mut self, index: usize, seed: u32) -> u64 {
        self.reached[index] = seed;
        self.fresh.push(index);
        self.changed = true;
        self.surface.attributes()[index]
    }

    /// The labels from which the flood has still to go on, which it does now.
    pub(super) fn take_fresh(&mut self) -> Vec<usize> {
        self.changed = true;
        std::mem::take(&mut self.fresh)
    }

    fn bytes(&self) -> u64 {
        self.surface.bytes() + 12 * self.reached.len() as u64 + 256
    }

    fn marks(&self) -> Vec<Mark> {
        let mut fresh = vec![0; self.reached.len()];
        self.fresh.iter().for_each(|index| fresh[*index] = 1);
        let labels = self.surface.labels().iter().zip(&self.reached).zip(fresh);
        labels
            .filter(|((_, seed), _)| **seed != 0)
            .map(|((label, seed), fresh)| Mark { label: *label, seed: *seed, fresh })
            .collect()
    }
}

/// The blocks. Those that were not needed for the longest time are written down when memory is full.
pub(super) struct States<'a> {
    /// Reads a block, or what was kept of it.
    enter: Box<dyn Fn(u64) -> Result<Surface> + 'a>,
    marks: PathBuf,
    limit: u64,
    states: HashMap<u64, State>,
    bytes: u64,
    clock: u64,
}

impl<'a> States<'a> {
    /// No block yet; marks go to a folder.
    pub(super) fn new(
        marks: PathBuf,
        limit: u64,
        enter: Box<dyn Fn(u64) -> Result<Surface> + 'a>,
    ) -> Self {
        Self { enter, marks, limit, states: HashMap::new(), bytes: 0, clock: 0 }
    }

    /// A block; it is entered if that was not done yet.
    pub(super) fn get(&mut self, block: u64) -> Result<&mut State> {
        self.clock += 1;
        let mut state = match self.states.remove(&block) {
            Some(state) => state,
            None => {
                let state = self.load(block)?;
                self.bytes += state.bytes();
                if self.bytes > self.limit {
                    self.make_room()?;
                }
                state
            }
        };
        state.used = self.clock;
        Ok(self.states.entry(block).or_insert(state))
    }

    /// Writes down what is not on disk.
    pub(super) fn finish(mut self) -> Result<()> {
        let blocks: Vec<u64> = self.states.keys().copied().collect();
        blocks.into_iter().try_for_each(|block| self.forget(block))
    }

    fn load(&self, block: u64) -> Result<State> {
        let surface = Rc::new((self.enter)(block)?);
        let reached = vec![0; surface.labels().len()];
        let mut state = State { surface, reached, fresh: Vec::new(), changed: false, used: 0 };
        let path = marks_path(&self.marks, block);
        if files::exists(&path)? {
            for mark in RecordReader::<Mark>::open(&path)? {
                let mark = mark?;
                if let Ok(index) = state.surface.labels().binary_search(&mark.label) {
                    state.reached[index] = mark.seed;
                    state.fresh.extend((mark.fresh != 0).then_some(index));
                }
            }
        }
        Ok(state)
    }

    /// Forgets the half of the blocks that was not needed for longer.
    fn make_room(&mut self) -> Result<()> {
        let mut blocks: Vec<(u64, u64)> =
            self.states.iter().map(|(block, state)| (state.used, *block)).collect();
        blocks.sort_unstable();
        let half = blocks.len().div_ceil(2);
        blocks[..half].iter().try_for_each(|(_, block)| self.forget(*block))
    }

    fn forget(&mut self, block: u64) -> Result<()> {
        let Some(state) = self.states.remove(&block) else { return Ok(()) };
        self.bytes -= state.bytes();
        let marks = state.marks();
        if state.changed && !marks.is_empty() {
            files::write_records(&marks_path(&self.marks, block), &marks, Durability::Buffered)?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// What was written down and read again is what it was.
    #[test]
    fn blocks_survive_being_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let enter = |block: u64| {
            let labels: Vec<u32> = (0..8).map(|i| i % (block as u32 + 2)).collect();
            Ok(Surface::new([2; 3], &labels, 8, &[], u64::from))
        };
        // Room for one block or two.
        let mut states = States::new(folder.path().to_owned(), 1000, Box::new(enter));
        for block in 1..7 {
            let state = states.get(block).unwrap();
            assert_eq!(state.reach(1, block as u32 * 10), 2);
            assert_eq!(state.reach(0, 7), 1);
            if block % 2 == 0 {
                assert_eq!(state.take_fresh(), [1, 0]);
            }
        }
        assert!(states.states.len() < 3 && states.bytes < 1500);
        for block in (1..7).rev() {
            let state = states.get(block).unwrap();
            assert_eq!((state.reached(0), state.reached(1)), (7, block as u32 * 10));
            let fresh = state.take_fresh();
            assert_eq!(fresh.len(), if block % 2 == 0 { 0 } else { 2 }, "{block}");
        }
        states.finish().unwrap();
        assert!((1..7).all(|block| marks_path(folder.path(), block).exists()));
    }
}
