//! Whether a checkpoint fits the training that goes on with it: lengths, slots and offsets that a disk gives
//! decide where memory is read.

use exavox_compute::ffn::Architecture;

use super::super::generator::GeneratorState;
use super::super::geometry::Geometry;
use super::Progress;

/// Bytes of a file beside its numbers at most: names, shapes, places of tensors.
const HEADER: u64 = 64 << 20;
/// Values that an optimiser keeps of a parameter at most, the average with them.
const SLOTS: u64 = 3;

/// The training that goes on.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Fit<'a> {
    pub(in super::super) geometry: Geometry,
    /// Generators.
    pub(in super::super) batch: usize,
    /// The network.
    pub(in super::super) architecture: &'a Architecture,
}

impl Fit<'_> {
    /// Bytes of a file of weights at most.
    pub(super) fn weights_bytes(&self) -> u64 {
        self.architecture.num_parameters().saturating_mul(4).saturating_add(HEADER)
    }

    /// Bytes of the file of the state at most.
    pub(super) fn state_bytes(&self) -> u64 {
        let canvases = (self.geometry.canvas_voxels() as u64).saturating_mul(self.batch as u64);
        let slots = self.architecture.num_parameters().saturating_mul(SLOTS);
        slots.saturating_add(canvases).saturating_mul(4).saturating_add(HEADER)
    }

    /// `Ok` if the description can be of this training.
    pub(super) fn check(
        &self,
        progress: &Progress,
        generators: &[GeneratorState],
    ) -> Result<(), String> {
        if !(progress.seconds.is_finite() && progress.seconds >= 0.0) {
            return Err(format!("progress.seconds: expected a time, found {}", progress.seconds));
        }
        let mut least = 0;
        for GeneratorState { slot, example, moves, .. } in generators {
            let wrong = |what: String| Err(format!("generators, slot {slot}: {what}"));
            if *slot < least || *slot >= self.batch {
                return wrong(format!("expected rising numbers below {}", self.batch));
            }
            least = slot + 1;
            if *example >= progress.next_example {
                let next = progress.next_example;
                return wrong(format!("expected an example before {next}, found {example}"));
            }
            if let Err(what) = moves.check(&self.geometry) {
                return wrong(what);
            }
        }
        Ok(())
    }

    /// `Ok` if a canvas has as many voxels as an example, all finite.
    pub(super) fn check_canvas(&self, canvas: &[f32]) -> Result<(), String> {
        let (expected, found) = (self.geometry.canvas_voxels(), canvas.len());
        if found != expected {
            return Err(format!("expected {expected} values, found {found}"));
        }
        match canvas.iter().position(|logit| !logit.is_finite()) {
            None => Ok(()),
            Some(at) => Err(format!("value {at} is {}: not finite", canvas[at])),
        }
    }
}
