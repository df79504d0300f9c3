//! Flood-filling networks: one object at a time, a network looks at a small field of view (FOV) of
//! image and current object, and says for each voxel how likely it belongs to the object; the FOV
//! then moves on to where the object continues.
//!
//! Januszewski et al., "High-precision automated reconstruction of neurons with flood-filling
//! networks", Nature Methods 15 (2018), <https://doi.org/10.1038/s41592-018-0049-4>; the behaviour is
//! that of <https://github.com/google/ffn>.
//!
//! The life of a segment: a [`seed::find()`] position that is free and not beside another object; the
//! seed voxel gets [`InferenceOptions::init_activation`]; a step runs the [`Network`] on the FOV, and its
//! new logits are kept in tiles ([`ObjectLogits`]); [`FaceMax`] finds where the object leaves the inner
//! cuboid and queues those positions; when the queue is empty, voxels above
//! [`InferenceOptions::segment_threshold`] become a segment of the [`Canvas`] if they are enough.
//! [`Segmenter`] has several objects under way at a time, with the same result.

pub mod agglomerate;
mod architecture;
mod canvas;
mod config;
mod device_memory;
#[cfg(feature = "cube")]
mod device_network;
mod executor;
mod fallback_network;
mod flax;
mod floats;
mod flood;
mod flooded;
mod home;
mod lanes;
mod layer_norm;
mod model;
mod movement;
mod network;
mod object;
mod object_logits;
mod probability;
mod res_conv_stack;
mod residence;
mod restrict;
pub mod restrictor;
mod saved;
pub mod seed;
mod segment;
mod segmenter;
mod stack;
mod steps;
mod tensor_bundle;
#[cfg(feature = "train")]
pub mod train;
mod trained_model;
mod weights;

pub use architecture::{
    Architecture, ArchitectureOptions, Family, Padding, SeedUpdate, features_text,
};
pub use canvas::{Canvas, CanvasChannel};
pub use config::{InferenceOptions, ModelConfig};
pub use device_memory::{DEVICE_BATCH, device_batch_bytes, device_canvas_bytes};
#[cfg(feature = "cube")]
pub use device_network::DeviceNetwork;
pub use executor::{Client, Executor, ExecutorOptions, Executors, Warn};
pub use fallback_network::{FallbackNetwork, MakeNetwork};
pub use flooded::{FloodedObject, flood_object};
pub use layer_norm::NormLayer;
pub use model::ConvStack3d;
pub use movement::{FaceMax, face_maxima};
pub use network::{BurnNetwork, Network};
pub use object_logits::{ObjectLogits, TileBits, TileIndex};
pub use probability::quantise;
pub use res_conv_stack::ResConvStackWeights;
pub use residence::{
    Answer, CanvasImage, ObjectKey, ObjectTiles, Residence, Said, TileValues, Which, Window,
};
pub use restrict::{Everywhere, Restrict};
pub use restrictor::Restrictor;
pub use segment::{Counters, FloodEvent, Origin, Segmentation, segment_all};
pub use segmenter::Segmenter;
pub use steps::{Fov, Inline, Steps};
pub use trained_model::{Layers, TrainedModel};
pub use weights::{Layer, Weights};

use crate::device::ComputeDevice;
use crate::error::Result;
use crate::precision::Precision;

/// Whether fused kernels know a network, so that images and logits can stay where it is: ConvStacks of one image
/// channel.
pub fn has_kernels(architecture: &Architecture) -> bool {
    architecture.family == Family::ConvStack && architecture.image_channels == 1
}

/// The network on a device: by fused kernels of our own on devices of CubeCL, else through burn and
/// [`crate::conv3d`].
///
/// # Errors
/// [`Error::DeviceFailed`](crate::Error::DeviceFailed) if the device has no room for it.
pub fn network_on(
    weights: &Weights,
    config: &ModelConfig,
    device: &ComputeDevice,
    precision: Precision,
) -> Result<Box<dyn Network>> {
    #[cfg(feature = "cube")]
    if device.client().is_some() && has_kernels(&weights.architecture()) {
        return Ok(Box::new(DeviceNetwork::new(weights, config, device, precision)?));
    }
    Ok(Box::new(BurnNetwork::with_precision(weights, config, device, precision)?))
}

/// As [`network_on`], for a network of any architecture. Fused kernels know ConvStacks of one image
/// channel; others go through burn everywhere.
///
/// # Errors
/// [`Error::Usage`](crate::Error::Usage) if the FOV is too small for the network;
/// [`Error::DeviceFailed`](crate::Error::DeviceFailed) if the device has no room for it.
pub fn model_on(
    model: &TrainedModel,
    config: &ModelConfig,
    device: &ComputeDevice,
    precision: Precision,
) -> Result<Box<dyn Network>> {
    model.architecture().check(config)?;
    match model.layers() {
        Layers::ConvStack(weights) if has_kernels(model.architecture()) => {
            network_on(weights, config, device, precision)
        }
        _ => Ok(Box::new(BurnNetwork::of_model(model, config, device, precision)?)),
    }
}
