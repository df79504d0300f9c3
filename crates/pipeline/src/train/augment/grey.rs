//! Contrast, brightness and gamma, as google/ffn and Lee et al. 2017 change them.

use super::super::config::GreyTable;
use super::comes_up;
use crate::estimate::random::Random;

/// p, 0 to 1, becomes `clip(p * contrast + brightness) ^ gamma`.
#[derive(Debug, PartialEq)]
pub(super) struct Grey {
    contrast: f32,
    brightness: f32,
    gamma: f32,
}

impl Grey {
    pub(super) fn draw(table: &GreyTable, random: &mut Random) -> Option<Self> {
        let drawn = comes_up(table.probability, random);
        let mut around_zero = || random.uniform() as f32 - 0.5;
        let grey = Self {
            contrast: 1.0 + table.contrast * around_zero(),
            brightness: table.brightness * around_zero(),
            gamma: (2.0 * table.gamma * around_zero()).exp2(),
        };
        drawn.then_some(grey)
    }

    pub(super) fn apply(&self, image: &mut [f32], black: f32, white: f32) {
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
            (0..400).filter(|n| Grey::draw(&table, &mut Random::new(3, *n)).is_some()).count()
        };
        assert_eq!((count(0.0), count(1.0)), (0, 400));
        assert!((80..120).contains(&count(0.25)), "{}", count(0.25));
    }
}
