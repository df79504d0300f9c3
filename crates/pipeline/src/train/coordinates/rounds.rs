//! Coordinates of a file in a random order, each once in a round.

use std::sync::Arc;

use super::super::positions::{CENTRES, Centre, random};
use super::Coordinates;

/// Draws coordinates, which it shares with others; anew in every round. 4 bytes each.
#[derive(Debug)]
pub(in super::super) struct Rounds {
    coordinates: Arc<Coordinates>,
    seed: u64,
    /// The round at hand, once there is one.
    round: Option<u64>,
    order: Vec<u32>,
}

impl Rounds {
    /// Of coordinates of which there is at least one.
    pub(in super::super) fn new(coordinates: Arc<Coordinates>, seed: u64) -> Self {
        Self { coordinates, seed, round: None, order: Vec::new() }
    }

    /// The centre of an example.
    pub(in super::super) fn centre(&mut self, example: u64) -> Centre {
        let count = self.coordinates.centres.len() as u64;
        let round = example / count;
        if self.round != Some(round) {
            self.order = shuffled(count as usize, self.seed, round);
            self.round = Some(round);
        }
        let at = self.order[(example % count) as usize];
        let (volume, zyx) = self.coordinates.centres[at as usize];
        Centre { volume: volume as usize, zyx: zyx.map(u64::from) }
    }
}

/// Numbers up to `count` in the random order of a round (Fisher and Yates).
fn shuffled(count: usize, seed: u64, round: u64) -> Vec<u32> {
    let mut random = random(seed, CENTRES, round);
    let mut order: Vec<u32> = (0..count as u32).collect();
    for last in (1..count).rev() {
        order.swap(last, random.below(last as u64 + 1) as usize);
    }
    order
}
