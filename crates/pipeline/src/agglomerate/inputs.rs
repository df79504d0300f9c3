//! What labels and images say of their voxels.

use exavox_io::{DataType, Volume, VoxelSize};

use crate::progress::{Event, Observer};

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

/// The unit of distances: voxels where no volume has a voxel size.
pub(super) fn distance_unit(volumes: &[&Volume]) -> &'static str {
    let known = volumes.iter().any(|volume| volume.metadata().voxel_size.is_some());
    if known { "nm" } else { "voxels" }
}
