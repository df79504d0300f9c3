//! What is known of a volume without reading its voxels.

use crate::dtype::DataType;
use crate::error::{Error, Place, Result};
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
    /// All scales of a pyramid, finest first; one entry for a plain volume.
    pub scales: Vec<Scale>,
}

/// One scale of a pyramid.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale {
    /// Voxels along z, y and x.
    pub shape: [u64; 3],
    /// Edge lengths of a voxel, where the file gives them.
    pub voxel_size: Option<VoxelSize>,
}

/// Which scale of a pyramid to open.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ScaleChoice {
    /// By number, 0 = finest.
    Index(usize),
    /// The coarsest scale whose voxels are at most this large along each axis (to 1 %); the finest if
    /// all are larger.
    VoxelSize(VoxelSize),
}

impl Default for ScaleChoice {
    fn default() -> Self {
        Self::Index(0)
    }
}

impl ScaleChoice {
    /// The number of the scale that is meant.
    ///
    /// # Errors
    /// [`Error::Usage`] if there is no such scale, or the voxel sizes are not known.
    pub fn index_in(&self, scales: &[Scale], place: &Place) -> Result<usize> {
        let usage = |message: String| Err(Error::usage(place.clone(), message));
        match *self {
            Self::Index(index) if index < scales.len() => Ok(index),
            Self::Index(index) => {
                usage(format!("scale {index} does not exist, there are {}", scales.len()))
            }
            Self::VoxelSize(wanted) => {
                let sizes: Option<Vec<VoxelSize>> = scales.iter().map(|s| s.voxel_size).collect();
                let Some(sizes) = sizes else {
                    return usage(format!("no voxel sizes to choose {wanted} by"));
                };
                let fits = |s: &VoxelSize| (0..3).all(|a| s.nm_zyx[a] <= wanted.nm_zyx[a] * 1.01);
                Ok(sizes.iter().rposition(fits).unwrap_or(0))
            }
        }
    }
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
            scales: vec![Scale { shape, voxel_size: None }],
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
