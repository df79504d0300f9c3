//! Stage `reach`: which components of which blocks a flood comes to.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use exavox_io::Volume;
use exavox_io::staging::{Staged, WriteMode};
use exavox_io::store::Durability;
use serde::{Deserialize, Serialize};

use super::super::files;
use super::super::surface::Surface;
use super::super::touching::{directions, for_each_contact, for_each_on_side, neighbour};
use super::states::States;
use super::{Flood, STATES_BYTES};
use crate::blocks::{BlockWorker, Digest, Stage};
use crate::error::{Error, Result};
use crate::job::StageContext;

/// What was reached. The names are those of `--json`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FloodTotals {
    /// Voxels that were reached.
    pub filled_voxels: u64,
    /// Connected objects that were reached.
    pub components: u64,
    /// Seeds given.
    pub seeds: u64,
    /// Seeds whose own value is out of the range: nothing is reached from them.
    pub seeds_out_of_range: u64,
    /// Seeds whose object an earlier seed with another label has taken.
    pub seeds_taken: u64,
    /// Folder of the marks, in the data folder of the step.
    pub(super) marks: String,
}

impl FloodTotals {
    fn path(data: &Path) -> PathBuf {
        data.join("totals.json")
    }

    fn write(&self, data: &Path) -> Result<()> {
        let path = Self::path(data);
        let bytes = serde_json::to_vec(self)
            .map_err(|e| Error::settings(path.display().to_string(), e.to_string()))?;
        Ok(exavox_io::staging::write_whole(&path, &bytes)?)
    }

    /// What stage `reach` has found, from the data folder of its step.
    ///
    /// # Errors
    /// If the stage is not done.
    pub fn read(data: &Path) -> Result<Self> {
        let path = Self::path(data);
        let bytes = files::read(&path, 1 << 16)?;
        serde_json::from_slice(&bytes)
            .map_err(|e| Error::settings(path.display().to_string(), e.to_string()))
    }

    fn digest(&self) -> Digest {
        let numbers = [
            self.filled_voxels,
            self.components,
            self.seeds,
            self.seeds_out_of_range,
            self.seeds_taken,
        ];
        Digest::of(bytemuck::cast_slice(&numbers))
    }
}

/// The stage, of one block. Blocks that were entered are not read again when it is begun anew.
pub(super) struct Reach<'a> {
    step: &'a Flood,
    volume: Volume,
    data: PathBuf,
    durability: Durability,
    states_bytes: u64,
}

impl<'a> Reach<'a> {
    pub(super) fn open(step: &'a Flood, context: &StageContext<'_>) -> Result<Self> {
        Ok(Self {
            step,
            volume: step.part.open(context)?,
            data: context.data.clone(),
            durability: context.durability,
            states_bytes: (context.memory_bytes / 4).max(STATES_BYTES),
        })
    }

    fn run(&self) -> Result<Digest> {
        // A name of its own for each try: one that comes to its end late harms no other.
        let marks = format!("marks-{:016x}", RandomState::new().hash_one(0));
        let staged = Staged::new(&self.data.join(&marks), WriteMode::Overwrite)?;
        std::fs::create_dir_all(staged.path()).map_err(exavox_io::Error::at(staged.path()))?;
        let seeds = self.step.seeds_by_block();
        let enter = |block| self.enter(block, seeds.get(&block).map_or(&[], Vec::as_slice));
        let states = States::new(staged.path().to_owned(), self.states_bytes, Box::new(enter));
        let mut totals = self.search(&seeds, states)?;
        match self.durability {
            Durability::Synced => staged.commit_synced()?,
            Durability::Buffered => staged.commit()?,
        }
        totals.marks = marks;
        totals.write(&self.data)?;
        Ok(totals.digest())
    }

    fn search(
        &self,
        seeds: &BTreeMap<u64, Vec<(usize, usize)>>,
        states: States<'_>,
    ) -> Result<FloodTotals> {
        let mut search = Search {
            step: self.step,
            states,
            waiting: BTreeSet::new(),
            totals: FloodTotals::default(),
        };
        // Place of each seed among those of its block.
        let mut places: Vec<(u64, usize)> = vec![(0, 0); self.step.seeds.len()];
        for (block, seeds) in seeds {
            for (place, (seed, _)) in seeds.iter().enumerate() {
                places[*seed] = (*block, place);
            }
        }
        for (seed, (block, place)) in self.step.seeds.iter().zip(places) {
            search.seed(block, place, seed.label)?;
        }
        let Search { states, totals, .. } = search;
        states.finish()?;
        Ok(totals)
    }

    /// The surface of a block. It was kept if the block was entered before; one that is damaged is made
    /// anew.
    fn enter(&self, block: u64, seeds: &[(usize, usize)]) -> Result<Surface> {
        let area = self.step.grid.block(block);
        let shape = area.shape().map(|v| v as usize);
        let path = files::of_block(&self.data.join("surfaces"), block, "surface");
        if let Ok(surface) = Surface::read(&path, shape)
            && surface.asked().len() == seeds.len()
        {
            return Ok(surface);
        }
        let found = self.step.label(&self.volume, &area)?;
        let labels = found.labels.as_slice::<u32>()?;
        let asked: Vec<usize> = seeds.iter().map(|(_, voxel)| *voxel).collect();
        let sizes = sizes(labels, found.count as usize);
        let size = |label: u32| sizes[label as usize];
        let surface = Surface::new(shape, labels, found.count as usize, &asked, size);
        surface.write(&path, self.durability)?;
        Ok(surface)
    }
}

/// Voxels of each label; of 0 nothing of use.
fn sizes(labels: &[u32], count: usize) -> Vec<u64> {
    let mut sizes = vec![0; count + 1];
    let runs = labels.chunk_by(|a, b| a == b);
    runs.for_each(|run| sizes[run[0] as usize] += run.len() as u64);
    sizes
}

/// Floods that go on from block to block.
struct Search<'a> {
    step: &'a Flood,
    states: States<'a>,
    /// Blocks from which the flood has still to go on.
    waiting: BTreeSet<u64>,
    totals: FloodTotals,
}

impl Search<'_> {
    /// Floods from a seed, given by its place among those of its block, to the end.
    fn seed(&mut self, block: u64, place: usize, label: u32) -> Result<()> {
        self.totals.seeds += 1;
        let state = self.states.get(block)?;
        let Some(index) = state.surface.asked().nth(place).flatten() else {
            self.totals.seeds_out_of_range += 1;
            return Ok(());
        };
        if state.reached(index) != 0 {
            self.totals.seeds_taken += u64::from(state.reached(index) != label);
            return Ok(());
        }
        self.totals.components += 1;
        self.totals.filled_voxels += state.reach(index, label);
        self.waiting.insert(block);
        self.refuse_leak()?;
        let mut next = block;
        while let Some(block) = self.next_from(next) {
            self.waiting.remove(&block);
            self.spread(block, label)?;
            next = block;
        }
        Ok(())
    }

    /// The next block that waits, in the order of their numbers and round again: so each is taken when
    /// as much as possible has come to it.
    fn next_from(&self, block: u64) -> Option<u64> {
        self.waiting.range(block..).next().or_else(|| self.waiting.first()).copied()
    }

    /// Goes on from a block to its neighbours. Only those are entered at which it arrives.
    fn spread(&mut self, block: u64, label: u32) -> Result<()> {
        let Flood { grid, connectivity, .. } = self.step;
        let state = self.states.get(block)?;
        let surface = Rc::clone(&state.surface);
        let mut is_fresh = vec![false; surface.labels().len()];
        state.take_fresh().into_iter().for_each(|index| is_fresh[index] = true);
        for direction in directions(*connectivity) {
            let Some(other) = neighbour(grid, block, direction) else { continue };
            let mut arrives = false;
            for_each_on_side(&surface, direction, |index| arrives |= is_fresh[index]);
            if !arrives {
                continue;
            }
            let state = self.states.get(other)?;
            let (to, mut filled) = (Rc::clone(&state.surface), 0);
            for_each_contact(&surface, &to, direction, *connectivity, |near, far| {
                if is_fresh[near] && state.reached(far) == 0 {
                    filled += state.reach(far, label);
                }
            });
            if filled > 0 {
                self.totals.filled_voxels += filled;
                self.waiting.insert(other);
                self.refuse_leak()?;
            }
        }
        Ok(())
    }

    fn refuse_leak(&self) -> Result<()> {
        let filled = self.totals.filled_voxels;
        let Some(most) = self.step.max_voxels.filter(|most| filled > *most) else { return Ok(()) };
        let message =
            format!("the flood leaks: {filled} voxels and more are reached, at most {most} may be");
        Err(Error::settings(self.step.part.name(), message))
    }
}

impl Stage for Reach<'_> {
    fn worker(&self) -> Result<Box<dyn BlockWorker + '_>> {
        Ok(Box::new(|_| self.run()))
    }

    fn describe(&self, _block: u64) -> String {
        "from all seeds".to_owned()
    }

    fn digest(&self, _block: u64) -> Result<Digest> {
        Ok(FloodTotals::read(&self.data)?.digest())
    }
}
