//! A TIFF file as a volume.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::chain::NamedPage;
use super::rows::OpenPage;
use super::stack::Stack;
use crate::error::{Error, Place, Result};
use crate::format::plane_source::{PlaneSource, Window};
use crate::limits::Limits;
use crate::metadata::Metadata;
use crate::volume::OpenOptions;

/// Whether the file stays open between reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeepOpen {
    Yes,
    No,
}

/// A TIFF file open for reading.
pub(crate) struct TiffReader {
    path: PathBuf,
    file: Option<File>,
    planes: Vec<NamedPage>,
    limits: Limits,
    metadata: Metadata,
}

impl TiffReader {
    /// Opens a file and reads the directories of all its pages.
    ///
    /// # Errors
    /// [`Error::Format`] if it is truncated, damaged, or its pages differ in shape or type.
    pub(crate) fn open(path: &Path, options: &OpenOptions, keep: KeepOpen) -> Result<Self> {
        let file = File::open(path).map_err(Error::at(path))?;
        let stack = Stack::read(&file, path, options)?;
        let metadata = stack.metadata();
        Ok(Self {
            path: path.to_owned(),
            file: (keep == KeepOpen::Yes).then_some(file),
            planes: stack.planes,
            limits: options.limits.clone(),
            metadata,
        })
    }
}

impl PlaneSource for TiffReader {
    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn read_plane(&self, channel: usize, z: u64, window: &Window, out: &mut [u8]) -> Result<()> {
        let slices = self.metadata.shape[0];
        let samples = self.planes.first().map_or(1, |p| p.page.form.samples);
        let index = channel as u64 / samples * slices + z;
        let Some(plane) = self.planes.get(index as usize) else {
            let message = format!("plane {z} of channel {channel} does not exist");
            return Err(Error::usage(Place::path(&self.path), message));
        };
        let reopened;
        let file = match &self.file {
            Some(file) => file,
            None => {
                reopened = File::open(&self.path).map_err(Error::at(&self.path))?;
                &reopened
            }
        };
        let page = OpenPage {
            file,
            path: &self.path,
            name: plane.name,
            page: &plane.page,
            limits: &self.limits,
        };
        page.read(channel as u64 % samples, window, out)
    }
}
