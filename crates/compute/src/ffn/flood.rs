//! One object: where the network has been, what it said there, and where it goes next.

use std::sync::Arc;
use std::time::Instant;

use super::canvas::{Canvas, Position};
use super::home::Home;
use super::movement::FaceMax;
use super::object_logits::ObjectLogits;
use super::residence::{Answer, ObjectTiles, Said, Which, Window};
use super::restrict::Restrict;
use super::steps::Fov;
use crate::error::{Error, Result};

/// An object while it grows. Of the canvas it asks only which voxels are free, and only of those that
/// its queue comes to.
pub(super) struct Flood {
    pub(super) seed: Position,
    pub(super) policy: FaceMax,
    pub(super) home: Home,
    /// Centres of the steps so far, in order.
    pub(super) centres: Vec<Position>,
    /// For each step, voxels that were surely inside before it and were judged outside by it.
    pub(super) deleted: Vec<u32>,
    /// Positions that were free, and where no FOV may be centred.
    pub(super) refused: Vec<Position>,
    /// Where the next step is, once it was asked for.
    pub(super) pending: Option<Position>,
    pub(super) end: Option<End>,
    /// Smallest and largest centre.
    pub(super) extent: [Position; 2],
    pub(super) started: Instant,
    /// Wall-clock time of earlier runs.
    pub(super) seconds_before: f64,
}

/// Why an object does not grow any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The queue is empty.
    Complete,
    /// The seed was judged outside, when a step at this free voxel was due.
    SeedTooWeak(Position),
}

/// What came of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// It is done.
    Step,
    /// The object cannot grow where it is.
    NoRoom,
    /// The object is gone.
    Lost,
}

impl Flood {
    pub(super) fn new(canvas: &Canvas, seed: Position) -> Self {
        let mut policy = FaceMax::new(&canvas.config, canvas.options.move_threshold);
        policy.restart(seed);
        let mut logits = ObjectLogits::default();
        logits.set(seed, canvas.logits.init_activation);
        Self {
            seed,
            policy,
            home: Home::Here(logits),
            centres: Vec::new(),
            deleted: Vec::new(),
            refused: Vec::new(),
            pending: None,
            end: None,
            extent: [seed, seed],
            started: Instant::now(),
            seconds_before: 0.0,
        }
    }

    pub(super) fn steps(&self) -> u64 {
        self.centres.len() as u64
    }

    pub(super) fn seconds(&self) -> f64 {
        self.seconds_before + self.started.elapsed().as_secs_f64()
    }

    /// Where the next step is; `None` once the object is complete or its seed was judged outside.
    pub(super) fn next_position(
        &mut self,
        canvas: &Canvas,
        restrict: &dyn Restrict,
    ) -> Option<Position> {
        if self.pending.is_some() || self.end.is_some() {
            return self.pending;
        }
        let threshold = canvas.logits.move_threshold;
        // Voxels that no step has touched are NaN, and pass.
        let judged_outside = |logit: f32| logit < threshold;
        loop {
            let home = &self.home;
            let is_valid = |p: Position| canvas.is_free(p) && !judged_outside(home.at(p));
            let Some(position) = self.policy.next(is_valid) else {
                self.end = Some(End::Complete);
                return None;
            };
            if judged_outside(self.home.at(self.seed)) {
                self.end = Some(End::SeedTooWeak(position));
                return None;
            }
            if restrict.allows_centre(position) {
                self.pending = Some(position);
                return self.pending;
            }
            self.refused.push(position);
        }
    }

    /// What the network sees around the pending position. The slices have the FOV's voxels, that of the
    /// image for each channel. Nothing, if the logits are where the network is.
    pub(super) fn gather(&self, canvas: &Canvas, image: &mut [f32], seed: &mut [f32]) {
        if let (Some(position), Home::Here(logits)) = (self.pending, &self.home) {
            let start = canvas.window_start(position);
            canvas.gather_image(start, image);
            logits.gather(start, canvas.config.fov_zyx, canvas.logits.pad_value, seed);
        }
    }

    /// Moves the logits to where the network is; `false` if there is no room.
    ///
    /// # Errors
    /// What `to` returns.
    pub(super) fn move_away(&mut self, to: &mut dyn ObjectTiles) -> Result<bool> {
        let asked = self.policy.open(|_| true).chain(self.pending).chain([self.seed]);
        self.home.move_away(to, self.centres.is_empty(), asked)
    }

    /// Fetches the logits from where the network is; `false` if there are none, or they are lost.
    ///
    /// # Errors
    /// What `from` returns.
    pub(super) fn come_back(&mut self, from: &mut dyn ObjectTiles) -> Result<bool> {
        let Home::Away(away) = &self.home else { return Ok(false) };
        if self.centres.is_empty() {
            return Ok(false);
        }
        let Some(tiles) = from.read(&away.object, Which::All)? else { return Ok(false) };
        self.home = Home::Here(ObjectLogits::of_written(tiles));
        Ok(true)
    }

    /// Writes what the pending step is made of.
    pub(super) fn ask(&self, canvas: &Canvas, fov: &mut Fov) {
        fov.window = self.window(canvas);
        if fov.window.is_none() {
            let voxels = canvas.config.fov_voxels();
            fov.image.resize(canvas.image_values(), 0.0);
            fov.seed.resize(voxels, 0.0);
            fov.logits.resize(voxels, 0.0);
            self.gather(canvas, &mut fov.image, &mut fov.seed);
        }
    }

    /// The pending step, if the logits are where the network is.
    fn window(&self, canvas: &Canvas) -> Option<Window> {
        let (Some(position), Home::Away(away)) = (self.pending, &self.home) else { return None };
        let start = canvas.window_start(position);
        let fov = canvas.config.fov_zyx;
        let is_inside = |p: Position| (0..3).all(|a| start[a] <= p[a] && p[a] < start[a] + fov[a]);
        let seed = Some(self.seed).filter(|seed| is_inside(*seed));
        Some(Window {
            canvas: Arc::clone(canvas.still()?),
            object: away.object.clone(),
            start,
            seed: self.centres.is_empty().then_some(canvas.logits.init_activation),
            probes: self.policy.open(is_inside).chain(seed).collect(),
            answer: Answer::Open,
        })
    }

    /// Takes what came of the pending step.
    pub(super) fn hear(&mut self, canvas: &Canvas, fov: &mut Fov) -> Heard {
        let Some(window) = fov.window.take() else {
            self.absorb(canvas, &mut fov.logits);
            return Heard::Step;
        };
        match &window.answer {
            Answer::Said(said) => {
                self.take(&window.probes, said);
                Heard::Step
            }
            Answer::NoRoom => Heard::NoRoom,
            Answer::Open | Answer::Lost => Heard::Lost,
        }
    }

    /// Takes the network's answer for the pending position.
    pub(super) fn absorb(&mut self, canvas: &Canvas, logits: &mut [f32]) {
        let (Some(position), Home::Here(object)) = (self.pending, &mut self.home) else { return };
        let start = canvas.window_start(position);
        let (keep, sure) = (keeps_outside(canvas, logits), canvas.logits.sure);
        let mut deleted = 0;
        object.replace(start, canvas.config.fov_zyx, logits, |new, old| {
            // The network says nothing here: there was no padding.
            if new.is_nan() {
                return;
            }
            deleted += u32::from(*old >= sure && *new < 0.0);
            // The disco rule: what was judged outside does not become more inside. Stops objects from
            // flashing through thin membranes.
            if keep && *old < 0.0 && *new > *old {
                *new = *old;
            }
            *old = *new;
        });
        self.policy.update(logits, position);
        self.note_step(position, deleted);
    }

    /// Takes what was said of the pending step, whose logits stay where they are.
    fn take(&mut self, probes: &[Position], said: &Said) {
        let (Some(position), Home::Away(away)) = (self.pending, &mut self.home) else { return };
        away.note(position, probes, said);
        self.policy.take_maxima(&said.faces, position);
        away.forget_others(self.policy.open(|_| true).chain([self.seed]));
        self.note_step(position, said.deleted);
    }

    fn note_step(&mut self, position: Position, deleted: u32) {
        self.pending = None;
        self.extend_to(position);
        self.centres.push(position);
        self.deleted.push(deleted);
    }

    pub(super) fn extend_to(&mut self, centre: Position) {
        for a in 0..3 {
            self.extent[0][a] = self.extent[0][a].min(centre[a]);
            self.extent[1][a] = self.extent[1][a].max(centre[a]);
        }
    }

    /// Whether the object would be the same on this canvas, whose labels may be more than those that it
    /// grew on. What it was refused, it would be refused now; it asks nothing else of labels but that
    /// its centres are free.
    pub(super) fn holds_on(&self, canvas: &Canvas) -> bool {
        let last = match self.end {
            Some(End::SeedTooWeak(position)) => Some(position),
            _ => self.pending,
        };
        self.centres.iter().chain(&last).all(|centre| canvas.label_at(*centre) <= 0)
    }
}

/// Whether enough of an FOV is inside for the disco rule.
fn keeps_outside(canvas: &Canvas, logits: &[f32]) -> bool {
    let threshold = canvas.options.disco_seed_threshold;
    if threshold < 0.0 {
        return false;
    }
    let inside = logits.iter().filter(|l| **l >= canvas.logits.move_threshold).count();
    let said = logits.iter().filter(|l| !l.is_nan()).count();
    inside as f64 / said as f64 > f64::from(threshold)
}

pub(super) fn check_seed(canvas: &Canvas, seed: Position) -> Result<()> {
    let shape = canvas.shape();
    if (0..3).any(|a| seed[a] >= shape[a]) {
        return Err(Error::Usage(format!("seed {seed:?} lies outside the canvas of {shape:?}")));
    }
    Ok(())
}
