//! One output file of a pattern, from its temporary name to the finished file.

use std::mem::replace;
use std::path::{Path, PathBuf};

use super::format_of;
use crate::dtype::DataType;
use crate::error::{Error, Place, Result};
use crate::format::png::PngSink;
use crate::format::tiff::TiffSink;
use crate::staging::{Staged, WriteMode};
use crate::volume::WriteOptions;

/// A file that is opened by its first plane and closed by its last, so that few are open at once.
pub(super) struct FileSink {
    path: PathBuf,
    state: State,
}

enum State {
    Waiting(Staged),
    Tiff(TiffSink),
    Png(PngSink),
    Closed(Staged),
    Failed,
}

impl FileSink {
    /// Reserves the output.
    ///
    /// # Errors
    /// [`Error::Exists`] if it is there and may not be replaced.
    pub(super) fn new(path: PathBuf, mode: WriteMode) -> Result<Self> {
        let state = State::Waiting(Staged::new(&path, mode)?);
        Ok(Self { path, state })
    }

    /// Whether the format can hold what `options` describe; asked before anything is written.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if it cannot.
    pub(super) fn check(&self, options: &WriteOptions) -> Result<()> {
        match format_of(&self.path.to_string_lossy()) {
            Some("png") => PngSink::check(&self.path, options).map(drop),
            _ => TiffSink::check(&self.path, options).map(drop),
        }
    }

    /// Writes a plane; `index` is its index in the file, `options` describe the file.
    ///
    /// # Errors
    /// [`Error::Usage`] if the plane is out of order; [`Error::Io`] if the disk is full.
    pub(super) fn write_plane(
        &mut self,
        index: u64,
        plane: &[u8],
        options: &WriteOptions,
    ) -> Result<()> {
        let state = match replace(&mut self.state, State::Failed) {
            State::Waiting(staged) => open(&self.path, staged, options)?,
            other => other,
        };
        self.state = put(&self.path, state, index, options.dtype, plane)?;
        Ok(())
    }

    /// The finished file under its temporary name.
    ///
    /// # Errors
    /// [`Error::Usage`] if planes are missing.
    pub(super) fn close(self) -> Result<Staged> {
        match self.state {
            State::Closed(staged) => Ok(staged),
            State::Tiff(sink) => sink.close(),
            State::Png(sink) => sink.close(),
            State::Waiting(_) => {
                Err(Error::usage(Place::path(&self.path), "no plane has been written"))
            }
            State::Failed => {
                Err(Error::usage(Place::path(&self.path), "a plane could not be written"))
            }
        }
    }
}

fn open(path: &Path, staged: Staged, options: &WriteOptions) -> Result<State> {
    match format_of(&path.to_string_lossy()) {
        Some("png") => PngSink::create(path, staged, options).map(State::Png),
        _ => TiffSink::create(path, staged, options).map(State::Tiff),
    }
}

fn put(path: &Path, state: State, index: u64, dtype: DataType, plane: &[u8]) -> Result<State> {
    match state {
        State::Tiff(mut sink) => {
            sink.write_plane(index, dtype, plane)?;
            if sink.is_complete() { sink.close().map(State::Closed) } else { Ok(State::Tiff(sink)) }
        }
        State::Png(mut sink) => {
            sink.write_plane(0, dtype, plane)?;
            sink.close().map(State::Closed)
        }
        State::Waiting(_) | State::Closed(_) => {
            Err(Error::usage(Place::path(path), "all planes have been written already"))
        }
        State::Failed => {
            Err(Error::usage(Place::path(path), "an earlier plane could not be written"))
        }
    }
}
