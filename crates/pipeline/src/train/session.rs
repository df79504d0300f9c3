//! The loop of a training, and everything that it keeps.

use std::time::Instant;

use exavox_compute::ffn::train::StepOutcome;

use super::checkpoint::{Checkpoint, Progress};
use super::config::TrainConfig;
use super::ending::Ending;
use super::feeder::Feeder;
use super::folder::Folder;
use super::generator::Generators;
use super::geometry::Geometry;
use super::learner::{Learner, MakeLearner, Place};
use super::log::{CurvePoint, Table};
use super::material::Material;
use super::memory::Needs;
use super::run::TrainRun;
use super::tally::Tally;
use super::validation::Validation;
use crate::error::{Error, Result};
use crate::progress::Observer;

mod lost;
mod opening;
mod saving;
mod saying;

/// A training under way.
pub(super) struct Session<'a> {
    maker: &'a dyn MakeLearner,
    config: &'a TrainConfig,
    run: &'a TrainRun,
    folder: &'a Folder,
    observer: &'a dyn Observer,
    identity: toml::Table,
    material: Material,
    geometry: Geometry,
    needs: Needs,
    ending: Ending,
    place: Place,
    /// Name of the device of that place.
    device: String,
    learner: Box<dyn Learner>,
    generators: Generators,
    feeder: Feeder,
    progress: Progress,
    /// Time of training before this run, and when this run began.
    seconds_before: f64,
    started: Instant,
    tally: Tally,
    table: Table<CurvePoint>,
    validation: Option<Validation>,
    /// The last one that was written, to go back to where a device is lost.
    saved: Checkpoint,
    saved_at: Instant,
}

impl Session<'_> {
    /// Steps until the end, or until somebody wants it to stop.
    pub(super) fn run(&mut self) -> Result<()> {
        let mut shown = 0;
        self.show(&mut shown);
        // Killed after a checkpoint, the run before may not have come to this.
        if self.is_validation_due() {
            self.validate()?;
        }
        let ended = self.steps(&mut shown);
        // Steps since the last line; those before an error tell of it.
        let logged = self.log();
        ended?;
        logged?;
        if self.saved.progress.step != self.progress.step || self.progress.step == 0 {
            self.save()?;
        }
        Ok(())
    }

    fn steps(&mut self, shown: &mut u64) -> Result<()> {
        while !self.ending.is_reached(&self.progress) && !self.run.stop.is_set() {
            self.step()?;
            self.after_step()?;
            self.show(shown);
        }
        Ok(())
    }

    pub(super) fn ending(&self) -> &Ending {
        &self.ending
    }

    pub(super) fn progress(&self) -> &Progress {
        &self.progress
    }

    fn step(&mut self) -> Result<()> {
        let batch = self.generators.batch(&mut self.feeder, &mut self.tally)?;
        let count = batch.count as u64;
        match self.learner.step(&batch) {
            Ok(outcome) => self.applied(&outcome, count),
            Err(error) => self.fall_back(error.into()),
        }
    }

    fn applied(&mut self, outcome: &StepOutcome, count: u64) -> Result<()> {
        self.generators.update(&outcome.logits);
        self.progress.step += 1;
        self.progress.fovs += count;
        self.progress.next_example = self.feeder.next_number();
        self.progress.seconds = self.seconds_before + self.started.elapsed().as_secs_f64();
        if outcome.applied {
            self.tally.step(outcome.loss);
            self.progress.bad_in_a_row = 0;
            return Ok(());
        }
        self.progress.bad_steps += 1;
        self.progress.bad_in_a_row += 1;
        let (bad, most) = (self.progress.bad_in_a_row, self.config.run.max_bad_steps);
        if bad >= most {
            let message = format!(
                "step {}: loss or gradients were not finite for {bad} steps in a row (run.max_bad_steps); \
                 look at the image's values, or choose a lower optimizer.learning_rate",
                self.progress.step
            );
            return Err(Error::settings(self.config.run.output.as_str(), message));
        }
        Ok(())
    }

    /// Writes what is due after a step.
    fn after_step(&mut self) -> Result<()> {
        let (step, run) = (self.progress.step, &self.config.run);
        if step.is_multiple_of(run.log_steps) {
            self.log()?;
        }
        let validate = self.is_validation_due();
        let by_steps = run.checkpoint_steps.is_some_and(|steps| step.is_multiple_of(steps));
        let by_time = self.saved_at.elapsed().as_secs_f64() >= 60.0 * run.checkpoint_minutes;
        if validate || by_steps || by_time {
            self.save()?;
        }
        if validate {
            self.validate()?;
        }
        Ok(())
    }

    /// Whether the weights of this step are to be validated, and have not been.
    fn is_validation_due(&self) -> bool {
        let (step, table) = (self.progress.step, &self.config.validation);
        let due = table.as_ref().is_some_and(|table| step > 0 && step.is_multiple_of(table.steps));
        let done = |v: &Validation| v.all().last().is_some_and(|last| last.step == step);
        due && !self.validation.as_ref().is_some_and(done)
    }
}
