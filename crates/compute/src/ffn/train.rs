//! Training: one optimisation step of a network, of any architecture, on a batch of fields of view.
//!
//! The loss is the mean over voxels of weight times sigmoid cross-entropy between the new logits and
//! soft labels; gradients do not flow through moves of the FOV. What a step is made of:
//!
//! ```text
//! parameters -> devices: forward -> logits -> loss -> backward -> gradients, summed in device order
//!     ^                                                              |
//!     +---------------- rate <- schedule, optimizer <- clipping <----+
//! ```
//!
//! Networks run under burn's autodiff, with convolutions of our own where a device has them; loss,
//! clipping and optimizer are plain loops over f32 in a fixed order, so that a step on the CPU gives
//! the same bits on any number of threads, and a run that goes on from saved weights and
//! [`OptimizerState`] is the run that was not interrupted.

mod batch;
mod initial;
mod loss;
mod middle;
mod moments;
mod options;
mod parameters;
mod remote;
mod worker;

pub use batch::TrainBatch;
pub use initial::initial_model;
pub use options::{Clip, Optimizer, Schedule, TrainOptions};

use super::config::ModelConfig;
use super::trained_model::TrainedModel;
use crate::device::ComputeDevice;
use crate::error::{Error, Result};
use batch::FovValues;
use moments::Moments;
use parameters::Layout;
use remote::Remote;
use worker::{Share, Worker};

/// What a step gave.
#[derive(Debug, Clone, PartialEq)]
pub struct StepOutcome {
    /// Loss of the batch before the update.
    pub loss: f32,
    /// New logits, `[count, z, y, x]`, from the weights before the update: of the middle of each FOV, with
    /// the size of [`Architecture::kept_zyx`](super::Architecture::kept_zyx). That is the whole, but for
    /// networks without padding.
    pub logits: Vec<f32>,
    /// Whether the weights were changed: not if the loss or a gradient was not finite.
    pub applied: bool,
}

/// What an exact resume needs beside the weights.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OptimizerState {
    /// Updates so far.
    pub steps: u64,
    /// What the optimizer keeps for each tensor: `TENSOR/SLOT` and its values in C order.
    pub slots: Vec<(String, Vec<f32>)>,
}

/// Trains one network on one or several devices.
pub struct Trainer {
    /// For the shapes; values are in `parameters`.
    template: TrainedModel,
    layout: Layout,
    parameters: Vec<f32>,
    moments: Moments,
    options: TrainOptions,
    fov: FovValues,
    /// Voxels with new logits.
    kept_voxels: usize,
    /// Works on the caller's thread.
    first: Worker,
    others: Vec<Remote>,
    steps: u64,
}

impl Trainer {
    /// Starts from the weights of a network. A batch is shared out over the devices; one that is named twice
    /// takes two shares.
    ///
    /// # Errors
    /// [`Error::Usage`] if there is no device, if an option makes no sense or a size of the FOV.
    pub fn new(
        model: &TrainedModel,
        config: &ModelConfig,
        options: TrainOptions,
        devices: &[ComputeDevice],
    ) -> Result<Self> {
        let architecture = model.architecture();
        architecture.check(config)?;
        options.check()?;
        let worker = |device: &ComputeDevice| Worker::new(device, config.fov_zyx, model);
        let Some((first, others)) = devices.split_first() else {
            return Err(Error::Usage("training: expected a device, found none".to_owned()));
        };
        let others = others.iter().map(|device| Remote::new(worker(device)));
        let layout = Layout::new(model);
        let parameters = layout.flatten(model);
        let moments = Moments::new(&options, &parameters);
        let voxels = config.fov_voxels();
        let fov = FovValues { image: voxels * architecture.image_channels, voxels };
        Ok(Self {
            template: model.clone(),
            layout,
            parameters,
            moments,
            options,
            fov,
            kept_voxels: architecture.kept_zyx(config.fov_zyx).iter().product(),
            first: worker(first),
            others: others.collect(),
            steps: 0,
        })
    }

    /// Forward, backward and update on a batch.
    ///
    /// # Errors
    /// [`Error::Usage`] if a slice has another length than the batch; [`Error::DeviceFailed`] if a
    /// device fails or is out of memory. The weights are then as they were.
    pub fn step(&mut self, batch: &TrainBatch<'_>) -> Result<StepOutcome> {
        batch.check(self.fov)?;
        let shares = self.shares(batch)?;
        let total = batch.count as f64 * self.kept_voxels as f64;
        let loss = (shares.iter().map(|share| share.loss).sum::<f64>() / total) as f32;
        let logits = shares.iter().flat_map(|share| share.logits.iter().copied()).collect();
        let gradient = sum(shares);
        let norm = norm(&gradient);
        // It is not finite if one of the values is not.
        let applied = loss.is_finite() && norm.is_finite();
        if applied {
            self.update(gradient, norm);
        }
        Ok(StepOutcome { loss, logits, applied })
    }

    /// The network after the last update.
    pub fn model(&self) -> TrainedModel {
        self.layout.unflatten(&self.template, &self.parameters)
    }

    /// The network with the moving average of the weights; `None` if [`TrainOptions::ema`] is.
    pub fn averaged_model(&self) -> Option<TrainedModel> {
        let average = self.moments.average()?;
        Some(self.layout.unflatten(&self.template, average))
    }

    /// Updates so far; steps that were not applied are not counted.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// The factor of the next update.
    pub fn learning_rate(&self) -> f32 {
        self.options.rate(self.steps)
    }

    /// What [`Trainer::restore`] takes.
    pub fn state(&self) -> OptimizerState {
        OptimizerState { steps: self.steps, slots: self.moments.to_slots(&self.layout) }
    }

    /// Goes on where another trainer of the same network and options stopped; the weights are those
    /// that this one was made with.
    ///
    /// # Errors
    /// [`Error::Usage`] names the slot that is missing, unknown or of another length.
    pub fn restore(&mut self, state: &OptimizerState) -> Result<()> {
        self.moments.restore(&self.layout, &state.slots)?;
        self.steps = state.steps;
        Ok(())
    }

    /// Each device's part of the batch, in device order.
    fn shares(&self, batch: &TrainBatch<'_>) -> Result<Vec<Share>> {
        let devices = self.others.len() + 1;
        let part = |i: usize| batch.part(self.fov, i, devices);
        // The last devices have nothing to do if there are more than fields of view.
        let busy = &self.others[..self.others.len().min(batch.count - 1)];
        for (i, other) in busy.iter().enumerate() {
            other.begin(&self.parameters, &part(i + 1), batch.count);
        }
        let first = self.first.share(&self.parameters, &part(0), batch.count);
        // Waited for even if the first failed: none may be left over for the next step.
        let rest: Vec<Result<Share>> = busy.iter().map(Remote::finish).collect();
        std::iter::once(first).chain(rest).collect()
    }

    fn update(&mut self, mut gradient: Vec<f32>, norm: f64) {
        self.options.clip.apply(&mut gradient, norm);
        let rate = self.options.rate(self.steps);
        self.decay(rate);
        self.moments.update(&self.options, rate, self.steps, &gradient, &mut self.parameters);
        self.steps = self.steps.saturating_add(1);
        self.moments.update_average(&self.parameters);
    }

    /// Decoupled weight decay (Loshchilov and Hutter, arXiv:1711.05101), of kernels only.
    fn decay(&mut self, rate: f32) {
        if self.options.weight_decay == 0.0 {
            return;
        }
        // A staircase that rises can pass the bound of the options.
        let factor = (1.0 - rate * self.options.weight_decay).max(0.0);
        for kernel in self.layout.kernels() {
            self.parameters[kernel].iter_mut().for_each(|w| *w *= factor);
        }
    }
}

/// Gradients of all shares, in device order.
fn sum(shares: Vec<Share>) -> Vec<f32> {
    let mut gradients = shares.into_iter().map(|share| share.gradient);
    let mut sum = gradients.next().unwrap_or_default();
    for gradient in gradients {
        sum.iter_mut().zip(gradient).for_each(|(sum, g)| *sum += g);
    }
    sum
}

/// Euclidean norm; in sixteen sums that do not wait for each other.
fn norm(gradient: &[f32]) -> f64 {
    let mut sums = [0.0; 16];
    let (chunks, rest) = gradient.as_chunks::<16>();
    for values in chunks {
        for (sum, value) in sums.iter_mut().zip(values) {
            *sum += f64::from(*value) * f64::from(*value);
        }
    }
    let rest = rest.iter().map(|value| f64::from(*value) * f64::from(*value));
    sums.into_iter().chain(rest).sum::<f64>().sqrt()
}
