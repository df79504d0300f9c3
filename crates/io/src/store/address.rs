//! Paths and URLs of directories.

use std::path::Path;

use crate::error::{Error, Place, Result};

use super::Directory;

/// The directory that a path or URL names: `data/v.zarr`, `file:///data/v.zarr`.
///
/// # Errors
/// [`Error::Unsupported`] for a scheme that is not known, or needs a feature that is off.
pub fn open_address(address: &str) -> Result<Directory> {
    match address.split_once("://") {
        None => Ok(Directory::local(Path::new(address))),
        Some(("file", path)) => Ok(Directory::local(Path::new(path))),
        Some((scheme, _)) => {
            let message = format!("{scheme}:// (known are file, http, https, s3, gs)");
            Err(Error::unsupported(Place::new(address), message))
        }
    }
}
