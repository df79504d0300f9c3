//! What cannot be planned.

use super::{ComputeRate, Hypothetical, Work};
use crate::error::{Error, Result};

impl Hypothetical {
    /// Refuses shapes and rates that do not fit together.
    pub(super) fn check(&self) -> Result<()> {
        let shapes =
            [("shape", self.shape_zyx), ("chunk", self.chunk_zyx), ("shard", self.granule())];
        if let Some((name, shape)) = shapes.into_iter().find(|(_, shape)| shape.contains(&0)) {
            return Err(Error::settings(name, format!("expected sizes above 0, found {shape:?}")));
        }
        let (shard, chunk) = (self.granule(), self.chunk_zyx);
        if (0..3).any(|a| shard[a] % chunk[a] != 0) {
            let message = format!("{shard:?} is no multiple of the chunk, {chunk:?}");
            return Err(Error::settings("shard", message));
        }
        let factors = [("image", self.image_compression), ("label", self.label_compression)];
        for (name, factor) in factors {
            if !(factor.is_finite() && factor > 0.0) {
                let message = format!("expected a factor above 0, found {factor}");
                return Err(Error::settings(format!("{name} compression"), message));
            }
        }
        if !(self.spread.is_finite() && self.spread >= 0.0) {
            let message = format!("expected a share of at least 0, found {}", self.spread);
            return Err(Error::settings("spread", message));
        }
        self.check_rate()
    }

    fn check_rate(&self) -> Result<()> {
        let (name, rate, of_network) = match self.rate {
            None => return Ok(()),
            Some(ComputeRate::SecondsPerBlock(rate)) => ("seconds per block", rate, false),
            Some(ComputeRate::StepsPerSecond(rate)) => ("steps per second", rate, true),
            Some(ComputeRate::FlopPerSecond(rate)) => ("operations per second", rate, true),
        };
        if !(rate.is_finite() && rate > 0.0) {
            return Err(Error::settings(name, format!("expected more than 0, found {rate}")));
        }
        if of_network && self.work != Work::Segment {
            let message = format!("{} runs no network: seconds per block would do", self.work);
            return Err(Error::settings(name, message));
        }
        Ok(())
    }
}
