//! What subvolumes take of the memory of this machine, on devices that take it from there too.

use exavox_compute::ComputeDevice;
use exavox_compute::ffn::{device_batch_bytes, device_canvas_bytes};
use exavox_io::BoundingBox;

use super::{Seeds, SegmentSettings};
use crate::error::{Error, Result};

/// Bytes a voxel takes at the peak: the image as it is (4 for the widest usual type), labels (4), masks and
/// probabilities (2), logits of an object and of those before their turn where they fill everything (4 and
/// 4), a state that is being saved (4); or, before there are logits, the seed policy's work (13) beside
/// image, masks and labels. Further channels and policies that may take every voxel need more:
/// [`SegmentSettings::bytes_per_voxel`].
pub(crate) const BYTES_PER_VOXEL: u64 = 22;
/// The widest voxel that is counted.
const IMAGE_BYTES: u64 = 4;
/// Features of the published network, where nothing else is said.
pub(crate) const FEATURES: u64 = 32;

impl SegmentSettings {
    /// Memory that a subvolume takes for each voxel, beside what a device keeps.
    pub(crate) fn bytes_per_voxel(&self) -> u64 {
        let policy = match &self.seeds {
            Seeds::Policy(policy) => policy.extra_bytes_per_voxel(),
            Seeds::Points(_) => 0,
        };
        let more = 4 * self.more_channels.numbers.len() as u64;
        BYTES_PER_VOXEL.saturating_add(policy).saturating_add(more)
    }

    /// Memory of this machine that devices take for so many FOVs at once; 0 for those with memory of their own.
    pub(crate) fn batch_bytes_here(&self, device: &ComputeDevice, batch: usize) -> u64 {
        let features = self.architecture.features.iter().flatten().max();
        let features = features.map_or(FEATURES, |features| *features as u64);
        let batch = device.batch().unwrap_or(batch) as u64;
        let each = device_batch_bytes(self.model.fov_voxels() as u64, features, batch);
        let here = device.all().filter(|device| device.takes_host_memory()).count() as u64;
        each.saturating_mul(here)
    }
}

/// Memory of this machine that devices keep of a subvolume of so many voxels: its image, and tiles of logits.
pub(crate) fn canvas_bytes_here(device: &ComputeDevice, voxels: u64) -> u64 {
    if device.all().any(ComputeDevice::takes_host_memory) {
        device_canvas_bytes(voxels, IMAGE_BYTES)
    } else {
        0
    }
}

/// Whether a region can be segmented as one subvolume on a device, in so much memory.
pub fn fits_one_subvolume(
    region: &BoundingBox,
    settings: &SegmentSettings,
    device: &ComputeDevice,
    memory_bytes: u64,
) -> bool {
    check_memory(region, settings, device, memory_bytes).is_ok()
}

pub(super) fn check_memory(
    region: &BoundingBox,
    settings: &SegmentSettings,
    device: &ComputeDevice,
    available: u64,
) -> Result<()> {
    let voxels = region.num_voxels();
    let needed = voxels
        .saturating_mul(settings.bytes_per_voxel())
        .saturating_add(canvas_bytes_here(device, voxels))
        .saturating_add(settings.batch_bytes_here(device, 1));
    // Labels inside a subvolume are 32 bits with a sign.
    let too_many = voxels > i32::MAX as u64;
    if needed > available || too_many {
        let (needed, available) = (needed >> 20, available >> 20);
        let message = format!(
            "needs {needed} MiB of memory, {available} MiB may be used; choose a smaller --roi, or --subvolume"
        );
        return Err(Error::settings(format!("region {region}"), message));
    }
    Ok(())
}
