//! The noise that breaks ties between voxels of equal height.

use rand_mt::Mt;

/// `numpy.random.RandomState(42)`.
pub(super) struct Noise(Mt);

impl Noise {
    pub(super) fn new() -> Self {
        Self(Mt::new(42))
    }

    /// From 0 to 1e-4: 53 random bits, as NumPy makes a double.
    pub(super) fn next(&mut self) -> f64 {
        let (high, low) = (self.0.next_u32() >> 5, self.0.next_u32() >> 6);
        let unit = (f64::from(high) * 67_108_864.0 + f64::from(low)) / 9_007_199_254_740_992.0;
        unit * 1e-4
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_numpys() {
        let mut noise = Noise::new();
        assert!((noise.next() / 1e-4 - 0.374_540_12).abs() < 1e-8);
        assert!((noise.next() / 1e-4 - 0.950_714_31).abs() < 1e-8);
    }
}
