//! Random numbers that are the same for the same seed on every machine.

use crate::bench::random::hash;

/// A stream of random numbers: SplitMix64.
#[derive(Debug, Clone)]
pub(crate) struct Random {
    start: u64,
    drawn: u64,
}

impl Random {
    /// The stream with this number of a seed.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        Self { start: hash(hash(seed, 1), stream.wrapping_add(2)), drawn: 0 }
    }

    fn bits(&mut self) -> u64 {
        self.drawn = self.drawn.wrapping_add(1);
        hash(self.start, self.drawn)
    }

    /// Above 0 and at most 1.
    pub(crate) fn uniform(&mut self) -> f64 {
        ((self.bits() >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }

    /// From 0 to `end`, without `end`, which is above 0.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(end)) >> 64) as u64
    }

    /// Mean 0, deviation 1 (Box and Muller 1958, <https://doi.org/10.1214/aoms/1177706645>).
    pub(crate) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * self.uniform().ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// How long until something happens that happens `rate` times a second; for ever at a rate of 0.
    pub(crate) fn exponential(&mut self, rate: f64) -> f64 {
        if rate > 0.0 { -self.uniform().ln() / rate } else { f64::INFINITY }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_spread_as_they_should_be() {
        let mut random = Random::new(7, 3);
        let n = 100_000;
        let mean = |values: Vec<f64>| values.iter().sum::<f64>() / values.len() as f64;
        assert!((mean((0..n).map(|_| random.uniform()).collect()) - 0.5).abs() < 0.005);
        assert!((mean((0..n).map(|_| random.exponential(4.0)).collect()) - 0.25).abs() < 0.005);
        assert!((mean((0..n).map(|_| random.below(3) as f64).collect()) - 1.0).abs() < 0.01);
        assert!((mean((0..n).map(|_| random.normal().powi(2)).collect()) - 1.0).abs() < 0.03);
        assert!(random.exponential(0.0).is_infinite());
    }

    #[test]
    fn a_seed_gives_the_same_stream_again_and_another_for_another_number() {
        let draw = |seed, stream| Random::new(seed, stream).uniform();
        assert_eq!(draw(1, 2), draw(1, 2));
        assert!(draw(1, 2) != draw(1, 3) && draw(1, 2) != draw(2, 2));
    }
}
