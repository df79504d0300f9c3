//! What can go wrong with a volume, sorted by who has to act, each with the place where it happened.

use std::fmt;
use std::path::Path;

use crate::geometry::Axis;

/// Result of everything in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Where something went wrong: a file or directory, and as much of key, chunk and axis as is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Path or URL of the volume or of the file inside it.
    pub location: String,
    /// Key, dataset or page inside the location.
    pub key: Option<String>,
    /// Index of the chunk, in the order of the stored axes.
    pub chunk: Option<Vec<u64>>,
    /// The axis whose size or range is wrong.
    pub axis: Option<Axis>,
}

impl Place {
    /// A whole file or directory.
    pub fn new(location: impl Into<String>) -> Self {
        Self { location: location.into(), key: None, chunk: None, axis: None }
    }

    /// A whole file or directory, from a path.
    pub fn path(path: &Path) -> Self {
        Self::new(path.display().to_string())
    }

    /// Narrows the place to a key, dataset or page.
    #[must_use]
    pub fn with_key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Narrows the place to a chunk.
    #[must_use]
    pub fn with_chunk(mut self, chunk: &[u64]) -> Self {
        self.chunk = Some(chunk.to_vec());
        self
    }

    /// Narrows the place to an axis.
    #[must_use]
    pub fn with_axis(mut self, axis: Axis) -> Self {
        self.axis = Some(axis);
        self
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(axis) = self.axis {
            write!(f, "axis {axis} of ")?;
        }
        if let Some(chunk) = &self.chunk {
            write!(f, "chunk {chunk:?} of ")?;
        }
        write!(f, "{}", self.location)?;
        if let Some(key) = &self.key {
            write!(f, " ({key})")?;
        }
        Ok(())
    }
}

/// An error of this crate. One line, with the place and, where it applies, expected against found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file is damaged, or is not what its name or header claims.
    #[error("{place}: {message}")]
    Format {
        /// Where.
        place: Place,
        /// What is wrong, with expected and found.
        message: String,
    },
    /// The file is whole, but uses something that this crate does not read or write.
    #[error("{place}: not supported: {message}")]
    Unsupported {
        /// Where.
        place: Place,
        /// What is not supported, and what is.
        message: String,
    },
    /// The call asks for something that cannot be: a region outside the volume, a wrong name.
    #[error("{place}: {message}")]
    Usage {
        /// Where.
        place: Place,
        /// What is wrong, with expected and found.
        message: String,
    },
    /// The file claims a size that is over the limits for things read from files.
    #[error("{place}: {what} needs {needed} bytes, the limit is {limit}")]
    LimitExceeded {
        /// Where.
        place: Place,
        /// What would have been allocated.
        what: String,
        /// Bytes needed; saturates at `u64::MAX`.
        needed: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// The output is there already.
    #[error("{place}: exists already (--overwrite replaces it)")]
    Exists {
        /// Where.
        place: Place,
    },
    /// The operating system refused.
    #[error("{place}: {source}")]
    Io {
        /// Where.
        place: Place,
        /// The operating system's error.
        source: std::io::Error,
    },
}

impl Error {
    /// [`Error::Format`] from its parts.
    pub fn format(place: Place, message: impl Into<String>) -> Self {
        Self::Format { place, message: message.into() }
    }

    /// [`Error::Unsupported`] from its parts.
    pub fn unsupported(place: Place, message: impl Into<String>) -> Self {
        Self::Unsupported { place, message: message.into() }
    }

    /// [`Error::Usage`] from its parts.
    pub fn usage(place: Place, message: impl Into<String>) -> Self {
        Self::Usage { place, message: message.into() }
    }

    /// [`Error::Io`] from its parts.
    pub fn io(place: Place, source: std::io::Error) -> Self {
        Self::Io { place, source }
    }

    /// The place where it happened.
    pub fn place(&self) -> &Place {
        match self {
            Self::Format { place, .. }
            | Self::Unsupported { place, .. }
            | Self::Usage { place, .. }
            | Self::LimitExceeded { place, .. }
            | Self::Exists { place }
            | Self::Io { place, .. } => place,
        }
    }

    /// Adds the chunk to the place, if none is named yet.
    #[must_use]
    pub(crate) fn in_chunk(mut self, chunk: &[u64]) -> Self {
        match &mut self {
            Self::Format { place, .. }
            | Self::Unsupported { place, .. }
            | Self::Usage { place, .. }
            | Self::LimitExceeded { place, .. }
            | Self::Exists { place }
            | Self::Io { place, .. } => _ = place.chunk.get_or_insert_with(|| chunk.to_vec()),
        }
        self
    }

    /// For `map_err` on calls that touch one path: `fs::read(p).map_err(Error::at(p))`.
    pub fn at(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |source| Self::io(Place::path(path), source)
    }
}
