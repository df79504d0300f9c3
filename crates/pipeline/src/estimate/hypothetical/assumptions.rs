//! What an estimate takes for granted, in words.

use super::super::quantity::count;
use super::labels::{LABELLED_PER_SECOND, RENAMED_PER_SECOND};
use super::merges::{BYTES_PER_EDGE, EDGES_PER_SECOND, FACE_VOXELS_PER_EDGE, FAN_IN};
use super::pyramid::COARSENED_PER_SECOND;
use super::segment::{FLOP_PER_STEP, STEPS_PER_MVOXEL, STEPS_PER_SECOND, device_memory};
use super::single::{CONVERTED_PER_SECOND, FILTERED_PER_SECOND, PROJECTED_PER_SECOND};
use super::{ComputeRate, Hypothetical, Work};

impl Hypothetical {
    /// What the stages are reckoned with, a line each.
    pub fn assumptions(&self) -> Vec<String> {
        let mut lines = vec![self.first_stage()];
        lines.push(format!(
            "blocks take {:.0} % more or less (standard deviation)",
            self.spread * 100.0
        ));
        if self.work == Work::Segment {
            lines.push(device_memory(self));
        }
        if self.work.makes_labels() {
            lines.push(format!(
                "a pair of labels for {FACE_VOXELS_PER_EDGE} voxels of face, {BYTES_PER_EDGE} bytes each, \
                 {} pairs a second and slot, {FAN_IN}^3 blocks a merge",
                count(EDGES_PER_SECOND as u64)
            ));
            lines.push(format!(
                "{}voxel a second and slot renamed, {}voxel made coarser",
                count(RENAMED_PER_SECOND as u64),
                count(COARSENED_PER_SECOND as u64)
            ));
            lines.push(format!("labels {} times smaller in the store", self.label_compression));
        }
        if self.image_compression != 1.0 {
            lines.push(format!("images {} times smaller in the store", self.image_compression));
        }
        lines
    }

    fn first_stage(&self) -> String {
        let network = format!(
            "{STEPS_PER_MVOXEL:.0} steps for 10^6 voxels and {:.2} GFLOP a step (depth 12, 33^3, \
             training_sample2)",
            FLOP_PER_STEP / 1e9
        );
        let slot = match self.rate {
            Some(ComputeRate::SecondsPerBlock(seconds)) => {
                format!("{seconds} s for a block of the first stage, as given")
            }
            Some(ComputeRate::StepsPerSecond(rate)) => {
                format!("{rate} steps a second and slot, as given")
            }
            Some(ComputeRate::FlopPerSecond(rate)) => {
                format!("{} TFLOP/s a slot, as given", rate / 1e12)
            }
            None => self.assumed_rate(),
        };
        if self.work == Work::Segment { format!("{network}; {slot}") } else { slot }
    }

    fn assumed_rate(&self) -> String {
        let (rate, what) = match self.work {
            Work::Segment => {
                return format!(
                    "{STEPS_PER_SECOND} steps a second and slot (google/ffn on a P100)"
                );
            }
            Work::Components => (LABELLED_PER_SECOND, "labelled"),
            Work::Filter => (FILTERED_PER_SECOND, "filtered"),
            Work::Project => (PROJECTED_PER_SECOND, "projected"),
            Work::Convert => (CONVERTED_PER_SECOND, "converted"),
            Work::Downsample => (COARSENED_PER_SECOND, "made coarser"),
        };
        format!("{}voxel a second and slot {what}", count(rate as u64))
    }
}
