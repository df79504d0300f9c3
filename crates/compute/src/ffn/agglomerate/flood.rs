//! Floods of a network around a decision point.

use exavox_io::Voxels;

use super::block::PairBlock;
use super::resegmentation::{Flooded, Resegmentation, ResegmentationOptions, Threshold, resegment};
use crate::error::Result;
use crate::ffn::{
    Canvas, CanvasChannel, InferenceOptions, ModelConfig, Network, Restrict, flood_object,
};

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
    /// Where no FOV may be centred, in voxels of the block.
    pub restrict: &'a dyn Restrict,
}

impl PairFlood<'_> {
    /// Segments both segments of a pair again, or that of an endpoint. `image`: that of the block, not normalised; `more`: its
    /// channels behind the first.
    ///
    /// # Errors
    /// [`crate::Error::Usage`] if the block is smaller than the field of view; what the network returns.
    pub fn run(
        &mut self,
        image: Voxels,
        more: Vec<CanvasChannel>,
        block: &PairBlock<'_>,
    ) -> Result<Resegmentation> {
        let canvas = Canvas::new(image, self.model, self.inference)?.with_more_channels(more)?;
        let canvas = canvas.with_segmentation(block.obstacles())?;
        let threshold = Threshold {
            segment: self.inference.segment_threshold,
            min_segment_size: self.inference.min_segment_size,
        };
        let (network, restrict) = (&mut *self.network, self.restrict);
        resegment(block, self.model.margin(), threshold, &self.options, &mut |seed| {
            let object = flood_object(&canvas, seed, network, restrict)?;
            let probabilities = object.probabilities([0; 3], block.shape);
            Ok(Flooded { probabilities, history: object.history })
        })
    }
}
