//! Label volumes that are read block by block.

use exavox_io::{BoundingBox, DataType, Volume, VoxelSize};

use crate::error::{Error, Result};
use crate::progress::{Event, Observer};

/// Refuses labels that are floats before anything is read.
pub(super) fn check_integers(labels: &Volume) -> Result<()> {
    let dtype = labels.metadata().dtype;
    if dtype.kind() == 'f' {
        let message = format!("labels must be integers, found {dtype}");
        return Err(Error::settings(labels.name(), message));
    }
    Ok(())
}

/// Refuses a volume that has not the shape of another.
pub(super) fn check_shape(found: (&str, [u64; 3]), expected: (&str, [u64; 3])) -> Result<()> {
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
pub(super) fn read_labels(labels: &Volume, block: &BoundingBox) -> Result<Vec<u64>> {
    let voxels = labels.read(0, block)?;
    voxels.to_labels().map_err(|e| Error::settings(labels.name(), e.to_string()))
}

/// Type of labels that are made of others: 32 bits unless the others have 64.
pub(super) fn label_dtype(labels: &Volume) -> DataType {
    if labels.metadata().dtype.size() == 8 { DataType::U64 } else { DataType::U32 }
}

/// Edge lengths of a voxel, from the first volume that has them; if none has, 1 along each axis, and people
/// are told.
pub(super) fn voxel_size_zyx(volumes: &[&Volume], observer: &dyn Observer) -> [f64; 3] {
    let size: Option<VoxelSize> = volumes.iter().find_map(|v| v.metadata().voxel_size);
    if size.is_none() {
        let names: Vec<&str> = volumes.iter().map(|v| v.name()).collect();
        let message = format!(
            "{}: no voxel size; voxels count as cubes of edge 1, and so do distances",
            names.join(", ")
        );
        observer.notify(&Event::Warning(&message));
    }
    size.map_or([1.0; 3], |size| size.nm_zyx)
}
