//! A folder for files that are of no use once the work is done.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use exavox_io::{Error, Place};

use crate::error::Result;

/// Held as long as the folder is in use; the system lets go of it when the process dies.
const LOCK: &str = "lock";

/// A new folder inside another one; removed with all that is in it when dropped. What a killed process has
/// left behind is removed by the next that makes one of the same name beside it.
#[derive(Debug)]
pub(crate) struct Scratch {
    folder: PathBuf,
    _lock: File,
}

impl Scratch {
    /// Makes the folder, and `work_dir` if it is missing.
    pub(crate) fn new(work_dir: &Path, name: &str) -> Result<Self> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        fs::create_dir_all(work_dir).map_err(at(work_dir))?;
        remove_left(work_dir, name);
        loop {
            let number = COUNTER.fetch_add(1, Ordering::Relaxed);
            let folder = work_dir.join(format!(".{name}.{}-{number}", std::process::id()));
            match fs::create_dir(&folder) {
                Ok(()) => {}
                // Of a process on another machine, or of one with our number that has died.
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => continue,
                Err(e) => return Err(at(&folder)(e)),
            }
            if let Some(lock) = lock(&folder)? {
                return Ok(Self { folder, _lock: lock });
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

/// Takes a new folder into use; `None` if another process took it for a left one before it was locked.
fn lock(folder: &Path) -> Result<Option<File>> {
    let path = folder.join(LOCK);
    let file = match File::create_new(&path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(at(&path))?,
    };
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Ok(None),
        // On a file system without locks, folders that are left stay.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(path.exists().then_some(file)),
    }
}

/// Removes folders of this name whose processes have died. Whatever fails, they are in nobody's way.
fn remove_left(work_dir: &Path, name: &str) {
    let Ok(entries) = fs::read_dir(work_dir) else { return };
    let prefix = format!(".{name}.");
    for entry in entries.flatten() {
        let is_ours = entry.file_name().to_str().is_some_and(|file| file.starts_with(&prefix));
        if !is_ours {
            continue;
        }
        // Locked until all is gone.
        if let Ok(file) = File::open(entry.path().join(LOCK))
            && file.try_lock().is_ok()
        {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn at(path: &Path) -> impl FnOnce(std::io::Error) -> crate::Error + '_ {
    move |e| Error::io(Place::path(path), e).into()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_a_dead_process_left_goes_and_what_is_in_use_stays() {
        let work = tempfile::tempdir().unwrap();
        let used = Scratch::new(work.path(), "sort").unwrap();
        fs::write(used.path("run"), "1").unwrap();
        // As after SIGKILL: nothing is removed, and the lock is gone.
        let left = work.path().join(".sort.77-0");
        fs::create_dir(&left).unwrap();
        fs::write(left.join(LOCK), "").unwrap();
        fs::write(left.join("run"), "2").unwrap();
        let others = [".sets.77-0", ".sort.78-0"].map(|name| work.path().join(name));
        others.iter().for_each(|folder| fs::create_dir(folder).unwrap());
        fs::write(others[0].join(LOCK), "").unwrap();

        let next = Scratch::new(work.path(), "sort").unwrap();
        assert!(!left.exists());
        assert!(used.path("run").exists() && next.folder() != used.folder());
        // Another kind of work, and one that has not come to its lock yet.
        assert!(others.iter().all(|folder| folder.exists()));
        let gone = next.folder().to_owned();
        drop(next);
        assert!(!gone.exists() && used.path("run").exists());
    }
}
