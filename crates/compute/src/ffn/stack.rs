//! Networks of all architectures as one: tensors in, tensors out, and what is around them.

use burn::tensor::{Device, Tensor, TensorData};

use super::model::ConvStack3d;
use super::res_conv_stack::ResConvStack;
use super::trained_model::{Layers, TrainedModel};
use super::weights::Weights;
use crate::conv3d::Kernel;

/// A network on a device.
#[derive(Debug)]
pub(super) enum Stack {
    ConvStack {
        network: Box<ConvStack3d>,
        image_channels: usize,
    },
    ResConvStack {
        network: Box<ResConvStack>,
        image_channels: usize,
        /// Voxels of each side of the FOV without new logits.
        lost_zyx: [usize; 3],
    },
}

impl Stack {
    pub(super) fn new(
        model: &TrainedModel,
        fov_zyx: [usize; 3],
        kernel: Kernel,
        device: &Device,
    ) -> Self {
        match model.layers() {
            Layers::ConvStack(weights) => Self::conv_stack(weights, fov_zyx, kernel, device),
            Layers::ResConvStack(weights) => Self::ResConvStack {
                network: Box::new(ResConvStack::new(weights, fov_zyx, kernel, device)),
                image_channels: model.architecture().image_channels,
                lost_zyx: model.architecture().lost_zyx(),
            },
        }
    }

    /// The network with parameters that are tensors already, each in one line; `model` gives the shapes
    /// only, and `pairs` gives two at a time in the order of [`TrainedModel::tensors`]. On a device with
    /// autodiff gradients flow through it.
    #[cfg(feature = "train")]
    pub(super) fn with_parameters(
        model: &TrainedModel,
        fov_zyx: [usize; 3],
        kernel: Kernel,
        pairs: impl FnMut() -> [Tensor<1>; 2],
    ) -> Self {
        let architecture = model.architecture();
        let image_channels = architecture.image_channels;
        match model.layers() {
            Layers::ConvStack(weights) => {
                let network = ConvStack3d::with_parameters(weights, fov_zyx, kernel, pairs);
                Self::ConvStack { network: Box::new(network), image_channels }
            }
            Layers::ResConvStack(weights) => {
                let network = ResConvStack::with_parameters(weights, fov_zyx, kernel, pairs);
                let lost_zyx = architecture.lost_zyx();
                Self::ResConvStack { network: Box::new(network), image_channels, lost_zyx }
            }
        }
    }

    pub(super) fn conv_stack(
        weights: &Weights,
        fov_zyx: [usize; 3],
        kernel: Kernel,
        device: &Device,
    ) -> Self {
        let image_channels = weights.architecture().image_channels;
        let network = Box::new(ConvStack3d::new(weights, fov_zyx, kernel, device));
        Self::ConvStack { network, image_channels }
    }

    pub(super) fn image_channels(&self) -> usize {
        match self {
            Self::ConvStack { image_channels, .. } | Self::ResConvStack { image_channels, .. } => {
                *image_channels
            }
        }
    }

    /// New logits, `[batch, z, y, x, 1]`, of the voxels that padding leaves.
    pub(super) fn forward(&self, image: Tensor<5>, seed: Tensor<5>) -> Tensor<5> {
        match self {
            Self::ConvStack { network, .. } => network.forward(image, seed),
            Self::ResConvStack { network, .. } => network.forward(image, seed),
        }
    }

    /// Puts the new logits of one FOV into their places, NaN around them.
    ///
    /// # Errors
    /// If they are not as many as expected.
    pub(super) fn place(
        &self,
        values: &[f32],
        fov_zyx: [usize; 3],
        logits: &mut [f32],
    ) -> Result<(), String> {
        let lost = match self {
            Self::ConvStack { .. } => [0; 3],
            Self::ResConvStack { lost_zyx, .. } => *lost_zyx,
        };
        let kept = [0, 1, 2].map(|a| fov_zyx[a] - 2 * lost[a]);
        let expected: usize = kept.iter().product();
        if values.len() != expected || logits.len() != fov_zyx.iter().product::<usize>() {
            return Err(format!("expected {expected} logits, found {}", values.len()));
        }
        if lost == [0; 3] {
            logits.copy_from_slice(values);
            return Ok(());
        }
        logits.fill(f32::NAN);
        for (row, values) in values.chunks_exact(kept[2]).enumerate() {
            let (z, y) = (lost[0] + row / kept[1], lost[1] + row % kept[1]);
            let at = (z * fov_zyx[1] + y) * fov_zyx[2] + lost[2];
            logits[at..at + kept[2]].copy_from_slice(values);
        }
        Ok(())
    }
}

/// FOVs one after the other, each `[channel, z, y, x]` in C order, as `[count, z, y, x, channel]`.
pub(super) fn inputs(
    values: &[f32],
    count: usize,
    [z, y, x]: [usize; 3],
    device: &Device,
) -> Tensor<5> {
    let voxels = z * y * x;
    let channels = values.len() / (count * voxels).max(1);
    let values = match channels {
        1 => values.to_vec(),
        _ => channels_last(values, voxels, channels),
    };
    Tensor::from_data(TensorData::new(values, [count, z, y, x, channels]), device)
}

/// Each FOV's values `[channel, voxel]` as `[voxel, channel]`.
fn channels_last(values: &[f32], voxels: usize, channels: usize) -> Vec<f32> {
    let mut last = Vec::with_capacity(values.len());
    for fov in values.chunks_exact((voxels * channels).max(1)) {
        for voxel in 0..voxels {
            last.extend((0..channels).map(|channel| fov[channel * voxels + voxel]));
        }
    }
    last
}
