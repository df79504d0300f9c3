#![doc = include_str!("../README.md")]

pub mod error;
pub mod progress;

pub use error::{Error, Result};
pub use progress::{Event, Observer, Silent, Unit};
