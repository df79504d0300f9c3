//! Steps of a segmentation under way: handed over, taken back, and the room that their objects take.

use super::{Attempt, Segmenter};
use crate::error::Result;
use crate::ffn::flood::Heard;
use crate::ffn::home::Home;
use crate::ffn::object::{Inside, Object};
use crate::ffn::residence::ObjectTiles;
use crate::ffn::segment::FloodEvent;
use crate::ffn::steps::{Fov, Steps, Ticket};

impl Segmenter<'_> {
    /// Hands over the steps that are due, the one of the seed whose turn it is first.
    pub(super) fn submit(&mut self, steps: &mut dyn Steps) -> Result<()> {
        for (seed, attempt) in &mut self.attempts {
            if attempt.in_flight || attempt.object.is_some() {
                continue;
            }
            let can_move =
                !self.never_moves && self.has_no_room != Some(*seed) && !attempt.stays_here;
            if let Some(tiles) = steps.tiles().filter(|_| can_move) {
                attempt.stays_here = !attempt.flood.move_away(tiles)?;
            }
            let mut fov = self.spare.pop().unwrap_or_default();
            attempt.flood.ask(&self.canvas, &mut fov);
            fov.ticket = Ticket { seed: *seed, attempt: attempt.number };
            attempt.in_flight = true;
            self.in_flight += 1;
            steps.submit(fov)?;
        }
        Ok(())
    }

    /// Takes a step that is done; one of an object that was thrown away is forgotten.
    pub(super) fn absorb(&mut self, mut fov: Fov, steps: &mut dyn Steps) -> Result<()> {
        self.steps_taken += 1;
        let Ticket { seed, attempt: number } = fov.ticket;
        match self.attempts.get_mut(&seed).filter(|attempt| attempt.number == number) {
            Some(attempt) => {
                attempt.in_flight = false;
                match attempt.flood.hear(&self.canvas, &mut fov) {
                    Heard::Step => self.go_on(seed, steps.tiles())?,
                    Heard::NoRoom => self.make_room(seed, steps)?,
                    Heard::Lost => self.drop_attempt(seed),
                }
            }
            None => self.wasted_steps += 1,
        }
        fov.window = None;
        self.spare.push(fov);
        self.bound_memory();
        Ok(())
    }

    /// Finds the next step of an object, or ends it.
    fn go_on(&mut self, seed: usize, tiles: Option<&mut dyn ObjectTiles>) -> Result<()> {
        let Some(attempt) = self.attempts.get_mut(&seed) else { return Ok(()) };
        if attempt.flood.next_position(&self.canvas, self.restrict).is_some() {
            return Ok(());
        }
        match Inside::of(&attempt.flood.home, &self.canvas, tiles)? {
            Some(inside) => {
                attempt.object = Some(Object::new(&attempt.flood, &self.canvas, inside));
                attempt.flood.home = Home::default();
            }
            None => self.drop_attempt(seed),
        }
        Ok(())
    }

    /// There is no room for the step of a seed where the network is. An object of a later seed goes; if there
    /// is none, the object comes back to this side, and if not even its first step had room, all stay here.
    fn make_room(&mut self, seed: usize, steps: &mut dyn Steps) -> Result<()> {
        self.no_candidate = true;
        let last = self.last_growing().unwrap_or(seed);
        if last == self.turn {
            self.has_no_room = Some(last);
            if let (Some(attempt), Some(tiles)) = (self.attempts.get_mut(&last), steps.tiles()) {
                self.never_moves |= attempt.flood.centres.is_empty();
                if attempt.flood.come_back(tiles)? {
                    return Ok(());
                }
            }
        }
        self.drop_attempt(last);
        Ok(())
    }

    /// An object goes, to begin again when its turn comes.
    pub(in crate::ffn) fn drop_attempt(&mut self, seed: usize) {
        if let Some(attempt) = self.attempts.remove(&seed) {
            self.waste(&attempt);
        }
    }

    /// The last seed whose object grows.
    fn last_growing(&self) -> Option<usize> {
        let grows = |(_, attempt): &(&usize, &Attempt)| attempt.object.is_none();
        self.attempts.iter().rev().find(grows).map(|(seed, _)| *seed)
    }

    /// Objects that grow early may take as much memory as one that fills the canvas; else the last goes.
    fn bound_memory(&mut self) {
        let bytes = |(number, attempt): (&usize, &Attempt)| {
            let waits = attempt.object.as_ref().map_or(0, Object::bytes);
            if *number == self.turn { 0 } else { attempt.flood.home.bytes() + waits }
        };
        let taken: usize = self.attempts.iter().map(bytes).sum();
        if taken > self.canvas.segmentation().len() * size_of::<f32>()
            && let Some(last) = self.last_growing().filter(|last| *last != self.turn)
        {
            self.drop_attempt(last);
            self.no_candidate = true;
        }
    }

    /// Waits until no step of the seed whose turn it is changes logits elsewhere.
    pub(in crate::ffn) fn come_to_rest(
        &mut self,
        steps: &mut dyn Steps,
        watch: &mut dyn FnMut(FloodEvent<'_>),
    ) -> Result<()> {
        let moves =
            |attempt: &Attempt| attempt.in_flight && matches!(attempt.flood.home, Home::Away(_));
        while self.attempts.get(&self.turn).is_some_and(moves) {
            let fov = steps.wait()?;
            self.in_flight -= 1;
            self.absorb(fov, steps)?;
            watch(FloodEvent::Step { steps: self.steps_taken });
            self.settle(watch);
        }
        Ok(())
    }
}
