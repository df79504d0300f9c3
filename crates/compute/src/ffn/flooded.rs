//! One object on its own, with all that the network said.

use super::canvas::Canvas;
use super::flood::{End, Flood, Heard, check_seed};
use super::home::Home;
use super::network::Network;
use super::object_logits::ObjectLogits;
use super::restrict::Restrict;
use super::steps::{Fov, Inline, Steps};
use crate::error::Result;

/// An object that was flooded on its own, with all that the network said.
#[derive(Clone)]
pub struct FloodedObject {
    /// Steps of the network.
    pub steps: u64,
    /// Whether it ended because its seed was judged outside.
    pub seed_got_too_weak: bool,
    /// Centre of each step, `[z, y, x]`, and how many voxels that were surely inside (probability 0.8)
    /// before it were judged outside (below 0.5) by it.
    pub history: Vec<([usize; 3], u32)>,
    /// Logits of the object.
    pub logits: ObjectLogits,
}

impl FloodedObject {
    /// Of an object that has ended, and whose logits are on this side.
    fn of(flood: Flood) -> Self {
        Self {
            steps: flood.steps(),
            seed_got_too_weak: matches!(flood.end, Some(End::SeedTooWeak(_))),
            history: flood.centres.into_iter().zip(flood.deleted).collect(),
            logits: match flood.home {
                Home::Here(logits) => logits,
                Home::Away(_) => ObjectLogits::default(),
            },
        }
    }

    /// Probabilities of a box, C order `[z, y, x]`; NaN where no step has been.
    pub fn probabilities(&self, start: [usize; 3], shape: [usize; 3]) -> Vec<f32> {
        let mut values = self.logits.read(start, shape);
        values.iter_mut().for_each(|v| *v = 1.0 / (1.0 + (-*v).exp()));
        values
    }
}

/// Floods one object from a seed and writes nothing: segments of the canvas are obstacles, and neither
/// the minimum size nor the distance to segments counts. No steps are made if the seed lies in a
/// segment, or less than a margin from the border. While it grows, image and logits are where the network
/// keeps them; all of its logits, 16 KiB for each tile, come back at the end.
///
/// # Errors
/// [`Error::Usage`](crate::Error::Usage) if the seed lies outside the canvas; what the network returns.
pub fn flood_object(
    canvas: &Canvas,
    seed: [usize; 3],
    network: &mut dyn Network,
    restrict: &dyn Restrict,
) -> Result<FloodedObject> {
    check_seed(canvas, seed)?;
    let mut steps = Inline::new(network, 1);
    let mut moves = canvas.still().is_some();
    loop {
        // Begun again where its logits were lost.
        if let Some(flood) = grown(canvas, seed, &mut steps, restrict, &mut moves)? {
            return Ok(FloodedObject::of(flood));
        }
    }
}

/// The object once it has ended, its logits on this side; `None` if they were lost. `moves`: whether they go
/// to where the network is; not any more once there was no room.
fn grown(
    canvas: &Canvas,
    seed: [usize; 3],
    steps: &mut Inline<'_>,
    restrict: &dyn Restrict,
    moves: &mut bool,
) -> Result<Option<Flood>> {
    let mut flood = Flood::new(canvas, seed);
    let mut fov = Fov::default();
    while flood.next_position(canvas, restrict).is_some() {
        if let Some(tiles) = steps.tiles().filter(|_| *moves) {
            *moves = flood.move_away(tiles)?;
        }
        flood.ask(canvas, &mut fov);
        steps.submit(fov)?;
        fov = steps.wait()?;
        match flood.hear(canvas, &mut fov) {
            Heard::Step => {}
            Heard::NoRoom => {
                *moves = false;
                if !comes_back(&mut flood, steps)? {
                    return Ok(None);
                }
            }
            Heard::Lost => return Ok(None),
        }
    }
    Ok(comes_back(&mut flood, steps)?.then_some(flood))
}

/// Fetches logits that are where the network is; `false` if they are lost.
fn comes_back(flood: &mut Flood, steps: &mut Inline<'_>) -> Result<bool> {
    if matches!(flood.home, Home::Here(_)) {
        return Ok(true);
    }
    steps.tiles().map_or(Ok(false), |tiles| flood.come_back(tiles))
}
