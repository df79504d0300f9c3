//! `JOB/submitted/`: what was handed to a cluster. For people, and for `resume`; what is done, the ledger says.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use exavox_io::Place;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The folder of one submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    folder: PathBuf,
    number: u32,
}

/// A job as the cluster knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubmittedJob {
    /// Stage, or stage and `gate`.
    pub label: String,
    /// The cluster's id or name.
    pub id: String,
}

impl Submission {
    /// The next submission of a job; makes nothing.
    ///
    /// # Errors
    /// If the folder of the job cannot be read.
    pub fn next(job: &Path) -> Result<Self> {
        let all = job.join("submitted");
        let names = match fs::read_dir(&all) {
            Err(e) if e.kind() == ErrorKind::NotFound => Vec::new(),
            other => other.and_then(Iterator::collect).map_err(at(&all))?,
        };
        let number = |entry: &fs::DirEntry| entry.file_name().to_str()?.parse::<u32>().ok();
        let last = names.iter().filter_map(number).max().unwrap_or(0);
        let number = last.saturating_add(1);
        Ok(Self { folder: all.join(number.to_string()), number })
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Its number, from 1.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Makes the folder, with files by name, and one for what tasks print.
    ///
    /// # Errors
    /// If somebody else has just made it, or the disk refuses.
    pub fn create(&self, files: &[(String, String)]) -> Result<()> {
        let parent = self.folder.parent().unwrap_or(&self.folder);
        fs::create_dir_all(parent).map_err(at(parent))?;
        fs::create_dir(&self.folder).map_err(at(&self.folder))?;
        let log = self.folder.join("log");
        fs::create_dir(&log).map_err(at(&log))?;
        files.iter().try_for_each(|(name, text)| self.write(name, text.as_bytes()))
    }

    /// Notes what has been submitted so far.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn note(&self, jobs: &[SubmittedJob]) -> Result<()> {
        self.write("jobs.json", &json(&self.folder, jobs)?)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        Ok(exavox_io::staging::write_whole(&self.folder.join(name), bytes)?)
    }
}

/// Keeps the settings of an engine for the next submission of a job.
///
/// # Errors
/// If the disk refuses.
pub fn keep_settings(job: &Path, engine: &str, settings: &impl Serialize) -> Result<()> {
    let path = settings_path(job, engine);
    let bytes = json(&path, settings)?;
    Ok(exavox_io::staging::write_whole(&path, &bytes)?)
}

/// The settings that were kept, if there are any.
///
/// # Errors
/// [`Error::Settings`] if they are not readable.
pub fn kept_settings<T: DeserializeOwned>(job: &Path, engine: &str) -> Result<Option<T>> {
    let path = settings_path(job, engine);
    let text = match fs::read_to_string(&path) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        other => other.map_err(at(&path))?,
    };
    let settings = serde_json::from_str(&text);
    settings.map_err(|e| Error::settings(path.display().to_string(), e.to_string()))
}

fn settings_path(job: &Path, engine: &str) -> PathBuf {
    job.join("submitted").join(format!("{engine}.json"))
}

fn json(path: &Path, value: &(impl Serialize + ?Sized)) -> Result<Vec<u8>> {
    serde_json::to_vec_pretty(value)
        .map_err(|e| Error::settings(path.display().to_string(), e.to_string()))
}

fn at(path: &Path) -> impl FnOnce(std::io::Error) -> Error + '_ {
    move |source| exavox_io::Error::io(Place::path(path), source).into()
}
