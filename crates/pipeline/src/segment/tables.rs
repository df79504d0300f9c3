//! Tables of settings in TOML files: of `--config` and of a `PLAN.toml`. Names are those of google/ffn,
//! positions and sizes in z, y, x; what is left out stays as it is.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::SegmentSettings;
use super::channels::PerChannel;

/// `[inference]`: how the network is used.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InferenceTable {
    /// Subtracted from the image; one number, or one for each of `channels`.
    pub image_mean: Option<PerChannel>,
    /// The image is divided by it; one number, or one for each of `channels`.
    pub image_stddev: Option<PerChannel>,
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
    /// Channels for a network of several, in its order; seeds are found in the first.
    pub channels: Option<Vec<usize>>,
    /// Labels of an earlier run that stay, a volume of the image's shape.
    pub init_segmentation: Option<String>,
}

impl InferenceTable {
    /// Everything said.
    pub fn of(settings: &SegmentSettings) -> Self {
        let options = &settings.inference;
        Self {
            image_mean: Some(PerChannel::of(options.image_mean, &settings.more_channels.means)),
            image_stddev: Some(PerChannel::of(
                options.image_stddev,
                &settings.more_channels.stddevs,
            )),
            init_activation: Some(options.init_activation),
            pad_value: Some(options.pad_value),
            move_threshold: Some(options.move_threshold),
            segment_threshold: Some(options.segment_threshold),
            disco_seed_threshold: Some(options.disco_seed_threshold),
            min_boundary_dist_zyx: Some(options.min_boundary_dist_zyx),
            min_segment_size: Some(options.min_segment_size),
            channel: settings.more_channels.numbers.is_empty().then_some(settings.channel),
            channels: settings.channels(),
            init_segmentation: settings.init_segmentation.clone(),
        }
    }

    /// Sets what is said; a relative name of a volume starts at `directory`.
    pub fn apply(&self, settings: &mut SegmentSettings, directory: &Path) {
        if let Some(volume) = &self.init_segmentation {
            settings.init_segmentation = Some(volume_in(directory, volume));
        }
        let options = &mut settings.inference;
        set(&mut options.init_activation, self.init_activation);
        set(&mut options.pad_value, self.pad_value);
        set(&mut options.move_threshold, self.move_threshold);
        set(&mut options.segment_threshold, self.segment_threshold);
        set(&mut options.disco_seed_threshold, self.disco_seed_threshold);
        set(&mut options.min_boundary_dist_zyx, self.min_boundary_dist_zyx);
        set(&mut options.min_segment_size, self.min_segment_size);
        set(&mut settings.channel, self.channel);
        settings.set_channels(self.channels.as_deref().unwrap_or_default());
        settings.set_means(self.image_mean.as_ref().map_or(&[], PerChannel::numbers));
        settings.set_stddevs(self.image_stddev.as_ref().map_or(&[], PerChannel::numbers));
    }
}

/// Name of a volume that a file in `directory` gives: a relative path starts there.
pub(super) fn volume_in(directory: &Path, name: &str) -> String {
    if directory.as_os_str().is_empty() || name.contains("://") || name.starts_with("regex:") {
        return name.to_owned();
    }
    directory.join(name).display().to_string()
}

pub(super) fn set<T>(target: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *target = value;
    }
}
