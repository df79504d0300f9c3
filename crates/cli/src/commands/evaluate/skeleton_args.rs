//! Flags for skeletons.

use std::path::PathBuf;

use exavox_compute::metrics::{MergeScope, RunLengthOptions};
use exavox_io::{BoundingBox, VoxelSize};
use exavox_pipeline::evaluate::skeletons::{OutsideNodes, SkeletonOptions, SkeletonUnit};

/// Which skeletons, and how edges are judged.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Skeletons")]
pub(super) struct SkeletonArgs {
    /// SWC file (columns: id type x y z radius parent; a file is one skeleton), folder of them, or name with
    /// '*'; may be given several times. Adds the expected run length.
    #[arg(long, value_name = "PATH")]
    pub(super) skeletons: Vec<PathBuf>,
    /// Unit of their x, y and z.
    #[arg(long, value_name = "UNIT", value_enum, default_value = "nm", requires = "skeletons")]
    skeleton_unit: Unit,
    /// Nodes of a skeleton from which on a label counts as lying on it, when mergers are sought; 0 as in the
    /// FFN paper, em_erl's own default is 50.
    #[arg(long, value_name = "NODES", default_value_t = 0, requires = "skeletons")]
    merge_threshold: u64,
    /// Which edges a merger makes wrong: those on its label, or all of the skeletons that it joins.
    #[arg(long, value_name = "SCOPE", value_enum, default_value = "label", requires = "skeletons")]
    merge_scope: Scope,
    /// Leave out nodes outside the volume, or outside --roi, and their edges, rather than stop.
    #[arg(long, requires = "skeletons")]
    clip_skeletons: bool,
    /// Write what became of each skeleton, a line for each.
    #[arg(long, value_name = "FILE.csv", requires = "skeletons")]
    pub(super) skeleton_table: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Unit {
    /// Nanometres.
    Nm,
    /// Micrometres.
    Um,
    /// Voxels of LABELS.
    Voxels,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Scope {
    /// Edges that lie on the merging label.
    Label,
    /// All edges of a merged skeleton, as in funlib.evaluate and em_erl.
    Skeleton,
}

impl SkeletonArgs {
    /// What is to be judged; `None` without skeletons.
    pub(super) fn options(
        &self,
        voxel_size: Option<VoxelSize>,
        roi: Option<BoundingBox>,
    ) -> Option<SkeletonOptions> {
        if self.skeletons.is_empty() {
            return None;
        }
        let mut options = SkeletonOptions::default();
        options.paths.clone_from(&self.skeletons);
        options.unit = match self.skeleton_unit {
            Unit::Nm => SkeletonUnit::Nm,
            Unit::Um => SkeletonUnit::Um,
            Unit::Voxels => SkeletonUnit::Voxels,
        };
        (options.voxel_size, options.roi) = (voxel_size, roi);
        options.outside =
            if self.clip_skeletons { OutsideNodes::Clipped } else { OutsideNodes::Refused };
        options.run_length = RunLengthOptions::default()
            .with_merge_threshold(self.merge_threshold)
            .with_merge_scope(match self.merge_scope {
                Scope::Label => MergeScope::Label,
                Scope::Skeleton => MergeScope::Skeleton,
            });
        Some(options)
    }
}
