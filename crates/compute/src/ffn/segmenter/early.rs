//! Objects that begin before their turn: which, and how many.

use super::{Attempt, Segmenter};
use crate::ffn::canvas::Position;

/// Seeds after the one whose turn it is among which some are chosen to start early. An object of a seed
/// that is far behind waits long, and is the likelier to be in vain.
const LOOKAHEAD: usize = 1024;
/// Objects that wait for their turn, for each that grows.
const WAITING: usize = 8;

impl Segmenter<'_> {
    /// Starts objects before their turn until so many grow, the one whose turn it is among them.
    pub(super) fn start_early(&mut self, at_once: usize) {
        let growing = |attempt: &&Attempt| attempt.object.is_none();
        let mut growing = self.attempts.values().filter(growing).count();
        while growing < at_once && self.attempts.len() < WAITING * at_once && !self.no_candidate {
            match self.candidate() {
                Some(number) => growing += usize::from(self.start(number)),
                None => self.no_candidate = true,
            }
        }
    }

    /// A seed that would be tried if its turn came now, far away from all objects that wait or grow:
    /// near them it would probably end up in one of them.
    fn candidate(&self) -> Option<usize> {
        let fov = self.canvas.config.fov_zyx;
        let is_far = |seed: Position| {
            let near = |[low, high]: [Position; 2]| {
                (0..3).all(|a| low[a] <= seed[a] + fov[a] && seed[a] <= high[a] + fov[a])
            };
            !self.attempts.values().any(|attempt| near(attempt.flood.extent))
        };
        let mut ahead = self.turn + 1..self.seeds.len().min(self.turn + 1 + LOOKAHEAD);
        ahead.find(|number| {
            let seed = self.seeds[*number];
            self.canvas.is_free(seed)
                && is_far(seed)
                && self.restrict.allows_centre(seed)
                && self.restrict.allows_seed(seed)
                && !self.canvas.is_close_to_segment(seed)
        })
    }
}
