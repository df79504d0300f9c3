//! zarr
use crate::error::{Error, Place, Result};
use crate::volume::{OpenOptions, Reader, WriteOptions, Writer};
use std::path::Path;
pub(crate) fn is_zarr(_p: &Path) -> bool {
    false
}
pub(crate) fn open(path: &Path, _o: &OpenOptions) -> Result<Box<dyn Reader>> {
    Err(Error::unsupported(Place::path(path), "todo"))
}
pub(crate) fn create(path: &Path, _o: &WriteOptions) -> Result<Box<dyn Writer>> {
    Err(Error::unsupported(Place::path(path), "todo"))
}
