//! Flags of pairs: which there are, how they are segmented again, when they are one.

use exavox_pipeline::agglomerate::{AgglomerateTable, Border};

use crate::values;

/// Which segments are pairs.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Pairs")]
pub(super) struct PointArgs {
    /// Segments farther than this from the point between them are no pair; in nanometres, or voxels if the
    /// labels have no voxel size [default: four times the longest edge of a voxel].
    #[arg(long, value_name = "DISTANCE")]
    pub(super) max_distance: Option<f64>,
    /// Segments of fewer voxels are left alone [default: 0].
    #[arg(long, value_name = "VOXELS")]
    pub(super) min_voxels: Option<u64>,
}

/// How segments are segmented again around a point.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Resegmentation")]
pub(super) struct RunArgs {
    /// Voxels around a point that are segmented again [default: three times the margin of the field of
    /// view].
    #[arg(long, value_name = "Z,Y,X", value_parser = values::sizes_zyx)]
    radius: Option<[usize; 3]>,
    /// Voxels around it that are compared [default: the radius less the margin].
    #[arg(long, value_name = "Z,Y,X", value_parser = values::sizes_zyx)]
    analysis_radius: Option<[usize; 3]>,
    /// Voxels around a seed where no other is tried [default: half of the margin].
    #[arg(long, value_name = "Z,Y,X", value_parser = values::sizes_zyx)]
    exclusion_radius: Option<[usize; 3]>,
    /// Voxels around a point where no seed is tried [default: none].
    #[arg(long, value_name = "Z,Y,X", value_parser = values::sizes_zyx)]
    init_exclusion_radius: Option<[usize; 3]>,
    /// Seeds that are tried in a segment until it is recovered [default: 8].
    #[arg(long, value_name = "N")]
    max_retry_iters: Option<usize>,
    /// Share of a segment that its run has to recover [default: 0.6].
    #[arg(long, value_name = "SHARE")]
    segment_recovery_fraction: Option<f64>,
    /// Where a block would leave the volume: shift it inside, or refuse the point [default: shift].
    #[arg(long, value_name = "shift|refuse", value_parser = border)]
    border: Option<Border>,
}

/// Which segments are pairs, and when they are one.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Pairs")]
pub(super) struct PairArgs {
    #[command(flatten)]
    points: PointArgs,
    /// Make the run from the second segment even if that from the first one failed.
    #[arg(long)]
    both_runs: bool,
    /// Two segments are one if their runs have more than this in common [default: 0.8],
    #[arg(long, value_name = "IOU")]
    min_iou: Option<f64>,
    /// and each run has more than this of each segment [default: 0.6],
    #[arg(long, value_name = "SHARE")]
    min_consistency: Option<f64>,
    /// and one of the runs deleted less than this of its voxels [default: 0.02].
    #[arg(long, value_name = "SHARE")]
    max_deleted_fraction: Option<f64>,
}

fn border(text: &str) -> Result<Border, String> {
    match text {
        "shift" => Ok(Border::Shift),
        "refuse" => Ok(Border::Refuse),
        _ => Err("expected shift or refuse".to_owned()),
    }
}

impl RunArgs {
    /// What is said.
    pub(super) fn table(&self) -> AgglomerateTable {
        AgglomerateTable {
            radius_zyx: self.radius,
            analysis_radius_zyx: self.analysis_radius,
            exclusion_radius_zyx: self.exclusion_radius,
            init_exclusion_radius_zyx: self.init_exclusion_radius,
            max_retry_iters: self.max_retry_iters,
            segment_recovery_fraction: self.segment_recovery_fraction,
            border: self.border,
            ..AgglomerateTable::default()
        }
    }
}

impl PairArgs {
    /// What is said.
    pub(super) fn table(&self) -> AgglomerateTable {
        AgglomerateTable {
            max_distance: self.points.max_distance,
            min_voxels: self.points.min_voxels,
            terminate_early: self.both_runs.then_some(false),
            min_iou: self.min_iou,
            min_consistency: self.min_consistency,
            max_deleted_fraction: self.max_deleted_fraction,
            ..AgglomerateTable::default()
        }
    }
}
