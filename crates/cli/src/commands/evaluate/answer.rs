//! What is printed.

use std::fmt;

use exavox_pipeline::evaluate::skeletons::SkeletonReport;
use exavox_pipeline::evaluate::{EvaluateReport, ObjectRow};
use serde::Serialize;

/// Objects of each kind that a terminal shows; `--json` has as many as `--worst` says.
const SHOWN: usize = 3;

/// What `--json` prints.
#[derive(Debug, Serialize)]
pub(super) struct Answer {
    #[serde(flatten)]
    pub(super) compared: Option<EvaluateReport>,
    #[serde(flatten)]
    pub(super) along: Option<SkeletonReport>,
    pub(super) seconds: f64,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(compared) = &self.compared {
            show_scores(f, compared)?;
        }
        match &self.along {
            Some(along) => show_skeletons(f, along),
            None => Ok(()),
        }
    }
}

fn show_scores(f: &mut fmt::Formatter<'_>, r: &EvaluateReport) -> fmt::Result {
    writeln!(f, "VOI split           {:.4} bits", r.voi_split)?;
    writeln!(f, "VOI merge           {:.4} bits", r.voi_merge)?;
    writeln!(f, "NVI, NID            {:.4}, {:.4}", r.nvi, r.nid)?;
    writeln!(f, "adapted Rand error  {:.4}", r.adapted_rand_error)?;
    writeln!(f, "Rand split          {:.4}", r.rand_split)?;
    writeln!(f, "Rand merge          {:.4}", r.rand_merge)?;
    if let (Some(error), Some(score)) = (r.snemi_adapted_rand_error, r.cremi_score) {
        writeln!(f, "SNEMI Rand error    {error:.4}")?;
        writeln!(f, "CREMI score         {score:.4}")?;
    }
    write!(f, "{} voxels, {} labels, {} true labels", r.voxels, r.labels, r.truth_labels)?;
    match r.border_voxels {
        0 => writeln!(f)?,
        border => writeln!(f, ", {border} voxels near borders ignored")?,
    }
    show_worst(f, "worst splits", &r.worst_splits)?;
    show_worst(f, "worst merges", &r.worst_merges)
}

fn show_worst(f: &mut fmt::Formatter<'_>, title: &str, worst: &[ObjectRow]) -> fmt::Result {
    for (n, row) in worst.iter().take(SHOWN).enumerate() {
        let title = if n == 0 { title } else { "" };
        let (parts, share) = (row.parts, 100.0 * row.largest_share);
        writeln!(
            f,
            "{title:<20}{}: {:.4} bits, {parts} parts, {share:.1} % in the largest",
            row.label, row.voi
        )?;
    }
    Ok(())
}

fn show_skeletons(f: &mut fmt::Formatter<'_>, r: &SkeletonReport) -> fmt::Result {
    let unit = r.length_unit;
    writeln!(f, "ERL                 {:.1} {unit} of {:.1}", r.erl, r.max_erl)?;
    writeln!(f, "NERL                {:.4}", r.nerl)?;
    for (name, kind) in
        [("correct", r.correct), ("split", r.split), ("merged", r.merged), ("omitted", r.omitted)]
    {
        let share = 100.0 * kind.length / r.skeleton_length;
        writeln!(f, "{name:<20}{} edges, {share:.2} % of the length", kind.edges)?;
    }
    write!(
        f,
        "{} skeletons, {} nodes, {:.1} {unit}; merge threshold {} nodes, {} merging labels",
        r.skeletons, r.skeleton_nodes, r.skeleton_length, r.merge_threshold, r.merging_labels
    )?;
    match r.clipped_nodes {
        0 => writeln!(f),
        clipped => writeln!(f, ", {clipped} nodes outside left out"),
    }
}
