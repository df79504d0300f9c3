//! Channels of an image for a network that sees several.

use serde::{Deserialize, Serialize};

use super::SegmentSettings;
use crate::error::{Error, Result};

/// Channels behind the first. Numbers that are left out are those of the first channel.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MoreChannels {
    /// Channels of the image, in the order of the network.
    pub numbers: Vec<usize>,
    /// What is subtracted from each.
    pub means: Vec<f32>,
    /// What each is divided by.
    pub stddevs: Vec<f32>,
}

/// A channel as the network sees it: `(value - mean) / stddev`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ImageChannel {
    /// Its number in the image.
    pub number: usize,
    /// Subtracted.
    pub mean: f32,
    /// Divided by.
    pub stddev: f32,
}

/// A number for all channels, or one for each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a number, or a list of one for each channel")]
pub enum PerChannel {
    /// For all.
    All(f32),
    /// For each.
    Each(Vec<f32>),
}

impl PerChannel {
    pub(super) fn of(first: f32, rest: &[f32]) -> Self {
        match rest {
            [] => Self::All(first),
            _ => Self::Each(std::iter::once(first).chain(rest.iter().copied()).collect()),
        }
    }

    /// The number of all, or those of each.
    pub fn numbers(&self) -> &[f32] {
        match self {
            Self::All(number) => std::slice::from_ref(number),
            Self::Each(numbers) => numbers,
        }
    }
}

impl SegmentSettings {
    /// Number of channels that the network gets to see.
    pub fn num_channels(&self) -> usize {
        1 + self.more_channels.numbers.len()
    }

    /// All channels by number, in the order of the network.
    pub(crate) fn all_channels(&self) -> Vec<usize> {
        std::iter::once(self.channel).chain(self.more_channels.numbers.iter().copied()).collect()
    }

    /// All channels by number, if they are several.
    pub(super) fn channels(&self) -> Option<Vec<usize>> {
        (!self.more_channels.numbers.is_empty()).then(|| self.all_channels())
    }

    /// Takes these channels, by number in the order of the network; none = as it is.
    pub fn set_channels(&mut self, numbers: &[usize]) {
        if let [first, rest @ ..] = numbers {
            self.channel = *first;
            self.more_channels.numbers = rest.to_vec();
        }
    }

    /// Takes what is subtracted, of all channels or of each; none = as it is.
    pub fn set_means(&mut self, means: &[f32]) {
        if let [first, rest @ ..] = means {
            self.inference.image_mean = *first;
            self.more_channels.means = rest.to_vec();
        }
    }

    /// Takes what is divided by, of all channels or of each; none = as it is.
    pub fn set_stddevs(&mut self, stddevs: &[f32]) {
        if let [first, rest @ ..] = stddevs {
            self.inference.image_stddev = *first;
            self.more_channels.stddevs = rest.to_vec();
        }
    }

    /// The channels behind the first.
    ///
    /// # Errors
    /// [`Error::Settings`] if means or deviations are not as many as channels, or cannot be used.
    pub fn more_channels(&self) -> Result<Vec<ImageChannel>> {
        let MoreChannels { numbers, means, stddevs } = &self.more_channels;
        let check = |name: &str, found: usize| {
            if found == 0 || found == numbers.len() {
                return Ok(());
            }
            let message = format!(
                "expected one number or {} for as many channels, found {}",
                numbers.len() + 1,
                found + 1
            );
            Err(Error::settings(name, message))
        };
        check("image_mean", means.len())?;
        check("image_stddev", stddevs.len())?;
        let first = (self.inference.image_mean, self.inference.image_stddev);
        let channel = |(n, number): (usize, &usize)| {
            let mean = means.get(n).copied().unwrap_or(first.0);
            let stddev = stddevs.get(n).copied().unwrap_or(first.1);
            if !mean.is_finite() || !stddev.is_finite() || stddev <= 0.0 {
                let message = format!(
                    "channel {number}: expected a finite mean and a deviation above 0, found {mean} and {stddev}"
                );
                return Err(Error::settings("image_mean, image_stddev", message));
            }
            Ok(ImageChannel { number: *number, mean, stddev })
        };
        numbers.iter().enumerate().map(channel).collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn each_channel_has_its_own_numbers_or_those_of_the_first() {
        let mut settings = SegmentSettings::new("");
        settings.set_channels(&[2, 0]);
        settings.set_means(&[100.0]);
        settings.set_stddevs(&[20.0, 5.0]);
        assert_eq!((settings.channel, settings.num_channels()), (2, 2));
        let more = settings.more_channels().unwrap();
        assert_eq!(more, [ImageChannel { number: 0, mean: 100.0, stddev: 5.0 }]);
    }

    #[test]
    fn numbers_that_do_not_match_are_refused() {
        let mut settings = SegmentSettings::new("");
        settings.set_means(&[1.0, 2.0]);
        let error = settings.more_channels().unwrap_err().to_string();
        assert!(error.contains("expected one number or 1") && error.contains("found 2"), "{error}");
        settings.set_channels(&[0, 1]);
        assert!(settings.more_channels().is_ok());
        settings.set_stddevs(&[1.0, 0.0]);
        let error = settings.more_channels().unwrap_err().to_string();
        assert!(error.contains("channel 1: expected"), "{error}");
    }
}
