//! Where nodes of skeletons lie in the labels.

use exavox_compute::metrics::{Edge, TracedSkeleton};
use exavox_io::{BoundingBox, Volume};

use super::swc::Skeleton;
use super::{OutsideNodes, SkeletonOptions, SkeletonUnit};
use crate::error::{Error, Result};

/// A node that is to be looked up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node {
    pub(super) skeleton: u32,
    pub(super) index: u32,
    pub(super) voxel: [u64; 3],
}

/// From positions to voxels and lengths.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    /// Voxels in a unit of position.
    voxels_zyx: [f64; 3],
    /// Lengths in a unit of position.
    lengths_zyx: [f64; 3],
    pub(super) unit: &'static str,
}

impl Scale {
    pub(super) fn new(labels: &Volume, options: &SkeletonOptions) -> Result<Self> {
        let size = options.voxel_size.or(labels.metadata().voxel_size).map(|size| size.nm_zyx);
        let nm = match options.unit {
            SkeletonUnit::Nm => 1.0,
            SkeletonUnit::Um => 1000.0,
            SkeletonUnit::Voxels => {
                let unit = if size.is_some() { "nm" } else { "voxels" };
                let lengths_zyx = size.unwrap_or([1.0; 3]);
                return Ok(Self { voxels_zyx: [1.0; 3], lengths_zyx, unit });
            }
        };
        let Some(size) = size else {
            let message = "has no voxel size to place skeletons with: expected --voxel-size, or \
                --skeleton-unit voxels";
            return Err(Error::settings(labels.name(), message));
        };
        Ok(Self { voxels_zyx: size.map(|s| nm / s), lengths_zyx: [nm; 3], unit: "nm" })
    }

    /// The voxel that holds a position; voxel 0 reaches from 0 to 1.
    fn voxel(&self, position_zyx: [f64; 3]) -> Option<[u64; 3]> {
        let at: [f64; 3] = std::array::from_fn(|a| (position_zyx[a] * self.voxels_zyx[a]).floor());
        at.iter().all(|v| (0.0..9e15).contains(v)).then(|| at.map(|v| v as u64))
    }

    fn distance(&self, from: [f64; 3], to: [f64; 3]) -> f64 {
        let squares = [0, 1, 2].map(|a| ((to[a] - from[a]) * self.lengths_zyx[a]).powi(2));
        squares.iter().sum::<f64>().sqrt()
    }
}

/// A skeleton without labels yet; its nodes inside the region are added to `nodes`. Nodes that are left out
/// keep label 0, which no merger counts, and have no edges.
pub(super) fn place(
    skeleton: &Skeleton,
    number: u32,
    scale: &Scale,
    region: &BoundingBox,
    outside: OutsideNodes,
    nodes: &mut Vec<Node>,
) -> Result<TracedSkeleton> {
    let mut inside = vec![false; skeleton.nodes.len()];
    for (index, node) in skeleton.nodes.iter().enumerate() {
        let voxel = scale.voxel(node.position_zyx).filter(|voxel| holds(region, voxel));
        match voxel {
            Some(voxel) => {
                inside[index] = true;
                nodes.push(Node { skeleton: number, index: index as u32, voxel });
            }
            None if outside == OutsideNodes::Clipped => {}
            None => return Err(outside_error(skeleton, node, scale, region)),
        }
    }
    let kept = skeleton.edges.iter().filter(|ends| ends.iter().all(|end| inside[*end as usize]));
    let edges = kept.map(|ends| {
        let [from, to] = ends.map(|end| skeleton.nodes[end as usize].position_zyx);
        Edge { ends: *ends, length: scale.distance(from, to) }
    });
    Ok(TracedSkeleton { labels: vec![0; skeleton.nodes.len()], edges: edges.collect() })
}

fn holds(region: &BoundingBox, voxel: &[u64; 3]) -> bool {
    (0..3).all(|a| (region.start[a]..region.end[a]).contains(&voxel[a]))
}

fn outside_error(
    skeleton: &Skeleton,
    node: &super::swc::Node,
    scale: &Scale,
    region: &BoundingBox,
) -> Error {
    let [z, y, x] = [0, 1, 2].map(|a| node.position_zyx[a] * scale.voxels_zyx[a]);
    let message = format!(
        "the node lies at voxel z,y,x {z:.1},{y:.1},{x:.1}, outside {region}; check --skeleton-unit, or leave \
         such nodes out with --clip-skeletons"
    );
    Error::settings(format!("{} line {}", skeleton.path.display(), node.line), message)
}
