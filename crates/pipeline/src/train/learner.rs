//! What is trained: the seam between the loop and the devices, so that a device that is lost can be
//! replaced by another.

use exavox_compute::ffn::train::{OptimizerState, StepOutcome, TrainBatch, TrainOptions, Trainer};
use exavox_compute::ffn::{ModelConfig, Network, TrainedModel};
use exavox_compute::{ComputeDevice, Error as ComputeError};

use crate::error::Result as PipelineResult;
use crate::progress::Observer;
use crate::segment::SegmentSettings;
use crate::segment::inference::network_on_device;

/// Something that takes optimisation steps.
pub(super) trait Learner {
    /// A step on a batch.
    fn step(&mut self, batch: &TrainBatch<'_>) -> Result<StepOutcome, ComputeError>;
    /// The network as it is.
    fn model(&self) -> TrainedModel;
    /// The network to use: of the moving average of the weights, if one is kept.
    fn used_model(&self) -> TrainedModel;
    /// What the optimiser remembers.
    fn state(&self) -> OptimizerState;
}

impl Learner for Trainer {
    fn step(&mut self, batch: &TrainBatch<'_>) -> Result<StepOutcome, ComputeError> {
        Self::step(self, batch)
    }

    fn model(&self) -> TrainedModel {
        Self::model(self)
    }

    fn used_model(&self) -> TrainedModel {
        self.averaged_model().unwrap_or_else(|| Self::model(self))
    }

    fn state(&self) -> OptimizerState {
        Self::state(self)
    }
}

/// Where a learner runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// On the devices that were asked for.
    Devices,
    /// On the CPU, after a device was lost.
    Cpu,
}

/// Makes learners: a first one, and another one where a device was lost.
pub(super) trait MakeLearner {
    /// A learner that begins with a network, or goes on with what an optimiser remembers.
    fn make(
        &self,
        model: &TrainedModel,
        state: Option<&OptimizerState>,
        place: Place,
    ) -> Result<Box<dyn Learner>, ComputeError>;

    /// A network for the validation, and how many fields of view it gets at once.
    fn network<'a>(
        &self,
        model: &'a TrainedModel,
        settings: &SegmentSettings,
        place: Place,
        observer: &'a dyn Observer,
    ) -> PipelineResult<(Box<dyn Network + 'a>, usize)>;

    /// Whether the CPU can take over.
    fn can_fall_back(&self) -> bool;

    /// Name of the device, for people.
    fn device_name(&self, place: Place) -> String;
}

/// Makes [`Trainer`]s.
#[derive(Debug)]
pub(super) struct Trainers {
    pub(super) model: ModelConfig,
    pub(super) options: TrainOptions,
    pub(super) devices: Vec<ComputeDevice>,
}

impl MakeLearner for Trainers {
    fn make(
        &self,
        model: &TrainedModel,
        state: Option<&OptimizerState>,
        place: Place,
    ) -> Result<Box<dyn Learner>, ComputeError> {
        let cpu;
        let devices = match place {
            Place::Devices => &self.devices,
            Place::Cpu => {
                cpu = vec![ComputeDevice::cpu()?];
                &cpu
            }
        };
        let mut trainer = Trainer::new(model, &self.model, self.options, devices)?;
        if let Some(state) = state {
            trainer.restore(state)?;
        }
        Ok(Box::new(trainer))
    }

    /// On the first device, with the CPU to take over what it fails at: too little memory for this may be
    /// enough for training.
    fn network<'a>(
        &self,
        model: &'a TrainedModel,
        settings: &SegmentSettings,
        place: Place,
        observer: &'a dyn Observer,
    ) -> PipelineResult<(Box<dyn Network + 'a>, usize)> {
        let device = match (place, self.devices.first()) {
            (Place::Devices, Some(device)) => device.clone(),
            _ => ComputeDevice::cpu()?,
        };
        let network = network_on_device(model, settings, &device, observer)?;
        Ok((network, device.batch().unwrap_or(1)))
    }

    fn can_fall_back(&self) -> bool {
        self.devices.iter().any(|device| !device.is_cpu())
    }

    fn device_name(&self, place: Place) -> String {
        match place {
            Place::Devices => {
                self.devices.iter().map(ComputeDevice::name).collect::<Vec<_>>().join(", ")
            }
            Place::Cpu => "cpu".to_owned(),
        }
    }
}
