//! What a training writes: checkpoints, tables, curves.

use std::time::Instant;

use super::super::checkpoint::Checkpoint;
use super::super::curves;
use super::super::log;
use super::super::run::{CURVES, write_settings};
use super::super::tally::Tally;
use super::super::validation::Validation;
use super::Session;
use crate::error::Result;

impl Session<'_> {
    /// A line of the table for the steps since the last one, if there were any.
    pub(super) fn log(&mut self) -> Result<()> {
        if self.tally.steps > 0 {
            self.table.add(&log::line(&self.progress, &self.tally))?;
        }
        self.tally = Tally::default();
        Ok(())
    }

    /// Writes a checkpoint, which becomes the one to go back to.
    pub(super) fn save(&mut self) -> Result<()> {
        let (model, raw) = (self.learner.used_model(), self.learner.model());
        self.saved = Checkpoint {
            raw: (raw != model).then_some(raw),
            model,
            optimizer: self.learner.state(),
            generators: self.generators.states(),
            progress: self.progress,
        };
        self.saved.save(self.folder, &self.identity)?;
        self.saved_at = Instant::now();
        write_settings(self.config, self.folder, self.progress.step)?;
        self.prune()?;
        self.draw()
    }

    /// Removes checkpoints that are too many; the best of the validation stays.
    pub(super) fn prune(&self) -> Result<()> {
        let best = self.validation.as_ref().and_then(Validation::best).map(|best| best.step);
        let steps = self.folder.steps()?;
        let others: Vec<u64> = steps.into_iter().filter(|step| Some(*step) != best).collect();
        let too_many = others.len().saturating_sub(self.config.run.keep);
        others[..too_many].iter().try_for_each(|step| self.folder.remove(*step))
    }

    /// Writes the page of curves.
    pub(super) fn draw(&self) -> Result<()> {
        let validated = self.validation.as_ref().map(Validation::all).unwrap_or_default();
        let title = format!("Training: {}", self.folder.path().display());
        let page = curves::page(&title, &self.note(), self.table.rows(), validated);
        let path = self.folder.join(CURVES);
        Ok(exavox_io::staging::write_whole(&path, page.as_bytes())?)
    }
}
