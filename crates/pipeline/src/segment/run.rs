//! What a segmentation may use, and what it gave.

use std::path::PathBuf;
use std::time::Duration;

use exavox_compute::ComputeDevice;
use exavox_compute::ffn::Segmentation;
use exavox_io::volume::WriteMode;
use serde::{Deserialize, Serialize};

use super::outputs::SideFiles;
use crate::reconcile::{Conflict, Refusals};

/// What a run may use, and where its results go.
#[derive(Debug, Clone)]
pub struct SegmentRun {
    /// Labels, any format that can be written.
    pub target: String,
    /// Probabilities of the labelled voxels, u8, if they are wanted: 0 where there is no label, else from 1
    /// to 255 as `exavox_compute::ffn::quantise` has them.
    pub probabilities: Option<String>,
    /// What to do with results that are there already.
    pub mode: WriteMode,
    /// The device of the network.
    pub device: ComputeDevice,
    /// Memory that may be used, bytes; a volume that needs more is refused.
    pub memory_bytes: u64,
    /// How often the state is saved in `.LABELS.checkpoint` beside the target, with which a run that was
    /// killed is gone on with; `None` = never.
    pub checkpoint_interval: Option<Duration>,
}

impl SegmentRun {
    /// A run that creates its results and may use three quarters of the memory that is available.
    pub fn new(target: impl Into<String>, device: ComputeDevice) -> Self {
        let memory_bytes = exavox_io::Limits::default().max_region_bytes;
        Self {
            target: target.into(),
            probabilities: None,
            mode: WriteMode::CreateNew,
            device,
            memory_bytes,
            checkpoint_interval: None,
        }
    }
}

/// What a segmentation gave. The names are those of `--json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SegmentReport {
    /// Labels written.
    pub target: String,
    /// Table of segments written.
    pub table: PathBuf,
    /// Report written.
    pub report: PathBuf,
    /// Counters written, under google/ffn's names.
    #[serde(default)]
    pub counters: PathBuf,
    /// Probabilities written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probabilities: Option<String>,
    /// Accepted segments.
    pub segments: usize,
    /// Steps of the network, those of rejected objects too.
    pub fov_steps: u64,
    /// Steps of objects that were begun before their turn, in vain, by `--batch`.
    #[serde(default)]
    pub wasted_steps: u64,
    /// Labelled voxels over all voxels.
    pub labelled_fraction: f64,
    /// Wall-clock time of the whole run.
    pub seconds: f64,
    /// Voxels of the region over `seconds`.
    pub voxels_per_second: f64,
    /// Device that ran the last step.
    pub device: String,
    /// Time of reading, of the seed policy, and of the flood loop.
    pub stage_seconds: [f64; 3],
    /// Seeds of the policy.
    pub seeds: u64,
    /// Flood attempts.
    pub segment_at_calls: u64,
    /// Seeds outside the margin or inside a segment.
    pub skip_invalid_pos: u64,
    /// Objects whose seed was judged outside.
    pub seed_got_too_weak: u64,
    /// Objects below the minimum size.
    pub too_small: u64,
    /// Voxels of accepted objects that belonged to earlier segments.
    pub voxels_overlapping: u64,
    /// How subvolumes were put together; nothing if there was but one.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub joined: Option<JoinedReport>,
}

/// How the labels of subvolumes became those of the volume. The names are those of `--json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct JoinedReport {
    /// Subvolumes.
    pub subvolumes: u64,
    /// Segments of all subvolumes, before they were linked and cropped.
    pub local_segments: u64,
    /// Pairs of labels that were linked where subvolumes overlap.
    pub links: u64,
    /// Pairs that overlap and were not linked.
    pub refusals: Refusals,
    /// The places at which subvolumes contradict each other, the largest first.
    pub conflicts: Vec<Conflict>,
    /// Time of a subvolume, by all of its stages: the shortest, the mean and the longest.
    pub subvolume_seconds: [f64; 3],
}

impl SegmentReport {
    /// What a segmentation gave, without its times and its device.
    pub(super) fn of(found: &Segmentation, run: &SegmentRun, side_files: &SideFiles) -> Self {
        let counters = &found.counters;
        // Those that were there before have labels too.
        let labelled = found.labels.iter().filter(|label| **label != 0).count();
        Self {
            target: run.target.clone(),
            table: side_files.table().to_owned(),
            report: side_files.report().to_owned(),
            counters: side_files.counters().to_owned(),
            probabilities: run.probabilities.clone(),
            segments: found.origins.len(),
            fov_steps: counters.fov_steps,
            wasted_steps: found.wasted_steps,
            labelled_fraction: labelled as f64 / found.labels.len() as f64,
            seconds: 0.0,
            voxels_per_second: 0.0,
            device: String::new(),
            stage_seconds: [0.0; 3],
            seeds: counters.seeds,
            segment_at_calls: counters.segment_at_calls,
            skip_invalid_pos: counters.skip_invalid_pos,
            seed_got_too_weak: counters.seed_got_too_weak,
            too_small: counters.too_small,
            voxels_overlapping: counters.voxels_overlapping,
            joined: None,
        }
    }
}
