//! How long blocks take, and sums of many of them.

use super::random::Random;
use crate::error::{Error, Result};

/// Seconds that blocks of a stage take on one slot, without waiting for anything.
#[derive(Debug, Clone, PartialEq)]
pub enum Distribution {
    /// Blocks that were measured; each is as likely as the others.
    Samples(Vec<f64>),
    /// Log-normal: many blocks below the mean, a few far above it.
    LogNormal {
        /// Half of the blocks take less.
        median_seconds: f64,
        /// Standard deviation of the natural logarithm; 0 makes all blocks equal.
        sigma: f64,
    },
}

impl Distribution {
    /// Log-normal from the mean, and the standard deviation as a share of the mean.
    pub fn from_mean(mean_seconds: f64, spread: f64) -> Self {
        let variance = (spread * spread).ln_1p();
        Self::LogNormal {
            median_seconds: mean_seconds / (variance / 2.0).exp(),
            sigma: variance.sqrt(),
        }
    }

    /// The mean; 0 without samples.
    pub fn mean_seconds(&self) -> f64 {
        match self {
            Self::Samples(samples) => samples.iter().sum::<f64>() / samples.len().max(1) as f64,
            Self::LogNormal { median_seconds, sigma } => {
                median_seconds * (sigma * sigma / 2.0).exp()
            }
        }
    }

    /// The standard deviation; of samples that of what they were drawn from.
    pub fn deviation_seconds(&self) -> f64 {
        let mean = self.mean_seconds();
        match self {
            Self::Samples(samples) => {
                let squares: f64 = samples.iter().map(|s| (s - mean).powi(2)).sum();
                (squares / samples.len().saturating_sub(1).max(1) as f64).sqrt()
            }
            Self::LogNormal { sigma, .. } => mean * (sigma * sigma).exp_m1().sqrt(),
        }
    }

    /// Refuses what is no time.
    pub(super) fn check(&self, place: &str) -> Result<()> {
        let good = |value: f64| value.is_finite() && value >= 0.0;
        let (fine, found) = match self {
            Self::Samples(samples) => {
                (!samples.is_empty() && samples.iter().all(|s| good(*s)), format!("{samples:?}"))
            }
            Self::LogNormal { median_seconds, sigma } => (
                good(*median_seconds) && good(*sigma) && good(self.mean_seconds()),
                format!("a median of {median_seconds} with a sigma of {sigma}"),
            ),
        };
        let message = || format!("expected finite seconds a block of at least 0, found {found}");
        if fine { Ok(()) } else { Err(Error::settings(place, message())) }
    }

    fn draw(&self, random: &mut Random) -> f64 {
        match self {
            Self::Samples(samples) => samples[random.below(samples.len() as u64) as usize],
            Self::LogNormal { median_seconds, sigma } => {
                median_seconds * (sigma * random.normal()).exp()
            }
        }
    }
}

/// Up to so many blocks are drawn one by one; the sum of more is taken as normal.
const ONE_BY_ONE: u64 = 16;

/// Draws how long blocks take together.
#[derive(Debug, Clone)]
pub(super) struct Sampler<'a> {
    distribution: &'a Distribution,
    mean: f64,
    deviation: f64,
    /// What a block takes at least, because its bytes come no faster.
    floor: f64,
    /// What each block takes on top: opening, committing.
    latency: f64,
}

impl<'a> Sampler<'a> {
    pub(super) fn new(distribution: &'a Distribution, floor: f64, latency: f64) -> Self {
        let (mean, deviation) = (distribution.mean_seconds(), distribution.deviation_seconds());
        Self { distribution, mean, deviation, floor, latency }
    }

    /// Mean of a block: reading and writing hide behind computing, or computing behind them.
    pub(super) fn block_seconds(&self) -> f64 {
        self.mean.max(self.floor) + self.latency
    }

    /// Seconds of so many blocks, one after the other.
    pub(super) fn sum(&self, blocks: u64, random: &mut Random) -> f64 {
        if self.deviation == 0.0 {
            return blocks as f64 * self.block_seconds();
        }
        if blocks <= ONE_BY_ONE {
            let block = |_| self.distribution.draw(&mut *random).max(self.floor) + self.latency;
            return (0..blocks).map(block).sum();
        }
        let count = blocks as f64;
        let (mean, deviation) = (count * self.block_seconds(), count.sqrt() * self.deviation);
        // Far out in its tail the normal distribution would have shards that take no time.
        (mean + deviation * random.normal()).max(mean / 10.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_have_the_mean_and_deviation_of_their_blocks() {
        let samples = Distribution::Samples(vec![1.0, 2.0, 3.0, 6.0]);
        for distribution in [Distribution::from_mean(3.0, 0.7), samples] {
            let sampler = Sampler::new(&distribution, 0.0, 0.0);
            for blocks in [10_u64, 40] {
                let mut random = Random::new(5, blocks);
                let sums: Vec<f64> =
                    (0..20_000).map(|_| sampler.sum(blocks, &mut random)).collect();
                let found = Distribution::Samples(sums);
                let n = blocks as f64;
                assert!((found.mean_seconds() / (3.0 * n) - 1.0).abs() < 0.01, "{found:?}");
                // Samples are drawn from themselves, so their own deviation has no degree less.
                let own = match &distribution {
                    Distribution::Samples(_) => 3.5_f64.sqrt(),
                    other => other.deviation_seconds(),
                };
                let expected =
                    if blocks > ONE_BY_ONE { distribution.deviation_seconds() } else { own };
                assert!((found.deviation_seconds() / (expected * n.sqrt()) - 1.0).abs() < 0.04);
            }
        }
    }

    #[test]
    fn equal_blocks_take_equal_times_and_bytes_set_a_floor() {
        let equal = Distribution::from_mean(2.0, 0.0);
        assert_eq!((equal.mean_seconds(), equal.deviation_seconds()), (2.0, 0.0));
        let mut random = Random::new(0, 0);
        assert_eq!(Sampler::new(&equal, 0.5, 0.25).sum(8, &mut random), 18.0);
        assert_eq!(Sampler::new(&equal, 3.0, 0.0).sum(8, &mut random), 24.0);
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for wrong in [
            Distribution::Samples(vec![]),
            Distribution::Samples(vec![1.0, f64::NAN]),
            Distribution::from_mean(-1.0, 0.1),
            Distribution::from_mean(f64::INFINITY, 0.1),
            Distribution::LogNormal { median_seconds: 1.0, sigma: 60.0 },
        ] {
            assert!(wrong.check("x").is_err(), "{wrong:?}");
        }
        assert!(Distribution::Samples(vec![0.0, 1.0]).check("x").is_ok());
    }
}
