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
    /// An unfinished output was begun with other settings, or from another source.
    #[error("{place}: what was begun is not what is asked for: {changes}")]
    PlanChanged {
        /// The ledger of the unfinished output.
        place: String,
        /// What differs, before and now.
        changes: String,
    },
    /// A voxel's value is not a value of the type asked for.
    #[error(
        "{place}: voxel c,z,y,x {channel},{}: {value} is not a value of {dtype}",
        join(voxel_zyx)
    )]
    LossyCast {
        /// The volume that was read.
        place: String,
        /// Index of the channel.
        channel: usize,
        /// The voxel in the volume that was read.
        voxel_zyx: [u64; 3],
        /// Its value.
        value: String,
        /// The type asked for.
        dtype: exavox_io::DataType,
    },
}

fn join(zyx: &[u64; 3]) -> String {
    let [z, y, x] = zyx;
    format!("{z},{y},{x}")
}

impl Error {
    /// Whether another try may succeed without anybody doing anything: a disk that is full or away, memory
    /// that cannot be had now. Bad input stays bad.
    pub fn is_temporary(&self) -> bool {
        use std::io::ErrorKind::{
            AlreadyExists, InvalidData, InvalidInput, NotFound, UnexpectedEof,
        };
        match self {
            Self::Io(exavox_io::Error::Io { source, .. }) => !matches!(
                source.kind(),
                AlreadyExists | InvalidData | InvalidInput | NotFound | UnexpectedEof
            ),
            _ => false,
        }
    }

    /// [`Error::Settings`] from its parts.
    pub fn settings(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Settings { place: place.into(), message: message.into() }
    }
}
