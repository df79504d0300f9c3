//! The formats that are known: detection by content on reading, by extension on writing.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::error::{Error, Place, Result};
use crate::location::{ArrayFormat, Location};
use crate::staging;
use crate::store::{self, Directory};
use crate::volume::{OpenOptions, Reader, WriteOptions, Writer};

mod hdf5;
mod mrc;
mod n5;
mod npy;
mod nrrd;
mod plane_source;
mod planes;
mod png;
mod precomputed;
mod raw;
mod remote_file;
mod slabs;
mod tiff;
mod zarr;

const READABLE: &str = "OME-Zarr, Zarr, N5 and precomputed directories and URLs, HDF5 (file.h5:dataset), NPY, NRRD, MRC, raw \
    (file.raw:DTYPE:z,y,x), TIFF, PNG, folders and {channel}/{z} patterns of TIFF or PNG planes";
const WRITABLE: &str = ".zarr, .n5, .precomputed, .npy, .nrrd, .mrc, .raw, .tif, .png, and patterns such as 'x_{channel}_z{z}.tif'";

/// Opens a volume for reading.
pub(crate) fn open(location: &Location, options: &OpenOptions) -> Result<Box<dyn Reader>> {
    match location {
        Location::Dataset { path, dataset } => hdf5::open(path, Some(dataset), options),
        Location::Raw { path, dtype, shape } => raw::open(path, *dtype, *shape, options),
        Location::Pattern(pattern) => planes::open_pattern(pattern, options),
        Location::Path(path) => open_path(path, options),
        Location::Array { format, address } => match remote_file::split(address) {
            Some(file) if format.is_none() => remote_file::open(file, options),
            _ => open_directory(&store::open_address(address)?, *format, options),
        },
    }
}

/// Opens a volume of many objects; without a format its documents tell.
pub(crate) fn open_directory(
    directory: &Directory,
    format: Option<ArrayFormat>,
    options: &OpenOptions,
) -> Result<Box<dyn Reader>> {
    let format = match format {
        Some(format) => format,
        None => detect(directory)?.ok_or_else(|| {
            let message = "no zarr.json, .zarray, .zgroup, attributes.json or info here";
            Error::unsupported(directory.place(""), message)
        })?,
    };
    match format {
        ArrayFormat::Zarr => zarr::open(directory, options),
        ArrayFormat::N5 => n5::open(directory, options),
        ArrayFormat::Precomputed => precomputed::open(directory, options),
    }
}

/// The format whose documents a directory has.
fn detect(directory: &Directory) -> Result<Option<ArrayFormat>> {
    let documents = [
        ("zarr.json", ArrayFormat::Zarr),
        (".zarray", ArrayFormat::Zarr),
        (".zgroup", ArrayFormat::Zarr),
        ("attributes.json", ArrayFormat::N5),
        ("s0/attributes.json", ArrayFormat::N5),
        ("info", ArrayFormat::Precomputed),
    ];
    let found = directory.first_of(&documents.map(|(name, _)| name))?;
    Ok(documents.iter().find(|(name, _)| Some(*name) == found).map(|(_, format)| *format))
}

/// Creates a volume of many objects.
pub(crate) fn create_directory(
    directory: &Directory,
    format: ArrayFormat,
    options: &WriteOptions,
) -> Result<Box<dyn Writer>> {
    match format {
        ArrayFormat::Zarr => zarr::create(directory, options),
        ArrayFormat::N5 => n5::create(directory, options),
        ArrayFormat::Precomputed => precomputed::create(directory, options),
    }
}

/// Adds a scale to a pyramid that is there.
pub(crate) fn add_scale(
    location: &Location,
    factor: [u64; 3],
    options: &WriteOptions,
) -> Result<Box<dyn Writer>> {
    let (directory, format) = match location {
        Location::Array { format, address } => (store::open_address(address)?, *format),
        Location::Path(path) => (Directory::local(path), None),
        _ => return Err(Error::unsupported(Place::path(location.path()), "no pyramid")),
    };
    let format = match format {
        Some(format) => Some(format),
        None => detect(&directory)?,
    };
    match format {
        Some(ArrayFormat::Zarr) => zarr::add_scale(&directory, factor, options),
        Some(ArrayFormat::N5) => n5::add_scale(&directory, factor, options),
        Some(ArrayFormat::Precomputed) => precomputed::add_scale(&directory, factor, options),
        None => Err(Error::unsupported(directory.place(""), "not a pyramid that can grow")),
    }
}

/// The format of a new volume behind a URL: by the extension of its name.
fn format_of_address(address: &str) -> Result<ArrayFormat> {
    match extension(Path::new(address.trim_end_matches('/'))).as_str() {
        "zarr" => Ok(ArrayFormat::Zarr),
        "n5" => Ok(ArrayFormat::N5),
        "precomputed" => Ok(ArrayFormat::Precomputed),
        other => {
            let message = format!("writing '.{other}' there; use zarr://, n5:// or precomputed://");
            Err(Error::unsupported(Place::new(address), message))
        }
    }
}

fn open_path(path: &Path, options: &OpenOptions) -> Result<Box<dyn Reader>> {
    let metadata = path.metadata().map_err(Error::at(path))?;
    if metadata.is_dir() {
        let directory = Directory::local(path);
        return match detect(&directory)? {
            Some(format) => open_directory(&directory, Some(format), options),
            // A group of N5 need not have attributes, not even the container.
            None if extension(path) == "n5" => n5::open(&directory, options),
            None => planes::open_folder(path, options),
        };
    }
    let head = first_bytes(path)?;
    match head[..] {
        [0x93, b'N', b'U', b'M', b'P', b'Y', ..] => npy::open(path, options),
        [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..] => tiff::open(path, options),
        [0x89, b'P', b'N', b'G', ..] => png::open(path, options),
        [0x89, b'H', b'D', b'F', ..] => hdf5::open(path, None, options),
        [b'N', b'R', b'R', b'D', ..] => nrrd::open(path, options),
        _ if mrc::is_header(&head) => mrc::open(path, options),
        _ => Err(unknown(path, &head[..head.len().min(16)])),
    }
}

/// Creates a volume; the extension decides.
pub(crate) fn create(location: &Location, options: &WriteOptions) -> Result<Box<dyn Writer>> {
    match location {
        Location::Pattern(pattern) => planes::create_pattern(pattern, options),
        Location::Raw { path, .. } => raw::create(path, options),
        Location::Dataset { path, dataset } => hdf5::create(path, dataset, options),
        Location::Array { format, address } => {
            let format = format.map_or_else(|| format_of_address(address), Ok)?;
            create_directory(&store::open_address(address)?, format, options)
        }
        Location::Path(path) => match extension(path).as_str() {
            "zarr" => zarr::create(&Directory::local(path), options),
            "n5" => n5::create(&Directory::local(path), options),
            "precomputed" => precomputed::create(&Directory::local(path), options),
            "mrc" => mrc::create(path, options),
            "npy" => npy::create(path, options),
            "nrrd" => nrrd::create(path, options),
            "raw" | "bin" | "dat" => raw::create(path, options),
            "tif" | "tiff" => tiff::create(path, options),
            "png" => png::create(path, options),
            "h5" | "hdf5" | "hdf" | "he5" => {
                let message = format!("name a dataset: {}:DATASET", path.display());
                Err(Error::usage(Place::path(path), message))
            }
            other => {
                let message = format!("writing '.{other}'; known outputs are {WRITABLE}");
                Err(Error::unsupported(Place::path(path), message))
            }
        },
    }
}

/// Where an unfinished volume lies that a later run can go on with; an error where the format, or the
/// store, cannot: its parts must be written in order, or there is no temporary name.
pub(crate) fn resume_path(location: &Location) -> Result<PathBuf> {
    let refused = || {
        let message = "going on with an unfinished output of this kind; local .zarr, .n5, \
            .precomputed, .npy and .raw can be resumed";
        Error::unsupported(Place::path(location.path()), message)
    };
    match location {
        Location::Raw { path, .. } => staging::resume_path(path),
        Location::Path(path) => match extension(path).as_str() {
            "zarr" | "n5" | "precomputed" | "npy" | "raw" | "bin" | "dat" => {
                staging::resume_path(path)
            }
            _ => Err(refused()),
        },
        Location::Array { address, .. } => {
            if address.split_once("://").is_some_and(|(scheme, _)| scheme != "file") {
                return Err(refused());
            }
            let directory = store::open_address(address)?;
            let path = directory.store().local_path(&directory.key("")).ok_or_else(refused)?;
            staging::resume_path(&path)
        }
        Location::Dataset { .. } | Location::Pattern(_) => Err(refused()),
    }
}

/// Lower-case extension, empty where there is none.
pub(crate) fn extension(path: &Path) -> String {
    path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase()).unwrap_or_default()
}

fn first_bytes(path: &Path) -> Result<Vec<u8>> {
    let mut head = Vec::new();
    File::open(path)
        .and_then(|file| file.take(mrc::MAGIC_END).read_to_end(&mut head))
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
