//! Flood-filling networks: one object at a time, a network looks at a small field of view (FOV) of
//! image and current object, and says for each voxel how likely it belongs to the object; the FOV
//! then moves on to where the object continues.
//!
//! Januszewski et al., "High-precision automated reconstruction of neurons with flood-filling
//! networks", Nature Methods 15 (2018), <https://doi.org/10.1038/s41592-018-0049-4>; the behaviour is
//! that of <https://github.com/google/ffn>.
//!
//! The life of a segment: a [`seed::find()`] position that is free and not beside another object; the
//! seed voxel gets [`InferenceOptions::init_activation`]; [`Canvas::update_at`] runs the
//! [`Network`] on the FOV and writes the new logits; [`FaceMax`] finds where the object leaves the
//! inner cuboid and queues those positions; when the queue is empty, voxels above
//! [`InferenceOptions::segment_threshold`] become a segment if they are enough.

mod canvas;
mod config;
#[cfg(feature = "cube")]
mod device_network;
mod model;
mod movement;
mod network;
mod probability;
pub mod restrictor;
pub mod seed;
mod segment;
mod tensor_bundle;
mod weights;

pub use canvas::Canvas;
pub use config::{InferenceOptions, ModelConfig};
#[cfg(feature = "cube")]
pub use device_network::DeviceNetwork;
pub use model::ConvStack3d;
pub use movement::FaceMax;
pub use network::{BurnNetwork, FallbackNetwork, MakeNetwork, Network};
pub use probability::quantise;
pub use restrictor::Restrictor;
pub use segment::{Counters, FloodEvent, Origin, Segmentation, segment_all};
pub use weights::{Layer, Weights};

use crate::device::ComputeDevice;
use crate::error::Result;
use crate::precision::Precision;

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
    if device.client().is_some() {
        return Ok(Box::new(DeviceNetwork::new(weights, config, device, precision)?));
    }
    Ok(Box::new(BurnNetwork::with_precision(weights, config, device, precision)?))
}
