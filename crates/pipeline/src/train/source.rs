//! An image with its labels, checked against each other.

use exavox_io::{BoundingBox, DataType, Metadata, OpenOptions, Volume};

use super::config::VolumeTable;
use crate::error::{Error, Result};
use crate::segment::ImageChannel;

/// Voxel sizes that differ by a smaller share are the same, written down differently.
const SAME_SIZE: f64 = 0.01;
const AXES: [&str; 3] = ["z", "y", "x"];

/// A volume to learn from.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub(super) table: VolumeTable,
    pub(super) image: Volume,
    /// Those of the image that the network sees, in its order.
    pub(super) channels: Vec<ImageChannel>,
    pub(super) labels: Volume,
    pub(super) mask: Option<Volume>,
    /// The part that may be read.
    pub(super) roi: BoundingBox,
    /// Bytes of decoded chunks that are kept at most.
    pub(super) chunk_bytes: u64,
}

impl Source {
    /// Opens a volume with its labels, which keep decoded chunks of so many bytes each at most.
    ///
    /// # Errors
    /// [`Error::Settings`] if shapes or voxel sizes differ (with the axis), labels are not integers, or
    /// the channel or the region does not exist.
    pub(super) fn open(table: &VolumeTable, cache_bytes: u64) -> Result<Self> {
        let cache_bytes = cache_bytes.min(OpenOptions::default().cache_bytes);
        let options = OpenOptions::default().with_cache_bytes(cache_bytes);
        let open = |name: &str| Volume::open_with(name, &options);
        let (image, labels) = (open(&table.image)?, open(&table.labels)?);
        check_pair(&image, &labels)?;
        let dtype = labels.metadata().dtype;
        if matches!(dtype, DataType::F32 | DataType::F64) {
            let message = format!("labels must be integers, found {dtype}");
            return Err(Error::settings(labels.name(), message));
        }
        check_channels(&image, table.numbers())?;
        let mask = table.mask.as_deref().map(open).transpose()?;
        if let Some(mask) = &mask {
            check_pair(&image, mask)?;
        }
        let roi = region(&image, table.roi.as_deref())?;
        let volumes = [Some(&image), Some(&labels), mask.as_ref()];
        let chunks =
            volumes.into_iter().flatten().map(|volume| all_chunks(volume).min(cache_bytes));
        let chunk_bytes = chunks.fold(0, u64::saturating_add);
        let (table, channels) = (table.clone(), table.image_channels());
        Ok(Self { table, image, channels, labels, mask, roi, chunk_bytes })
    }

    /// Where centres may lie, so that a box of this half width stays inside.
    ///
    /// # Errors
    /// [`Error::Settings`] with the axis, if there is no such voxel.
    pub(super) fn centres(&self, radius: [usize; 3]) -> Result<BoundingBox> {
        for (a, axis) in AXES.into_iter().enumerate() {
            let (found, least) = (self.roi.shape()[a], 2 * radius[a] as u64 + 1);
            if found < least {
                let message = format!(
                    "region {} is smaller than an example along {axis}: expected at least {least}, found {found}",
                    self.roi
                );
                return Err(Error::settings(self.labels.name(), message));
            }
        }
        let radius = radius.map(|r| r as u64);
        let start = std::array::from_fn(|a| self.roi.start[a] + radius[a]);
        let end = std::array::from_fn(|a| self.roi.end[a] - radius[a]);
        Ok(BoundingBox::new(start, end))
    }

    /// Labels of a region, C order.
    pub(super) fn read_labels(&self, region: &BoundingBox) -> Result<Vec<u64>> {
        let voxels = self.labels.read(0, region)?;
        voxels.to_labels().map_err(|e| Error::settings(self.labels.name(), e.to_string()))
    }

    /// Which voxels of a region do not count; nothing if there is no mask.
    pub(super) fn read_mask(&self, region: &BoundingBox) -> Result<Option<Vec<bool>>> {
        let Some(mask) = &self.mask else { return Ok(None) };
        Ok(Some(mask.read(0, region)?.to_f32().into_iter().map(|v| v != 0.0).collect()))
    }
}

/// Bytes of all chunks of a volume.
fn all_chunks(volume: &Volume) -> u64 {
    let Metadata { shape, chunk_shape, dtype, channels, .. } = volume.metadata();
    let voxel = dtype.size() as u64 * channels.len() as u64;
    let padded = |a: usize| shape[a].div_ceil(chunk_shape[a].max(1)).saturating_mul(chunk_shape[a]);
    (0..3).map(padded).fold(voxel, u64::saturating_mul)
}

/// A region by its text; all of the volume if there is none.
pub(super) fn region(volume: &Volume, text: Option<&str>) -> Result<BoundingBox> {
    let wanted = text.map(str::parse).transpose()?;
    crate::selection::region_of(volume.name(), volume.shape(), wanted)
}

/// Refuses an image that does not have these channels.
pub(super) fn check_channels(image: &Volume, numbers: &[usize]) -> Result<()> {
    let count = image.metadata().channels.len();
    match numbers.iter().find(|number| **number >= count) {
        None => Ok(()),
        Some(found) => {
            let message = format!("channel: expected below {count}, found {found}");
            Err(Error::settings(image.name(), message))
        }
    }
}

/// Refuses labels that are not of this image.
pub(super) fn check_pair(image: &Volume, labels: &Volume) -> Result<()> {
    for (a, axis) in AXES.into_iter().enumerate() {
        let (expected, found) = (image.shape()[a], labels.shape()[a]);
        if expected != found {
            let message = format!(
                "axis {axis}: expected {expected} voxels as in {}, found {found}",
                image.name()
            );
            return Err(Error::settings(labels.name(), message));
        }
    }
    let (Some(expected), Some(found)) = (image.metadata().voxel_size, labels.metadata().voxel_size)
    else {
        return Ok(());
    };
    for (a, axis) in AXES.into_iter().enumerate() {
        let (expected, found) = (expected.nm_zyx[a], found.nm_zyx[a]);
        if (expected - found).abs() > SAME_SIZE * expected.max(found) {
            let message = format!(
                "voxel size along {axis}: expected {expected} nm as in {}, found {found} nm",
                image.name()
            );
            return Err(Error::settings(labels.name(), message));
        }
    }
    Ok(())
}
