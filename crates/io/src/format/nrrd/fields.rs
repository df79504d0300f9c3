//! The header: lines `field: value` up to an empty line.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use crate::dtype::DataType;
use crate::error::{Error, Place, Result};
use crate::format::raw::Endian;
use crate::limits::Limits;

/// How the data are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Raw,
    Gzip,
}

/// Fields by lower-case name.
#[derive(Debug, Clone)]
pub(super) struct Header {
    pub(super) path: PathBuf,
    fields: BTreeMap<String, String>,
    /// Bytes of the header with the empty line at its end.
    pub(super) length: u64,
}

impl Header {
    /// Reads the lines of a header.
    ///
    /// # Errors
    /// [`Error::Format`] for lines that are no fields, [`Error::LimitExceeded`] if it does not end.
    pub(super) fn read(path: &Path, limits: &Limits) -> Result<Self> {
        let file = File::open(path).map_err(Error::at(path))?;
        let limit = limits.max_metadata_bytes;
        let mut lines = BufReader::new(file).take(limit);
        let mut header = Self { path: path.to_owned(), fields: BTreeMap::new(), length: 0 };
        let mut line = Vec::new();
        loop {
            line.clear();
            let count = lines.read_until(b'\n', &mut line).map_err(Error::at(path))? as u64;
            header.length += count;
            if header.length >= limit {
                let (place, what) = (Place::path(path), "the NRRD header".to_owned());
                return Err(Error::LimitExceeded { place, what, needed: limit + 1, limit });
            }
            let text = line.trim_ascii_end();
            let is_first = header.length == count;
            if is_first {
                header.check_magic(text)?;
            } else if count == 0 || text.is_empty() {
                return Ok(header);
            } else {
                header.add(text)?;
            }
        }
    }

    fn check_magic(&self, line: &[u8]) -> Result<()> {
        match line {
            [b'N', b'R', b'R', b'D', b'0', b'0', b'0', b'1'..=b'6'] => Ok(()),
            _ => {
                let found = String::from_utf8_lossy(&line[..line.len().min(16)]).into_owned();
                let message = format!("first line '{found}'; expected NRRD0001 to NRRD0006");
                Err(Error::unsupported(self.place(), message))
            }
        }
    }

    fn add(&mut self, line: &[u8]) -> Result<()> {
        // Comments may be in any encoding; fields are ASCII.
        let text = String::from_utf8_lossy(line);
        if text.starts_with('#') {
            return Ok(());
        }
        match text.split_once(':') {
            Some((name, value)) if !value.starts_with('=') => {
                self.fields.insert(name.trim().to_ascii_lowercase(), value.trim().to_owned());
                Ok(())
            }
            // `key:=value`, of the user.
            Some(_) => Ok(()),
            None => {
                let shown: String = text.chars().take(40).collect();
                Err(self.damaged(&format!("line '{}' is no field", shown.escape_debug())))
            }
        }
    }

    /// A field by its name; empty values count as absent.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A field that must be there.
    pub(super) fn need(&self, name: &str) -> Result<&str> {
        self.get(name).ok_or_else(|| self.damaged(&format!("no field '{name}'")))
    }

    /// How the data are stored.
    pub(super) fn encoding(&self) -> Result<Encoding> {
        match self.need("encoding")?.to_ascii_lowercase().as_str() {
            "raw" => Ok(Encoding::Raw),
            "gz" | "gzip" => Ok(Encoding::Gzip),
            other => Err(self.unsupported(&format!("encoding '{other}'; known are raw and gzip"))),
        }
    }

    /// Order of the bytes of a value.
    pub(super) fn endian(&self, dtype: DataType) -> Result<Endian> {
        match self.get("endian").map(str::to_ascii_lowercase).as_deref() {
            Some("little") => Ok(Endian::Little),
            Some("big") => Ok(Endian::Big),
            None if dtype.size() == 1 => Ok(Endian::Little),
            found => {
                let found = found.unwrap_or("nothing");
                Err(self.damaged(&format!("endian: expected little or big, found {found}")))
            }
        }
    }

    pub(super) fn place(&self) -> Place {
        Place::path(&self.path)
    }

    pub(super) fn damaged(&self, message: &str) -> Error {
        Error::format(self.place(), format!("NRRD header: {message}"))
    }

    pub(super) fn unsupported(&self, message: &str) -> Error {
        Error::unsupported(self.place(), format!("NRRD {message}"))
    }
}
