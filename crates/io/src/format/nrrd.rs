//! NRRD: <https://teem.sourceforge.net/nrrd/format.html>. Files with their header (`.nrrd`) or with one of
//! its own (`.nhdr`, the data beside it), of 2 to 4 axes from the fastest: `xy`, `xyz`, `xyzc`.
//!
//! Encoding raw is memory-mapped. Encoding gzip is one stream: it is decompressed into memory by the first
//! read, whole, within [`Limits::max_region_bytes`](crate::Limits::max_region_bytes).

use std::path::Path;

use crate::error::Result;
use crate::format::raw::{Flat, FlatReader, FlatWriter};
use crate::metadata::Metadata;
use crate::volume::{Codec, OpenOptions, Reader, WriteOptions, Writer};

mod data;
mod describe;
mod fields;
mod gzip;
mod template;

use data::DataStart;
use fields::{Encoding, Header};

/// Opens a file or a header whose data are beside it.
pub(crate) fn open(path: &Path, options: &OpenOptions) -> Result<Box<dyn Reader>> {
    let header = Header::read(path, &options.limits)?;
    let metadata: Metadata = describe::metadata(&header)?;
    let start = DataStart::find(&header, &metadata, &options.limits)?;
    match header.encoding()? {
        Encoding::Raw => {
            let endian = header.endian(metadata.dtype)?;
            let flat = Flat { metadata, header: start.offset, endian };
            Ok(Box::new(FlatReader::open(&start.path, flat, options)?))
        }
        Encoding::Gzip => {
            let endian = header.endian(metadata.dtype)?;
            Ok(Box::new(gzip::GzipReader::new(start, metadata, endian, &options.limits)?))
        }
    }
}

/// Creates a file with its header: raw, or with [`Codec::Gzip`] one gzip stream.
pub(crate) fn create(path: &Path, options: &WriteOptions) -> Result<Box<dyn Writer>> {
    let header = template::header(options);
    match options.codec {
        Codec::Gzip(level) => {
            Ok(Box::new(gzip::GzipWriter::create(path, options, &header, level)?))
        }
        _ => Ok(Box::new(FlatWriter::create(path, options, &header)?)),
    }
}
