//! Built-in input for trying exavox without any data: synthetic volumes with known labels, and small
//! networks that can segment them: one whose weights are set by hand, for tubes that are easily told
//! apart, and one that exavox has trained, for tubes that touch.

use crate::segment::{InferenceTable, PerChannel, SeedTable, Seeds, SegmentSettings};

mod baseline;
mod network;
mod synthetic;
mod touching;
mod trained;

pub use baseline::{Baseline, best_threshold};
pub use network::{demo_network, demo_settings};
pub use synthetic::{CHANNELS, Synthetic, synthetic};
pub use touching::touching_tubes;
pub use trained::{TRAIN_CONFIG, TRAINED_NETWORK, trained_settings};

/// Settings as a TOML file that [`SegmentSettings::from_toml`] reads, the checkpoint by its file name:
/// it is expected beside the file.
pub fn settings_toml(settings: &SegmentSettings) -> String {
    let (model, inference) = (&settings.model, &settings.inference);
    let table = InferenceTable::of(settings);
    let checkpoint = settings.checkpoint.file_name().unwrap_or_default().to_string_lossy();
    let seeds = match settings.seeds == Seeds::default() {
        true => String::new(),
        false => toml::to_string(&SeedTable::of(settings)).unwrap_or_default(),
    };
    let channel = match (&table.channels, settings.channel) {
        (Some(channels), _) => format!("channels = {channels:?}\n"),
        (None, 0) => String::new(),
        (None, channel) => format!("channel = {channel}\n"),
    };
    format!(
        "[model]\ncheckpoint = \"{checkpoint}\"\nfov_zyx = {:?}\ndeltas_zyx = {:?}\n\n\
         [inference]\nimage_mean = {}\nimage_stddev = {}\ninit_activation = {:?}\n\
         pad_value = {:?}\nmove_threshold = {:?}\nsegment_threshold = {:?}\n\
         disco_seed_threshold = {:?}\nmin_boundary_dist_zyx = {:?}\nmin_segment_size = {}\n{channel}\n\
         [seeds]\n{seeds}",
        model.fov_zyx,
        model.deltas_zyx,
        numbers(table.image_mean.as_ref()),
        numbers(table.image_stddev.as_ref()),
        inference.init_activation,
        inference.pad_value,
        inference.move_threshold,
        inference.segment_threshold,
        inference.disco_seed_threshold,
        inference.min_boundary_dist_zyx,
        inference.min_segment_size,
    )
}

/// One for all channels, or a list.
fn numbers(of: Option<&PerChannel>) -> String {
    match of.map_or(&[][..], PerChannel::numbers) {
        [one] => format!("{one:?}"),
        each => format!("{each:?}"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn settings_come_back_from_their_file() {
        let directory = tempfile::tempdir().unwrap();
        let mut settings = demo_settings();
        settings.checkpoint = directory.path().join("network.safetensors");
        settings.seeds = Seeds::Points(vec![[1, 2, 3], [4, 5, 6]]);
        let path = directory.path().join("segment.toml");
        std::fs::write(&path, settings_toml(&settings)).unwrap();
        assert_eq!(SegmentSettings::from_toml(&path).unwrap(), settings);
        settings.set_channels(&[3, 0, 1]);
        settings.set_means(&[128.0, 0.1, -7.5]);
        std::fs::write(&path, settings_toml(&settings)).unwrap();
        assert_eq!(SegmentSettings::from_toml(&path).unwrap(), settings);
    }
}
