#![doc = include_str!("../README.md")]
#![recursion_limit = "256"]

pub mod error;
pub mod metrics;
pub mod ops;

pub use error::{Error, Result};
