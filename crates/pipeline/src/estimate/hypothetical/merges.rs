//! Union-find over the edges between blocks as a tree: each merge takes 8^3 blocks, then 8^3 of those,
//! until one is left. An edge is looked at once, where its two blocks first come together.

use super::super::grid::BlockGrid;
use super::super::stage::StageModel;
use super::Hypothetical;

/// Blocks of a merge along each axis.
pub(super) const FAN_IN: u64 = 8;
/// Voxels of a face for each pair of labels that meets there: neurites some 50 voxels across.
pub(super) const FACE_VOXELS_PER_EDGE: u128 = 2_500;
/// Two labels of 8 bytes and how often they met.
pub(super) const BYTES_PER_EDGE: u128 = 24;
/// Edges that a slot sorts and joins in a second.
pub(super) const EDGES_PER_SECOND: f64 = 10e6;
/// Edges are sorted in files and joined in memory up to this.
const MOST_MEMORY: u64 = 1 << 30;

/// Bytes of the edges on faces of so many voxels.
pub(super) fn edge_bytes(face_voxels: u128) -> u128 {
    edges(face_voxels).saturating_mul(BYTES_PER_EDGE)
}

fn edges(face_voxels: u128) -> u128 {
    face_voxels.div_ceil(FACE_VOXELS_PER_EDGE)
}

/// A stage for each level of the tree.
pub(super) fn stages(plan: &Hypothetical, grid: &BlockGrid) -> Vec<StageModel> {
    let (mut stages, mut group) = (Vec::new(), 1_u64);
    while grid.counts().into_iter().any(|count| count > group) {
        let next = group.saturating_mul(FAN_IN);
        stages.push(level(plan, grid, group, next, stages.len() + 1));
        group = next;
    }
    stages
}

fn level(
    plan: &Hypothetical,
    grid: &BlockGrid,
    group: u64,
    next: u64,
    number: usize,
) -> StageModel {
    let blocks: u64 = grid.counts().into_iter().map(|count| count.div_ceil(next)).product();
    let edges = edges(grid.face_voxels(group) - grid.face_voxels(next));
    let each = edges as f64 / blocks as f64;
    let bytes = edges.saturating_mul(BYTES_PER_EDGE);
    StageModel {
        name: format!("union {number}"),
        blocks,
        blocks_per_shard: None,
        read_bytes: bytes,
        // Each edge joins two labels at most, and says so with both.
        written_bytes: edges.saturating_mul(16),
        flop: 0.0,
        memory_bytes_per_block: ((each * 16.0) as u64).clamp(1 << 20, MOST_MEMORY),
        seconds_per_block: plan.times(each / EDGES_PER_SECOND),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::Work;
    use super::*;
    use exavox_io::DataType;

    #[test]
    fn every_edge_is_in_one_level_and_the_last_is_one_block() {
        let plan = Hypothetical::new(Work::Segment, [1_000_000; 3], DataType::U8);
        let grid = plan.subvolumes().unwrap();
        let stages = stages(&plan, &grid);
        let blocks: Vec<u64> = stages.iter().map(|s| s.blocks).collect();
        assert_eq!(blocks, [279_u64.pow(3), 35_u64.pow(3), 125, 1]);
        let read: u128 = stages.iter().map(|s| s.read_bytes).sum();
        let all = edge_bytes(grid.face_voxels(1));
        assert!(read >= all && read - all <= 4 * BYTES_PER_EDGE, "{read} {all}");
    }
}
