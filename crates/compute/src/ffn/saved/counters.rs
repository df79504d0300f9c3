//! Counters, in the order that they are saved in.

use super::bytes::Reader;
use crate::error::Result;
use crate::ffn::segment::Counters;

pub(super) fn counters(counters: &Counters) -> [u64; 10] {
    let Counters {
        seeds,
        skip_invalid_pos,
        skip_restricted_pos,
        skip_too_close,
        segment_at_calls,
        fov_steps,
        seed_got_too_weak,
        too_small,
        voxels_segmented,
        voxels_overlapping,
    } = *counters;
    [
        seeds,
        skip_invalid_pos,
        skip_restricted_pos,
        skip_too_close,
        segment_at_calls,
        fov_steps,
        seed_got_too_weak,
        too_small,
        voxels_segmented,
        voxels_overlapping,
    ]
}

pub(super) fn read_counters(from: &mut Reader<'_>) -> Result<Counters> {
    Ok(Counters {
        seeds: from.u64()?,
        skip_invalid_pos: from.u64()?,
        skip_restricted_pos: from.u64()?,
        skip_too_close: from.u64()?,
        segment_at_calls: from.u64()?,
        fov_steps: from.u64()?,
        seed_got_too_weak: from.u64()?,
        too_small: from.u64()?,
        voxels_segmented: from.u64()?,
        voxels_overlapping: from.u64()?,
    })
}
