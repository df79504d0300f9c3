//! The folder beside an unfinished agglomeration: what its stages have made so far.

use std::fs;
use std::path::{Path, PathBuf};

use exavox_io::{Error as IoError, Place};
use serde::Serialize;
use serde_json::Value;

use crate::error::{Error, Result};
use crate::ledger::{Ledger, Plan, Survives};

/// `.NAME.agglomerate` beside the target, locked by this process. Dropped before it is finished, it stays
/// for the next run.
pub(super) struct Work {
    folder: PathBuf,
    /// Holds the lock, and the plan that what is there was made by.
    ledger: Ledger,
}

impl Work {
    /// Opens the folder, or makes it.
    ///
    /// # Errors
    /// If another process works there, or what is there was made by another plan: the error says what
    /// has changed.
    pub(super) fn open(target: &str, plan: Plan) -> Result<Self> {
        let folder = folder_of(target)?;
        fs::create_dir_all(&folder).map_err(IoError::at(&folder))?;
        let mut ledger = Ledger::open(&folder.join("plan"), &plan, Survives::Kill)?;
        ledger.begin(plan, Value::Null)?;
        Ok(Self { folder, ledger })
    }

    /// Where a stage keeps what it makes.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The same, for volumes.
    pub(super) fn name(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Removes the folder, unless it is to be kept.
    pub(super) fn finish(self, keep: bool) -> Result<()> {
        let Self { folder, ledger } = self;
        if keep {
            return Ok(());
        }
        ledger.remove()?;
        Ok(fs::remove_dir_all(&folder).map_err(IoError::at(&folder))?)
    }
}

/// The folder of a target; an error if it is none on a local disk.
pub(super) fn folder_of(target: &str) -> Result<PathBuf> {
    if target.contains("://") {
        let message =
            "agglomeration writes local volumes; copy it there afterwards (exavox convert)";
        return Err(Error::settings(target, message));
    }
    let path = Path::new(target.trim_end_matches('/'));
    let nameless = || IoError::usage(Place::path(path), "not a name for an output");
    let name = path.file_name().ok_or_else(nameless)?.to_string_lossy().into_owned();
    Ok(path.with_file_name(format!(".{name}.agglomerate")))
}

/// A plan from names and values.
pub(super) fn plan(entries: Vec<(&str, Result<Value>)>) -> Result<Plan> {
    entries.into_iter().map(|(name, value)| Ok((name.to_owned(), value?))).collect()
}

/// A value for a plan.
pub(super) fn value(value: &impl Serialize) -> Result<Value> {
    serde_json::to_value(value).map_err(|e| Error::settings("plan", e.to_string()))
}
