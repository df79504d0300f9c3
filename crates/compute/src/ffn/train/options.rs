//! How weights are updated.

use crate::error::{Error, Result};

/// The rule that turns a gradient g into a change of the weights w at learning rate r.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Optimizer {
    /// w -= r g.
    Sgd,
    /// v = momentum v + g; w -= r v, or with `nesterov` w -= r (g + momentum v).
    Momentum {
        /// What is left of the velocity after a step.
        momentum: f32,
        /// Looks ahead along the velocity.
        nesterov: bool,
    },
    /// Kingma and Ba, arXiv:1412.6980, algorithm 1.
    Adam {
        /// Decay of the mean of gradients.
        beta1: f32,
        /// Decay of the mean of their squares.
        beta2: f32,
        /// Added to the root of the squares.
        epsilon: f32,
    },
    /// a += g^2, from `initial`; w -= r g / sqrt(a) (Duchi et al. 2011).
    Adagrad {
        /// Start of the sums; above 0.
        initial: f32,
    },
    /// s = decay s + (1 - decay) g^2, from 1; v = momentum v + r g / sqrt(s + epsilon); w -= v
    /// (Hinton, with TensorFlow's momentum).
    RmsProp {
        /// Decay of the mean of squares.
        decay: f32,
        /// What is left of the velocity after a step.
        momentum: f32,
        /// Added to the squares.
        epsilon: f32,
    },
}

/// The learning rate as a function of the updates so far, t.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Schedule {
    /// Always the same.
    Constant,
    /// Times `factor` every `steps` updates.
    Staircase {
        /// Below 1 for a rate that falls.
        factor: f32,
        /// Updates at one rate.
        steps: u64,
    },
    /// Rises over `warmup_steps`, then falls along half a cosine to 0 at `total_steps`.
    Cosine {
        /// Updates until the full rate; may be 0.
        warmup_steps: u64,
        /// Updates until 0.
        total_steps: u64,
    },
    /// Rises over `warmup_steps`, then falls along a line to 0 at `total_steps`.
    Linear {
        /// Updates until the full rate; may be 0.
        warmup_steps: u64,
        /// Updates until 0.
        total_steps: u64,
    },
}

/// What keeps a single bad batch from ruining the weights.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Clip {
    /// Nothing.
    None,
    /// Each value of the gradient to plus or minus this; google/ffn: 0.7.
    Value(f32),
    /// The gradient of all weights together to this Euclidean norm.
    GlobalNorm(f32),
}

/// All of it. The default is that of google/ffn's TensorFlow trainer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrainOptions {
    /// How a gradient changes the weights.
    pub optimizer: Optimizer,
    /// Factor of the changes, before the schedule.
    pub learning_rate: f32,
    /// How the rate changes over time.
    pub schedule: Schedule,
    /// How gradients are bounded.
    pub clip: Clip,
    /// Share of each weight of a kernel that a step at rate 1 takes off it; 0 switches it off.
    pub weight_decay: f32,
    /// Keeps an exponential moving average of the weights with this decay.
    pub ema: Option<f32>,
}

impl Default for TrainOptions {
    fn default() -> Self {
        Self {
            optimizer: Optimizer::Sgd,
            learning_rate: 0.001,
            schedule: Schedule::Constant,
            clip: Clip::Value(0.7),
            weight_decay: 0.0,
            ema: None,
        }
    }
}

impl TrainOptions {
    /// `Ok` if all numbers are in their ranges.
    ///
    /// # Errors
    /// [`Error::Usage`] names the option, expected and found.
    pub fn check(&self) -> Result<()> {
        check("learning_rate", self.learning_rate, "above 0", |v| v > 0.0)?;
        check("weight_decay", self.weight_decay, "at least 0", |v| v >= 0.0)?;
        let taken = self.weight_decay * self.learning_rate;
        let name = "weight_decay times learning_rate, the share of a weight that a step takes off";
        check(name, taken, "at most 1", |v| v <= 1.0)?;
        if let Some(decay) = self.ema {
            check("ema", decay, DECAY, is_decay)?;
        }
        match self.clip {
            Clip::None => {}
            Clip::Value(bound) | Clip::GlobalNorm(bound) => {
                check("clip", bound, "above 0", |v| v > 0.0)?;
            }
        }
        self.optimizer.check()?;
        self.schedule.check()
    }

    /// The learning rate after `steps` updates.
    pub fn rate(&self, steps: u64) -> f32 {
        let factor = match self.schedule {
            Schedule::Constant => 1.0,
            Schedule::Staircase { factor, steps: each } => {
                f64::from(factor).powf((steps / each.max(1)) as f64)
            }
            Schedule::Cosine { warmup_steps, total_steps } => {
                let fall = |done: f64| 0.5 * (1.0 + (std::f64::consts::PI * done).cos());
                warmed_up(steps, warmup_steps, total_steps, fall)
            }
            Schedule::Linear { warmup_steps, total_steps } => {
                warmed_up(steps, warmup_steps, total_steps, |done| 1.0 - done)
            }
        };
        (f64::from(self.learning_rate) * factor) as f32
    }
}

/// A rise to 1, then a fall over what is left, which `fall` gives from 0 to 1.
fn warmed_up(steps: u64, warmup: u64, total: u64, fall: impl Fn(f64) -> f64) -> f64 {
    if steps < warmup {
        return steps.saturating_add(1) as f64 / warmup.saturating_add(1) as f64;
    }
    let left = total.saturating_sub(warmup).max(1);
    fall(((steps - warmup) as f64 / left as f64).min(1.0))
}

impl Optimizer {
    fn check(self) -> Result<()> {
        match self {
            Self::Sgd => Ok(()),
            Self::Momentum { momentum, .. } => check("momentum", momentum, DECAY, is_decay),
            Self::Adam { beta1, beta2, epsilon } => {
                check("beta1", beta1, DECAY, is_decay)?;
                check("beta2", beta2, DECAY, is_decay)?;
                check("epsilon", epsilon, "above 0", |v| v > 0.0)
            }
            Self::Adagrad { initial } => check("initial", initial, "above 0", |v| v > 0.0),
            Self::RmsProp { decay, momentum, epsilon } => {
                check("decay", decay, DECAY, is_decay)?;
                check("momentum", momentum, DECAY, is_decay)?;
                check("epsilon", epsilon, "above 0", |v| v > 0.0)
            }
        }
    }
}

impl Schedule {
    fn check(self) -> Result<()> {
        match self {
            Self::Constant => Ok(()),
            Self::Staircase { factor, steps } => {
                check("factor", factor, "above 0", |v| v > 0.0)?;
                check("steps", steps as f32, "above 0", |v| v > 0.0)
            }
            Self::Cosine { warmup_steps, total_steps }
            | Self::Linear { warmup_steps, total_steps } => {
                let over = format!("over the {warmup_steps} of warmup_steps");
                check("total_steps", total_steps as f32, &over, |_| total_steps > warmup_steps)
            }
        }
    }
}

const DECAY: &str = "at least 0 and below 1";

fn is_decay(value: f32) -> bool {
    (0.0..1.0).contains(&value)
}

fn check(name: &str, value: f32, expected: &str, fits: impl Fn(f32) -> bool) -> Result<()> {
    if value.is_finite() && fits(value) {
        return Ok(());
    }
    Err(Error::Usage(format!("{name}: expected a number {expected}, found {value}")))
}

impl Clip {
    /// Bounds a gradient whose Euclidean norm is known.
    pub(super) fn apply(self, gradient: &mut [f32], norm: f64) {
        match self {
            Self::None => {}
            Self::Value(bound) => gradient.iter_mut().for_each(|g| *g = g.clamp(-bound, bound)),
            Self::GlobalNorm(bound) if norm > f64::from(bound) => {
                let factor = (f64::from(bound) / norm) as f32;
                gradient.iter_mut().for_each(|g| *g *= factor);
            }
            Self::GlobalNorm(_) => {}
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn rates(schedule: Schedule, steps: &[u64]) -> Vec<f32> {
        let options = TrainOptions { learning_rate: 0.5, schedule, ..TrainOptions::default() };
        options.check().unwrap();
        steps.iter().map(|step| options.rate(*step)).collect()
    }

    #[test]
    fn schedules_give_the_rates_they_promise() {
        assert_eq!(rates(Schedule::Constant, &[0, 1_000_000]), [0.5, 0.5]);
        let stairs = Schedule::Staircase { factor: 0.5, steps: 10 };
        assert_eq!(rates(stairs, &[0, 9, 10, 25]), [0.5, 0.5, 0.25, 0.125]);
        let line = Schedule::Linear { warmup_steps: 3, total_steps: 13 };
        assert_eq!(rates(line, &[0, 1, 3, 8, 13, 20]), [0.125, 0.25, 0.5, 0.25, 0.0, 0.0]);
        let cosine = Schedule::Cosine { warmup_steps: 0, total_steps: 8 };
        let found = rates(cosine, &[0, 4, 8, 9]);
        assert_eq!([found[0], found[2], found[3]], [0.5, 0.0, 0.0]);
        assert!((found[1] - 0.25).abs() < 1e-7);
    }

    #[test]
    fn gradients_are_bounded_by_value_or_by_norm() {
        let mut values = [3.0, -4.0, 0.5];
        Clip::Value(0.7).apply(&mut values, 5.0);
        assert_eq!(values, [0.7, -0.7, 0.5]);
        let mut short = [3.0, -4.0];
        Clip::GlobalNorm(5.0).apply(&mut short, 5.0);
        assert_eq!(short, [3.0, -4.0]);
        Clip::GlobalNorm(2.5).apply(&mut short, 5.0);
        assert_eq!(short, [1.5, -2.0]);
    }

    #[test]
    fn options_out_of_range_are_named() {
        let adam = Optimizer::Adam { beta1: 0.9, beta2: 1.0, epsilon: 1e-8 };
        let default = TrainOptions::default();
        let schedule = Schedule::Cosine { warmup_steps: 5, total_steps: 5 };
        for (options, name) in [
            (TrainOptions { learning_rate: f32::NAN, ..default }, "learning_rate"),
            (TrainOptions { weight_decay: -1.0, ..default }, "weight_decay"),
            (
                TrainOptions { weight_decay: 3.0, learning_rate: 0.5, ..default },
                "weight_decay times learning_rate, the share of a weight that a step takes off: expected a number at most 1, found 1.5",
            ),
            (TrainOptions { ema: Some(1.0), ..default }, "ema"),
            (TrainOptions { clip: Clip::Value(0.0), ..default }, "clip"),
            (TrainOptions { optimizer: adam, ..default }, "beta2"),
            (TrainOptions { schedule, ..default }, "total_steps"),
        ] {
            let error = options.check().unwrap_err().to_string();
            assert!(error.starts_with(name), "{error}");
        }
    }
}
