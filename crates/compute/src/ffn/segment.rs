//! The flood-filling loop: from seeds to segments.

use std::time::Instant;

use super::canvas::{Canvas, Position, TRIED};
use super::movement::FaceMax;
use super::network::Network;
use crate::error::{Error, Result};

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
    /// Seeds beside a segment.
    pub skip_too_close: u64,
    /// Flood attempts.
    pub segment_at_calls: u64,
    /// Steps of the network in all.
    pub fov_steps: u64,
    /// Objects that ended because their seed was judged outside.
    pub seed_got_too_weak: u64,
    /// Objects with fewer voxels than the minimum.
    pub too_small: u64,
    /// Voxels written.
    pub voxels_segmented: u64,
    /// Voxels of accepted objects that belonged to earlier segments.
    pub voxels_overlapping: u64,
    /// Positions in masks where no FOV was centred.
    pub skip_restricted_pos: u64,
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
        /// Steps so far.
        steps: u64,
    },
    /// A segment was accepted.
    Segment(&'a Origin),
}

/// Outcome of flooding from one seed.
struct Object {
    steps: u64,
    /// Smallest and largest FOV centre.
    extent: [Position; 2],
}

/// Floods from every seed in turn and collects the segments. `seeds` as the seed policy gives them;
/// `watch` is called after each step and seed.
///
/// # Errors
/// [`Error::Usage`] if a seed lies outside the canvas; what the network returns.
pub fn segment_all(
    mut canvas: Canvas,
    seeds: &[[usize; 3]],
    network: &mut dyn Network,
    mut watch: impl FnMut(FloodEvent<'_>),
) -> Result<Segmentation> {
    let shape = canvas.shape();
    if let Some(seed) = seeds.iter().find(|seed| (0..3).any(|a| seed[a] >= shape[a])) {
        return Err(Error::Usage(format!("seed {seed:?} lies outside the canvas of {shape:?}")));
    }
    let mut loops = FloodLoop {
        policy: FaceMax::new(&canvas.config, canvas.options.move_threshold),
        counters: Counters { seeds: seeds.len() as u64, ..Counters::default() },
        origins: Vec::new(),
    };
    let mut covered = 0;
    for (at, &seed) in seeds.iter().enumerate() {
        let ahead = &seeds[at + 1..];
        let was_covered = canvas.segmentation()[canvas.index(seed)] > 0;
        if let Some(origin) = loops.try_seed(&mut canvas, seed, network, &mut watch)? {
            watch(FloodEvent::Segment(&origin));
            loops.origins.push(origin);
            covered = ahead.iter().filter(|s| canvas.segmentation()[canvas.index(**s)] > 0).count();
        } else if was_covered {
            covered -= 1;
        }
        watch(FloodEvent::Seed { settled: at + 1 + covered, segments: loops.origins.len() });
    }
    let probabilities = canvas.take_probabilities();
    let labels = canvas.into_segmentation().into_iter().map(|l| l.max(0) as u32).collect();
    let FloodLoop { origins, counters, .. } = loops;
    Ok(Segmentation { labels, origins, counters, probabilities })
}

struct FloodLoop {
    policy: FaceMax,
    counters: Counters,
    origins: Vec<Origin>,
}

impl FloodLoop {
    /// Tries one seed; `None` where no segment came of it.
    fn try_seed(
        &mut self,
        canvas: &mut Canvas,
        seed: Position,
        network: &mut dyn Network,
        watch: &mut impl FnMut(FloodEvent<'_>),
    ) -> Result<Option<Origin>> {
        if !canvas.is_free(seed) {
            self.counters.skip_invalid_pos += 1;
            return Ok(None);
        }
        if !canvas.restrictor.allows_seed(seed) {
            return Ok(None);
        }
        if is_close_to_segment(canvas, seed) {
            self.counters.skip_too_close += 1;
            let at = canvas.index(seed);
            canvas.segmentation_mut()[at] = TRIED;
            return Ok(None);
        }
        let started = Instant::now();
        let object = self.flood(canvas, seed, network, watch)?;
        if object.steps == 0 {
            return Ok(None);
        }
        if canvas.seed_at(seed) < canvas.logits.move_threshold {
            mark_tried(canvas, seed);
            return Ok(None);
        }
        let id = canvas.initial_labels + self.origins.len() as u32 + 1;
        let Some(voxels) = self.write_segment(canvas, &object, id) else {
            self.counters.too_small += 1;
            mark_tried(canvas, seed);
            return Ok(None);
        };
        let seconds = started.elapsed().as_secs_f64();
        Ok(Some(Origin { id, seed_zyx: seed, steps: object.steps, voxels, seconds }))
    }

    /// Moves the FOV until the queue is empty or the seed itself is judged outside.
    fn flood(
        &mut self,
        canvas: &mut Canvas,
        seed: Position,
        network: &mut dyn Network,
        watch: &mut impl FnMut(FloodEvent<'_>),
    ) -> Result<Object> {
        self.counters.segment_at_calls += 1;
        canvas.start_object(seed);
        self.policy.restart(seed);
        let mut object = Object { steps: 0, extent: [seed, seed] };
        while let Some(position) = self.policy.next(|p| canvas.is_valid(p)) {
            if canvas.seed_at(seed) < canvas.logits.move_threshold {
                self.counters.seed_got_too_weak += 1;
                break;
            }
            if !canvas.restrictor.allows_centre(position) {
                self.counters.skip_restricted_pos += 1;
                continue;
            }
            let logits = canvas.update_at(position, network)?;
            self.policy.update(logits, position);
            for a in 0..3 {
                object.extent[0][a] = object.extent[0][a].min(position[a]);
                object.extent[1][a] = object.extent[1][a].max(position[a]);
            }
            object.steps += 1;
            self.counters.fov_steps += 1;
            watch(FloodEvent::Step { steps: self.counters.fov_steps });
        }
        Ok(object)
    }

    /// Writes the object's voxels that no earlier segment has; `None`, and nothing written, if they
    /// are fewer than the minimum.
    fn write_segment(&mut self, canvas: &mut Canvas, object: &Object, id: u32) -> Option<u64> {
        let threshold = canvas.logits.segment_threshold;
        let margin = canvas.config.margin();
        let start: Position =
            std::array::from_fn(|a| object.extent[0][a].saturating_sub(margin[a]));
        let end: Position =
            std::array::from_fn(|a| (object.extent[1][a] + margin[a] + 1).min(canvas.shape[a]));
        let (mut free, mut overlapping) = (Vec::new(), 0);
        for z in start[0]..end[0] {
            for y in start[1]..end[1] {
                let row = canvas.index([z, y, start[2]]);
                for at in row..row + end[2] - start[2] {
                    if canvas.seed()[at] >= threshold {
                        if canvas.segmentation()[at] <= 0 {
                            free.push(at);
                        } else {
                            overlapping += 1;
                        }
                    }
                }
            }
        }
        if free.len() < canvas.options.min_segment_size {
            return None;
        }
        let labels = canvas.segmentation_mut();
        free.iter().for_each(|at| labels[*at] = id as i32);
        canvas.keep_probabilities(&free);
        self.counters.voxels_segmented += free.len() as u64;
        self.counters.voxels_overlapping += overlapping;
        Some(free.len() as u64)
    }
}

fn mark_tried(canvas: &mut Canvas, seed: Position) {
    let at = canvas.index(seed);
    let label = &mut canvas.segmentation_mut()[at];
    if *label == 0 {
        *label = TRIED;
    }
}

/// Whether a segment lies within the minimum boundary distance, a box, of a voxel.
fn is_close_to_segment(canvas: &Canvas, [z, y, x]: Position) -> bool {
    let distance = canvas.options.min_boundary_dist_zyx;
    let range = |a: usize, p: usize| {
        p.saturating_sub(distance[a])..(p + distance[a] + 1).min(canvas.shape[a])
    };
    range(0, z).any(|z| {
        range(1, y).any(|y| {
            let row = canvas.index([z, y, 0]);
            range(2, x).any(|x| canvas.segmentation()[row + x] > 0)
        })
    })
}
