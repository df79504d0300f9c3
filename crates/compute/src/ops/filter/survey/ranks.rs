//! Quantiles without sorting: the digits of the values at their ranks, from the highest.

use super::DIGIT;
use super::tally::Tally;
use crate::ops::filter::sample::Sample;

/// Ranks of the values between which two quantiles lie.
#[derive(Debug, Clone)]
pub(super) struct Ranks {
    /// Of the values around each quantile, lower and upper.
    ranks: [[Rank; 2]; 2],
    /// How far a quantile lies on the way from the lower to the upper one.
    ways: [f64; 2],
}

/// A rank among the values that begin with a prefix.
#[derive(Debug, Clone, Copy)]
struct Rank {
    prefix: u64,
    left: u64,
}

impl Ranks {
    /// Ranks among all values that were counted; `None` if there are none.
    pub(super) fn new(tally: &Tally, quantiles: [f64; 2]) -> Option<Self> {
        let last = tally.counts.iter().sum::<u64>().checked_sub(1)?;
        let at = quantiles.map(|q| q.clamp(0.0, 1.0) * last as f64);
        let ranks = at.map(|at| {
            let low = (at.floor() as u64).min(last);
            [low, low.saturating_add(1).min(last)].map(|left| Rank { prefix: 0, left })
        });
        Some(Self { ranks, ways: at.map(f64::fract) })
    }

    /// With one digit more, of `bits` bits.
    pub(super) fn after(mut self, tally: &Tally, prefixes: &[u64], bits: u32) -> Self {
        for rank in self.ranks.as_flattened_mut() {
            let at = prefixes.iter().position(|p| *p == rank.prefix).unwrap_or_default();
            let counts = tally.counts.chunks_exact(1 << bits).nth(at).unwrap_or_default();
            let mut digit = 0;
            while digit + 1 < counts.len() && rank.left >= counts[digit] {
                rank.left -= counts[digit];
                digit += 1;
            }
            rank.prefix = rank.prefix << bits | digit as u64;
        }
        self
    }

    /// The different prefixes.
    pub(super) fn prefixes(&self) -> Vec<u64> {
        let mut prefixes: Vec<u64> = self.ranks.as_flattened().iter().map(|r| r.prefix).collect();
        prefixes.sort_unstable();
        prefixes.dedup();
        prefixes
    }

    /// The quantiles, when the prefixes are whole values.
    pub(super) fn quantiles<T: Sample>(&self) -> [f64; 2] {
        std::array::from_fn(|i| {
            let [low, high] = self.ranks[i].map(|rank| T::from_order(rank.prefix).to_f64());
            let way = self.ways[i];
            if way == 0.0 { low } else { low + (high - low) * way }
        })
    }
}

/// Adds how often each digit follows each prefix among the finite values.
pub(super) fn count_digits<T: Sample>(
    values: &[T],
    shift: u32,
    prefixes: &[u64],
    counts: &mut [u64],
) {
    let bits = DIGIT.min(8 * size_of::<T>() as u32);
    for value in values.iter().filter(|v| v.to_f64().is_finite()) {
        let order = value.order() >> shift;
        let (prefix, digit) = (order >> bits, order as usize & ((1 << bits) - 1));
        if let Some(at) = prefixes.iter().position(|p| *p == prefix)
            && let Some(count) = counts.get_mut((at << bits) + digit)
        {
            *count += 1;
        }
    }
}
