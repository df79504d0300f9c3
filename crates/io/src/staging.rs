//! Outputs that appear whole or not at all: written under a temporary name, renamed at the end.

use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Error, Place, Result};

/// Threads that wait for the disk when an output is synced.
const SYNCS_AT_ONCE: usize = 32;

/// What to do with an output that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WriteMode {
    /// Refuse.
    #[default]
    CreateNew,
    /// Replace it once the new one is whole. In a bucket, where nothing can be renamed, the old one is
    /// removed first.
    Overwrite,
    /// Refuse if it is whole; go on with one that an earlier run left unfinished, or begin it. What is
    /// written stays when the run ends early. Which parts are whole, and that no other process works on
    /// the same output, is for the caller to know.
    Resume,
    /// As [`WriteMode::Resume`], from many processes at once, each of which writes blocks of its own: for
    /// volumes of many objects on local or shared disks. One of them finishes the volume.
    Shared,
}

impl WriteMode {
    /// Whether what is written stays when the writer is dropped before it has finished.
    pub fn keeps_parts(self) -> bool {
        matches!(self, Self::Resume | Self::Shared)
    }
}

/// A file or directory under construction beside its final path. Dropped without
/// [`Staged::commit`], it is removed, or kept for the next run if [`WriteMode::keeps_parts`].
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
        if mode != WriteMode::Overwrite && target.symlink_metadata().is_ok() {
            return Err(Error::Exists { place });
        }
        let (parent, name) = parent_and_name(target)?;
        fs::create_dir_all(parent).map_err(Error::at(parent))?;
        let temporary = match mode {
            WriteMode::Resume | WriteMode::Shared => resume_path(target)?,
            _ => unused_name(parent, &name),
        };
        if mode == WriteMode::Resume && temporary.is_dir() {
            remove_leftovers(&temporary)?;
        }
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
        if self.mode == WriteMode::Shared && self.temporary.is_dir() {
            // Of processes that were killed: no part of the output.
            remove_leftovers(&self.temporary)?;
        }
        let exists = self.target.symlink_metadata().is_ok();
        if exists && self.mode != WriteMode::Overwrite {
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
        if !self.committed && !self.mode.keeps_parts() {
            // Nothing to tell anyone here: the error that led to this drop is on its way already.
            let _ = remove(&self.temporary);
        }
    }
}

/// Writes a small file that appears, or replaces another, whole and on the disk.
///
/// # Errors
/// [`Error::Io`] if the system refuses; what was there before is kept then.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let (parent, name) = parent_and_name(path)?;
    fs::create_dir_all(parent).map_err(Error::at(parent))?;
    let temporary = unused_name(parent, &name);
    let written = File::create(&temporary)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&temporary, path))
        .and_then(|()| File::open(parent)?.sync_all());
    written.map_err(|source| {
        // The error that matters is on its way; what is left of the file only takes space.
        let _ = fs::remove_file(&temporary);
        Error::io(Place::path(path), source)
    })
}

/// Where an output lies until it is whole, if it is written with [`WriteMode::Resume`] or
/// [`WriteMode::Shared`]: `.NAME.resume.partial` beside it.
///
/// # Errors
/// [`Error::Usage`] if the target has no name.
pub fn resume_path(target: &Path) -> Result<PathBuf> {
    let (parent, name) = parent_and_name(target)?;
    Ok(parent.join(format!(".{name}.resume.partial")))
}

fn parent_and_name(target: &Path) -> Result<(&Path, String)> {
    let nameless = || Error::usage(Place::path(target), "not a name for an output");
    let name = target.file_name().ok_or_else(nameless)?.to_string_lossy().into_owned();
    Ok((parent_of(target), name))
}

/// Removes the files that a killed run had not yet renamed: they are no part of the output.
fn remove_leftovers(directory: &Path) -> Result<()> {
    for entry in fs::read_dir(directory).map_err(Error::at(directory))? {
        let entry = entry.map_err(Error::at(directory))?;
        let (path, name) = (entry.path(), entry.file_name());
        if entry.file_type().map_err(Error::at(&path))?.is_dir() {
            remove_leftovers(&path)?;
        } else if is_temporary(&name.to_string_lossy()) {
            remove(&path)?;
        }
    }
    Ok(())
}

/// Names that [`unused_name`] gives.
fn is_temporary(name: &str) -> bool {
    name.starts_with('.') && name.ends_with(".partial")
}

fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Syncs many files at a time: the disk then writes its journal once for all that wait.
fn sync_tree(path: &Path) -> Result<()> {
    let mut files = Vec::new();
    let mut directories = Vec::new();
    list_tree(path, &mut files, &mut directories)?;
    sync_all(&files)?;
    sync_all(&directories)
}

fn list_tree(path: &Path, files: &mut Vec<PathBuf>, directories: &mut Vec<PathBuf>) -> Result<()> {
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    for entry in fs::read_dir(path).map_err(Error::at(path))? {
        list_tree(&entry.map_err(Error::at(path))?.path(), files, directories)?;
    }
    directories.push(path.to_owned());
    Ok(())
}

fn sync_all(paths: &[PathBuf]) -> Result<()> {
    let sync =
        |path: &PathBuf| File::open(path).and_then(|file| file.sync_all()).map_err(Error::at(path));
    let share = paths.len().div_ceil(SYNCS_AT_ONCE).max(1);
    std::thread::scope(|scope| {
        let threads: Vec<_> = paths
            .chunks(share)
            .map(|paths| scope.spawn(move || paths.iter().try_for_each(sync)))
            .collect();
        threads.into_iter().try_for_each(|thread| match thread.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    })
}

fn remove(path: &Path) -> Result<()> {
    let done = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match done {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        other => other.map_err(Error::at(path)),
    }
}

/// `.NAME.PID-PROCESS-NUMBER.partial`, which no other process uses: two machines that share a disk may have
/// processes of the same number, hence a random name for this one.
pub(crate) fn unused_name(parent: &Path, name: &str) -> PathBuf {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    static PROCESS: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one(0));
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    let (pid, process) = (std::process::id(), *PROCESS);
    parent.join(format!(".{name}.{pid}-{process:x}-{number}.partial"))
}
