//! Objects by key, wherever they are: a local directory, memory, or a bucket behind a URL.
//!
//! Formats made of many objects (Zarr, N5, precomputed) read and write through [`Store`] alone. It is
//! blocking: latency of remote stores is hidden by asking for many objects at once
//! ([`Store::get_many`]) and by read-ahead.

use std::fmt;
use std::path::PathBuf;

use rayon::prelude::*;

use crate::error::{Error, Place, Result};

mod address;
mod directory;
mod local;
mod memory;
#[cfg(feature = "remote")]
pub mod remote;

pub use address::open_address;
pub use directory::Directory;
pub use local::{Durability, LocalStore};
pub use memory::MemoryStore;

/// A part of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ByteRange {
    /// All of it.
    All,
    /// `length` bytes from `start`; an object that ends before is an error.
    Span {
        /// First byte.
        start: u64,
        /// Number of bytes.
        length: u64,
    },
    /// The last bytes; an object that is shorter is an error.
    Last(u64),
}

/// One object, or a part of one, that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request<'a> {
    /// Key of the object.
    pub key: &'a str,
    /// Part of the object.
    pub range: ByteRange,
    /// Most bytes to take; more is [`Error::LimitExceeded`].
    pub limit: u64,
}

/// Objects by key. Keys are relative paths with `/` between the parts; a key with an empty part, `.`
/// or `..` is refused by every store ([`check_key`]).
pub trait Store: fmt::Debug + Send + Sync {
    /// The name for messages: a path as the user gave it, or a URL.
    fn location(&self) -> &str;

    /// Puts an object, or a part, into `out`, whose memory is used again. `false` if there is no such
    /// object; `out` holds anything then, and after an error.
    ///
    /// # Errors
    /// [`Error::LimitExceeded`] before memory is taken, [`Error::Format`] if the object ends before
    /// the range does, [`Error::Io`] if the system or the network fails.
    fn get(&self, request: Request<'_>, out: &mut Vec<u8>) -> Result<bool>;

    /// Puts an object, or a part, into exactly `out`. `false` if there is no such object.
    ///
    /// # Errors
    /// As [`Store::get`]; [`Error::Format`] if the size is another.
    fn get_into(&self, key: &str, range: ByteRange, out: &mut [u8]) -> Result<bool> {
        let mut bytes = Vec::new();
        // One byte more shows that there is more.
        let limit = (out.len() as u64).saturating_add(1);
        let found = match self.get(Request { key, range, limit }, &mut bytes) {
            Err(Error::LimitExceeded { needed, .. }) => {
                return Err(wrong_size(self.place(key), needed, out.len()));
            }
            other => other?,
        };
        if found && bytes.len() != out.len() {
            return Err(wrong_size(self.place(key), bytes.len() as u64, out.len()));
        }
        if found {
            out.copy_from_slice(&bytes);
        }
        Ok(found)
    }

    /// Many objects or parts at once, in the order of the requests, `None` for those that are not
    /// there. A remote store sends them together, and near parts of one object as one.
    fn get_many(&self, requests: &[Request<'_>]) -> Vec<Result<Option<Vec<u8>>>> {
        let get = |request: &Request<'_>| {
            let mut out = Vec::new();
            Ok(self.get(*request, &mut out)?.then_some(out))
        };
        requests.par_iter().map(get).collect()
    }

    /// Length of an object in bytes; `None` if it is not there.
    ///
    /// # Errors
    /// [`Error::Io`] if the system or the network fails.
    fn size(&self, key: &str) -> Result<Option<u64>>;

    /// Writes an object; a crash leaves the old one or the new one, never a part.
    ///
    /// # Errors
    /// [`Error::Io`] if the disk is full or read-only, [`Error::Unsupported`] if the store is only read.
    fn put(&self, key: &str, bytes: &[u8]) -> Result<()>;

    /// Removes an object; one that is not there is removed already.
    ///
    /// # Errors
    /// As [`Store::put`].
    fn delete(&self, key: &str) -> Result<()>;

    /// Names directly under a prefix (empty for the top), sorted; those of directories end in `/`.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Unsupported`] where the store cannot list (HTTP).
    fn list(&self, prefix: &str) -> Result<Vec<String>>;

    /// Whether requests take so long that many should be under way at once.
    fn is_remote(&self) -> bool {
        false
    }

    /// Path of an object in the local file system, if that is where the store is.
    fn local_path(&self, _key: &str) -> Option<PathBuf> {
        None
    }

    /// The place of an object, for errors.
    fn place(&self, key: &str) -> Place {
        let place = Place::new(self.location());
        if key.is_empty() { place } else { place.with_key(key) }
    }
}

fn wrong_size(place: Place, found: u64, expected: usize) -> Error {
    Error::format(place, format!("expected {expected} bytes, found {found}"))
}

/// Refuses keys that could lead out of the store, before any store sees them.
///
/// # Errors
/// [`Error::Format`] with the key.
pub fn check_key(location: &str, key: &str) -> Result<()> {
    let bad = |part: &str| matches!(part, "" | "." | "..") || part.contains(['\\', '\0']);
    if key.split('/').any(bad) {
        let place = Place::new(location).with_key(key);
        return Err(Error::format(place, "not a valid key: parts must be names"));
    }
    Ok(())
}

impl ByteRange {
    /// First byte and number of bytes in an object of `size` bytes.
    ///
    /// # Errors
    /// [`Error::Format`] if the object is too short, [`Error::LimitExceeded`] over the limit.
    pub(crate) fn within(self, size: u64, limit: u64, place: &Place) -> Result<(u64, usize)> {
        let (start, length) = match self {
            Self::All => (0, size),
            Self::Span { start, length } => (start, length),
            Self::Last(length) => (size.saturating_sub(length), length),
        };
        if length > limit {
            let (place, what) = (place.clone(), "an object".to_owned());
            return Err(Error::LimitExceeded { place, what, needed: length, limit });
        }
        let end = start.saturating_add(length);
        if end > size {
            let message = format!("truncated: expected {end} bytes, found {size}");
            return Err(Error::format(place.clone(), message));
        }
        Ok((start, usize::try_from(length).unwrap_or(usize::MAX)))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn keys_cannot_leave_the_store() {
        for good in ["a", "a/b", "0/c/1/2/3", ".zarray", "a b", "..x"] {
            check_key("s", good).unwrap();
        }
        for bad in ["", "/a", "a/", "a//b", "..", "a/../b", "./a", "a\\b", "a\0"] {
            assert!(check_key("s", bad).unwrap_err().to_string().contains("valid key"), "{bad}");
        }
    }

    #[test]
    fn ranges_are_checked_against_size_and_limit() {
        let place = Place::new("s");
        let span = |start, length| ByteRange::Span { start, length };
        assert_eq!(ByteRange::All.within(10, 10, &place).unwrap(), (0, 10));
        assert_eq!(span(3, 4).within(10, 4, &place).unwrap(), (3, 4));
        assert_eq!(ByteRange::Last(4).within(10, 4, &place).unwrap(), (6, 4));
        for (range, limit) in [
            (ByteRange::All, 9),
            (span(7, 4), 9),
            (ByteRange::Last(11), 99),
            (span(u64::MAX, 2), 9),
        ] {
            range.within(10, limit, &place).unwrap_err();
        }
    }
}
