//! Behaviour of the crate, one module per subject.
#![recursion_limit = "256"]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

#[path = "tests/checkpoint.rs"]
mod checkpoint;
#[cfg(feature = "cube")]
#[path = "tests/device_network.rs"]
mod device_network;
#[cfg(feature = "cube")]
#[path = "tests/device_volume.rs"]
mod device_volume;
#[path = "tests/downsample.rs"]
mod downsample;
#[path = "tests/golden.rs"]
mod golden;
#[path = "tests/metrics.rs"]
mod metrics;
#[path = "tests/network.rs"]
mod network;
#[path = "tests/projection.rs"]
mod projection;
