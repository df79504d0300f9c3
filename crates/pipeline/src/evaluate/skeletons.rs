//! Expected run length of a segmentation along skeletons: SWC files, whose nodes are looked up in the
//! labels chunk by chunk, each read once.

use std::path::{Path, PathBuf};

use exavox_compute::metrics::{
    Edge, EdgeSum, MergeScope, RunLengthOptions, SkeletonRuns, TracedSkeleton, expected_run_length,
};
use exavox_io::{BoundingBox, Volume, VoxelSize};
use serde::Serialize;

use super::region_of;
use crate::error::{Error, Result};
use crate::progress::Observer;

mod files;
mod lookup;
mod swc;

use swc::Skeleton;

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

/// Edges of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct EdgeReport {
    /// How many.
    pub edges: u64,
    /// Their length.
    pub length: f64,
}

impl From<EdgeSum> for EdgeReport {
    fn from(sum: EdgeSum) -> Self {
        Self { edges: sum.edges, length: sum.length }
    }
}

/// Quality along skeletons. The names are those of `--json`; lengths in `length_unit`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SkeletonReport {
    /// Expected run length.
    pub erl: f64,
    /// What it would be without an error.
    pub max_erl: f64,
    /// The one by the other.
    pub nerl: f64,
    /// `nm`, or `voxels` where their size is not known.
    pub length_unit: &'static str,
    /// Nodes that make a label count on a skeleton.
    pub merge_threshold: u64,
    /// What a merger spoils: the edges on its `label`, or the whole `skeleton`.
    pub merge_scope: &'static str,
    /// Skeletons.
    pub skeletons: u64,
    /// Their nodes that were looked up.
    pub skeleton_nodes: u64,
    /// Nodes that were left out because they lie outside.
    pub clipped_nodes: u64,
    /// Length of all skeletons.
    pub skeleton_length: f64,
    /// Edges with an end on label 0.
    pub omitted: EdgeReport,
    /// Edges whose ends have different labels.
    pub split: EdgeReport,
    /// Edges that a merger spoils.
    pub merged: EdgeReport,
    /// The other edges.
    pub correct: EdgeReport,
    /// Labels that are on more than one skeleton.
    pub merging_labels: u64,
    /// Each skeleton.
    #[serde(skip)]
    pub each: Vec<SkeletonRow>,
}

/// One skeleton.
#[derive(Debug, Clone, PartialEq)]
pub struct SkeletonRow {
    /// Name of its file, without `.swc`.
    pub name: String,
    /// Its nodes that were looked up.
    pub nodes: u64,
    /// What became of it.
    pub runs: SkeletonRuns,
}

/// Judges labels (channel 0) along skeletons.
///
/// # Errors
/// [`Error::Settings`] with file and line if a skeleton is none or has a node outside; if there are none,
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
    report(names, &traced, &nodes, options, &scale)
}

/// A node that is to be looked up.
#[derive(Debug, Clone, Copy)]
struct Node {
    skeleton: u32,
    index: u32,
    voxel: [u64; 3],
}

/// From positions to voxels and lengths.
#[derive(Debug, Clone, Copy)]
struct Scale {
    /// Voxels in a unit of position.
    voxels_zyx: [f64; 3],
    /// Lengths in a unit of position.
    lengths_zyx: [f64; 3],
    unit: &'static str,
}

impl Scale {
    fn new(labels: &Volume, options: &SkeletonOptions) -> Result<Self> {
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
fn place(
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
    node: &swc::Node,
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

fn report(
    names: Vec<String>,
    traced: &[TracedSkeleton],
    nodes: &[Node],
    options: &SkeletonOptions,
    scale: &Scale,
) -> Result<SkeletonReport> {
    let Some(found) = expected_run_length(traced, &options.run_length) else {
        let message = format!("{} skeletons have no edge of any length inside", names.len());
        return Err(Error::settings("skeletons", message));
    };
    let mut inside = vec![0; names.len()];
    nodes.iter().for_each(|node| inside[node.skeleton as usize] += 1);
    let all: usize = traced.iter().map(|skeleton| skeleton.labels.len()).sum();
    let rows = names.into_iter().zip(inside).zip(found.skeletons);
    Ok(SkeletonReport {
        erl: found.erl,
        max_erl: found.max_erl,
        nerl: found.nerl,
        length_unit: scale.unit,
        merge_threshold: options.run_length.merge_threshold,
        merge_scope: match options.run_length.merge_scope {
            MergeScope::Label => "label",
            MergeScope::Skeleton => "skeleton",
        },
        skeletons: traced.len() as u64,
        skeleton_nodes: nodes.len() as u64,
        clipped_nodes: (all - nodes.len()) as u64,
        skeleton_length: found.length,
        omitted: found.kinds.omitted.into(),
        split: found.kinds.split.into(),
        merged: found.kinds.merged.into(),
        correct: found.kinds.correct.into(),
        merging_labels: found.merging_labels,
        each: rows.map(|((name, nodes), runs)| SkeletonRow { name, nodes, runs }).collect(),
    })
}

impl SkeletonReport {
    /// A line per skeleton, as CSV; lengths in the report's unit.
    ///
    /// # Errors
    /// Those of writing to memory: none that are known.
    pub fn table(&self) -> Result<Vec<u8>> {
        let wrong = |e: csv::Error| Error::settings("table of skeletons", e.to_string());
        let mut writer = csv::Writer::from_writer(Vec::new());
        let kinds = ["omitted", "split", "merged", "correct"];
        let mut header: Vec<String> =
            ["skeleton", "nodes", "length", "run_length", "labels", "merged_labels"]
                .map(str::to_owned)
                .to_vec();
        header.extend(kinds.iter().flat_map(|k| [format!("{k}_edges"), format!("{k}_length")]));
        writer.write_record(&header).map_err(wrong)?;
        for SkeletonRow { name, nodes, runs } in &self.each {
            let mut cells = vec![name.clone(), nodes.to_string()];
            cells.extend([runs.length, runs.run_length].map(|length| length.to_string()));
            cells.extend([runs.labels, runs.merged_labels].map(|count| count.to_string()));
            let kinds =
                [runs.kinds.omitted, runs.kinds.split, runs.kinds.merged, runs.kinds.correct];
            cells.extend(kinds.iter().flat_map(|k| [k.edges.to_string(), k.length.to_string()]));
            writer.write_record(&cells).map_err(wrong)?;
        }
        writer.into_inner().map_err(|e| Error::settings("table of skeletons", e.to_string()))
    }
}

/// The stem of a path, for people.
fn stem(path: &Path) -> String {
    path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}
