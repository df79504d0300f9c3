//! What a segmentation gives, and how to get one.

use super::canvas::Canvas;
use super::network::Network;
use super::segmenter::Segmenter;
use super::steps::Inline;
use crate::error::Result;

/// Where a segment comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct Origin {
    /// Label of the segment.
    pub id: u32,
    /// Seed voxel.
    pub seed_zyx: [usize; 3],
    /// Steps of the network.
    pub steps: u64,
    /// Voxels written.
    pub voxels: u64,
    /// Wall-clock time of its steps and of the bookkeeping.
    pub seconds: f64,
}

/// What happened to the seeds; names where google/ffn counts the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Seeds in all.
    pub seeds: u64,
    /// Seeds outside the margin or inside a segment.
    pub skip_invalid_pos: u64,
    /// Positions of objects where the restriction lets no FOV be centred.
    pub skip_restricted_pos: u64,
    /// Seeds beside a segment.
    pub skip_too_close: u64,
    /// Flood attempts.
    pub segment_at_calls: u64,
    /// Steps of the network, those of rejected objects too.
    pub fov_steps: u64,
    /// Objects that ended because their seed was judged outside.
    pub seed_got_too_weak: u64,
    /// Objects with fewer voxels than the minimum.
    pub too_small: u64,
    /// Voxels written.
    pub voxels_segmented: u64,
    /// Voxels of accepted objects that belonged to earlier segments.
    pub voxels_overlapping: u64,
}

/// Labels and origins of a subvolume.
#[derive(Debug, Clone)]
pub struct Segmentation {
    /// Labels `[z, y, x]` in C order, 0 = background.
    pub labels: Vec<u32>,
    /// One for each label, in order of the labels; those that were there before have none.
    pub origins: Vec<Origin>,
    /// What happened to the seeds.
    pub counters: Counters,
    /// Steps of objects that grew before their turn and were thrown away; not among the counters, which
    /// are the same whatever is computed at once.
    pub wasted_steps: u64,
    /// Probabilities of the voxels of segments by [`quantise`](super::quantise), 0 elsewhere; if the canvas
    /// was told to keep them.
    pub probabilities: Option<Vec<u8>>,
}

/// Told to the caller between seeds and steps.
#[derive(Debug, Clone, Copy)]
pub enum FloodEvent<'a> {
    /// A seed is dealt with.
    Seed {
        /// Seeds dealt with, and those still ahead that lie in a segment already: they will be
        /// skipped. The best measure of progress there is, since most seeds end that way.
        settled: usize,
        /// Accepted segments so far.
        segments: usize,
    },
    /// A step is done.
    Step {
        /// Steps so far, those in vain too.
        steps: u64,
    },
    /// A segment was accepted.
    Segment(&'a Origin),
}

/// Floods from every seed in turn, one step of the network at a time, and collects the segments. `seeds`
/// as the seed policy gives them; `watch` is called after each step and seed. [`Segmenter`] does the
/// same with many steps at a time.
///
/// # Errors
/// [`Error::Usage`](crate::Error::Usage) if a seed lies outside the canvas; what the network returns.
pub fn segment_all(
    canvas: Canvas,
    seeds: &[[usize; 3]],
    network: &mut dyn Network,
    mut watch: impl FnMut(FloodEvent<'_>),
) -> Result<Segmentation> {
    let mut segmenter = Segmenter::new(canvas, seeds.to_vec())?;
    let mut steps = Inline::new(network, 1);
    while segmenter.advance(&mut steps, &mut watch)? {}
    Ok(segmenter.finish())
}
