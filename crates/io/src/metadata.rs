//! What is known of a volume without reading its voxels.

use crate::dtype::DataType;
use crate::geometry::VoxelSize;

/// Description of a volume: `[channel, z, y, x]`, whatever the order on disk.
#[derive(Debug, Clone, PartialEq)]
pub struct Metadata {
    /// Name of the format: `npy`, `tiff`, `ome-zarr 0.4`, …
    pub format: String,
    /// Element type.
    pub dtype: DataType,
    /// Names of the channels; at least one. A file without names gives `0`, `1`, ….
    pub channels: Vec<String>,
    /// Voxels along z, y and x.
    pub shape: [u64; 3],
    /// Edge lengths of a voxel, where the file gives them.
    pub voxel_size: Option<VoxelSize>,
    /// Axes in the order on disk, `czyx` for instance.
    pub stored_axes: String,
    /// Shape of the unit that is read and decoded at once: chunk, strip, tile or plane, `[z, y, x]`.
    pub chunk_shape: [u64; 3],
    /// Shape of a shard (file that holds many chunks), `[z, y, x]`.
    pub shard_shape: Option<[u64; 3]>,
    /// Codecs from the first applied on writing to the last; empty for uncompressed data.
    pub codecs: Vec<String>,
    /// Shapes of all scales of a pyramid, finest first; one entry for a plain volume.
    pub scales: Vec<[u64; 3]>,
}

impl Metadata {
    /// A plain volume of one channel, uncompressed, chunk = plane; to be changed where needed.
    pub fn new(format: &str, dtype: DataType, shape: [u64; 3]) -> Self {
        Self {
            format: format.to_owned(),
            dtype,
            channels: vec!["0".to_owned()],
            shape,
            voxel_size: None,
            stored_axes: "zyx".to_owned(),
            chunk_shape: [1, shape[1], shape[2]],
            shard_shape: None,
            codecs: Vec::new(),
            scales: vec![shape],
        }
    }

    /// Bytes of all channels, uncompressed; saturates at `u64::MAX`.
    pub fn num_bytes(&self) -> u64 {
        let voxel = self.dtype.size() as u64 * self.channels.len() as u64;
        self.shape.into_iter().fold(voxel, u64::saturating_mul)
    }
}

/// `0`, `1`, … for a file whose channels have no names.
pub(crate) fn numbered_channels(count: usize) -> Vec<String> {
    (0..count).map(|c| c.to_string()).collect()
}
