//! Files that are written in the folder of work and renamed into their places: a kill leaves nothing else.

use std::fs;
use std::path::{Path, PathBuf};

use exavox_io::Error as IoError;
use exavox_io::staging::{Staged, WriteMode};

use super::work::Work;
use crate::error::Result;
use crate::placing::refuse_taken;

/// Files of one run, by the paths at which they will be.
pub(super) struct Files<const N: usize> {
    pub(super) paths: [PathBuf; N],
    mode: WriteMode,
}

impl<const N: usize> Files<N> {
    /// Refuses what is there already, so that a long run does not fail at its end.
    pub(super) fn create(paths: [PathBuf; N], mode: WriteMode) -> Result<Self> {
        for path in &paths {
            drop(Staged::new(path, mode)?);
        }
        Ok(Self { paths, mode })
    }

    /// Writes all of them into the folder of work.
    pub(super) fn write(&self, work: &Work, contents: [&[u8]; N]) -> Result<()> {
        for (path, bytes) in self.paths.iter().zip(contents) {
            let written = beside_work(work, path);
            fs::write(&written, bytes).map_err(IoError::at(&written))?;
        }
        Ok(())
    }

    /// Refuses what has appeared in their places since.
    pub(super) fn check(&self) -> Result<()> {
        refuse_taken(&self.paths, self.mode)
    }

    /// Puts them into place, in their order.
    pub(super) fn commit(&self, work: &Work) -> Result<()> {
        self.paths.iter().try_for_each(|path| {
            Ok(fs::rename(beside_work(work, path), path).map_err(IoError::at(path))?)
        })
    }
}

fn beside_work(work: &Work, path: &Path) -> PathBuf {
    work.path(&format!("new.{}", path.file_name().unwrap_or_default().to_string_lossy()))
}
