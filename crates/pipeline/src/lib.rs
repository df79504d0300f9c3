#![doc = include_str!("../README.md")]

pub mod agglomerate;
pub mod bench;
pub mod blocks;
pub mod components;
pub mod convert;
pub mod convert_model;
pub mod demo;
pub mod downsample;
pub mod engines;
pub mod error;
pub mod estimate;
pub mod evaluate;
pub mod filter;
pub mod flood;
pub mod job;
mod label_volume;
mod labelling;
mod ledger;
mod on_device;
pub mod peak_memory;
pub mod picture;
mod placing;
pub mod progress;
pub mod project;
pub mod reconcile;
pub mod records;
pub mod report;
pub mod segment;
mod selection;
mod side_files;
pub mod table;
pub mod trace;
#[cfg(feature = "train")]
pub mod train;
pub mod union;

pub use convert::{ConvertOptions, ConvertReport, convert};
pub use downsample::{DownsampleOptions, DownsampleReport};
pub use error::{Error, Result};
pub use filter::{FilterOptions, FilterReport, filter};
pub use progress::{Event, Observer, Silent, Unit};
pub use project::{ProjectOptions, ProjectReport, project};
