//! What becomes of an object when its turn comes: a segment, or nothing.

use super::Segmenter;
use crate::ffn::canvas::Position;
use crate::ffn::object::Object;
use crate::ffn::segment::Origin;

impl Segmenter<'_> {
    /// Makes a segment of an object that has ended; whether there is one.
    pub(super) fn commit(&mut self, seed: Position, object: &Object) -> bool {
        self.counters.segment_at_calls += 1;
        self.counters.fov_steps += object.steps;
        self.counters.skip_restricted_pos += object.refusals(&self.canvas);
        self.counters.seed_got_too_weak += u64::from(object.got_too_weak);
        if object.steps == 0 {
            return false;
        }
        if object.is_weak {
            self.canvas.mark_tried(seed);
            return false;
        }
        let voxels = object.count(&self.canvas);
        if voxels.free < self.canvas.options.min_segment_size as u64 {
            self.counters.too_small += 1;
            self.canvas.mark_tried(seed);
            return false;
        }
        object.write(&mut self.canvas, self.next_id);
        self.counters.voxels_segmented += voxels.free;
        self.counters.voxels_overlapping += voxels.overlapping;
        self.origins.push(Origin {
            id: self.next_id as u32,
            seed_zyx: seed,
            steps: object.steps,
            voxels: voxels.free,
            seconds: object.seconds,
        });
        self.next_id += 1;
        true
    }
}
