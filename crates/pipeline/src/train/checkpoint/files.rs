//! Files of a checkpoint: read once, within bounds, and only if they are what was written.

use std::fs;
use std::path::Path;

use exavox_compute::ffn::TrainedModel;
use exavox_io::Error as IoError;
use exavox_io::staging::{Staged, WriteMode};

use super::Fit;
use crate::error::{Error, Result};

/// Writes a network; the digest of the file.
pub(super) fn save_model(model: &TrainedModel, path: &Path) -> Result<String> {
    let staged = Staged::new(path, WriteMode::Overwrite)?;
    model.save(staged.path())?;
    let digest = digest(&fs::read(staged.path()).map_err(IoError::at(path))?);
    staged.commit_synced()?;
    Ok(digest)
}

/// The network of a file of a digest, of the architecture that is expected.
pub(super) fn open_model(path: &Path, digest: &str, fit: &Fit<'_>) -> Result<TrainedModel> {
    let (place, bytes) =
        (path.display().to_string(), read_checked(path, digest, fit.weights_bytes())?);
    let model = TrainedModel::from_safetensors(bytes, &place)?;
    if model.architecture() != fit.architecture {
        let message = format!("expected {}, found {}", fit.architecture, model.architecture());
        return Err(Error::settings(place, message));
    }
    Ok(model)
}

/// The bytes of a file of a digest.
pub(super) fn read_checked(path: &Path, expected: &str, most: u64) -> Result<Vec<u8>> {
    let bytes = read(path, most)?;
    if digest(&bytes) != expected {
        let message = "is not the file that the checkpoint was written with";
        return Err(Error::settings(path.display().to_string(), message));
    }
    Ok(bytes)
}

/// The bytes of a file that has no more than so many.
pub(super) fn read(path: &Path, most: u64) -> Result<Vec<u8>> {
    let length = path.metadata().map_err(IoError::at(path))?.len();
    if length > most {
        let message = format!("expected at most {most} bytes, found {length}");
        return Err(Error::settings(path.display().to_string(), message));
    }
    Ok(fs::read(path).map_err(IoError::at(path))?)
}

/// BLAKE3 in hexadecimal digits.
pub(super) fn digest(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}
