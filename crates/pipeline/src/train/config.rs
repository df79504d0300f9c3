//! The configuration of a training, `CONFIG.toml`: what is learnt from, what is trained, and how.
//! Positions and sizes are z, y, x; names of volumes are relative to the current directory, which the
//! command makes the folder of the file.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::segment::{InferenceTable, SegmentSettings};

mod augment;
mod data;
mod model;
mod optimizer;
mod run;

pub use augment::{
    AugmentTable, ElasticTable, GreyChannels, GreyTable, MisalignmentTable, MissingSectionTable,
};
pub use data::{AxisName, MovesTable, PolicyName, SamplingTable, VolumeTable};
pub use model::ModelTable;
pub use optimizer::{ClipName, OptimizerName, OptimizerTable, ScheduleName, ScheduleTable};
pub use run::{RunTable, ValidationTable};

/// Everything that decides what a training gives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// Images with labels.
    pub volumes: Vec<VolumeTable>,
    /// The network.
    pub model: ModelTable,
    /// Which voxels are centres of examples.
    #[serde(default)]
    pub sampling: SamplingTable,
    /// How examples are changed.
    #[serde(default)]
    pub augment: AugmentTable,
    /// How the field of view moves over an example.
    #[serde(default)]
    pub moves: MovesTable,
    /// How weights follow gradients.
    #[serde(default)]
    pub optimizer: OptimizerTable,
    /// How long, and where to.
    pub run: RunTable,
    /// How the network will be used: settings of the validation, and of the `segment.toml` beside the
    /// checkpoints.
    #[serde(default)]
    pub inference: InferenceTable,
    /// A region that is segmented now and then.
    #[serde(default)]
    pub validation: Option<ValidationTable>,
}

impl TrainConfig {
    /// Reads and checks a TOML file.
    ///
    /// # Errors
    /// [`Error::Settings`] names the file, the line or the key, what was expected and what was found.
    pub fn open(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(exavox_io::Error::at(path))?;
        Self::parse(&text, &path.display().to_string())
    }

    /// Reads and checks the text of a file; `place` names it in errors.
    ///
    /// # Errors
    /// As [`TrainConfig::open`].
    pub fn parse(text: &str, place: &str) -> Result<Self> {
        let config: Self = toml::from_str(text).map_err(|e| {
            let before = e.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            let message = e.message().lines().collect::<Vec<_>>().join(" ");
            Error::settings(format!("{place} line {line}"), message)
        })?;
        config.check().map_err(|message| Error::settings(place, message))?;
        Ok(config)
    }

    /// Settings to segment with what is trained: those of `[inference]`, and what the training implies. The
    /// checkpoint is still to be set.
    pub fn settings(&self) -> SegmentSettings {
        let mut settings = SegmentSettings::new("");
        settings.model = self.model.config();
        if let Some(volume) = self.volumes.first() {
            settings.set_channels(volume.numbers());
            settings.set_means(volume.mean.numbers());
            settings.set_stddevs(volume.stddev.numbers());
        }
        settings.inference.pad_value = self.moves.seed_pad;
        settings.inference.init_activation = self.moves.init;
        settings.inference.move_threshold = self.moves.threshold;
        let smallest = usize::try_from(self.sampling.min_size).unwrap_or(usize::MAX);
        let default = settings.inference.min_segment_size;
        settings.inference.min_segment_size = default.min(smallest);
        self.inference.apply(&mut settings, Path::new(""));
        settings
    }

    /// What is wrong, with the key, expected and found.
    fn check(&self) -> std::result::Result<(), String> {
        if self.volumes.is_empty() {
            return Err("volumes: expected at least one [[volumes]]".to_owned());
        }
        self.model.check()?;
        let channels = self.model.num_channels();
        self.volumes.iter().try_for_each(|volume| volume.check(channels))?;
        self.check_inference()?;
        self.sampling.check()?;
        self.augment.check(&self.model)?;
        self.moves.check()?;
        self.optimizer.check()?;
        self.run.check()?;
        self.validation.iter().try_for_each(ValidationTable::check)?;
        self.check_coordinates()
    }

    /// What coordinates from a file need: names that say which volume, and an end that they tell.
    fn check_coordinates(&self) -> std::result::Result<(), String> {
        if self.sampling.coordinates.is_none() {
            return Ok(());
        }
        let names: Vec<&String> = self.volumes.iter().filter_map(|v| v.name.as_ref()).collect();
        for (n, name) in names.iter().enumerate() {
            let expected = "a name of its own for each volume of sampling.coordinates";
            expect(
                "volumes.name",
                !names[..n].contains(name),
                expected,
                format!("'{name}' twice"),
            )?;
        }
        match self.run.passes {
            None => Ok(()),
            Some(_) => {
                Err("run.passes: coordinates from a file do not say how many voxels are labelled; \
                        expected run.steps or run.minutes"
                    .to_owned())
            }
        }
    }

    /// What is trained sees as many channels when it is tried, and an image without labels.
    fn check_inference(&self) -> std::result::Result<(), String> {
        let InferenceTable { channel, channels, init_segmentation, .. } = &self.inference;
        let expected = self.model.num_channels();
        let text = format!("{expected} as in model.image_channels");
        let found = channels.as_ref().map_or(expected, Vec::len);
        expect("inference.channels", found == expected, &text, found)?;
        if let Some(channel) = channel.filter(|_| channels.is_none()) {
            expect("inference.channel", expected == 1, "inference.channels", channel)?;
        }
        self.settings().more_channels().map_err(|e| format!("inference.{e}"))?;
        match init_segmentation {
            Some(name) => expect("inference.init_segmentation", false, "none", name),
            None => Ok(()),
        }
    }

    /// The part that the result depends on, as it is written beside each checkpoint: all but how long it
    /// runs, where to, and how it is watched.
    pub(super) fn identity(&self) -> Result<toml::Table> {
        let wrong = |e: toml::ser::Error| Error::settings("configuration", e.to_string());
        let mut table = toml::Table::try_from(self).map_err(wrong)?;
        for key in ["run", "validation", "inference"] {
            table.remove(key);
        }
        Ok(table)
    }
}

/// An error of a key unless it is as it should be.
fn expect(
    key: &str,
    good: bool,
    expected: &str,
    found: impl std::fmt::Display,
) -> std::result::Result<(), String> {
    if good { Ok(()) } else { Err(format!("{key}: expected {expected}, found {found}")) }
}

/// An error of a key unless it is a probability.
fn expect_probability(key: &str, value: f32) -> std::result::Result<(), String> {
    expect(key, (0.0..=1.0).contains(&value), "a probability from 0 to 1", value)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const LEAST: &str = "[[volumes]]\nimage = 'a'\nlabels = 'b'\nmean = 128\nstddev = 33\n\
                         [model]\n[run]\noutput = 'out'\nsteps = 10\n";

    fn error(text: &str) -> String {
        TrainConfig::parse(text, "c.toml").unwrap_err().to_string()
    }

    #[test]
    fn what_is_left_out_has_a_default() {
        let config = TrainConfig::parse(LEAST, "c.toml").unwrap();
        assert_eq!((config.model.depth, config.model.fov_zyx), (9, [33; 3]));
        assert_eq!(config.sampling.thresholds.len(), 12);
        assert_eq!(config.moves.policy, PolicyName::Fixed);
    }

    #[test]
    fn wrong_values_are_named_with_their_key() {
        let with = |extra: &str| error(&format!("{LEAST}{extra}"));
        assert!(with("colour = 3\n").contains("c.toml line 10: unknown field `colour`"));
        for (extra, key) in [
            ("[moves]\nthreshold = 1.5\n", "moves.threshold: expected a probability"),
            ("[moves]\ninit = 0.8\n", "moves.init: expected at least moves.threshold"),
            ("[sampling]\nthresholds = [0.5, 0.2]\n", "sampling.thresholds: expected"),
            (
                "[inference]\nchannels = [0, 1]\n",
                "inference.channels: expected 1 as in model.image_channels, found 2",
            ),
            (
                "[inference]\ninit_segmentation = 'a'\n",
                "inference.init_segmentation: expected none",
            ),
            ("[optimizer]\nbatch = 0\n", "optimizer.batch: expected"),
            ("[augment.elastic]\nprobability = 2\n", "augment.elastic.probability: expected"),
            ("[optimizer.schedule]\nkind = 'cosine'\n", "optimizer.schedule.steps: expected"),
        ] {
            let found = with(extra);
            assert!(found.contains(key) && !found.contains('\n'), "{extra}: {found}");
        }
        assert!(error(&LEAST.replace("steps = 10", "")).contains("run: expected"));
        let volume = "[[volumes]]\nimage = 'a'\nlabels = 'b'\nname = 'v'\nmean = 1\nstddev = 1\n";
        let twice =
            format!("{volume}{volume}{}[sampling]\n", &LEAST[LEAST.find("[model]").unwrap()..]);
        TrainConfig::parse(&twice, "c.toml").unwrap();
        assert!(
            error(&format!("{twice}coordinates = 'c'\n"))
                .contains("volumes.name: expected a name of its own for each volume of sampling.coordinates, found 'v' twice")
        );
        let flat =
            LEAST.replace("[model]", "[model]\nfov_zyx = [9, 33, 33]\ndeltas_zyx = [2, 8, 8]");
        assert!(
            error(&format!("{flat}[augment]\npermute = ['z', 'x']\n"))
                .contains("augment.permute: axes z and x")
        );
    }

    /// The least configuration for a network of so many channels, with these lines of the volume.
    fn of_channels(count: usize, volume: &str) -> String {
        let text = LEAST.replace("[model]", &format!("[model]\nimage_channels = {count}"));
        text.replace("mean = 128\nstddev = 33\n", volume)
    }

    #[test]
    fn channels_of_volumes_are_those_of_the_network() {
        let each = "channels = [2, 0]\nmean = [128, 90]\nstddev = 33\n";
        let config = TrainConfig::parse(&of_channels(2, each), "c.toml").unwrap();
        let settings = config.settings();
        assert_eq!((settings.channel, settings.inference.image_mean), (2, 128.0));
        let more = settings.more_channels().unwrap();
        assert_eq!((more[0].number, more[0].mean, more[0].stddev), (0, 90.0, 33.0));
        assert_eq!(config.volumes[0].image_channels()[1], more[0]);
        for (count, volume, expected) in [
            (
                2,
                "mean = 1\nstddev = 1\n",
                "volumes.channels: expected 2 for 'a' as in model.image_channels, found 1",
            ),
            (1, each, "volumes.channels: expected 1 for 'a' as in model.image_channels, found 2"),
            (
                2,
                "channels = [0, 1]\nmean = [1, 2, 3]\nstddev = 1\n",
                "volumes.mean: expected one number or 2 for the channels of 'a', found 3",
            ),
            (
                2,
                "channels = [0, 1]\nmean = 1\nstddev = [1, 0]\n",
                "volumes.stddev: expected a number above 0, found 0",
            ),
            (
                2,
                "channel = 1\nchannels = [0, 1]\nmean = 1\nstddev = 1\n",
                "volumes.channel: expected volumes.channels alone, found 1",
            ),
            (1, "mean = 'a'\nstddev = 1\n", "expected a number, or a list of one for each channel"),
        ] {
            let found = error(&of_channels(count, volume));
            assert!(found.contains(expected), "{volume}: {found}");
        }
        let inference =
            |lines: &str| error(&format!("{}[inference]\n{lines}", of_channels(2, each)));
        assert!(
            inference("channel = 1\n").contains("inference.channel: expected inference.channels")
        );
        assert!(
            inference("image_mean = [1, 2, 3]\n").contains("inference.image_mean: expected one")
        );
    }

    #[test]
    fn identity_leaves_out_how_long_it_runs() {
        let a = TrainConfig::parse(LEAST, "c.toml").unwrap();
        let longer = TrainConfig::parse(&LEAST.replace("= 10", "= 20"), "c.toml").unwrap();
        let deeper =
            TrainConfig::parse(&LEAST.replace("[model]", "[model]\ndepth = 3"), "c").unwrap();
        assert_eq!(a.identity().unwrap(), longer.identity().unwrap());
        assert_ne!(a.identity().unwrap(), deeper.identity().unwrap());
        // As checkpoints had it when there were ConvStacks of one channel only.
        let volume = a.identity().unwrap()["volumes"][0].clone();
        let before =
            "image = 'a'\nlabels = 'b'\nchannel = 0\nmean = 128.0\nstddev = 33.0\nweight = 1.0";
        assert_eq!(volume, toml::Value::Table(before.parse().unwrap()));
        assert_eq!(a.identity().unwrap()["augment"]["grey"].as_table().unwrap().len(), 4);
        let model = a.identity().unwrap()["model"].clone();
        assert_eq!(
            model,
            toml::Value::Table(
                "depth = 9\nfeatures = 32\nfov_zyx = [33, 33, 33]\ndeltas_zyx = [8, 8, 8]"
                    .parse()
                    .unwrap()
            )
        );
    }
}
