//! A segmentation under way as bytes, so that another process can go on with it: what has changed since
//! the last time.
//!
//! Little endian. Saved are labels that were written with their probabilities, origins, counters, the seed whose turn it is, and
//! the object of that seed: its new centres, what it was refused, its queue, and the tiles that were written. Objects of
//! later seeds are not: they grow again.

use super::canvas::LabelRun;
use super::flood::Flood;
use super::home::Home;
use super::residence::{TileValues, Which};
use super::segment::{FloodEvent, Origin};
use super::segmenter::Segmenter;
use super::steps::Steps;
use crate::error::Result;
use bytes::{Reader, Writer, damaged};
use counters::{counters, read_counters};
use object::{read_flood, write_flood, write_tiles};

mod bytes;
mod counters;
mod object;

/// How much of a segmentation is saved.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Progress {
    origins: usize,
    /// Number of the attempt whose object is saved, and how much of it.
    attempt: Option<(u64, Saved)>,
}

/// How much of an object is saved.
#[derive(Debug, Clone, Copy, Default)]
struct Saved {
    centres: usize,
    refused: usize,
}

impl Saved {
    fn all_of(flood: &Flood) -> Self {
        Self { centres: flood.centres.len(), refused: flood.refused.len() }
    }
}

impl Segmenter<'_> {
    /// From now on notes which labels are written, so that [`Segmenter::take_changes`] can tell.
    #[must_use]
    pub fn noting_changes(mut self) -> Self {
        self.canvas.note_changes();
        self
    }

    /// What has changed since the last call, or since the beginning. To be called between two calls of
    /// [`Segmenter::advance`], with the same steps; where logits are kept there, it waits for one under way.
    /// `watch` is told of that step and of seeds that are settled by it, as in [`Segmenter::advance`].
    ///
    /// Memory: 8 bytes a voxel of the object's tiles that were written, 12 bytes a row of labels, 1 byte a
    /// voxel of them if probabilities are kept.
    ///
    /// # Errors
    /// What `steps` returns.
    pub fn take_changes(
        &mut self,
        steps: &mut dyn Steps,
        watch: &mut dyn FnMut(FloodEvent<'_>),
    ) -> Result<Vec<u8>> {
        self.come_to_rest(steps, watch)?;
        let tiles = self.changed_tiles(steps)?;
        let mut out = Writer::default();
        out.u64(self.turn as u64);
        out.u64(self.next_id as u64);
        counters(&self.counters).into_iter().for_each(|counter| out.u64(counter));
        out.u64(self.wasted_steps);
        out.list(&self.origins[self.saved.origins..], |out, origin| {
            out.u64(u64::from(origin.id));
            out.position(origin.seed_zyx);
            out.u64(origin.steps);
            out.u64(origin.voxels);
            out.u64(origin.seconds.to_bits());
        });
        let runs = self.canvas.take_changes();
        out.list(&runs, |out, run| {
            [run.start, run.len, run.label as u32].into_iter().for_each(|word| out.u32(word));
        });
        out.list(&self.canvas.probabilities_of(&runs), |out, quantised| out.0.push(*quantised));
        let attempt = self.attempts.get(&self.turn);
        out.u64(u64::from(attempt.is_some()));
        let mut saved = Progress { origins: self.origins.len(), attempt: None };
        if let Some(attempt) = attempt {
            let before = self.saved.attempt.filter(|(number, _)| *number == attempt.number);
            write_flood(&mut out, &attempt.flood, before.map(|(_, saved)| saved));
            write_tiles(&mut out, &tiles);
            saved.attempt = Some((attempt.number, Saved::all_of(&attempt.flood)));
        }
        self.saved = saved;
        Ok(out.0)
    }

    /// Tiles that were written since the last call, of the object whose turn it is. One that is lost goes.
    fn changed_tiles(&mut self, steps: &mut dyn Steps) -> Result<Vec<TileValues>> {
        let Some(attempt) = self.attempts.get_mut(&self.turn) else { return Ok(Vec::new()) };
        let away = match &mut attempt.flood.home {
            Home::Here(logits) => return Ok(logits.take_changed()),
            Home::Away(away) => away,
        };
        let read = steps.tiles().map(|tiles| tiles.read(&away.object, Which::Changed));
        let tiles = read.transpose()?.flatten();
        if tiles.is_none() {
            self.drop_attempt(self.turn);
        }
        let mut tiles = tiles.unwrap_or_default();
        tiles.sort_unstable_by_key(|(index, _)| *index);
        Ok(tiles)
    }

    /// Goes on where another segmenter of the same canvas and seeds was; its changes in their order. To
    /// be called before [`Segmenter::advance`].
    ///
    /// # Errors
    /// [`Error::Usage`](crate::Error::Usage) if they are of another canvas or other seeds.
    pub fn apply_changes(&mut self, changes: &[u8]) -> Result<()> {
        let mut from = Reader(changes);
        self.turn = from.at_most(self.seeds.len())?;
        self.next_id = i32::try_from(from.u64()?).map_err(|_| damaged())?;
        self.counters = read_counters(&mut from)?;
        self.wasted_steps = from.u64()?;
        let shape = self.canvas.shape();
        let origins = from.list(7 * 8, |from| {
            Ok(Origin {
                id: u32::try_from(from.u64()?).map_err(|_| damaged())?,
                seed_zyx: from.position(shape)?,
                steps: from.u64()?,
                voxels: from.u64()?,
                seconds: f64::from_bits(from.u64()?),
            })
        })?;
        self.origins.extend(origins);
        let runs = from.list(12, |from| {
            let [start, len, label] = [from.u32()?, from.u32()?, from.u32()?];
            Ok(LabelRun { start, len, label: label as i32 })
        })?;
        runs.iter().try_for_each(|run| self.canvas.write_run(run).ok_or_else(damaged))?;
        let probabilities = from.list(1, Reader::u8)?;
        self.canvas.restore_probabilities(&runs, &probabilities).ok_or_else(damaged)?;
        let before = self.attempts.remove(&self.turn);
        self.attempts.clear();
        self.saved = Progress { origins: self.origins.len(), attempt: None };
        if from.u64()? != 0 {
            let seed = *self.seeds.get(self.turn).ok_or_else(damaged)?;
            let flood = read_flood(&mut from, &self.canvas, seed, before.map(|b| b.flood))?;
            self.saved.attempt = Some((self.attempts_made, Saved::all_of(&flood)));
            self.insert(self.turn, flood);
        }
        self.covered_ahead();
        if from.0.is_empty() { Ok(()) } else { Err(damaged()) }
    }
}
