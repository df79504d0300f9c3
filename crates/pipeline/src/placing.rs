//! Results that are several files: what a run that was killed while it put them into place has left of them.

use std::fs::{self, File};
use std::io::Read;
use std::path::PathBuf;

use exavox_io::staging;
use exavox_io::volume::WriteMode;
use exavox_io::{Error as IoError, Place};

use crate::error::Result;

/// A file that is there while results are put into place; it says of what they were made.
pub(crate) struct Placing(PathBuf);

impl Placing {
    /// The file, there or not.
    pub(crate) fn at(path: PathBuf) -> Self {
        Self(path)
    }

    /// How results are put into place. A run that was killed while it did so has left some of them: they are
    /// replaced if they were `made_of` the same.
    pub(crate) fn mode(&self, made_of: &str, asked: WriteMode) -> WriteMode {
        if self.is_of(made_of) { WriteMode::Overwrite } else { asked }
    }

    fn is_of(&self, made_of: &str) -> bool {
        let mut begun = Vec::new();
        let most = made_of.len() as u64 + 1;
        let read = File::open(&self.0).and_then(|file| file.take(most).read_to_end(&mut begun));
        read.is_ok() && begun == made_of.as_bytes()
    }

    /// Notes that results are put into place from now on. What has appeared there since must have been refused
    /// before.
    pub(crate) fn begin(&self, made_of: &str) -> Result<()> {
        Ok(staging::write_whole(&self.0, made_of.as_bytes())?)
    }

    /// All of them are in place.
    pub(crate) fn end(&self) -> Result<()> {
        Ok(fs::remove_file(&self.0).map_err(IoError::at(&self.0))?)
    }
}

/// Refuses what has appeared in the places of files since they were chosen.
pub(crate) fn refuse_taken(paths: &[PathBuf], mode: WriteMode) -> Result<()> {
    match paths.iter().find(|path| path.symlink_metadata().is_ok()) {
        Some(path) if mode != WriteMode::Overwrite => {
            Err(IoError::Exists { place: Place::path(path) }.into())
        }
        _ => Ok(()),
    }
}
