//! Contrast, brightness and gamma, as google/ffn and Lee et al. 2017 change them.

use super::super::config::{GreyChannels, GreyTable};
use super::comes_up;
use crate::estimate::random::Random;

/// p, 0 to 1, becomes `clip(p * contrast + brightness) ^ gamma`.
#[derive(Debug, PartialEq)]
struct Grey {
    contrast: f32,
    brightness: f32,
    gamma: f32,
}

/// What is done with the channels of an image: one change for all, or one for each; none where nothing comes up.
#[derive(Debug, PartialEq)]
pub(super) struct Greys(Vec<Grey>);

impl Greys {
    pub(super) fn draw(table: &GreyTable, channels: usize, random: &mut Random) -> Self {
        let drawn = comes_up(table.probability, random);
        let count = if table.channels == Some(GreyChannels::Each) { channels } else { 1 };
        // Drawn in any case, so that what is drawn next does not depend on it.
        let all: Vec<Grey> = (0..count).map(|_| Grey::draw(table, random)).collect();
        Self(if drawn { all } else { Vec::new() })
    }

    /// `ranges`: black and white of each channel.
    pub(super) fn apply(&self, images: &mut [Vec<f32>], ranges: &[[f32; 2]]) {
        for (n, (image, [black, white])) in images.iter_mut().zip(ranges).enumerate() {
            if let Some(grey) = self.0.get(n).or(self.0.first()) {
                grey.apply(image, *black, *white);
            }
        }
    }
}

impl Grey {
    fn draw(table: &GreyTable, random: &mut Random) -> Self {
        let mut around_zero = || random.uniform() as f32 - 0.5;
        Self {
            contrast: 1.0 + table.contrast * around_zero(),
            brightness: table.brightness * around_zero(),
            gamma: (2.0 * table.gamma * around_zero()).exp2(),
        }
    }

    fn apply(&self, image: &mut [f32], black: f32, white: f32) {
        for value in image.iter_mut().filter(|v| v.is_finite()) {
            let p = (*value - black) / (white - black);
            let changed = (p * self.contrast + self.brightness).clamp(0.0, 1.0).powf(self.gamma);
            *value = black + changed * (white - black);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_formula_is_as_written() {
        let grey = Grey { contrast: 1.2, brightness: -0.1, gamma: 2.0 };
        let mut image = [0.0, 100.0, 200.0, f32::NAN];
        grey.apply(&mut image, 0.0, 200.0);
        assert!((image[1] - 200.0 * 0.5_f32.powi(2)).abs() < 1e-3, "{image:?}");
        assert!(image[0] == 0.0 && image[2] == 200.0 && image[3].is_nan());
    }

    #[test]
    fn it_comes_up_as_often_as_it_should() {
        let count = |probability| {
            let table = GreyTable { probability, ..GreyTable::default() };
            let drawn = |n| Greys::draw(&table, 2, &mut Random::new(3, n));
            (0..400).filter(|n| !drawn(*n).0.is_empty()).count()
        };
        assert_eq!((count(0.0), count(1.0)), (0, 400));
        assert!((80..120).contains(&count(0.25)), "{}", count(0.25));
    }
}
