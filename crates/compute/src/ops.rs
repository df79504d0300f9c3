//! Classic operations on volumes.

#[cfg(feature = "cube")]
pub mod device_volume;
pub mod distance_transform;
pub mod downsample;
pub mod projection;
