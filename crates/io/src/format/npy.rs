//! NPY, NumPy's own array file: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>.
//! Arrays of 2 to 4 axes (`yx`, `zyx`, `czyx`) in C order, memory-mapped.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::dtype::DataType;
use crate::error::{Error, Place, Result};
use crate::format::raw::{Endian, Flat, FlatReader, FlatWriter};
use crate::metadata::{Metadata, numbered_channels};
use crate::volume::{OpenOptions, Reader, WriteOptions, Writer};

/// Opens an NPY file.
pub(crate) fn open(path: &Path, options: &OpenOptions) -> Result<Box<dyn Reader>> {
    let (header, data_offset) = read_header(path, options.limits.max_metadata_bytes)?;
    let (dtype, endian, shape) = parse_header(path, &header)?;
    let metadata = metadata(path, dtype, &shape)?;
    let flat = Flat { metadata, header: data_offset, endian };
    Ok(Box::new(FlatReader::open(path, flat, options)?))
}

/// Creates an NPY file, `zyx` for one channel and `czyx` for more.
pub(crate) fn create(path: &Path, options: &WriteOptions) -> Result<Box<dyn Writer>> {
    let header = header_bytes(options);
    Ok(Box::new(FlatWriter::create(path, options, &header)?))
}

fn read_header(path: &Path, limit: u64) -> Result<(String, u64)> {
    let damaged = |message: &str| Error::format(Place::path(path), message);
    let mut file = File::open(path).map_err(Error::at(path))?;
    let mut fixed = [0; 8];
    file.read_exact(&mut fixed).map_err(|_| damaged("truncated in the NPY header"))?;
    let mut size = [0; 4];
    let size_bytes = if fixed[6] == 1 { 2 } else { 4 };
    file.read_exact(&mut size[..size_bytes]).map_err(|_| damaged("truncated in the NPY header"))?;
    let length = u64::from(u32::from_le_bytes(size));
    if length > limit {
        let (place, what) = (Place::path(path), "the NPY header".to_owned());
        return Err(Error::LimitExceeded { place, what, needed: length, limit });
    }
    let mut text = vec![0; length as usize];
    file.read_exact(&mut text).map_err(|_| damaged("truncated in the NPY header"))?;
    let text = String::from_utf8(text).map_err(|_| damaged("the NPY header is not text"))?;
    Ok((text, 8 + size_bytes as u64 + length))
}

fn parse_header(path: &Path, header: &str) -> Result<(DataType, Endian, Vec<u64>)> {
    let damaged =
        |what: &str| Error::format(Place::path(path), format!("NPY header has no valid {what}"));
    let descr = value_after(header, "'descr'").ok_or_else(|| damaged("descr"))?;
    let descr = descr.trim_start().trim_start_matches('\'').split('\'').next().unwrap_or("");
    let unsupported = || {
        let message = format!("NPY type '{descr}'; known are integers and floats of 1 to 8 bytes");
        Error::unsupported(Place::path(path), message)
    };
    let mut letters = descr.chars();
    let endian = match letters.next() {
        Some('<' | '|') => Endian::Little,
        Some('>') => Endian::Big,
        _ => return Err(unsupported()),
    };
    let kind = letters.next().ok_or_else(unsupported)?;
    let size = letters.as_str().parse().map_err(|_| unsupported())?;
    let dtype = DataType::from_kind(kind, size).ok_or_else(unsupported)?;
    let order = value_after(header, "'fortran_order'").ok_or_else(|| damaged("fortran_order"))?;
    if !order.trim_start().starts_with("False") {
        return Err(Error::unsupported(
            Place::path(path),
            "NPY in Fortran order; save it in C order",
        ));
    }
    let shape = value_after(header, "'shape'").ok_or_else(|| damaged("shape"))?;
    let shape = parse_shape(shape).ok_or_else(|| damaged("shape"))?;
    Ok((dtype, endian, shape))
}

fn value_after<'a>(header: &'a str, key: &str) -> Option<&'a str> {
    let rest = &header[header.find(key)? + key.len()..];
    rest.trim_start().strip_prefix(':')
}

fn parse_shape(text: &str) -> Option<Vec<u64>> {
    let inside = text.trim_start().strip_prefix('(')?.split_once(')')?.0;
    inside.split(',').map(str::trim).filter(|s| !s.is_empty()).map(|s| s.parse().ok()).collect()
}

fn metadata(path: &Path, dtype: DataType, shape: &[u64]) -> Result<Metadata> {
    let (channels, zyx, axes) = match *shape {
        [y, x] => (1, [1, y, x], "yx"),
        [z, y, x] => (1, [z, y, x], "zyx"),
        [c, z, y, x] => (c, [z, y, x], "czyx"),
        _ => {
            let message = format!("NPY of {} axes; expected 2 to 4 (czyx)", shape.len());
            return Err(Error::unsupported(Place::path(path), message));
        }
    };
    let mut metadata = Metadata::new("npy", dtype, zyx);
    let channels = usize::try_from(channels).ok().filter(|c| (1..=1 << 16).contains(c));
    let channels = channels.ok_or_else(|| {
        Error::format(Place::path(path), format!("{} channels; expected 1 to 65536", shape[0]))
    })?;
    metadata.channels = numbered_channels(channels);
    metadata.stored_axes = axes.to_owned();
    Ok(metadata)
}

fn header_bytes(options: &WriteOptions) -> Vec<u8> {
    let dtype = options.dtype;
    let order = if dtype.size() == 1 { '|' } else { '<' };
    let channels = options.channels.len() as u64;
    let mut sizes: Vec<String> = options.shape.iter().map(u64::to_string).collect();
    if channels > 1 {
        sizes.insert(0, channels.to_string());
    }
    let mut text = format!(
        "{{'descr': '{order}{}{}', 'fortran_order': False, 'shape': ({}), }}",
        dtype.kind(),
        dtype.size(),
        sizes.join(", ")
    );
    // The format wants the data to start at a multiple of 64 bytes, after a line end.
    let padded = (10 + text.len() + 1).next_multiple_of(64) - 10;
    while text.len() + 1 < padded {
        text.push(' ');
    }
    text.push('\n');
    let mut header = b"\x93NUMPY\x01\x00".to_vec();
    header.extend((text.len() as u16).to_le_bytes());
    header.extend(text.as_bytes());
    header
}
