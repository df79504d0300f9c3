//! Files of the local file system.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::staging::unused_name;

use super::{ByteRange, Request, Store, check_key, wrong_size};

/// When written data is safe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// When the operating system writes it: after some seconds. Survives a crash of the program.
    #[default]
    Buffered,
    /// When the call returns: survives loss of power. Each object is synced.
    Synced,
}

/// A directory whose files are the objects.
#[derive(Debug)]
pub struct LocalStore {
    root: PathBuf,
    name: String,
    durability: Durability,
    /// Whether the system is told to begin writing each object to the disk, without waiting for it.
    begins_early: bool,
}

impl LocalStore {
    /// The store of a directory, which need not exist yet.
    pub fn new(root: &Path) -> Self {
        let durability = Durability::default();
        Self {
            root: root.to_owned(),
            name: root.display().to_string(),
            durability,
            begins_early: false,
        }
    }

    /// Sets when written data is safe.
    #[must_use]
    pub fn with_durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Lets the disk work while the next objects are made: for a caller that syncs them all at the end.
    #[must_use]
    pub(crate) fn with_early_writing(mut self) -> Self {
        self.begins_early = true;
        self
    }

    /// Sets the name that messages use, where the root is a temporary directory.
    #[must_use]
    pub fn with_name(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    fn path(&self, key: &str) -> Result<PathBuf> {
        check_key(&self.name, key)?;
        Ok(self.root.join(key))
    }

    fn open(&self, key: &str) -> Result<Option<File>> {
        match File::open(self.path(key)?) {
            Err(e) if is_absent(&e) => Ok(None),
            other => other.map(Some).map_err(self.io_error(key)),
        }
    }

    fn write_new(&self, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
        let mut file = match File::create(path) {
            Err(e) if e.kind() == ErrorKind::NotFound => {
                self.create_parents(path)?;
                File::create(path)?
            }
            other => other?,
        };
        file.write_all(bytes)?;
        if self.durability == Durability::Synced {
            return file.sync_data();
        }
        #[cfg(target_os = "linux")]
        if self.begins_early {
            // "I do not need it in memory" makes Linux begin to write what is not on the disk yet. Only
            // an advice: a file system that does not take it writes later.
            let _ = rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed);
        }
        Ok(())
    }

    /// Makes the directories of a file; a directory is safe when the one above it is on the disk.
    fn create_parents(&self, path: &Path) -> std::io::Result<()> {
        let Some(parent) = path.parent() else { return Ok(()) };
        fs::create_dir_all(parent)?;
        if self.durability == Durability::Synced {
            for above in parent.ancestors().take_while(|above| above.starts_with(&self.root)) {
                File::open(above)?.sync_all()?;
            }
        }
        Ok(())
    }

    fn io_error(&self, key: &str) -> impl FnOnce(std::io::Error) -> Error {
        let place = self.place(key);
        |source| Error::io(place, source)
    }
}

impl Store for LocalStore {
    fn location(&self) -> &str {
        &self.name
    }

    fn get(&self, request: Request<'_>, out: &mut Vec<u8>) -> Result<bool> {
        let Request { key, range, limit } = request;
        let Some(file) = self.open(key)? else { return Ok(false) };
        let size = match range {
            // No need to ask: a short file fails to fill the buffer.
            ByteRange::Span { start, length } if (1..=limit).contains(&length) => {
                start.saturating_add(length)
            }
            _ => match file.metadata().map_err(self.io_error(key))? {
                metadata if metadata.is_dir() => return Ok(false),
                metadata => metadata.len(),
            },
        };
        let (start, length) = range.within(size, limit, &self.place(key))?;
        // Not cleared first: memory that is there already need not be set to zero.
        out.resize(length, 0);
        match file.read_exact_at(out, start) {
            Err(e) if e.kind() == ErrorKind::UnexpectedEof => {
                let size = file.metadata().map_err(self.io_error(key))?.len();
                range.within(size, limit, &self.place(key))?;
                // The file grew in the meantime.
                Err(Error::io(self.place(key), e))
            }
            other => other.map(|()| true).map_err(self.io_error(key)),
        }
    }

    fn get_into(&self, key: &str, range: ByteRange, out: &mut [u8]) -> Result<bool> {
        let Some(file) = self.open(key)? else { return Ok(false) };
        let metadata = file.metadata().map_err(self.io_error(key))?;
        if metadata.is_dir() {
            return Ok(false);
        }
        let (start, length) = range.within(metadata.len(), u64::MAX, &self.place(key))?;
        if length != out.len() {
            return Err(wrong_size(self.place(key), length as u64, out.len()));
        }
        file.read_exact_at(out, start).map(|()| true).map_err(self.io_error(key))
    }

    fn size(&self, key: &str) -> Result<Option<u64>> {
        match fs::metadata(self.path(key)?) {
            Err(e) if is_absent(&e) => Ok(None),
            Ok(metadata) if metadata.is_dir() => Ok(None),
            other => other.map(|m| Some(m.len())).map_err(self.io_error(key)),
        }
    }

    fn put(&self, key: &str, bytes: &[u8]) -> Result<()> {
        let path = self.path(key)?;
        let temporary = temporary_beside(&path);
        let written = self
            .write_new(&temporary, bytes)
            .and_then(|()| replace(&temporary, &path))
            .and_then(|()| sync_directory(&path, self.durability));
        written.map_err(|source| {
            // The error that matters is on its way; what is left of the file only takes space.
            let _ = fs::remove_file(&temporary);
            Error::io(self.place(key), source)
        })
    }

    fn delete(&self, key: &str) -> Result<()> {
        match fs::remove_file(self.path(key)?) {
            Err(e) if is_absent(&e) => Ok(()),
            other => other.map_err(self.io_error(key)),
        }
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>> {
        let path = if prefix.is_empty() { self.root.clone() } else { self.path(prefix)? };
        let entries = match fs::read_dir(&path) {
            Err(e) if is_absent(&e) => return Ok(Vec::new()),
            other => other.map_err(self.io_error(prefix))?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let path = entry.map_err(self.io_error(prefix))?.path();
            let Some(name) = path.file_name().and_then(|n| n.to_str()) else { continue };
            names.push(if path.is_dir() { format!("{name}/") } else { name.to_owned() });
        }
        names.sort();
        Ok(names)
    }

    fn local_path(&self, key: &str) -> Option<PathBuf> {
        if key.is_empty() { Some(self.root.clone()) } else { self.path(key).ok() }
    }
}

fn is_absent(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

fn temporary_beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    unused_name(path.parent().unwrap_or(Path::new("")), &name)
}

/// Renames over a file that may be there. ext4 writes the new file to disk before a rename that
/// replaces another, which is twenty times slower than an exchange followed by a removal; whoever wants
/// the data on disk asks for [`Durability::Synced`].
fn replace(temporary: &Path, path: &Path) -> std::io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        // Otherwise there is nothing to exchange with, or the file system cannot.
        if renameat_with(CWD, temporary, CWD, path, RenameFlags::EXCHANGE).is_ok() {
            return fs::remove_file(temporary);
        }
    }
    fs::rename(temporary, path)
}

fn sync_directory(path: &Path, durability: Durability) -> std::io::Result<()> {
    match (durability, path.parent()) {
        (Durability::Synced, Some(parent)) => File::open(parent)?.sync_all(),
        _ => Ok(()),
    }
}
