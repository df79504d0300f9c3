//! Classic operations on volumes.

pub(crate) mod columns;
pub mod connected_components;
pub mod connectivity;
#[cfg(feature = "cube")]
pub mod device_volume;
pub mod distance_transform;
pub mod downsample;
pub mod filter;
pub mod flood_fill;
pub mod labels;
pub mod on_device;
pub mod projection;
mod runs;
pub mod value_range;
pub mod watershed;

pub use connectivity::Connectivity;
pub use value_range::ValueRange;
