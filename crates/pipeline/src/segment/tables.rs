//! Tables of settings in TOML files: of `--config` and of a `PLAN.toml`. Names are those of google/ffn,
//! positions and sizes in z, y, x; what is left out stays as it is.

use std::path::{Path, PathBuf};

use exavox_compute::Precision;
use serde::{Deserialize, Serialize};

use super::SegmentSettings;

/// `[model]`: the network.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModelTable {
    /// Prefix of a TensorFlow checkpoint, or a `.safetensors` file.
    pub checkpoint: Option<PathBuf>,
    /// Pairs of convolutions the checkpoint must have.
    pub depth: Option<usize>,
    /// Field of view, voxels, odd.
    pub fov_zyx: Option<[usize; 3]>,
    /// How far the field of view moves in one go.
    pub deltas_zyx: Option<[usize; 3]>,
    /// `exact` or `fast`.
    pub precision: Option<PrecisionName>,
}

/// How exactly a network is computed, as files say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PrecisionName {
    /// [`Precision::Exact`].
    Exact,
    /// [`Precision::Fast`].
    Fast,
}

/// `[inference]`: how the network is used.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InferenceTable {
    /// Subtracted from the image.
    pub image_mean: Option<f32>,
    /// The image is divided by it.
    pub image_stddev: Option<f32>,
    /// Probability given to the seed voxel.
    pub init_activation: Option<f32>,
    /// Probability of voxels not looked at yet.
    pub pad_value: Option<f32>,
    /// The field of view moves to voxels of at least this probability.
    pub move_threshold: Option<f32>,
    /// Voxels of at least this probability are written.
    pub segment_threshold: Option<f32>,
    /// Disco rule: above this share of a field of view; below 0 = off.
    pub disco_seed_threshold: Option<f32>,
    /// Seeds closer than this to a segment are skipped.
    pub min_boundary_dist_zyx: Option<[usize; 3]>,
    /// Segments of fewer voxels are dropped.
    pub min_segment_size: Option<usize>,
    /// Channel to segment, by number.
    pub channel: Option<usize>,
    /// Labels of an earlier run that stay, a volume of the image's shape.
    pub init_segmentation: Option<String>,
}

impl From<PrecisionName> for Precision {
    fn from(value: PrecisionName) -> Self {
        match value {
            PrecisionName::Exact => Self::Exact,
            PrecisionName::Fast => Self::Fast,
        }
    }
}

impl ModelTable {
    /// Everything said.
    pub fn of(settings: &SegmentSettings) -> Self {
        Self {
            checkpoint: Some(settings.checkpoint.clone()),
            depth: settings.depth,
            fov_zyx: Some(settings.model.fov_zyx),
            deltas_zyx: Some(settings.model.deltas_zyx),
            precision: Some(match settings.precision {
                Precision::Exact => PrecisionName::Exact,
                Precision::Fast => PrecisionName::Fast,
            }),
        }
    }

    /// Sets what is said; a relative path of a checkpoint starts at `directory`.
    pub fn apply(&self, settings: &mut SegmentSettings, directory: &Path) {
        if let Some(checkpoint) = &self.checkpoint {
            settings.checkpoint = directory.join(checkpoint);
        }
        settings.depth = self.depth;
        set(&mut settings.precision, self.precision.map(Precision::from));
        set(&mut settings.model.fov_zyx, self.fov_zyx);
        set(&mut settings.model.deltas_zyx, self.deltas_zyx);
    }
}

impl InferenceTable {
    /// Everything said.
    pub fn of(settings: &SegmentSettings) -> Self {
        let options = &settings.inference;
        Self {
            image_mean: Some(options.image_mean),
            image_stddev: Some(options.image_stddev),
            init_activation: Some(options.init_activation),
            pad_value: Some(options.pad_value),
            move_threshold: Some(options.move_threshold),
            segment_threshold: Some(options.segment_threshold),
            disco_seed_threshold: Some(options.disco_seed_threshold),
            min_boundary_dist_zyx: Some(options.min_boundary_dist_zyx),
            min_segment_size: Some(options.min_segment_size),
            channel: Some(settings.channel),
            init_segmentation: settings.init_segmentation.clone(),
        }
    }

    /// Sets what is said; a relative name of a volume starts at `directory`.
    pub fn apply(&self, settings: &mut SegmentSettings, directory: &Path) {
        if let Some(volume) = &self.init_segmentation {
            settings.init_segmentation = Some(volume_in(directory, volume));
        }
        let options = &mut settings.inference;
        set(&mut options.image_mean, self.image_mean);
        set(&mut options.image_stddev, self.image_stddev);
        set(&mut options.init_activation, self.init_activation);
        set(&mut options.pad_value, self.pad_value);
        set(&mut options.move_threshold, self.move_threshold);
        set(&mut options.segment_threshold, self.segment_threshold);
        set(&mut options.disco_seed_threshold, self.disco_seed_threshold);
        set(&mut options.min_boundary_dist_zyx, self.min_boundary_dist_zyx);
        set(&mut options.min_segment_size, self.min_segment_size);
        set(&mut settings.channel, self.channel);
    }
}

/// Name of a volume that a file in `directory` gives: a relative path starts there.
pub(super) fn volume_in(directory: &Path, name: &str) -> String {
    if directory.as_os_str().is_empty() || name.contains("://") || name.starts_with("regex:") {
        return name.to_owned();
    }
    directory.join(name).display().to_string()
}

fn set<T>(target: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *target = value;
    }
}
