//! Classic operations on volumes.

pub mod distance_transform;
pub mod downsample;
pub mod projection;
