//! One step of the network, whatever runs it: the seam between the flood loop and the devices.

use super::config::ModelConfig;
use super::stack::Stack;
use super::trained_model::TrainedModel;
use super::weights::Weights;
use crate::conv3d::Kernel;
use crate::device::{ComputeDevice, guarded};
use crate::error::{Error, Result};
use crate::precision::Precision;

/// Something that computes one step. The flood loop knows no more of a device than this.
pub trait Network {
    /// Writes the new logits of one FOV.
    ///
    /// All three have the FOV's voxels in C order `[z, y, x]`: `image` normalised, of several channels
    /// one after the other; `seed` logits without NaN; `logits` the result, NaN where the network says
    /// nothing (at the border, without padding).
    ///
    /// # Errors
    /// [`Error::DeviceFailed`] if the device fails or is out of memory; `logits` is then undefined.
    fn step(&mut self, image: &[f32], seed: &[f32], logits: &mut [f32]) -> Result<()>;

    /// Name of the device that runs it now.
    fn device_name(&self) -> String;
}

/// The network on a burn device.
pub struct BurnNetwork {
    model: Stack,
    device: ComputeDevice,
    fov_zyx: [usize; 3],
}

impl BurnNetwork {
    /// Puts the weights on the device. Kernels are compiled at the first step.
    ///
    /// # Errors
    /// [`Error::DeviceFailed`] if the device has no room for them.
    pub fn new(weights: &Weights, config: &ModelConfig, device: &ComputeDevice) -> Result<Self> {
        Self::with_precision(weights, config, device, Precision::Exact)
    }

    /// As [`BurnNetwork::new`]. [`Precision::Fast`] makes a difference on CPUs with AVX-512 VNNI only:
    /// the largest error of a logit of the published network is then 0.01, not 0.00003.
    ///
    /// # Errors
    /// [`Error::DeviceFailed`] if the device has no room for the weights.
    pub fn with_precision(
        weights: &Weights,
        config: &ModelConfig,
        device: &ComputeDevice,
        precision: Precision,
    ) -> Result<Self> {
        Self::with_kernel(weights, config, device, Kernel::Own(precision))
    }

    /// A network of any architecture.
    ///
    /// # Errors
    /// [`Error::Usage`] if the FOV is too small for it; [`Error::DeviceFailed`] if the device has no room
    /// for the weights.
    pub fn of_model(
        model: &TrainedModel,
        config: &ModelConfig,
        device: &ComputeDevice,
        precision: Precision,
    ) -> Result<Self> {
        model.architecture().check(config)?;
        let (fov_zyx, kernel) = (config.fov_zyx, Kernel::Own(precision));
        let model = guarded(|| Stack::new(model, fov_zyx, kernel, device.burn()))
            .map_err(|reason| failed(device, reason))?;
        Ok(Self { model, device: device.clone(), fov_zyx })
    }

    /// The same network by burn's own convolution, which ours is measured against.
    ///
    /// # Errors
    /// [`Error::DeviceFailed`] if the device has no room for the weights.
    pub fn by_burn_alone(
        weights: &Weights,
        config: &ModelConfig,
        device: &ComputeDevice,
    ) -> Result<Self> {
        Self::with_kernel(weights, config, device, Kernel::Burn)
    }

    fn with_kernel(
        weights: &Weights,
        config: &ModelConfig,
        device: &ComputeDevice,
        kernel: Kernel,
    ) -> Result<Self> {
        let model = guarded(|| Stack::conv_stack(weights, config.fov_zyx, kernel, device.burn()))
            .map_err(|reason| failed(device, reason))?;
        Ok(Self { model, device: device.clone(), fov_zyx: config.fov_zyx })
    }
}

impl Network for BurnNetwork {
    fn step(&mut self, image: &[f32], seed: &[f32], logits: &mut [f32]) -> Result<()> {
        let input =
            |values: &[f32]| super::stack::input(values, self.fov_zyx, self.device.burn());
        // burn reports some failures as errors and some as panics; both mean the same here.
        let data = guarded(|| self.model.forward(input(image), input(seed)).try_into_data())
            .map_err(|reason| failed(&self.device, reason))?
            .map_err(|error| failed(&self.device, error.to_string()))?;
        let values = data.as_slice::<f32>().map_err(|e| failed(&self.device, format!("{e:?}")))?;
        self.model.place(values, self.fov_zyx, logits).map_err(|reason| failed(&self.device, reason))
    }

    fn device_name(&self) -> String {
        self.device.name().to_owned()
    }
}

fn failed(device: &ComputeDevice, reason: String) -> Error {
    Error::DeviceFailed { device: device.name().to_owned(), reason }
}

/// Repeats a failed step on the CPU and stays there, so that the run goes on.
pub struct FallbackNetwork<'a> {
    current: Box<dyn Network + 'a>,
    /// Taken at the first failure; `None` afterwards, and where the first device is the CPU already.
    fallback: Option<MakeNetwork<'a>>,
    warn: Box<dyn FnMut(&str) + 'a>,
}

/// Builds the network that takes over. Weights are put on the CPU only if they are needed there.
pub type MakeNetwork<'a> = Box<dyn FnOnce() -> Result<Box<dyn Network + 'a>> + 'a>;

impl<'a> FallbackNetwork<'a> {
    /// A network with another to take over; `warn` is told when it does.
    pub fn new(
        first: Box<dyn Network + 'a>,
        fallback: Option<MakeNetwork<'a>>,
        warn: impl FnMut(&str) + 'a,
    ) -> Self {
        Self { current: first, fallback, warn: Box::new(warn) }
    }
}

impl Network for FallbackNetwork<'_> {
    fn step(&mut self, image: &[f32], seed: &[f32], logits: &mut [f32]) -> Result<()> {
        let error = match self.current.step(image, seed, logits) {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        let Some(make) = self.fallback.take() else { return Err(error) };
        (self.warn)(&format!(
            "{error}; the step is repeated on the CPU, and the run goes on there"
        ));
        self.current = make()?;
        self.current.step(image, seed, logits)
    }

    fn device_name(&self) -> String {
        self.current.device_name()
    }
}
