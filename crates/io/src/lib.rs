#![doc = include_str!("../README.md")]

pub mod block_order;
pub mod bounding_box;
mod chunked;
mod codec;
pub mod compressed_segmentation;
pub mod dtype;
pub mod error;
mod format;
pub mod geometry;
pub mod limits;
pub mod location;
pub mod metadata;
mod mmap;
pub mod read_ahead;
pub mod staging;
pub mod store;
pub mod trace;
pub mod volume;
pub mod voxels;

pub use block_order::BlockOrder;
pub use bounding_box::BoundingBox;
pub use dtype::{DataType, Element};
pub use error::{Error, Place, Result};
pub use geometry::{Axis, VoxelSize};
pub use limits::Limits;
pub use metadata::{Metadata, Scale, ScaleChoice};
pub use read_ahead::ReadAhead;
pub use store::{Directory, Store};
pub use volume::{OpenOptions, Volume, VolumeWriter, WriteOptions};
pub use voxels::Voxels;
