//! A network that exavox has trained itself, on tubes like those of the demo but not on them:
//! `scripts/train-demo.sh` makes it again.

use exavox_compute::ffn::{InferenceOptions, ModelConfig};

use crate::segment::SegmentSettings;

/// The configuration that it was trained with; names of volumes are those that `exavox demo --training`
/// writes.
pub const TRAIN_CONFIG: &str = include_str!("train.toml");

/// Trained weights, a safetensors file.
pub const TRAINED_NETWORK: &[u8] = include_bytes!("trained.safetensors");

/// Settings that go with the trained network; the checkpoint is still to be set.
pub fn trained_settings() -> SegmentSettings {
    let mut settings = SegmentSettings::new("");
    settings.model = ModelConfig { fov_zyx: [17; 3], deltas_zyx: [4; 3] };
    settings.inference = InferenceOptions {
        image_mean: 130.0,
        image_stddev: 50.0,
        move_threshold: 0.5,
        segment_threshold: 0.5,
        disco_seed_threshold: -1.0,
        min_segment_size: 300,
        ..InferenceOptions::default()
    };
    settings
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use exavox_compute::ffn::Weights;

    use super::*;

    #[test]
    fn the_network_is_small_and_whole() {
        assert!(TRAINED_NETWORK.len() < 1 << 20);
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("n.safetensors");
        std::fs::write(&path, TRAINED_NETWORK).unwrap();
        Weights::open(&path, None).unwrap();
    }

    #[cfg(feature = "train")]
    #[test]
    fn settings_are_those_of_the_training() {
        let config = crate::train::TrainConfig::parse(TRAIN_CONFIG, "train.toml").unwrap();
        assert_eq!(config.settings(), trained_settings());
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("n.safetensors");
        std::fs::write(&path, TRAINED_NETWORK).unwrap();
        let weights = Weights::open(&path, Some(config.model.depth)).unwrap();
        assert_eq!(crate::segment::Features::All(weights.update.shape[3]), config.model.features);
    }
}
