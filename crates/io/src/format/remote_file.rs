//! Volumes of one file behind a URL: fetched into a temporary file, then read as a local one. Their
//! readers ask for many small parts; a request for each would take longer than the whole file.

use std::io::Write;

use tempfile::NamedTempFile;

use crate::bounding_box::BoundingBox;
use crate::error::{Error, Place, Result};
use crate::metadata::Metadata;
use crate::store::{ByteRange, Directory, Request, open_address};
use crate::volume::{OpenOptions, Reader};
use crate::voxels::Voxels;

/// Extensions of formats that are one file.
const EXTENSIONS: [&str; 10] =
    ["tif", "tiff", "png", "npy", "nrrd", "mrc", "map", "h5", "hdf5", "he5"];
/// Bytes of one request.
const PART_BYTES: u64 = 8 << 20;
/// Requests under way at once; memory is this many parts.
const PARTS_AT_ONCE: usize = 8;

/// A reader with the file it reads, which is removed with it.
struct Fetched {
    reader: Box<dyn Reader>,
    _file: NamedTempFile,
}

/// The directory and the file's name, if a URL names a file of such a format; `None` otherwise.
pub(super) fn split(address: &str) -> Option<(&str, &str)> {
    let (directory, name) = address.rsplit_once('/')?;
    let (_, extension) = name.rsplit_once('.')?;
    let is_file = EXTENSIONS.contains(&extension.to_ascii_lowercase().as_str());
    (is_file && address.contains("://") && !directory.ends_with('/')).then_some((directory, name))
}

/// Fetches a file and opens it. Takes as much room among the temporary files as it has bytes.
///
/// # Errors
/// [`Error::LimitExceeded`] if the file is larger than a region may be; those of the store and the
/// format.
pub(super) fn open(
    (directory, name): (&str, &str),
    options: &OpenOptions,
) -> Result<Box<dyn Reader>> {
    let directory = open_address(directory)?;
    let place = directory.place(name);
    let size = directory.store().size(&directory.key(name))?;
    let missing = || std::io::Error::from(std::io::ErrorKind::NotFound);
    let size = size.ok_or_else(|| Error::io(place.clone(), missing()))?;
    let limit = options.limits.max_region_bytes;
    if size > limit {
        let what = "a file behind a URL".to_owned();
        return Err(Error::LimitExceeded { place, what, needed: size, limit });
    }
    let suffix = name.rfind('.').map_or("", |at| &name[at..]);
    let file = tempfile::Builder::new().prefix("exavox-").suffix(suffix).tempfile();
    let mut file = file.map_err(|e| Error::io(place.clone(), e))?;
    fetch(&directory, name, size, &mut file, &place)?;
    let reader = super::open_path(file.path(), options)?;
    Ok(Box::new(Fetched { reader, _file: file }))
}

fn fetch(
    directory: &Directory,
    name: &str,
    size: u64,
    file: &mut NamedTempFile,
    place: &Place,
) -> Result<()> {
    let key = directory.key(name);
    let part = |start: u64| {
        let length = PART_BYTES.min(size - start);
        Request { key: &key, range: ByteRange::Span { start, length }, limit: length }
    };
    let parts: Vec<Request<'_>> = (0..size).step_by(PART_BYTES as usize).map(part).collect();
    for batch in parts.chunks(PARTS_AT_ONCE) {
        for bytes in directory.store().get_many(batch) {
            let gone = || Error::format(place.clone(), "the file vanished while it was fetched");
            file.write_all(&bytes?.ok_or_else(gone)?).map_err(|e| Error::io(place.clone(), e))?;
        }
    }
    file.flush().map_err(|e| Error::io(place.clone(), e))
}

impl Reader for Fetched {
    fn metadata(&self) -> &Metadata {
        self.reader.metadata()
    }

    fn read_into(&self, channel: usize, region: &BoundingBox, out: &mut Voxels) -> Result<()> {
        self.reader.read_into(channel, region, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_from_directories_by_their_extension() {
        assert_eq!(split("https://h/a/v.tif"), Some(("https://h/a", "v.tif")));
        assert_eq!(split("s3://b/V.NRRD"), Some(("s3://b", "V.NRRD")));
        for other in ["https://h/v.zarr", "a/v.tif", "https://h/v.n5/raw", "https://v.tif"] {
            assert_eq!(split(other), None, "{other}");
        }
    }
}
