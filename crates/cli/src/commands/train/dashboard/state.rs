//! What the screen shows: taken from events.

use std::time::{Duration, Instant};

use exavox_pipeline::train::{CurvePoint, TrainView, Validated};
use exavox_pipeline::{Event, Unit};

/// All of it.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) title: String,
    pub(super) stage: Option<Stage>,
    pub(super) training: Option<Training>,
    warnings: Vec<String>,
}

/// The stage that runs now.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) name: String,
    pub(super) unit: Unit,
    pub(super) total: u64,
    pub(super) done: u64,
    /// What was done before this run, once it is known, and when this run began.
    before: Option<u64>,
    started: Instant,
}

/// How far the training is.
#[derive(Debug, Clone)]
pub(super) struct Training {
    pub(super) step: u64,
    pub(super) fovs: u64,
    pub(super) seconds: f64,
    pub(super) labelled_voxels: Option<u64>,
    pub(super) bad_steps: u64,
    pub(super) device: String,
    pub(super) curve: Vec<CurvePoint>,
    pub(super) validated: Vec<Validated>,
    /// Of this run.
    pub(super) fovs_per_second: f64,
    /// Fields of view and seconds before this run.
    before: (u64, f64),
}

impl State {
    pub(super) fn new(title: &str) -> Self {
        Self { title: title.to_owned(), ..Self::default() }
    }

    /// Takes in an event.
    pub(super) fn take(&mut self, event: &Event<'_>) {
        match *event {
            Event::Started { stage, total, unit } => {
                let (name, started) = (stage.to_owned(), Instant::now());
                let (done, before) = (0, None);
                self.stage = Some(Stage { name, unit, total, done, before, started });
            }
            Event::Advanced { by, .. } => {
                if let Some(stage) = &mut self.stage {
                    stage.advance(by);
                }
            }
            Event::Finished { .. } => self.stage = None,
            Event::Warning(text) => self.warnings.push(text.to_owned()),
            Event::Trained(view) => self.train(view),
            _ => {}
        }
    }

    fn train(&mut self, view: &TrainView<'_>) {
        let TrainView { step, fovs, seconds, labelled_voxels, bad_steps, .. } = *view;
        let mut training = self.training.take().unwrap_or_else(|| Training {
            step,
            fovs,
            seconds,
            labelled_voxels,
            bad_steps,
            device: String::new(),
            curve: Vec::new(),
            validated: Vec::new(),
            fovs_per_second: 0.0,
            before: (fovs, seconds),
        });
        (training.step, training.fovs, training.seconds) = (step, fovs, seconds);
        training.bad_steps = bad_steps;
        view.device.clone_into(&mut training.device);
        if training.curve.len() != view.curve.len() {
            training.curve = view.curve.to_vec();
        }
        if training.validated.len() != view.validated.len() {
            training.validated = view.validated.to_vec();
        }
        let (fovs_before, seconds_before) = training.before;
        let time = (seconds - seconds_before).max(1e-9);
        training.fovs_per_second = fovs.saturating_sub(fovs_before) as f64 / time;
        self.training = Some(training);
    }

    /// All there were.
    pub(super) fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Tells another of the stage that runs.
    pub(super) fn replay(&self, tell: &mut dyn FnMut(&Event<'_>)) {
        let Some(Stage { name, unit, total, done, .. }) = &self.stage else { return };
        tell(&Event::Started { stage: name, total: *total, unit: *unit });
        tell(&Event::Advanced { by: *done, note: "" });
    }
}

impl Stage {
    fn advance(&mut self, by: u64) {
        self.done = self.done.saturating_add(by);
        if self.before.is_none() {
            // A training that is gone on with first tells what was done before.
            self.before = Some(self.done);
            self.started = Instant::now();
        }
    }

    /// Time until the end, at the rate so far; nothing before there is one.
    pub(super) fn left(&self, now: Instant) -> Option<Duration> {
        let done = self.done.checked_sub(self.before?).filter(|done| *done > 0)?;
        let seconds = now.saturating_duration_since(self.started).as_secs_f64();
        let left = self.total.saturating_sub(self.done) as f64 * seconds / done as f64;
        Some(Duration::from_secs_f64(left.min(1e9)))
    }
}
