//! Probabilities of voxels, as bytes.

/// Probability of a logit.
pub(super) fn expit(logit: f32) -> f32 {
    (1.0 / (1.0 + (-f64::from(logit)).exp())) as f32
}

/// A probability as google/ffn stores it: 0 for NaN, else the number, from 1 to 255, of the edges k / 254
/// that it reaches. (q - 0.5) / 255 is near to it.
pub fn quantise(probability: f32) -> u8 {
    if probability.is_nan() {
        return 0;
    }
    let p = f64::from(probability);
    // `numpy.linspace` multiplies by a step and sets the last edge.
    let edge = |k: i32| if k == 254 { 1.0 } else { f64::from(k) * (1.0 / 254.0) };
    let mut reached = (p * 254.0).floor().clamp(-1.0, 254.0) as i32;
    while reached < 254 && edge(reached + 1) <= p {
        reached += 1;
    }
    while reached >= 0 && edge(reached) > p {
        reached -= 1;
    }
    (reached + 1) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_those_of_digitize() {
        let edges: Vec<f64> =
            (0..255).map(|k| if k == 254 { 1.0 } else { f64::from(k) * (1.0 / 254.0) }).collect();
        let naive = |p: f32| edges.iter().filter(|edge| **edge <= f64::from(p)).count() as u8;
        for i in 0..=100_000 {
            let p = i as f32 / 100_000.0;
            assert_eq!(quantise(p), naive(p), "{p}");
        }
        for edge in &edges {
            for p in [(*edge as f32).next_down(), *edge as f32, (*edge as f32).next_up()] {
                assert_eq!(quantise(p), naive(p), "{p}");
            }
        }
        // By hand: 254 * 0.5 = 127, and the ends.
        let values = [f32::NAN, 0.0, 0.5, 0.6, 0.999, 1.0].map(quantise);
        assert_eq!(values, [0, 1, 128, 153, 254, 255]);
    }

    #[test]
    fn logits_give_probabilities() {
        let logit = (0.95f64 / 0.05).ln() as f32;
        assert!((expit(logit) - 0.95).abs() < 1e-6 && expit(0.0) == 0.5);
        assert_eq!([f32::INFINITY, f32::NEG_INFINITY, -200.0].map(expit), [1.0, 0.0, 0.0]);
    }
}
