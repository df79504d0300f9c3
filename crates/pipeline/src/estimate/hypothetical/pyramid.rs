//! Pyramids: each level is made of the one before, which is twice as large along each axis.

use super::super::grid::BlockGrid;
use super::super::stage::StageModel;
use super::{Hypothetical, Work, labels};
use crate::error::{Error, Result};

/// Voxels that a slot reads and makes coarser in a second.
pub(super) const COARSENED_PER_SECOND: f64 = 150e6;
/// After so many levels every volume is a single voxel.
const MOST_LEVELS: u32 = 64;

pub(super) fn stages(plan: &Hypothetical) -> Result<Vec<StageModel>> {
    let block = plan.block()?;
    let pyramid = plan.work.makes_labels() || plan.work == Work::Downsample;
    let mut shape = plan.shape_zyx;
    let mut stages = Vec::new();
    if plan.work == Work::Project || plan.levels.is_some_and(|levels| levels > MOST_LEVELS) {
        return match plan.levels {
            Some(levels) if levels > 0 => {
                let message = format!("{levels} levels of a {}", plan.work);
                Err(Error::settings("pyramid", message))
            }
            _ => Ok(stages),
        };
    }
    loop {
        let made = stages.len() as u32;
        let more = match plan.levels {
            Some(levels) => made < levels,
            None => pyramid && (0..3).any(|a| shape[a] > block[a]),
        };
        if !more {
            return Ok(stages);
        }
        let next = shape.map(|size| size.div_ceil(2));
        stages.push(level(plan, shape, next, made + 1)?);
        shape = next;
    }
}

fn level(plan: &Hypothetical, from: [u64; 3], to: [u64; 3], number: u32) -> Result<StageModel> {
    let block = plan.block()?;
    let blocks = BlockGrid::new(to, block, [0; 3])?.blocks();
    let voxels =
        |shape: [u64; 3]| shape.into_iter().fold(1, |n: u128, s| n.saturating_mul(s.into()));
    let (read, made) = (voxels(from), voxels(to));
    let bytes = |voxels| match plan.work.makes_labels() {
        true => plan.label_bytes(voxels, labels::GLOBAL_BYTES),
        false => plan.image_bytes(voxels),
    };
    let size = match plan.work.makes_labels() {
        true => labels::GLOBAL_BYTES,
        false => plan.dtype.size(),
    };
    let each = read as f64 / blocks as f64;
    let first = plan.work == Work::Downsample && number == 1;
    Ok(StageModel {
        name: format!("downsample {number}"),
        blocks,
        blocks_per_shard: None,
        read_bytes: bytes(read),
        written_bytes: bytes(made),
        flop: 0.0,
        // Eight voxels are read for each; it is held as it is made, and as chunks.
        memory_bytes_per_block: plan.memory_of(block, 10 * size as u64),
        seconds_per_block: match first {
            true => plan.first_times(each, COARSENED_PER_SECOND),
            false => plan.times(each / COARSENED_PER_SECOND),
        },
    })
}
