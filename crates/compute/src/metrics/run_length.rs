//! Expected run length: how far one can walk along a skeleton before the segmentation errs. M. Januszewski
//! et al., "High-precision automated reconstruction of neurons with flood-filling networks" (2018).

use std::collections::BTreeMap;

use rustc_hash::{FxHashMap, FxHashSet};

/// A skeleton with the labels that its nodes lie on.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TracedSkeleton {
    /// Label at each node; 0 = left out.
    pub labels: Vec<u64>,
    /// Edges between nodes.
    pub edges: Vec<Edge>,
}

/// An edge of a skeleton.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Edge {
    /// Indices of its nodes.
    pub ends: [u32; 2],
    /// Its length, in whatever unit.
    pub length: f64,
}

/// What a merger spoils.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MergeScope {
    /// The edges that lie on the label, of each of its skeletons.
    #[default]
    Label,
    /// All edges of each skeleton that the label merges, as `funlib.evaluate` and `em_erl` have it.
    Skeleton,
}

/// How edges are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RunLengthOptions {
    /// A label is on a skeleton, as far as mergers go, if at least so many of the skeleton's nodes lie on
    /// it. Default: 0, each node counts, as in the paper.
    pub merge_threshold: u64,
    /// What a merger spoils. Default: the edges on its label.
    pub merge_scope: MergeScope,
}

impl RunLengthOptions {
    /// Sets how many nodes make a label count.
    #[must_use]
    pub fn with_merge_threshold(mut self, nodes: u64) -> Self {
        self.merge_threshold = nodes;
        self
    }

    /// Sets what a merger spoils.
    #[must_use]
    pub fn with_merge_scope(mut self, scope: MergeScope) -> Self {
        self.merge_scope = scope;
        self
    }
}

/// Edges of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct EdgeSum {
    /// How many.
    pub edges: u64,
    /// Their length.
    pub length: f64,
}

impl EdgeSum {
    fn add(&mut self, length: f64) {
        self.edges += 1;
        self.length += length;
    }

    fn add_all(&mut self, other: &Self) {
        self.edges += other.edges;
        self.length += other.length;
    }
}

/// Edges by what became of them; each is of one kind, the first that fits.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct EdgeKinds {
    /// With [`MergeScope::Skeleton`], all edges of a merged skeleton. Otherwise: the label of both ends is
    /// on another skeleton too.
    pub merged: EdgeSum,
    /// An end is on label 0.
    pub omitted: EdgeSum,
    /// The ends have different labels.
    pub split: EdgeSum,
    /// None of these.
    pub correct: EdgeSum,
}

/// What became of one skeleton.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct SkeletonRuns {
    /// Sum of its edges.
    pub length: f64,
    /// Its edges.
    pub kinds: EdgeKinds,
    /// Its expected run length: the sum over labels of the square of the correct length, by its length.
    pub run_length: f64,
    /// Labels at its nodes, without 0.
    pub labels: u64,
    /// Those of them that are on another skeleton too.
    pub merged_labels: u64,
}

/// Expected run length of a set of skeletons.
#[derive(Debug, Clone, PartialEq)]
pub struct RunLength {
    /// Mean of the run lengths of the skeletons, weighted by their lengths.
    pub erl: f64,
    /// What it would be without an error.
    pub max_erl: f64,
    /// The one by the other: 1 is best.
    pub nerl: f64,
    /// Sum of all skeletons.
    pub length: f64,
    /// All edges.
    pub kinds: EdgeKinds,
    /// Labels that are on more than one skeleton.
    pub merging_labels: u64,
    /// Each skeleton, in the order given.
    pub skeletons: Vec<SkeletonRuns>,
}

/// Judges all edges. `None` if the skeletons have no length. Sums are taken in the order given.
///
/// # Panics
/// If an edge has an end that is no node.
pub fn expected_run_length(
    skeletons: &[TracedSkeleton],
    options: &RunLengthOptions,
) -> Option<RunLength> {
    let merging = merging_labels(skeletons, options.merge_threshold);
    let runs: Vec<SkeletonRuns> =
        skeletons.iter().map(|skeleton| walk(skeleton, &merging, options.merge_scope)).collect();
    let length: f64 = runs.iter().map(|run| run.length).sum();
    let max_erl = runs.iter().map(|run| run.length * run.length).sum::<f64>() / length;
    if !(length > 0.0 && max_erl.is_finite()) {
        return None;
    }
    let erl = runs.iter().map(|run| run.length / length * run.run_length).sum();
    let mut kinds = EdgeKinds::default();
    for run in &runs {
        kinds.merged.add_all(&run.kinds.merged);
        kinds.omitted.add_all(&run.kinds.omitted);
        kinds.split.add_all(&run.kinds.split);
        kinds.correct.add_all(&run.kinds.correct);
    }
    let merging_labels = merging.len() as u64;
    let nerl = erl / max_erl;
    Some(RunLength { erl, max_erl, nerl, length, kinds, merging_labels, skeletons: runs })
}

/// Labels that enough nodes of two skeletons lie on.
fn merging_labels(skeletons: &[TracedSkeleton], threshold: u64) -> FxHashSet<u64> {
    let mut on: FxHashMap<u64, u32> = FxHashMap::default();
    for skeleton in skeletons {
        let mut nodes: FxHashMap<u64, u64> = FxHashMap::default();
        for label in skeleton.labels.iter().filter(|label| **label != 0) {
            *nodes.entry(*label).or_default() += 1;
        }
        for (label, _) in nodes.into_iter().filter(|(_, nodes)| *nodes >= threshold) {
            *on.entry(label).or_default() += 1;
        }
    }
    on.into_iter().filter(|(_, skeletons)| *skeletons > 1).map(|(label, _)| label).collect()
}

fn walk(skeleton: &TracedSkeleton, merging: &FxHashSet<u64>, scope: MergeScope) -> SkeletonRuns {
    let labels: FxHashSet<u64> = skeleton.labels.iter().copied().filter(|l| *l != 0).collect();
    let merged_labels = labels.iter().filter(|label| merging.contains(label)).count() as u64;
    let all_merged = scope == MergeScope::Skeleton && merged_labels > 0;
    let mut runs =
        SkeletonRuns { labels: labels.len() as u64, merged_labels, ..SkeletonRuns::default() };
    let mut correct: BTreeMap<u64, f64> = BTreeMap::new();
    for Edge { ends, length } in &skeleton.edges {
        let [a, b] = ends.map(|end| skeleton.labels[end as usize]);
        let kinds = &mut runs.kinds;
        let kind = if all_merged {
            &mut kinds.merged
        } else if a == 0 || b == 0 {
            &mut kinds.omitted
        } else if a != b {
            &mut kinds.split
        } else if merging.contains(&a) {
            &mut kinds.merged
        } else {
            *correct.entry(a).or_default() += length;
            &mut kinds.correct
        };
        kind.add(*length);
        runs.length += length;
    }
    if runs.length > 0.0 {
        runs.run_length = correct.values().map(|run| run * run / runs.length).sum();
    }
    runs
}
