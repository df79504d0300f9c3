//! Behaviour of the crate, one module per subject.
#![recursion_limit = "256"]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

#[path = "tests/checkpoint.rs"]
mod checkpoint;
#[path = "tests/connected_components.rs"]
mod connected_components;
#[cfg(all(feature = "train", feature = "flex"))]
#[path = "tests/conv3d_gradients.rs"]
mod conv3d_gradients;
#[path = "tests/device_memory.rs"]
mod device_memory;
#[cfg(feature = "cube")]
#[path = "tests/device_network.rs"]
mod device_network;
#[cfg(feature = "cube")]
#[path = "tests/device_residence.rs"]
mod device_residence;
#[cfg(feature = "cube")]
#[path = "tests/device_room.rs"]
mod device_room;
#[cfg(feature = "cube")]
#[path = "tests/device_volume.rs"]
mod device_volume;
#[path = "tests/distance_passes.rs"]
mod distance_passes;
#[path = "tests/downsample.rs"]
mod downsample;
#[path = "tests/endpoints.rs"]
mod endpoints;
#[path = "tests/filters.rs"]
mod filters;
#[path = "tests/flax.rs"]
mod flax;
#[path = "tests/flood_fill.rs"]
mod flood_fill;
#[path = "tests/focus.rs"]
mod focus;
#[path = "tests/golden.rs"]
mod golden;
#[path = "tests/labels.rs"]
mod labels;
#[path = "tests/metrics.rs"]
mod metrics;
#[cfg(all(feature = "train", feature = "flex"))]
#[path = "tests/naive_network.rs"]
mod naive_network;
#[path = "tests/network.rs"]
mod network;
#[path = "tests/partial_fov.rs"]
mod partial_fov;
#[path = "tests/projection.rs"]
mod projection;
#[path = "tests/residence.rs"]
mod residence;
#[path = "tests/seed_memory.rs"]
mod seed_memory;
#[path = "tests/seeds.rs"]
mod seeds;
#[path = "tests/segmenter.rs"]
mod segmenter;
#[cfg(all(feature = "train", feature = "flex"))]
#[path = "tests/train.rs"]
mod train;
#[cfg(all(feature = "train", feature = "flex"))]
#[path = "tests/train_gradients.rs"]
mod train_gradients;
