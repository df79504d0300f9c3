//! planes
use crate::error::{Error, Place, Result};
use crate::volume::{OpenOptions, Reader, WriteOptions, Writer};
use std::path::Path;
pub(crate) fn open_folder(path: &Path, _o: &OpenOptions) -> Result<Box<dyn Reader>> {
    Err(Error::unsupported(Place::path(path), "todo"))
}
pub(crate) fn open_pattern(path: &str, _o: &OpenOptions) -> Result<Box<dyn Reader>> {
    Err(Error::unsupported(Place::new(path), "todo"))
}
pub(crate) fn create_pattern(path: &str, _o: &WriteOptions) -> Result<Box<dyn Writer>> {
    Err(Error::unsupported(Place::new(path), "todo"))
}
