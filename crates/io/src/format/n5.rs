//! N5: <https://github.com/saalfeldlab/n5>. A dataset is a directory with `attributes.json` and one object
//! per block; a group with datasets `s0`, `s1`, … is a pyramid (N5 Viewer, BigDataViewer, COSEM).
//!
//! Blocks are read in default and varlength mode, with compression raw, gzip, zlib, zstd, blosc, lz4, xz
//! and bzip2; written raw or with gzip, zstd or blosc.

use crate::error::Result;
use crate::store::Directory;
use crate::volume::{OpenOptions, Reader, WriteOptions, Writer};

mod attributes;
mod axes;
mod block;
mod compression;
mod node;
mod reader;
mod resolution;
mod search;
mod sink;
mod writer;

/// Opens a dataset, a pyramid, or the only one of these in a container.
pub(crate) fn open(directory: &Directory, options: &OpenOptions) -> Result<Box<dyn Reader>> {
    reader::open(directory, options)
}

/// Creates a pyramid of one scale, `s0`.
pub(crate) fn create(directory: &Directory, options: &WriteOptions) -> Result<Box<dyn Writer>> {
    writer::create(directory, options)
}

/// Adds the next scale to a pyramid that is there.
pub(crate) fn add_scale(
    directory: &Directory,
    factor: [u64; 3],
    options: &WriteOptions,
) -> Result<Box<dyn Writer>> {
    writer::add_scale(directory, factor, options)
}
