//! Floods of a network around a decision point.

use super::resegmentation::{
    Flooded, PairBlock, Resegmentation, ResegmentationOptions, Threshold, resegment,
};
use crate::error::Result;
use crate::ffn::canvas::Canvas;
use crate::ffn::config::{InferenceOptions, ModelConfig, logit};
use crate::ffn::movement::FaceMax;
use crate::ffn::network::Network;

/// A network and how it is used on pairs of segments.
pub struct PairFlood<'a> {
    /// The network.
    pub network: &'a mut dyn Network,
    /// Its field of view and deltas.
    pub model: ModelConfig,
    /// Normalisation and thresholds.
    pub inference: InferenceOptions,
    /// How pairs are segmented again.
    pub options: ResegmentationOptions,
}

impl PairFlood<'_> {
    /// Segments both segments of a pair again. `image`: f32 `[z, y, x]` of the block, not normalised.
    /// `step` is called after each step of the network.
    ///
    /// # Errors
    /// [`crate::Error::Usage`] if the block is smaller than the field of view; what the network returns.
    pub fn run(
        &mut self,
        image: Vec<f32>,
        block: &PairBlock<'_>,
        step: &mut dyn FnMut(),
    ) -> Result<Resegmentation> {
        let mut canvas = Canvas::new(image, block.shape, self.model, self.inference)?;
        canvas.segmentation_mut().copy_from_slice(&block.obstacles());
        let threshold = Threshold {
            segment: self.inference.segment_threshold,
            min_segment_size: self.inference.min_segment_size,
        };
        let network = &mut *self.network;
        resegment(block, self.model.margin(), threshold, &self.options, &mut |seed| {
            flood(&mut canvas, seed, network, step)
        })
    }
}

fn flood(
    canvas: &mut Canvas,
    seed: [usize; 3],
    network: &mut dyn Network,
    step: &mut dyn FnMut(),
) -> Result<Flooded> {
    let sure = logit(0.8) as f32;
    let mut policy = FaceMax::new(&canvas.config, canvas.options.move_threshold);
    policy.restart(seed);
    canvas.start_object(seed);
    let mut history = Vec::new();
    while let Some(position) = policy.next(|p| canvas.is_valid(p)) {
        if canvas.seed_at(seed) < canvas.logits.move_threshold {
            break;
        }
        let was_sure: Vec<bool> =
            window(canvas, position).map(|at| canvas.seed()[at] >= sure).collect();
        let logits = canvas.update_at(position, network)?;
        let deleted =
            was_sure.iter().zip(logits).filter(|(sure, new)| **sure && **new < 0.0).count();
        policy.update(logits, position);
        history.push((position, deleted as u32));
        step();
    }
    let probabilities = canvas.seed().iter().map(|logit| 1.0 / (1.0 + (-logit).exp())).collect();
    Ok(Flooded { probabilities, history })
}

/// Places of the voxels of an FOV.
fn window(canvas: &Canvas, centre: [usize; 3]) -> impl Iterator<Item = usize> {
    let (fov, margin) = (canvas.config.fov_zyx, canvas.config.margin());
    let start: [usize; 3] = std::array::from_fn(|a| centre[a] - margin[a]);
    let shape = canvas.shape();
    (0..fov.iter().product::<usize>()).map(move |n| {
        let [z, y, x] = [n / (fov[1] * fov[2]), n / fov[2] % fov[1], n % fov[2]];
        ((start[0] + z) * shape[1] + start[1] + y) * shape[2] + start[2] + x
    })
}
