//! TIFF and BigTIFF stacks: <https://www.itu.int/itudoc/itu-t/com16/tiff-fx/docs/tiff6.pdf>, pages as
//! planes; channels and voxel size from OME-XML or ImageJ's description.
//!
//! The directories are read here and not with the `tiff` crate, which refuses images of more than
//! 32768 strips or tiles on opening: mosaics have more. Compressed strips and tiles are decoded with it.

use std::path::Path;

use crate::error::Result;
use crate::volume::{OpenOptions, Reader, WriteOptions, Writer};

mod chain;
mod chunk;
mod directory;
mod imagej;
mod ome;
mod order;
mod page;
mod pyramid;
mod reader;
mod rows;
mod sink;
mod stack;
mod tiles;
mod writer;

pub(crate) use reader::{KeepOpen, TiffReader};
pub(crate) use sink::TiffSink;

/// Opens a TIFF file; reads its directories only.
pub(crate) fn open(path: &Path, options: &OpenOptions) -> Result<Box<dyn Reader>> {
    Ok(Box::new(TiffReader::open(path, options, KeepOpen::Yes)?))
}

/// Creates a TIFF file of one page per plane, all planes of the first channel first; in tiles if the
/// planes are large or a chunk shape is given.
pub(crate) fn create(path: &Path, options: &WriteOptions) -> Result<Box<dyn Writer>> {
    if tiles::are_wanted(options) {
        return Ok(Box::new(tiles::TiledWriter::create(path, options)?));
    }
    Ok(Box::new(writer::TiffWriter::create(path, options)?))
}
