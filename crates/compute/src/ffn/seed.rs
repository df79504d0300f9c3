//! Where objects may start.

mod filters;
mod local_maxima;
pub mod peaks;

pub use peaks::peaks;
