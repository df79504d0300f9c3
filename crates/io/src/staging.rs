//! Outputs that appear whole or not at all: written under a temporary name, renamed at the end.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::error::{Error, Place, Result};

/// What to do with an output that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WriteMode {
    /// Refuse.
    #[default]
    CreateNew,
    /// Replace it once the new one is whole.
    Overwrite,
}

/// A file or directory under construction beside its final path. Dropped without
/// [`Staged::commit`], it is removed.
#[derive(Debug)]
pub struct Staged {
    target: PathBuf,
    temporary: PathBuf,
    mode: WriteMode,
    committed: bool,
}

impl Staged {
    /// Chooses the temporary name; the parent directory is made if it is missing.
    ///
    /// # Errors
    /// [`Error::Exists`] if the target is there and may not be replaced.
    pub fn new(target: &Path, mode: WriteMode) -> Result<Self> {
        let place = Place::path(target);
        if mode == WriteMode::CreateNew && target.symlink_metadata().is_ok() {
            return Err(Error::Exists { place });
        }
        let name = target
            .file_name()
            .ok_or_else(|| Error::usage(place, "not a name for an output"))?
            .to_string_lossy()
            .into_owned();
        let parent = parent_of(target);
        fs::create_dir_all(parent).map_err(Error::at(parent))?;
        let temporary = unused_name(parent, &name);
        Ok(Self { target: target.to_owned(), temporary, mode, committed: false })
    }

    /// The path to write to.
    pub fn path(&self) -> &Path {
        &self.temporary
    }

    /// Writes all files and directories of the output to the disk, so that what the next
    /// [`Staged::commit`] shows survives a loss of power. Files in parallel: a disk that has many to
    /// write at a time does it in fewer turns.
    ///
    /// # Errors
    /// [`Error::Io`] with the file that the system could not write.
    pub fn sync(&self) -> Result<()> {
        sync_tree(&self.temporary)
    }

    /// [`Staged::sync`] and [`Staged::commit`], and the new name on the disk as well.
    ///
    /// # Errors
    /// As the two.
    pub fn commit_synced(self) -> Result<()> {
        self.sync()?;
        let parent = parent_of(&self.target).to_owned();
        self.commit()?;
        File::open(&parent).and_then(|directory| directory.sync_all()).map_err(Error::at(&parent))
    }

    /// Puts the finished output at its final path.
    ///
    /// # Errors
    /// [`Error::Exists`] if the target has appeared meanwhile, [`Error::Io`] if the rename fails.
    pub fn commit(mut self) -> Result<()> {
        let exists = self.target.symlink_metadata().is_ok();
        if exists && self.mode == WriteMode::CreateNew {
            return Err(Error::Exists { place: Place::path(&self.target) });
        }
        // A rename replaces a file by a file at once; a directory has to be moved away first.
        let replace_file = exists && !self.target.is_dir() && !self.temporary.is_dir();
        if exists && !replace_file {
            let old = self.temporary.with_extension("old");
            fs::rename(&self.target, &old).map_err(Error::at(&self.target))?;
            if let Err(source) = fs::rename(&self.temporary, &self.target) {
                // The old output goes back: a failed overwrite must not lose it.
                fs::rename(&old, &self.target).map_err(Error::at(&old))?;
                return Err(Error::io(Place::path(&self.target), source));
            }
            remove(&old)?;
        } else {
            fs::rename(&self.temporary, &self.target).map_err(Error::at(&self.target))?;
        }
        self.committed = true;
        Ok(())
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.committed {
            // Nothing to tell anyone here: the error that led to this drop is on its way already.
            let _ = remove(&self.temporary);
        }
    }
}

fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn sync_tree(path: &Path) -> Result<()> {
    if path.is_dir() {
        let entries: Vec<_> = fs::read_dir(path).map_err(Error::at(path))?.collect();
        entries
            .into_par_iter()
            .try_for_each(|entry| sync_tree(&entry.map_err(Error::at(path))?.path()))?;
    }
    File::open(path).and_then(|file| file.sync_all()).map_err(Error::at(path))
}

fn remove(path: &Path) -> Result<()> {
    let done = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match done {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        other => other.map_err(Error::at(path)),
    }
}

fn unused_name(parent: &Path, name: &str) -> PathBuf {
    use std::sync::atomic::{AtomicU64, Ordering};
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    parent.join(format!(".{name}.{}-{number}.partial", std::process::id()))
}
