//! What is said of skeletons: figures, and a line for each.

use std::path::Path;

use exavox_compute::metrics::{
    EdgeSum, MergeScope, SkeletonRuns, TracedSkeleton, expected_run_length,
};
use serde::Serialize;

use super::SkeletonOptions;
use super::place::Node;
use crate::error::{Error, Result};
use crate::table::csv_bytes;

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

/// All of it put together.
pub(super) fn report(
    names: Vec<String>,
    traced: &[TracedSkeleton],
    nodes: &[Node],
    options: &SkeletonOptions,
    unit: &'static str,
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
        length_unit: unit,
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
        let kinds = ["omitted", "split", "merged", "correct"];
        let mut header: Vec<String> =
            ["skeleton", "nodes", "length", "run_length", "labels", "merged_labels"]
                .map(str::to_owned)
                .to_vec();
        header.extend(kinds.iter().flat_map(|k| [format!("{k}_edges"), format!("{k}_length")]));
        csv_bytes(Path::new("table of skeletons"), header, self.each.iter().map(SkeletonRow::cells))
    }
}

impl SkeletonRow {
    fn cells(&self) -> Vec<String> {
        let Self { name, nodes, runs } = self;
        let mut cells = vec![name.clone(), nodes.to_string()];
        cells.extend([runs.length, runs.run_length].map(|length| length.to_string()));
        cells.extend([runs.labels, runs.merged_labels].map(|count| count.to_string()));
        let kinds = [runs.kinds.omitted, runs.kinds.split, runs.kinds.merged, runs.kinds.correct];
        cells.extend(kinds.iter().flat_map(|k| [k.edges.to_string(), k.length.to_string()]));
        cells
    }
}
