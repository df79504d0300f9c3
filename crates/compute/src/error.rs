//! What can go wrong in a computation, with the place and what was expected against what was found.

/// Result of everything in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of this crate. One line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Reading or holding voxels failed.
    #[error(transparent)]
    Io(#[from] exavox_io::Error),
    /// The device cannot be used; the reason says why and what there is.
    #[error("device {device}: {reason}")]
    DeviceUnavailable {
        /// As the user named it.
        device: String,
        /// Why, and what can be used instead.
        reason: String,
    },
    /// The device failed during a computation.
    #[error("device {device} failed: {reason}")]
    DeviceFailed {
        /// Name of the device.
        device: String,
        /// What the driver or the runtime said.
        reason: String,
    },
    /// The device has no way to do this; the CPU has.
    #[error("{0}")]
    NotOnDevice(String),
    /// A checkpoint is damaged, or is not of the network asked for.
    #[error("checkpoint {path}: {message}")]
    Checkpoint {
        /// The file.
        path: String,
        /// What is wrong, with the tensor, expected and found.
        message: String,
    },
    /// The call asks for something that cannot be.
    #[error("{0}")]
    Usage(String),
}

impl Error {
    /// [`Error::Checkpoint`] from its parts.
    pub fn checkpoint(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Checkpoint { path: path.into(), message: message.into() }
    }
}
