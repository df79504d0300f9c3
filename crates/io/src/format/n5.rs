//! N5.

use crate::error::{Error, Result};
use crate::store::Directory;
use crate::volume::{OpenOptions, Reader, WriteOptions, Writer};

/// Opens a volume for reading.
pub(crate) fn open(directory: &Directory, _options: &OpenOptions) -> Result<Box<dyn Reader>> {
    Err(Error::unsupported(directory.place(""), "N5"))
}

/// Creates a volume.
pub(crate) fn create(directory: &Directory, _options: &WriteOptions) -> Result<Box<dyn Writer>> {
    Err(Error::unsupported(directory.place(""), "N5"))
}

/// Adds a scale to a volume that is there.
pub(crate) fn add_scale(
    directory: &Directory,
    _factor: [u64; 3],
    _options: &WriteOptions,
) -> Result<Box<dyn Writer>> {
    Err(Error::unsupported(directory.place(""), "N5"))
}
