//! The flood-filling loop: from seeds to segments, several objects at a time, with the result of one
//! after the other.
//!
//! Seeds are settled in their order, and only a seed whose turn it is changes the canvas. Objects of
//! later seeds may grow before their turn, on the labels that are there already. Of the labels an
//! object asks one thing only, whether the positions of its queue are in no segment, and voxels never
//! leave a segment. So when its turn comes, an object that grew early is what it would be if it grew
//! now, unless one of its centres has become part of a segment since; then it is thrown away and grows
//! again. The order in which steps are computed, and how many at a time, changes nothing.

use std::collections::BTreeMap;

use super::canvas::{Canvas, Position, TRIED};
use super::flood::{Flood, check_seed};
use super::object::{Inside, Object};
use super::restrict::{Everywhere, Restrict};
use super::saved::Progress;
use super::segment::{Counters, FloodEvent, Origin, Segmentation};
use super::steps::{Fov, Steps};
use crate::error::Result;

mod commit;
mod early;
mod under_way;

/// A segmentation under way.
pub struct Segmenter<'r> {
    pub(super) canvas: Canvas,
    pub(super) seeds: Vec<Position>,
    restrict: &'r dyn Restrict,
    /// The seed to be settled next.
    pub(super) turn: usize,
    /// By number of the seed, none below `turn`.
    pub(super) attempts: BTreeMap<usize, Attempt>,
    pub(super) origins: Vec<Origin>,
    pub(super) counters: Counters,
    pub(super) wasted_steps: u64,
    /// Label of the next segment.
    pub(super) next_id: i32,
    /// Seeds ahead that lie in a segment.
    covered: usize,
    steps_taken: u64,
    in_flight: usize,
    pub(super) attempts_made: u64,
    pub(super) saved: Progress,
    /// No seed was found that could start early; asked again when a seed is settled.
    no_candidate: bool,
    /// A seed for whose object there is no room where the network is.
    has_no_room: Option<usize>,
    /// The first step of an object had no room: all that follow stay on this side.
    never_moves: bool,
    spare: Vec<Fov>,
}

/// An object of a seed that is not settled.
pub(super) struct Attempt {
    pub(super) number: u64,
    pub(super) flood: Flood,
    /// Once it has ended; its logits are gone then.
    object: Option<Object>,
    in_flight: bool,
    /// There was no room for its logits where the network is.
    stays_here: bool,
}

impl<'r> Segmenter<'r> {
    /// Nothing is settled yet. `seeds` as the seed policy gives them.
    ///
    /// # Errors
    /// [`Error::Usage`](crate::Error::Usage) if a seed lies outside the canvas.
    pub fn new(canvas: Canvas, seeds: Vec<[usize; 3]>) -> Result<Self> {
        seeds.iter().try_for_each(|seed| check_seed(&canvas, *seed))?;
        let counters = Counters { seeds: seeds.len() as u64, ..Counters::default() };
        let never_moves = canvas.still().is_none();
        let next_id = canvas.segmentation().iter().max().map_or(0, |most| (*most).max(0)) + 1;
        Ok(Self {
            canvas,
            seeds,
            restrict: &Everywhere,
            turn: 0,
            attempts: BTreeMap::new(),
            origins: Vec::new(),
            counters,
            wasted_steps: 0,
            next_id,
            covered: 0,
            steps_taken: 0,
            in_flight: 0,
            attempts_made: 0,
            saved: Progress::default(),
            no_candidate: false,
            has_no_room: None,
            never_moves,
            spare: Vec::new(),
        })
    }

    /// Seeds, settled or not.
    pub fn num_seeds(&self) -> usize {
        self.seeds.len()
    }

    /// Seeds that are settled.
    pub fn num_settled(&self) -> usize {
        self.turn
    }

    /// With places where no FOV may be centred, or no object start.
    #[must_use]
    pub fn with_restriction(mut self, restrict: &'r dyn Restrict) -> Self {
        self.restrict = restrict;
        self
    }

    /// Hands over steps, waits for one, and settles what can be settled then; `false` when all seeds are
    /// settled. `watch` is told of each seed and step. `steps` must be the same each time; at the end
    /// some may be under way that are not waited for.
    ///
    /// # Errors
    /// What `steps` returns.
    pub fn advance(
        &mut self,
        steps: &mut dyn Steps,
        watch: &mut dyn FnMut(FloodEvent<'_>),
    ) -> Result<bool> {
        self.settle(watch);
        if self.turn == self.seeds.len() {
            // Of objects in vain; nobody waits for them.
            self.wasted_steps += std::mem::take(&mut self.in_flight) as u64;
            return Ok(false);
        }
        self.start_early(steps.at_once());
        self.submit(steps)?;
        let fov = steps.wait()?;
        self.in_flight -= 1;
        self.absorb(fov, steps)?;
        watch(FloodEvent::Step { steps: self.steps_taken });
        self.settle(watch);
        Ok(true)
    }

    /// Labels and origins. Seeds that are not settled are left out.
    pub fn finish(mut self) -> Segmentation {
        let probabilities = self.canvas.take_probabilities();
        let labels = self.canvas.into_segmentation().into_iter().map(|l| l.max(0) as u32).collect();
        let Self { origins, counters, wasted_steps, .. } = self;
        Segmentation { labels, origins, counters, wasted_steps, probabilities }
    }

    /// Settles seeds until one has to grow.
    fn settle(&mut self, watch: &mut dyn FnMut(FloodEvent<'_>)) {
        while let Some(&seed) = self.seeds.get(self.turn) {
            let was_covered = self.canvas.label_at(seed) > 0;
            let settled = if self.skips(seed) { Some(false) } else { self.take_turn(seed) };
            let Some(accepted) = settled else { return };
            if let Some(attempt) = self.attempts.remove(&self.turn) {
                self.waste(&attempt);
            }
            self.turn += 1;
            self.no_candidate = false;
            if accepted {
                if let Some(origin) = self.origins.last() {
                    watch(FloodEvent::Segment(origin));
                }
                self.covered_ahead();
                self.drop_attempts_in_vain();
            } else if was_covered {
                self.covered = self.covered.saturating_sub(1);
            }
            let settled = self.turn + self.covered;
            watch(FloodEvent::Seed { settled, segments: self.origins.len() });
        }
    }

    /// Counts seeds that will be passed over because they lie in a segment.
    pub(super) fn covered_ahead(&mut self) {
        let ahead = self.seeds[self.turn..].iter();
        self.covered = ahead.filter(|s| self.canvas.label_at(**s) > 0).count();
    }

    /// Whether a seed is passed over, now that it is its turn.
    fn skips(&mut self, seed: Position) -> bool {
        if !self.canvas.is_free(seed) {
            self.counters.skip_invalid_pos += 1;
            return true;
        }
        if !(self.restrict.allows_centre(seed) && self.restrict.allows_seed(seed)) {
            return true;
        }
        let is_close = self.canvas.is_close_to_segment(seed);
        if is_close {
            self.counters.skip_too_close += 1;
            self.canvas.write_label(seed, TRIED);
        }
        is_close
    }

    /// Makes a segment of the object of the seed whose turn it is; whether there is one. `None` if the
    /// object has still to grow.
    fn take_turn(&mut self, seed: Position) -> Option<bool> {
        // One that grew in vain was dropped when the labels in its way were written.
        if !self.attempts.contains_key(&self.turn) {
            self.start(self.turn);
        }
        let attempt = self.attempts.get_mut(&self.turn)?;
        let object = attempt.object.take()?;
        self.attempts.remove(&self.turn);
        Some(self.commit(seed, &object))
    }

    /// Labels were written: objects that grew into them would grow otherwise now.
    pub(super) fn drop_attempts_in_vain(&mut self) {
        let canvas = &self.canvas;
        let in_vain = |(_, attempt): &(&usize, &Attempt)| !attempt.flood.holds_on(canvas);
        let numbers: Vec<usize> = self.attempts.iter().filter(in_vain).map(|(n, _)| *n).collect();
        for number in numbers {
            if let Some(attempt) = self.attempts.remove(&number) {
                self.waste(&attempt);
            }
        }
    }

    fn waste(&mut self, attempt: &Attempt) {
        self.wasted_steps += attempt.flood.steps();
    }

    /// Starts the object of a seed; whether it grows.
    fn start(&mut self, number: usize) -> bool {
        let flood = Flood::new(&self.canvas, self.seeds[number]);
        self.attempts_made += 1;
        self.insert(number, flood)
    }

    pub(super) fn insert(&mut self, number: usize, flood: Flood) -> bool {
        let mut attempt = Attempt {
            number: self.attempts_made,
            flood,
            object: None,
            in_flight: false,
            stays_here: false,
        };
        if attempt.flood.next_position(&self.canvas, self.restrict).is_none() {
            let inside = Inside::here(&attempt.flood.home, &self.canvas);
            attempt.object = inside.map(|inside| Object::new(&attempt.flood, &self.canvas, inside));
        }
        let grows = attempt.object.is_none();
        self.attempts.insert(number, attempt);
        grows
    }
}
