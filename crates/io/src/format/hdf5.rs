//! HDF5
use crate::error::{Error, Place, Result};
use crate::volume::{OpenOptions, Reader};
use std::path::Path;
pub(crate) fn open(
    path: &Path,
    _dataset: Option<&str>,
    _o: &OpenOptions,
) -> Result<Box<dyn Reader>> {
    Err(Error::unsupported(Place::path(path), "todo"))
}
