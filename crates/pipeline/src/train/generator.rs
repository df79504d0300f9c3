//! Generators: each moves over one example after the other, one field of view a step. A batch is one
//! step of each, so that its fields of view have nothing to do with each other.

use exavox_compute::ffn::train::TrainBatch;
use serde::{Deserialize, Serialize};

use super::example::Example;
use super::feeder::Feeder;
use super::geometry::{Geometry, gather, scatter};
use super::moves::{MovePolicy, Moves, Offset};
use super::tally::Tally;
use crate::error::Result;

/// One example under way.
#[derive(Debug)]
struct Generator {
    example: Example,
    /// Logits of the object so far.
    canvas: Vec<f32>,
    moves: Moves,
    /// The field of view of the batch at hand.
    offset: Offset,
}

/// How far a generator is; with the number of its example, all that is needed to go on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct GeneratorState {
    /// Which of the batch; those that are missing have no example at the moment.
    pub(super) slot: usize,
    pub(super) example: u64,
    pub(super) moves: Moves,
    /// Logits of the object so far.
    #[serde(skip)]
    pub(super) canvas: Vec<f32>,
}

/// As many as a batch has fields of view.
#[derive(Debug)]
pub(super) struct Generators {
    geometry: Geometry,
    policy: MovePolicy,
    all: Vec<Option<Generator>>,
    images: Vec<f32>,
    seeds: Vec<f32>,
    labels: Vec<f32>,
    weights: Vec<f32>,
}

impl Generators {
    /// Generators that have not begun.
    pub(super) fn new(geometry: Geometry, policy: MovePolicy, batch: usize) -> Self {
        let voxels = batch * geometry.fov.iter().product::<usize>();
        let all = (0..batch).map(|_| None).collect();
        let images = Vec::with_capacity(voxels * geometry.channels);
        let room = || Vec::with_capacity(voxels);
        let (seeds, labels, weights) = (room(), room(), room());
        Self { geometry, policy, all, images, seeds, labels, weights }
    }

    /// Goes on where generators stopped; `examples` are those of the states, in their order.
    pub(super) fn restore(&mut self, states: Vec<GeneratorState>, examples: Vec<Example>) {
        self.all.iter_mut().for_each(|slot| *slot = None);
        for (state, example) in states.into_iter().zip(examples) {
            let GeneratorState { slot, moves, canvas, .. } = state;
            if let Some(place) = self.all.get_mut(slot) {
                *place = Some(Generator { example, canvas, moves, offset: [0; 3] });
            }
        }
    }

    /// How far all are, between steps.
    pub(super) fn states(&self) -> Vec<GeneratorState> {
        let state = |(slot, generator): (usize, &Option<Generator>)| {
            let generator = generator.as_ref()?;
            Some(GeneratorState {
                slot,
                example: generator.example.number,
                moves: generator.moves.clone(),
                canvas: generator.canvas.clone(),
            })
        };
        self.all.iter().enumerate().filter_map(state).collect()
    }

    /// The next batch. Generators whose example is done take the next one of the feeder, in their order.
    ///
    /// # Errors
    /// What reading an example says.
    pub(super) fn batch(
        &mut self,
        feeder: &mut Feeder,
        tally: &mut Tally,
    ) -> Result<TrainBatch<'_>> {
        for buffer in [&mut self.images, &mut self.seeds, &mut self.labels, &mut self.weights] {
            buffer.clear();
        }
        for slot in &mut self.all {
            let generator = advance(slot, &self.geometry, &self.policy, feeder, tally)?;
            let Geometry { canvas: shape, fov, .. } = self.geometry;
            let start = self.geometry.window(generator.offset).unwrap_or_default();
            let Example { image, labels, weights, .. } = &generator.example;
            for channel in image.chunks_exact(self.geometry.canvas_voxels()) {
                gather(channel, shape, start, fov, &mut self.images);
            }
            gather(&generator.canvas, shape, start, fov, &mut self.seeds);
            gather(labels, shape, start, fov, &mut self.labels);
            gather(weights, shape, start, fov, &mut self.weights);
        }
        Ok(TrainBatch {
            count: self.all.len(),
            images: &self.images,
            seeds: &self.seeds,
            labels: &self.labels,
            weights: &self.weights,
        })
    }

    /// Writes new logits back, `[batch, z, y, x]` of the middle of each field of view: gradients never go
    /// through moves, but what the network said is what it sees next. As in inference, voxels of which it
    /// says nothing stay as they are. An example whose logits are not finite is given up.
    pub(super) fn update(&mut self, logits: &[f32]) {
        let Geometry { canvas: shape, lost, .. } = self.geometry;
        let kept = self.geometry.kept();
        for (slot, logits) in self.all.iter_mut().zip(logits.chunks_exact(kept.iter().product())) {
            let Some(generator) = slot else { continue };
            if logits.iter().any(|logit| !logit.is_finite()) {
                *slot = None;
                continue;
            }
            let start = self.geometry.window(generator.offset).unwrap_or_default();
            let start = [0, 1, 2].map(|a| start[a] + lost[a]);
            scatter(logits, &mut generator.canvas, shape, start, kept);
            self.policy.update(&mut generator.moves, generator.offset, logits);
        }
    }
}

/// The generator of a slot with its next offset.
fn advance<'a>(
    slot: &'a mut Option<Generator>,
    geometry: &Geometry,
    policy: &MovePolicy,
    feeder: &mut Feeder,
    tally: &mut Tally,
) -> Result<&'a mut Generator> {
    loop {
        if let Some(generator) = slot {
            let Generator { example, canvas, moves, .. } = generator;
            match policy.next(moves, canvas, &example.labels, &mut tally.moves) {
                Some(offset) => {
                    generator.offset = offset;
                    break;
                }
                None => tally.judge(geometry, canvas, &example.labels, &example.weights),
            }
        }
        let example = feeder.next()?;
        let mut canvas = vec![policy.pad; geometry.canvas_voxels()];
        if let Some(centre) = geometry.at([0; 3]) {
            canvas[centre] = policy.init;
        }
        *slot = Some(Generator { example, canvas, moves: Moves::default(), offset: [0; 3] });
    }
    // The loop ends with a generator in the slot.
    slot.as_mut().ok_or_else(|| crate::Error::settings("training", "a generator is missing"))
}

#[cfg(test)]
mod tests {
    use exavox_compute::ffn::ModelConfig;

    use super::super::config::MovesTable;
    use super::*;

    #[test]
    fn voxels_without_new_logits_stay_as_they_are() {
        let model = ModelConfig { fov_zyx: [3, 5, 5], deltas_zyx: [0, 1, 1] };
        let table = MovesTable::default();
        let geometry = Geometry::new(&model, &table).without_border([0, 1, 2]);
        let policy = MovePolicy::new(&table, geometry, 1);
        let mut generators = Generators::new(geometry, policy, 1);
        let voxels = geometry.canvas_voxels();
        let canvas: Vec<f32> = (0..voxels).map(|v| v as f32).collect();
        let (image, labels, weights) = (canvas.clone(), canvas.clone(), canvas.clone());
        let example = Example { number: 0, image, labels, weights };
        let (moves, offset) = (Moves::default(), [0, -1, 1]);
        generators.all = vec![Some(Generator { example, canvas: canvas.clone(), moves, offset })];
        // Of 3 x 3 x 1 voxels.
        let logits: Vec<f32> = (0..9).map(|v| -1.0 - v as f32).collect();
        generators.update(&logits);
        let states = generators.states();
        let changed = states[0].canvas.iter().zip(&canvas).enumerate().filter(|(_, (a, b))| a != b);
        let changed: Vec<(usize, f32)> = changed.map(|(at, (new, _))| (at, *new)).collect();
        let expected = logits.iter().enumerate().map(|(n, logit)| {
            let offset = [(n / 3) as i64 - 1, (n % 3) as i64 - 2, 1];
            (geometry.at(offset).unwrap_or(usize::MAX), *logit)
        });
        assert_eq!(changed, expected.collect::<Vec<_>>());

        generators.update(&[f32::NAN; 9]);
        assert!(generators.states().is_empty());
    }
}
