//! Work of one stage.

use super::super::grid::BlockGrid;
use super::super::stage::StageModel;
use super::Hypothetical;
use crate::error::Result;

/// Voxels that a slot filters in a second: a Gaussian of some voxels.
pub(super) const FILTERED_PER_SECOND: f64 = 20e6;
/// Voxels that a slot projects in a second.
pub(super) const PROJECTED_PER_SECOND: f64 = 300e6;
/// Voxels that a slot converts in a second, with zstd.
pub(super) const CONVERTED_PER_SECOND: f64 = 200e6;
/// Filters compute in float32.
const FILTERED_BYTES: usize = 4;

pub(super) fn filter(plan: &Hypothetical) -> Result<StageModel> {
    let (grid, block) = (plan.blocks()?, plan.block()?);
    let (blocks, read) = (grid.blocks(), grid.voxels_with_halo(plan.halo_zyx));
    let with_halo =
        std::array::from_fn(|a| block[a].saturating_add(2 * plan.halo_zyx[a].min(1 << 62)));
    let each = (plan.dtype.size() + 3 * FILTERED_BYTES) as u64;
    Ok(StageModel {
        name: "filter".to_owned(),
        blocks,
        blocks_per_shard: None,
        read_bytes: plan.image_bytes(read),
        written_bytes: super::stored(grid.voxels(), FILTERED_BYTES, plan.image_compression),
        flop: 0.0,
        memory_bytes_per_block: plan.memory_of(with_halo, each),
        seconds_per_block: plan.first_times(read as f64 / blocks as f64, FILTERED_PER_SECOND),
    })
}

pub(super) fn convert(plan: &Hypothetical) -> Result<StageModel> {
    let grid = plan.blocks()?;
    let (blocks, voxels) = (grid.blocks(), grid.voxels());
    let each = 3 * plan.dtype.size() as u64;
    Ok(StageModel {
        name: "convert".to_owned(),
        blocks,
        blocks_per_shard: None,
        read_bytes: plan.image_bytes(voxels),
        written_bytes: plan.image_bytes(voxels),
        flop: 0.0,
        memory_bytes_per_block: plan.memory_of(plan.block()?, each),
        seconds_per_block: plan.first_times(voxels as f64 / blocks as f64, CONVERTED_PER_SECOND),
    })
}

/// Along z: a block is a column of the whole volume, read layer of chunks by layer.
pub(super) fn project(plan: &Hypothetical) -> Result<StageModel> {
    let [_, y, x] = plan.block()?;
    let [depth, height, width] = plan.shape_zyx;
    let grid = BlockGrid::new(plan.shape_zyx, [depth, y, x], [0; 3])?;
    let (blocks, voxels) = (grid.blocks(), grid.voxels());
    let size = plan.dtype.size();
    let layer = plan.memory_of([plan.chunk_zyx[0], y, x], 2 * size as u64);
    let sums = plan.memory_of([1, y, x], 8);
    Ok(StageModel {
        name: "project".to_owned(),
        blocks,
        blocks_per_shard: None,
        read_bytes: plan.image_bytes(voxels),
        written_bytes: u128::from(height).saturating_mul(width.into()).saturating_mul(size as u128),
        flop: 0.0,
        memory_bytes_per_block: layer.saturating_add(sums),
        seconds_per_block: plan.first_times(voxels as f64 / blocks as f64, PROJECTED_PER_SECOND),
    })
}
