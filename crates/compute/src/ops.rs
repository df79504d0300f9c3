//! Classic operations on volumes.

pub(crate) mod columns;
pub mod distance_transform;
pub mod downsample;
pub mod filter;
pub mod projection;
