//! One device's part of a step.

use burn::tensor::{Device, Tensor, TensorData};

use super::super::stack::{Stack, inputs};
use super::super::trained_model::TrainedModel;
use super::TrainBatch;
use super::loss::cross_entropy;
use super::middle::middle;
use crate::conv3d::Kernel;
use crate::device::{ComputeDevice, guarded};
use crate::error::{Error, Result};
use crate::precision::Precision;

/// A device that computes gradients.
pub(super) struct Worker {
    device: ComputeDevice,
    fov_zyx: [usize; 3],
    /// For the shapes.
    template: TrainedModel,
}

/// What a device gives for its part of a batch.
pub(super) struct Share {
    /// Of its voxels, added up.
    pub(super) loss: f64,
    /// Of the middles of its fields of view.
    pub(super) logits: Vec<f32>,
    /// Of the mean loss of the whole batch, as far as its voxels go; in one line.
    pub(super) gradient: Vec<f32>,
}

impl Worker {
    pub(super) fn new(
        device: &ComputeDevice,
        fov_zyx: [usize; 3],
        template: &TrainedModel,
    ) -> Self {
        Self { device: device.clone(), fov_zyx, template: template.clone() }
    }

    /// Loss and gradients of a part of a batch of `count` fields of view.
    pub(super) fn share(
        &self,
        parameters: &[f32],
        part: &TrainBatch<'_>,
        count: usize,
    ) -> Result<Share> {
        // burn reports some failures as errors and some as panics; both mean the same here.
        guarded(|| self.compute(parameters, part, count))
            .and_then(|share| share)
            .map_err(|reason| self.failed(reason))
    }

    pub(super) fn failed(&self, reason: String) -> Error {
        Error::DeviceFailed { device: self.device.name().to_owned(), reason }
    }

    fn compute(
        &self,
        parameters: &[f32],
        part: &TrainBatch<'_>,
        count: usize,
    ) -> Result<Share, String> {
        let fov = self.fov_zyx;
        let kept = self.template.architecture().kept_zyx(fov);
        let input = |values: &[f32], size: [usize; 3]| {
            inputs(values, part.count, size, self.device.burn()).autodiff()
        };
        let leaves = Leaves::new(&self.template, parameters, self.device.burn());
        let mut tensors = leaves.0.iter().cloned();
        let kernel = Kernel::Own(Precision::Exact);
        let next = || tensors.next().unwrap_or_else(|| unreachable!("two tensors a layer"));
        let network = Stack::with_parameters(&self.template, fov, kernel, next);
        let new = network.forward(input(part.images, fov), input(part.seeds, fov));
        let logits = read(new.clone().inner())?;
        let total = count as f64 * kept.iter().product::<usize>() as f64;
        let [labels, weights] = [part.labels, part.weights].map(|all| middle(all, fov, kept));
        let (loss, slope) = cross_entropy(&logits, &labels, &weights, total);
        // Has the loss's gradient at these logits.
        let mut gradients = (new * input(&slope, kept)).sum().backward();
        let gradient = leaves.gradient(&mut gradients)?;
        Ok(Share { loss, logits, gradient })
    }
}

/// The parameters on the device: weights and biases of each layer, or scales and biases, each in one line.
struct Leaves(Vec<[Tensor<1>; 2]>);

impl Leaves {
    fn new(template: &TrainedModel, parameters: &[f32], device: &Device) -> Self {
        let data = TensorData::new(parameters.to_vec(), [parameters.len()]);
        let line = Tensor::<1>::from_data(data, device);
        let mut end = 0;
        let mut next = |length: usize| {
            end += length;
            line.clone().narrow(0, end - length, length).autodiff().require_grad()
        };
        let tensors = template.tensors();
        let (pairs, _) = tensors.as_chunks::<2>();
        let pairs = pairs.iter().map(|[a, b]| [next(a.2.len()), next(b.2.len())]);
        Self(pairs.collect())
    }

    /// In one line, read in one go.
    fn gradient(&self, all: &mut burn::tensor::Gradients) -> Result<Vec<f32>, String> {
        let missing = || "a parameter has no gradient".to_owned();
        let each = self.0.iter().flatten().map(|leaf| leaf.grad_remove(all).ok_or_else(missing));
        read(Tensor::cat(each.collect::<Result<Vec<_>, _>>()?, 0))
    }
}

fn read<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>, String> {
    let data = tensor.try_into_data().map_err(|error| error.to_string())?;
    data.try_to_vec::<f32>().map_err(|error| format!("{error:?}"))
}
