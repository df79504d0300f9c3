//! A folder for files that are of no use once the work is done.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use exavox_io::{Error, Place};

use crate::error::Result;

/// A new folder inside another one; removed with all that is in it when dropped. One that a killed
/// process leaves behind is in nobody's way: names hold the process and a number.
#[derive(Debug)]
pub(crate) struct Scratch {
    folder: PathBuf,
}

impl Scratch {
    /// Makes the folder, and `work_dir` if it is missing.
    pub(crate) fn new(work_dir: &Path, name: &str) -> Result<Self> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        loop {
            let number = COUNTER.fetch_add(1, Ordering::Relaxed);
            let folder = work_dir.join(format!(".{name}.{}-{number}", std::process::id()));
            fs::create_dir_all(work_dir).map_err(|e| Error::io(Place::path(work_dir), e))?;
            match fs::create_dir(&folder) {
                Ok(()) => return Ok(Self { folder }),
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(Error::io(Place::path(&folder), e).into()),
            }
        }
    }

    /// A path inside.
    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.join(name)
    }

    /// The folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Nothing depends on it: what stays behind is found by its name.
        let _ = fs::remove_dir_all(&self.folder);
    }
}
