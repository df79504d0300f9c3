//! `[[volumes]]`, `[sampling]`, `[moves]`: where examples come from and what is done on them.

use serde::{Deserialize, Serialize};

use super::{expect, expect_probability};
use crate::segment::{ImageChannel, PerChannel};

/// `[[volumes]]`: an image with its labels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VolumeTable {
    /// The image.
    pub image: String,
    /// Labels of the same shape: integers, 0 = no object.
    pub labels: String,
    /// Name of the volume in a file of coordinates of google/ffn.
    #[serde(default)]
    pub name: Option<String>,
    /// Channel of the image.
    #[serde(default)]
    pub channel: usize,
    /// In its place, for a network of several: their numbers in the order of the network.
    pub channels: Option<Vec<usize>>,
    /// Part that may be read: z0:z1,y0:y1,x0:x1.
    #[serde(default)]
    pub roi: Option<String>,
    /// A volume of the same shape: voxels other than 0 do not count, and are no centres of examples.
    #[serde(default)]
    pub mask: Option<String>,
    /// Subtracted from the image; one number, or one for each of `channels`.
    pub mean: PerChannel,
    /// The image is divided by it; one number, or one for each of `channels`.
    pub stddev: PerChannel,
    /// How often examples come from here, relative to other volumes.
    #[serde(default = "one")]
    pub weight: f64,
}

fn one() -> f64 {
    1.0
}

impl VolumeTable {
    /// Numbers of the channels, in the order of the network.
    pub fn numbers(&self) -> &[usize] {
        self.channels.as_deref().unwrap_or(std::slice::from_ref(&self.channel))
    }

    /// The channels as the network sees them; those without a mean or a deviation are left out.
    pub(in super::super) fn image_channels(&self) -> Vec<ImageChannel> {
        let channel = |(n, number): (usize, &usize)| {
            let (mean, stddev) = (of_channel(&self.mean, n)?, of_channel(&self.stddev, n)?);
            Some(ImageChannel { number: *number, mean, stddev })
        };
        self.numbers().iter().enumerate().filter_map(channel).collect()
    }

    /// `Ok` for a network of so many channels.
    pub(super) fn check(&self, image_channels: usize) -> Result<(), String> {
        let (found, image) = (self.numbers().len(), &self.image);
        let expected = format!("{image_channels} for '{image}' as in model.image_channels");
        expect("volumes.channels", found == image_channels, &expected, found)?;
        let alone = self.channels.is_none() || self.channel == 0;
        expect("volumes.channel", alone, "volumes.channels alone", self.channel)?;
        self.check_numbers("volumes.stddev", &self.stddev, "a number above 0", |v| v > 0.0)?;
        self.check_numbers("volumes.mean", &self.mean, "a number", |_| true)?;
        let good = self.weight.is_finite() && self.weight > 0.0;
        expect("volumes.weight", good, "a number above 0", self.weight)
    }

    /// Whether there is one number for all channels, or one for each, and what each must be.
    fn check_numbers(
        &self,
        key: &str,
        numbers: &PerChannel,
        expected: &str,
        good: impl Fn(f32) -> bool,
    ) -> Result<(), String> {
        if let PerChannel::Each(each) = numbers {
            let (count, image, found) = (self.numbers().len(), &self.image, each.len());
            let expected = format!("one number or {count} for the channels of '{image}'");
            expect(key, found == count, &expected, found)?;
        }
        let wrong = numbers.numbers().iter().find(|v| !(v.is_finite() && good(**v)));
        wrong.map_or(Ok(()), |found| expect(key, false, expected, found))
    }
}

/// The number of a channel; nothing if there is one for each, and none for this.
fn of_channel(numbers: &PerChannel, channel: usize) -> Option<f32> {
    match numbers {
        PerChannel::All(number) => Some(*number),
        PerChannel::Each(numbers) => numbers.get(channel).copied(),
    }
}

/// `[sampling]`: which voxels are centres of examples. A voxel's class is the share of its own label in
/// the box around it, as in `compute_partitions.py` of google/ffn; all classes come up equally often.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SamplingTable {
    /// Half of the box. Left out: half of the field of view plus the deltas.
    pub lom_radius_zyx: Option<[usize; 3]>,
    /// Where one class ends and the next begins.
    pub thresholds: Vec<f32>,
    /// Labels of fewer voxels are no objects.
    pub min_size: u64,
    /// Whether voxels of no object are a class of their own, as in google/ffn.
    pub background: bool,
    /// Seed of all random numbers.
    pub seed: u64,
    /// Centres from a TFRecord file of google/ffn's `build_coordinates.py` instead.
    pub coordinates: Option<String>,
}

impl Default for SamplingTable {
    /// What google/ffn advises.
    fn default() -> Self {
        Self {
            lom_radius_zyx: None,
            thresholds: vec![0.025, 0.05, 0.075, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9],
            min_size: 10_000,
            background: true,
            seed: 1,
            coordinates: None,
        }
    }
}

impl SamplingTable {
    pub(super) fn check(&self) -> Result<(), String> {
        let thresholds = &self.thresholds;
        let rising = thresholds.windows(2).all(|pair| pair[0] < pair[1]);
        let inside = thresholds.iter().all(|t| (0.0..=1.0).contains(t)) && thresholds.len() < 250;
        let found = format!("{thresholds:?}");
        expect("sampling.thresholds", rising && inside, "rising shares from 0 to 1", found)?;
        let radius = self.lom_radius_zyx.unwrap_or_default();
        let good = radius.iter().all(|r| *r <= 512);
        expect("sampling.lom_radius_zyx", good, "at most 512", format!("{radius:?}"))?;
        expect("sampling.seed", i64::try_from(self.seed).is_ok(), "below 2^63", self.seed)
    }
}

/// An axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum AxisName {
    Z,
    Y,
    X,
}

impl AxisName {
    /// Index into a `[z, y, x]` triple.
    pub fn index(self) -> usize {
        self as usize
    }

    /// One letter.
    pub fn name(self) -> &'static str {
        ["z", "y", "x"][self.index()]
    }
}

/// How the field of view moves over an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicyName {
    /// To the neighbours at the deltas, in an order drawn once for the run.
    Fixed,
    /// Where the network wants to go, as in inference.
    MaxPredMoves,
    /// Not at all.
    NoStep,
}

/// `[moves]`: how the field of view moves over an example.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MovesTable {
    /// `fixed`, `max_pred_moves` or `no_step`.
    pub policy: PolicyName,
    /// How many moves away from the centre.
    pub fov_moves: usize,
    /// The field of view moves to voxels of at least this probability.
    pub threshold: f32,
    /// Probability of voxels not looked at yet.
    pub seed_pad: f32,
    /// Probability given to the centre.
    pub init: f32,
}

impl Default for MovesTable {
    /// The flags' defaults of google/ffn's `train.py`.
    fn default() -> Self {
        Self { policy: PolicyName::Fixed, fov_moves: 1, threshold: 0.9, seed_pad: 0.05, init: 0.95 }
    }
}

impl MovesTable {
    pub(super) fn check(&self) -> Result<(), String> {
        expect_probability("moves.threshold", self.threshold)?;
        let open = |p: f32| p > 0.0 && p < 1.0;
        let between = "a probability between 0 and 1";
        expect("moves.seed_pad", open(self.seed_pad), between, self.seed_pad)?;
        expect("moves.init", open(self.init), between, self.init)?;
        let begins = self.policy == PolicyName::NoStep || self.init >= self.threshold;
        let least = "at least moves.threshold, or no example begins";
        expect("moves.init", begins, least, self.init)?;
        let good = (1..=16).contains(&self.fov_moves);
        expect("moves.fov_moves", good, "from 1 to 16", self.fov_moves)
    }
}
