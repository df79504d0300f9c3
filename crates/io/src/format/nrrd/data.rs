//! Where the data of a header start.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use crate::error::{Error, Place, Result};
use crate::limits::Limits;
use crate::metadata::Metadata;

use super::fields::{Encoding, Header};

/// The file with the data, and what comes before them.
#[derive(Debug, Clone)]
pub(super) struct DataStart {
    pub(super) path: PathBuf,
    /// First byte of the data, or of their gzip stream.
    pub(super) offset: u64,
    /// Bytes to skip after decompression.
    pub(super) skip_decoded: u64,
}

impl DataStart {
    /// Finds the data.
    ///
    /// # Errors
    /// [`Error::Format`] for a data file that is not a plain name, [`Error::Unsupported`] for several.
    pub(super) fn find(header: &Header, metadata: &Metadata, limits: &Limits) -> Result<Self> {
        let (path, start) = match header.get("data file").or(header.get("datafile")) {
            None => (header.path.clone(), header.length),
            Some(name) => (beside(header, name)?, 0),
        };
        let lines = number(header, "line skip")?;
        let bytes = number(header, "byte skip")?;
        let lines = u64::try_from(lines)
            .map_err(|_| header.damaged(&format!("line skip {lines}; expected 0 or more")))?;
        let offset = skip_lines(&path, start, lines, limits)?;
        let is_gzip = header.encoding()? == Encoding::Gzip;
        match u64::try_from(bytes) {
            Ok(skip) if is_gzip => Ok(Self { path, offset, skip_decoded: skip }),
            Ok(skip) => Ok(Self { path, offset: offset.saturating_add(skip), skip_decoded: 0 }),
            Err(_) if bytes == -1 && !is_gzip => {
                let length = path.metadata().map_err(Error::at(&path))?.len();
                let offset = length.checked_sub(metadata.num_bytes()).ok_or_else(|| {
                    let needed = metadata.num_bytes();
                    let message = format!("truncated: expected {needed} bytes, found {length}");
                    Error::format(Place::path(&path), message)
                })?;
                Ok(Self { path, offset, skip_decoded: 0 })
            }
            Err(_) => Err(header.damaged(&format!("byte skip {bytes}"))),
        }
    }
}

/// The file of a plain name in the directory of the header.
fn beside(header: &Header, name: &str) -> Result<PathBuf> {
    if name.starts_with("LIST") || name.contains('%') {
        return Err(header.unsupported(&format!("data file '{name}': data in several files")));
    }
    let plain = name.strip_prefix("./").unwrap_or(name);
    if plain.contains(['/', '\\', '\0']) || matches!(plain, "" | "." | "..") {
        let shown = name.escape_debug();
        return Err(
            header.damaged(&format!("data file '{shown}'; expected a name beside the header"))
        );
    }
    let directory = header.path.parent().unwrap_or(Path::new(""));
    Ok(directory.join(plain))
}

fn number(header: &Header, name: &str) -> Result<i64> {
    let joined = name.replace(' ', "");
    let Some(text) = header.get(name).or(header.get(&joined)) else { return Ok(0) };
    text.parse().map_err(|_| header.damaged(&format!("{name} '{text}'; expected a number")))
}

fn skip_lines(path: &Path, start: u64, lines: u64, limits: &Limits) -> Result<u64> {
    let mut file = File::open(path).map_err(Error::at(path))?;
    if lines == 0 {
        return Ok(start);
    }
    file.seek(SeekFrom::Start(start)).map_err(Error::at(path))?;
    let mut reader = BufReader::new(file).take(limits.max_metadata_bytes);
    let mut offset = start;
    for line in 0..lines {
        let count = reader.skip_until(b'\n').map_err(Error::at(path))?;
        if count == 0 {
            let message = format!("line skip {lines}, found {line} lines");
            return Err(Error::format(Place::path(path), message));
        }
        offset += count as u64;
    }
    Ok(offset)
}
