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
        Some((scheme, _)) if is_remote(scheme) => open_remote(address),
        Some((scheme, _)) => {
            let message = format!("{scheme}:// (known are file, http, https, s3, gs)");
            Err(Error::unsupported(Place::new(address), message))
        }
    }
}

fn is_remote(scheme: &str) -> bool {
    ["http", "https", "s3", "gs"].iter().any(|known| scheme.eq_ignore_ascii_case(known))
}

#[cfg(feature = "remote")]
fn open_remote(address: &str) -> Result<Directory> {
    super::remote::open_url(address, &super::remote::RemoteOptions::from_environment()?)
}

#[cfg(not(feature = "remote"))]
fn open_remote(address: &str) -> Result<Directory> {
    let message = "this build has no remote stores (cargo feature `remote` of exavox-io)";
    Err(Error::unsupported(Place::new(address), message))
}
