//! The labels that nodes lie on.

use exavox_io::{BoundingBox, Volume};
use rayon::prelude::*;

use super::place::Node;
use crate::blocks::BlockGrid;
use crate::error::Result;
use crate::label_volume::read_labels;
use crate::labelling::stage;
use crate::progress::{Event, Observer, Unit};

/// Voxels of a box that is read at once, at most.
const MOST_VOXELS: u64 = 1 << 22;

/// The label of each node. The nodes are put into the order of the chunks that hold them, so that each chunk is
/// read once, and of that the box that holds its nodes. All nodes lie inside the region.
pub(super) fn labels_at(
    volume: &Volume,
    region: &BoundingBox,
    nodes: &mut [Node],
    observer: &dyn Observer,
) -> Result<Vec<u64>> {
    // Boxes begin where chunks do.
    let chunk = chunk_shape(volume);
    let start = std::array::from_fn(|a| region.start[a] / chunk[a] * chunk[a]);
    let blocks = BlockGrid::new(BoundingBox { start, end: region.end }, chunk)?;
    let block =
        |node: &Node| blocks.number(std::array::from_fn(|a| (node.voxel[a] - start[a]) / chunk[a]));
    nodes.par_sort_unstable_by_key(|node| (block(node), node.skeleton, node.index));
    let groups: Vec<&[Node]> = nodes.chunk_by(|a, b| block(a) == block(b)).collect();
    let total = groups.len() as u64;
    let labels = stage(observer, "skeletons", total, Unit::Blocks, || {
        let read = groups.par_iter().map(|group| {
            let labels = labels_of(volume, group);
            observer.notify(&Event::Advanced { by: 1, note: "" });
            labels
        });
        read.collect::<Result<Vec<Vec<u64>>>>()
    })?;
    Ok(labels.concat())
}

/// A chunk, or a part of it if it is large.
fn chunk_shape(volume: &Volume) -> [u64; 3] {
    let shape = volume.shape();
    let chunk = volume.metadata().chunk_shape;
    let mut chunk: [u64; 3] = std::array::from_fn(|a| chunk[a].clamp(1, shape[a].max(1)));
    while chunk.iter().product::<u64>() > MOST_VOXELS {
        let longest = (0..3).max_by_key(|axis| chunk[*axis]).unwrap_or_default();
        chunk[longest] = chunk[longest].div_ceil(2);
    }
    chunk
}

fn labels_of(volume: &Volume, nodes: &[Node]) -> Result<Vec<u64>> {
    let bound = |a: usize| nodes.iter().map(move |node| node.voxel[a]);
    let start: [u64; 3] = std::array::from_fn(|a| bound(a).min().unwrap_or_default());
    let end = std::array::from_fn(|a| bound(a).max().unwrap_or_default() + 1);
    let area = BoundingBox { start, end };
    let labels = read_labels(volume, &area)?;
    let [_, height, width] = area.shape();
    let index = |node: &Node| {
        let [z, y, x]: [u64; 3] = std::array::from_fn(|a| node.voxel[a] - start[a]);
        ((z * height + y) * width + x) as usize
    };
    Ok(nodes.iter().map(|node| labels[index(node)]).collect())
}
