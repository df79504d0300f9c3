//! Built-in input for trying exavox without any data: a synthetic volume with known labels, and a
//! small network with weights set by hand that can segment it.

mod network;
mod synthetic;

pub use network::{demo_network, demo_settings};
pub use synthetic::{CHANNELS, Synthetic, synthetic};
