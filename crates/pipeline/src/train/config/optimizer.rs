//! `[optimizer]`: how weights follow gradients.

use exavox_compute::ffn::train::{Clip, Optimizer, Schedule, TrainOptions};
use serde::{Deserialize, Serialize};

use super::expect;

/// A rule of [`Optimizer`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum OptimizerName {
    Sgd,
    Momentum,
    Nesterov,
    Adam,
    Adagrad,
    RmsProp,
}

/// A rule of [`Clip`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum ClipName {
    None,
    Value,
    GlobalNorm,
}

/// A rule of [`Schedule`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum ScheduleName {
    Constant,
    Staircase,
    Cosine,
    Linear,
}

/// `[optimizer]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OptimizerTable {
    /// `sgd`, `momentum`, `nesterov`, `adam`, `adagrad` or `rmsprop`.
    pub kind: OptimizerName,
    /// Factor of the changes, before the schedule.
    pub learning_rate: f32,
    /// Fields of view of a step, each of an example of its own.
    pub batch: usize,
    /// Of `momentum`, `nesterov` and `rmsprop`.
    pub momentum: f32,
    /// Of `adam`: decays of the means of gradients and of their squares.
    pub betas: [f32; 2],
    /// How gradients are bounded: `none`, `value` or `global_norm`.
    pub clip: ClipName,
    /// The bound.
    pub clip_at: f32,
    /// Share of each weight of a kernel that a step at rate 1 takes off it.
    pub weight_decay: f32,
    /// Decay of a moving average of the weights, which checkpoints then hold.
    pub average: Option<f32>,
    /// How the rate changes over time.
    pub schedule: ScheduleTable,
}

impl Default for OptimizerTable {
    /// What google/ffn's trainer has.
    fn default() -> Self {
        Self {
            kind: OptimizerName::Sgd,
            learning_rate: 0.001,
            batch: 4,
            momentum: 0.9,
            betas: [0.9, 0.999],
            clip: ClipName::Value,
            clip_at: 0.7,
            weight_decay: 0.0,
            average: None,
            schedule: ScheduleTable::default(),
        }
    }
}

/// `[optimizer.schedule]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScheduleTable {
    /// `constant`, `staircase`, `cosine` or `linear`.
    pub kind: ScheduleName,
    /// Of `staircase`: what the rate is multiplied by.
    pub factor: f32,
    /// Of `staircase`: steps at one rate; of `cosine` and `linear`: steps until 0.
    pub steps: Option<u64>,
    /// Of `cosine` and `linear`: steps until the full rate.
    pub warmup_steps: u64,
}

impl Default for ScheduleTable {
    fn default() -> Self {
        Self { kind: ScheduleName::Constant, factor: 0.5, steps: None, warmup_steps: 0 }
    }
}

impl OptimizerTable {
    /// The options of a trainer.
    pub fn options(&self) -> TrainOptions {
        TrainOptions {
            optimizer: self.optimizer(),
            learning_rate: self.learning_rate,
            schedule: self.schedule.schedule(),
            clip: match self.clip {
                ClipName::None => Clip::None,
                ClipName::Value => Clip::Value(self.clip_at),
                ClipName::GlobalNorm => Clip::GlobalNorm(self.clip_at),
            },
            weight_decay: self.weight_decay,
            ema: self.average,
        }
    }

    fn optimizer(&self) -> Optimizer {
        let momentum = self.momentum;
        match self.kind {
            OptimizerName::Sgd => Optimizer::Sgd,
            OptimizerName::Momentum => Optimizer::Momentum { momentum, nesterov: false },
            OptimizerName::Nesterov => Optimizer::Momentum { momentum, nesterov: true },
            OptimizerName::Adam => {
                let [beta1, beta2] = self.betas;
                Optimizer::Adam { beta1, beta2, epsilon: 1e-8 }
            }
            OptimizerName::Adagrad => Optimizer::Adagrad { initial: 0.1 },
            OptimizerName::RmsProp => Optimizer::RmsProp { decay: 0.9, momentum, epsilon: 1.0 },
        }
    }

    pub(super) fn check(&self) -> Result<(), String> {
        expect("optimizer.batch", (1..=4096).contains(&self.batch), "from 1 to 4096", self.batch)?;
        let schedule = &self.schedule;
        if schedule.kind != ScheduleName::Constant && schedule.steps.is_none_or(|s| s == 0) {
            return Err("optimizer.schedule.steps: expected a number above 0".to_owned());
        }
        self.options().check().map_err(|e| format!("optimizer.{e}"))
    }
}

impl ScheduleTable {
    fn schedule(&self) -> Schedule {
        let total_steps = self.steps.unwrap_or(1);
        let warmup_steps = self.warmup_steps;
        match self.kind {
            ScheduleName::Constant => Schedule::Constant,
            ScheduleName::Staircase => {
                Schedule::Staircase { factor: self.factor, steps: total_steps }
            }
            ScheduleName::Cosine => Schedule::Cosine { warmup_steps, total_steps },
            ScheduleName::Linear => Schedule::Linear { warmup_steps, total_steps },
        }
    }
}
