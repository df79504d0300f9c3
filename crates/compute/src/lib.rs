#![doc = include_str!("../README.md")]
#![recursion_limit = "256"]

pub mod conv3d;
pub mod device;
pub mod error;
pub mod ffn;
#[cfg(feature = "cube")]
mod kernels;
pub mod machine;
pub mod metrics;
pub mod ops;
mod precision;
mod simd;

pub use device::{ComputeDevice, DeviceSpec};
pub use error::{Error, Result};
pub use precision::Precision;
pub use simd::{Instructions, limit_instructions};
