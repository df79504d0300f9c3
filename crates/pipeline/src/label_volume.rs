//! Volumes of labels: what they must be, and their voxels as numbers.

use exavox_io::{BoundingBox, Volume, Voxels};

use crate::error::{Error, Result};

/// Refuses labels that are floats before anything is read.
pub(crate) fn check_integers(labels: &Volume) -> Result<()> {
    let dtype = labels.metadata().dtype;
    if dtype.kind() == 'f' {
        let message = format!("labels must be integers, found {dtype}");
        return Err(Error::settings(labels.name(), message));
    }
    Ok(())
}

/// Refuses a volume that has not the shape of another.
pub(crate) fn check_shape(found: (&str, [u64; 3]), expected: (&str, [u64; 3])) -> Result<()> {
    for (a, axis) in ["z", "y", "x"].into_iter().enumerate() {
        let (voxels, wanted) = (found.1[a], expected.1[a]);
        if voxels != wanted {
            let message = format!(
                "axis {axis}: expected {wanted} voxels as in {}, found {voxels}",
                expected.0
            );
            return Err(Error::settings(found.0, message));
        }
    }
    Ok(())
}

/// The labels of a block of channel 0.
///
/// # Errors
/// If they cannot be read; those of [`labels_of`].
pub(crate) fn read_labels(labels: &Volume, block: &BoundingBox) -> Result<Vec<u64>> {
    labels_of(&labels.read(0, block)?, labels.name())
}

/// Voxels of a volume of this name as numbers of 64 bits.
///
/// # Errors
/// [`Error::Settings`] if they are no integers or one is negative.
pub(crate) fn labels_of(voxels: &Voxels, name: &str) -> Result<Vec<u64>> {
    voxels.to_labels().map_err(|e| Error::settings(name, e.to_string()))
}
