//! Expected run length of a segmentation along skeletons: SWC files, whose nodes are looked up in the
//! labels chunk by chunk, each read once.

use std::path::{Path, PathBuf};

use exavox_compute::metrics::RunLengthOptions;
use exavox_io::{BoundingBox, Volume, VoxelSize};

use super::region_of;
use crate::error::Result;
use crate::progress::Observer;

mod files;
mod lookup;
mod place;
mod report;
mod swc;

use place::{Scale, place};
pub use report::{EdgeReport, SkeletonReport, SkeletonRow};

/// The unit of positions in SWC files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SkeletonUnit {
    /// Nanometres.
    #[default]
    Nm,
    /// Micrometres.
    Um,
    /// Voxels of the labels.
    Voxels,
}

/// What is done with nodes outside the labels, or outside the part that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OutsideNodes {
    /// The first one is an error.
    #[default]
    Refused,
    /// They and their edges are left out.
    Clipped,
}

/// Which skeletons, and how they are judged.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct SkeletonOptions {
    /// SWC files, folders of them, and names with `*`.
    pub paths: Vec<PathBuf>,
    /// The unit of their positions.
    pub unit: SkeletonUnit,
    /// Size of the voxels, in place of that of the labels.
    pub voxel_size: Option<VoxelSize>,
    /// The part that is judged; `None` = all.
    pub roi: Option<BoundingBox>,
    /// Nodes outside of it.
    pub outside: OutsideNodes,
    /// Mergers.
    pub run_length: RunLengthOptions,
}

/// Judges labels (channel 0) along skeletons.
///
/// # Errors
/// [`Error::Settings`](crate::Error::Settings) with file and line if a skeleton is none or has a node outside; if there are none,
/// or they have no length; if the size of a voxel is needed and not known; if the labels are no integers.
pub fn evaluate_skeletons(
    labels: &Volume,
    options: &SkeletonOptions,
    observer: &dyn Observer,
) -> Result<SkeletonReport> {
    let scale = Scale::new(labels, options)?;
    let region = region_of(labels, options.roi)?;
    let skeletons = files::read_all(&options.paths)?;
    let mut nodes = Vec::new();
    let mut traced = Vec::with_capacity(skeletons.len());
    for (number, skeleton) in skeletons.iter().enumerate() {
        let kept = place(skeleton, number as u32, &scale, &region, options.outside, &mut nodes)?;
        traced.push(kept);
    }
    let found = lookup::labels_at(labels, &region, &mut nodes, observer)?;
    for (node, label) in nodes.iter().zip(found) {
        traced[node.skeleton as usize].labels[node.index as usize] = label;
    }
    let names: Vec<String> = skeletons.into_iter().map(|skeleton| skeleton.name).collect();
    report::report(names, &traced, &nodes, options, scale.unit)
}

/// The stem of a path, for people.
fn stem(path: &Path) -> String {
    path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}
