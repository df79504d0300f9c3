//! The formats that are known: detection by content on reading, by extension on writing.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::error::{Error, Place, Result};
use crate::location::Location;
use crate::volume::{OpenOptions, Reader, WriteOptions, Writer};

mod hdf5;
mod npy;
mod plane_source;
mod planes;
mod png;
mod raw;
mod slabs;
mod tiff;
mod zarr;

const READABLE: &str = "OME-Zarr and Zarr directories, HDF5 (file.h5:dataset), NPY, raw \
    (file.raw:DTYPE:z,y,x), TIFF, PNG, folders and {channel}/{z} patterns of TIFF or PNG planes";
const WRITABLE: &str = ".zarr, .npy, .raw, .tif, .png, and patterns such as 'x_{channel}_z{z}.tif'";

/// Opens a volume for reading.
pub(crate) fn open(location: &Location, options: &OpenOptions) -> Result<Box<dyn Reader>> {
    match location {
        Location::Dataset { path, dataset } => hdf5::open(path, Some(dataset), options),
        Location::Raw { path, dtype, shape } => raw::open(path, *dtype, *shape),
        Location::Pattern(pattern) => planes::open_pattern(pattern, options),
        Location::Path(path) => open_path(path, options),
    }
}

fn open_path(path: &Path, options: &OpenOptions) -> Result<Box<dyn Reader>> {
    let metadata = path.metadata().map_err(Error::at(path))?;
    if metadata.is_dir() {
        return if zarr::is_zarr(path) {
            zarr::open(path, options)
        } else {
            planes::open_folder(path, options)
        };
    }
    let head = first_bytes(path)?;
    match head[..] {
        [0x93, b'N', b'U', b'M', b'P', b'Y', ..] => npy::open(path, options),
        [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..] => tiff::open(path, options),
        [0x89, b'P', b'N', b'G', ..] => png::open(path, options),
        [0x89, b'H', b'D', b'F', ..] => hdf5::open(path, None, options),
        _ => Err(unknown(path, &head)),
    }
}

/// Creates a volume; the extension decides.
pub(crate) fn create(location: &Location, options: &WriteOptions) -> Result<Box<dyn Writer>> {
    match location {
        Location::Pattern(pattern) => planes::create_pattern(pattern, options),
        Location::Raw { path, .. } => raw::create(path, options),
        Location::Dataset { path, .. } => {
            Err(Error::unsupported(Place::path(path), "HDF5 is read, not written"))
        }
        Location::Path(path) => match extension(path).as_str() {
            "zarr" => zarr::create(path, options),
            "npy" => npy::create(path, options),
            "raw" | "bin" | "dat" => raw::create(path, options),
            "tif" | "tiff" => tiff::create(path, options),
            "png" => png::create(path, options),
            other => {
                let message = format!("writing '.{other}'; known outputs are {WRITABLE}");
                Err(Error::unsupported(Place::path(path), message))
            }
        },
    }
}

/// Lower-case extension, empty where there is none.
pub(crate) fn extension(path: &Path) -> String {
    path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase()).unwrap_or_default()
}

fn first_bytes(path: &Path) -> Result<Vec<u8>> {
    let mut head = Vec::new();
    File::open(path)
        .and_then(|file| file.take(16).read_to_end(&mut head))
        .map_err(Error::at(path))?;
    Ok(head)
}

fn unknown(path: &Path, head: &[u8]) -> Error {
    let place = Place::path(path);
    if matches!(extension(path).as_str(), "raw" | "bin" | "dat") {
        let message = "raw data has no header; give type and shape: FILE.raw:uint8:z,y,x";
        return Error::usage(place, message);
    }
    let message =
        format!("content of unknown format (first bytes {head:02x?}); known are {READABLE}");
    Error::unsupported(place, message)
}
