//! Connected components block by block, and the last pass over labels of every kind.

use super::super::stage::StageModel;
use super::{Hypothetical, merges};
use crate::error::Result;

/// Voxels that a slot labels in a second.
pub(super) const LABELLED_PER_SECOND: f64 = 100e6;
/// Voxels that a slot renames and writes in a second.
pub(super) const RENAMED_PER_SECOND: f64 = 150e6;
/// Labels of a block before they have their last name.
const LOCAL_BYTES: usize = 4;
/// Labels of the whole volume.
pub(super) const GLOBAL_BYTES: usize = 8;

pub(super) fn stages(plan: &Hypothetical) -> Result<Vec<StageModel>> {
    let grid = plan.blocks()?;
    let mut stages = vec![label(plan)?];
    if grid.blocks() > 1 {
        stages.push(faces(plan)?);
        stages.extend(merges::stages(plan, &grid));
    }
    stages.push(relabel(plan, LOCAL_BYTES)?);
    Ok(stages)
}

fn label(plan: &Hypothetical) -> Result<StageModel> {
    let grid = plan.blocks()?;
    let (blocks, voxels) = (grid.blocks(), grid.voxels());
    // The values, the labels and the runs that they are made of.
    let each = plan.dtype.size() as u64 + 3 * LOCAL_BYTES as u64;
    Ok(StageModel {
        name: "label".to_owned(),
        blocks,
        blocks_per_shard: None,
        read_bytes: plan.image_bytes(voxels),
        written_bytes: plan.label_bytes(voxels, LOCAL_BYTES),
        flop: 0.0,
        memory_bytes_per_block: plan.memory_of(plan.block()?, each),
        seconds_per_block: plan.first_times(voxels as f64 / blocks as f64, LABELLED_PER_SECOND),
    })
}

/// The planes on both sides of each face, which the stage before has put aside.
fn faces(plan: &Hypothetical) -> Result<StageModel> {
    let grid = plan.blocks()?;
    let (blocks, voxels) = (grid.blocks(), grid.face_voxels(1));
    let mut plane = plan.block()?;
    plane.sort_unstable();
    plane[0] = 1;
    Ok(StageModel {
        name: "faces".to_owned(),
        blocks,
        blocks_per_shard: None,
        read_bytes: plan.label_bytes(voxels.saturating_mul(2), LOCAL_BYTES),
        written_bytes: merges::edge_bytes(voxels),
        flop: 0.0,
        memory_bytes_per_block: plan.memory_of(plane, 2 * LOCAL_BYTES as u64),
        seconds_per_block: plan.times(voxels as f64 / blocks as f64 / LABELLED_PER_SECOND),
    })
}

/// Every voxel gets the name of its label in the whole volume.
pub(super) fn relabel(plan: &Hypothetical, local_bytes: usize) -> Result<StageModel> {
    let grid = plan.blocks()?;
    let (blocks, voxels) = (grid.blocks(), grid.voxels());
    // As they are read, as they are written, and their chunks.
    let each = (local_bytes + 2 * GLOBAL_BYTES) as u64;
    Ok(StageModel {
        name: "relabel".to_owned(),
        blocks,
        blocks_per_shard: None,
        read_bytes: plan.label_bytes(voxels, local_bytes),
        written_bytes: plan.label_bytes(voxels, GLOBAL_BYTES),
        flop: 0.0,
        memory_bytes_per_block: plan.memory_of(plan.block()?, each),
        seconds_per_block: plan.times(voxels as f64 / blocks as f64 / RENAMED_PER_SECOND),
    })
}
