//! What can go wrong with a whole run.

/// Result of everything in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of this crate. One line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A volume could not be opened, read or written.
    #[error(transparent)]
    Io(#[from] exavox_io::Error),
    /// A device, a checkpoint or a computation failed.
    #[error(transparent)]
    Compute(#[from] exavox_compute::Error),
    /// The settings ask for something that cannot be.
    #[error("{place}: {message}")]
    Settings {
        /// File and line, or the flag.
        place: String,
        /// What is wrong, with expected and found.
        message: String,
    },
}

impl Error {
    /// [`Error::Settings`] from its parts.
    pub fn settings(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Settings { place: place.into(), message: message.into() }
    }
}
