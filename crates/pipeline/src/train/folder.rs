//! The folder of a training: names in it, and that one process works on it.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use exavox_io::Error as IoError;

use crate::error::{Error, Result};

/// What to do with a training that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StartMode {
    /// Refuse.
    #[default]
    CreateNew,
    /// Remove its checkpoints and tables, and begin.
    Overwrite,
    /// Go on with it; begin if there is none.
    Resume,
}

/// The folder, locked until this is dropped.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// Holds the lock.
    _lock: File,
}

impl Folder {
    /// Makes the folder if need be.
    ///
    /// # Errors
    /// If another process trains there; if there are checkpoints and the mode does not expect them.
    pub(super) fn open(output: &str, mode: StartMode) -> Result<Self> {
        let path = PathBuf::from(output);
        fs::create_dir_all(&path).map_err(IoError::at(&path))?;
        let name = path.join(".training.lock");
        let lock = File::create(&name).map_err(IoError::at(&name))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::settings(output, "another process trains here"));
            }
            Err(TryLockError::Error(error)) => return Err(IoError::at(&name)(error).into()),
        }
        let folder = Self { path, _lock: lock };
        let there = folder.steps()?;
        match mode {
            StartMode::CreateNew if !there.is_empty() => {
                let message = format!("there are {} checkpoints already", there.len());
                return Err(Error::settings(output, message));
            }
            StartMode::Overwrite => folder.clear()?,
            _ => {}
        }
        Ok(folder)
    }

    /// The path of a file.
    pub(super) fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The folder itself.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Steps of the checkpoints that have a description, in order.
    pub(super) fn steps(&self) -> Result<Vec<u64>> {
        let mut steps: Vec<u64> =
            self.names()?.iter().filter_map(|name| step_of(name.strip_suffix(".toml")?)).collect();
        steps.sort_unstable();
        Ok(steps)
    }

    /// Removes all files of a checkpoint. Its description goes first: the rest is no checkpoint then.
    pub(super) fn remove(&self, step: u64) -> Result<()> {
        for suffix in ["toml", "safetensors", "state.safetensors", "raw.safetensors"] {
            let path = self.join(&format!("{}.{suffix}", checkpoint_name(step)));
            match fs::remove_file(&path) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                done => done.map_err(IoError::at(&path))?,
            }
        }
        Ok(())
    }

    fn clear(&self) -> Result<()> {
        let all: Vec<u64> = self.names()?.iter().filter_map(|name| step_of(name)).collect();
        all.into_iter().try_for_each(|step| self.remove(step))?;
        for name in [super::log::TABLE, super::validation::TABLE, super::material::TABLE] {
            let path = self.join(name);
            if path.exists() {
                fs::remove_file(&path).map_err(IoError::at(&path))?;
            }
        }
        Ok(())
    }

    fn names(&self) -> Result<Vec<String>> {
        let entries = fs::read_dir(&self.path).map_err(IoError::at(&self.path))?;
        let name = |entry: std::io::Result<fs::DirEntry>| {
            Ok(entry.map_err(IoError::at(&self.path))?.file_name().to_string_lossy().into_owned())
        };
        entries.map(name).collect()
    }
}

/// Name of a checkpoint's files before their suffixes; sorts as the steps do.
pub(super) fn checkpoint_name(step: u64) -> String {
    format!("checkpoint-{step:08}")
}

/// The step of a checkpoint's file.
fn step_of(name: &str) -> Option<u64> {
    name.strip_prefix("checkpoint-")?.split('.').next()?.parse().ok()
}
