//! What optimizers remember of the gradients they have seen.

use super::options::{Optimizer, TrainOptions};
use super::parameters::Layout;
use crate::error::{Error, Result};

/// Lines of values, each as long as the parameters, with their names.
pub(super) struct Moments {
    slots: Vec<(&'static str, Vec<f32>)>,
    /// Decay of the average, which is the last slot.
    ema: Option<f32>,
}

const AVERAGE: &str = "average";

impl Moments {
    /// As they are before the first update.
    pub(super) fn new(options: &TrainOptions, parameters: &[f32]) -> Self {
        let filled = |name, value: f32| (name, vec![value; parameters.len()]);
        let mut slots = match options.optimizer {
            Optimizer::Sgd => Vec::new(),
            Optimizer::Momentum { .. } => vec![filled("velocity", 0.0)],
            Optimizer::Adam { .. } => vec![filled("mean", 0.0), filled("square", 0.0)],
            Optimizer::Adagrad { initial } => vec![filled("square", initial)],
            Optimizer::RmsProp { .. } => vec![filled("square", 1.0), filled("velocity", 0.0)],
        };
        slots.extend(options.ema.map(|_| (AVERAGE, parameters.to_vec())));
        Self { slots, ema: options.ema }
    }

    /// Changes the parameters by one gradient; `steps` is the number of updates before.
    pub(super) fn update(
        &mut self,
        options: &TrainOptions,
        rate: f32,
        steps: u64,
        gradient: &[f32],
        parameters: &mut [f32],
    ) {
        let pairs = parameters.iter_mut().zip(gradient);
        match (options.optimizer, &mut self.slots[..]) {
            (Optimizer::Momentum { momentum, nesterov }, [(_, velocity), ..]) => {
                for ((w, g), v) in pairs.zip(velocity) {
                    *v = momentum * *v + g;
                    *w -= rate * if nesterov { g + momentum * *v } else { *v };
                }
            }
            (Optimizer::Adam { beta1, beta2, epsilon }, [(_, mean), (_, square), ..]) => {
                let left = |beta: f32| 1.0 - f64::from(beta).powf(steps.saturating_add(1) as f64);
                let (m_factor, s_factor) = (1.0 / left(beta1) as f32, 1.0 / left(beta2) as f32);
                for ((w, g), (m, s)) in pairs.zip(mean.iter_mut().zip(square)) {
                    *m = beta1 * *m + (1.0 - beta1) * g;
                    *s = beta2 * *s + (1.0 - beta2) * g * g;
                    *w -= rate * *m * m_factor / ((*s * s_factor).sqrt() + epsilon);
                }
            }
            (Optimizer::Adagrad { .. }, [(_, square), ..]) => {
                for ((w, g), s) in pairs.zip(square) {
                    *s += g * g;
                    *w -= rate * g / s.sqrt();
                }
            }
            (Optimizer::RmsProp { decay, momentum, epsilon }, [(_, square), (_, velocity), ..]) => {
                for ((w, g), (s, v)) in pairs.zip(square.iter_mut().zip(velocity)) {
                    *s = decay * *s + (1.0 - decay) * g * g;
                    *v = momentum * *v + rate * g / (*s + epsilon).sqrt();
                    *w -= *v;
                }
            }
            _ => pairs.for_each(|(w, g)| *w -= rate * g),
        }
    }

    /// Takes the parameters after an update into their average.
    pub(super) fn update_average(&mut self, parameters: &[f32]) {
        let (Some(decay), Some((_, average))) = (self.ema, self.slots.last_mut()) else { return };
        for (a, w) in average.iter_mut().zip(parameters) {
            *a = decay * *a + (1.0 - decay) * w;
        }
    }

    pub(super) fn average(&self) -> Option<&[f32]> {
        self.ema.and(self.slots.last()).map(|(_, values)| &values[..])
    }

    /// `TENSOR/SLOT` and its values, tensor by tensor.
    pub(super) fn to_slots(&self, layout: &Layout) -> Vec<(String, Vec<f32>)> {
        let tensors = layout.tensors().flat_map(|(tensor, range)| {
            self.slots.iter().map(move |(slot, values)| {
                (format!("{tensor}/{slot}"), values[range.clone()].to_vec())
            })
        });
        tensors.collect()
    }

    /// Takes what [`Moments::to_slots`] gave, in any order.
    pub(super) fn restore(&mut self, layout: &Layout, saved: &[(String, Vec<f32>)]) -> Result<()> {
        let wrong = |message: String| Error::Usage(format!("state of the optimizer: {message}"));
        let expected = layout.tensors().count() * self.slots.len();
        if saved.len() != expected {
            let message = format!("expected {expected} tensors, found {}", saved.len());
            return Err(wrong(message));
        }
        let mut new: Vec<Vec<f32>> = self.slots.iter().map(|(_, values)| values.clone()).collect();
        for (tensor, range) in layout.tensors() {
            for ((slot, _), new) in self.slots.iter().zip(&mut new) {
                let name = format!("{tensor}/{slot}");
                let Some((_, values)) = saved.iter().find(|(saved, _)| *saved == name) else {
                    return Err(wrong(format!("tensor {name} is missing")));
                };
                if values.len() != range.len() {
                    let (expected, found) = (range.len(), values.len());
                    let message =
                        format!("tensor {name}: expected {expected} values, found {found}");
                    return Err(wrong(message));
                }
                if values.iter().any(|v| !v.is_finite() || (*slot == "square" && *v < 0.0)) {
                    let expected = "expected finite values, squares at least 0";
                    return Err(wrong(format!("tensor {name}: {expected}")));
                }
                new[range.clone()].copy_from_slice(values);
            }
        }
        self.slots.iter_mut().zip(new).for_each(|((_, values), new)| *values = new);
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::initial::initial_model;
    use super::*;
    use crate::ffn::Architecture;

    /// One weight that starts at 1 and sees gradients 2 and -1 at rate 0.1.
    fn two_updates(optimizer: Optimizer) -> [f32; 2] {
        let options = TrainOptions { optimizer, ..TrainOptions::default() };
        let mut weight = [1.0];
        let mut moments = Moments::new(&options, &weight);
        [2.0, -1.0].map(|gradient| {
            let steps = if gradient == 2.0 { 0 } else { 1 };
            moments.update(&options, 0.1, steps, &[gradient], &mut weight);
            weight[0]
        })
    }

    #[track_caller]
    fn assert_close(found: [f32; 2], expected: [f32; 2]) {
        let error = (0..2).map(|i| (found[i] - expected[i]).abs()).fold(0.0, f32::max);
        assert!(error < 2e-6, "{found:?}, expected {expected:?}");
    }

    #[test]
    fn optimizers_give_values_computed_by_hand() {
        assert_close(two_updates(Optimizer::Sgd), [0.8, 0.9]);
        // v: 2, then 0.9 * 2 - 1 = 0.8.
        let plain = Optimizer::Momentum { momentum: 0.9, nesterov: false };
        assert_close(two_updates(plain), [0.8, 0.72]);
        // Steps: 2 + 0.9 * 2 = 3.8, then -1 + 0.9 * 0.8 = -0.28.
        let nesterov = Optimizer::Momentum { momentum: 0.9, nesterov: true };
        assert_close(two_updates(nesterov), [0.62, 0.648]);
        // m: 0.2, 0.08; corrected 2, 0.08 / 0.19; s: 0.004, 0.004996; corrected 4, 0.004996 / 0.001999.
        let adam = Optimizer::Adam { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };
        assert_close(two_updates(adam), [0.9, 0.873_366_3]);
        // a: 4.1, 5.1.
        let adagrad = Optimizer::Adagrad { initial: 0.1 };
        assert_close(two_updates(adagrad), [0.901_227, 0.945_508]);
        // s: 1.3, 1.27; v: 0.2 / sqrt(2.3), then half of it less 0.1 / sqrt(2.27).
        let rmsprop = Optimizer::RmsProp { decay: 0.9, momentum: 0.5, epsilon: 1.0 };
        assert_close(two_updates(rmsprop), [0.868_124, 0.868_559]);
    }

    #[test]
    fn the_average_follows_the_weights() {
        let options = TrainOptions { ema: Some(0.75), ..TrainOptions::default() };
        let mut moments = Moments::new(&options, &[1.0, 0.0]);
        moments.update_average(&[2.0, 4.0]);
        moments.update_average(&[2.0, 4.0]);
        assert_eq!(moments.average(), Some(&[1.4375, 1.75][..]));
        assert_eq!(Moments::new(&TrainOptions::default(), &[1.0]).average(), None);
    }

    #[test]
    fn a_state_of_another_network_or_optimizer_is_refused() {
        let model = initial_model(&Architecture::conv_stack(1, 2), 1).unwrap();
        let layout = Layout::new(&model);
        let line = layout.flatten(&model);
        let momentum = Optimizer::Momentum { momentum: 0.9, nesterov: false };
        let options = TrainOptions { optimizer: momentum, ..TrainOptions::default() };
        let mut moments = Moments::new(&options, &line);
        let good = moments.to_slots(&layout);
        assert_eq!(good[0].0, "seed_update/conv0_a/weights/velocity");
        moments.restore(&layout, &good).unwrap();
        let mut error =
            |slots: &[(String, Vec<f32>)]| moments.restore(&layout, slots).unwrap_err().to_string();
        assert!(error(&good[1..]).contains("expected 6 tensors, found 5"));
        let mut other = good.clone();
        other[2].0 = "seed_update/conv0_b/weights/mean".to_owned();
        assert!(error(&other).contains("conv0_b/weights/velocity is missing"));
        let mut short = good;
        short[1].1.pop();
        assert!(error(&short).contains("conv0_a/biases/velocity: expected 2 values, found 1"));
    }
}
