//! What subvolumes take of the memory of this machine, on devices that take it from there too.

use exavox_compute::ComputeDevice;
use exavox_compute::ffn::{
    Architecture, TrainedModel, device_batch_bytes, device_canvas_bytes, has_kernels,
};
use exavox_io::BoundingBox;

use super::inference::open_model;
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
/// So many that the bytes of one on a device come out whole.
const MANY_VOXELS: u64 = 1 << 20;
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

    /// What devices keep of subvolumes here. A checkpoint that cannot be opened is refused by those who need it.
    pub(crate) fn kept_here(&self, device: &ComputeDevice) -> KeptHere {
        let here = device.all().any(ComputeDevice::takes_host_memory);
        let model = here.then(|| open_model(self).ok()).flatten();
        KeptHere::new(device, model.as_ref().map(TrainedModel::architecture))
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

/// What devices keep of subvolumes in the memory of this machine: images, and tiles of logits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeptHere {
    /// Bytes for a subvolume at most; 0 if nothing is kept.
    most: u64,
}

impl KeptHere {
    /// By devices with a network of an architecture; of one that is not known most is kept.
    pub(crate) fn new(device: &ComputeDevice, architecture: Option<&Architecture>) -> Self {
        let here = device.all().any(ComputeDevice::takes_host_memory);
        let keeps = here && architecture.is_none_or(has_kernels);
        Self { most: if keeps { device.room_bytes().unwrap_or(u64::MAX) } else { 0 } }
    }

    /// Nothing.
    pub(crate) fn nothing() -> Self {
        Self { most: 0 }
    }

    /// Bytes of a subvolume of so many voxels.
    pub(crate) fn bytes(&self, voxels: u64) -> u64 {
        if self.most == 0 { 0 } else { device_canvas_bytes(voxels, IMAGE_BYTES).min(self.most) }
    }

    /// Voxels of a subvolume that takes so many bytes, `voxel` of them for each voxel beside what is kept.
    pub(crate) fn voxels(&self, bytes: u64, voxel: u64) -> u64 {
        let kept = device_canvas_bytes(MANY_VOXELS, IMAGE_BYTES) / MANY_VOXELS;
        // All of it is kept, or as much as there is room for.
        let all = bytes / voxel.saturating_add(kept);
        all.max(bytes.saturating_sub(self.most) / voxel)
    }
}

/// Whether a region can be segmented as one subvolume on a device, in so much memory. For devices that take it
/// from this machine the checkpoint of the settings is opened: not all networks keep logits there.
pub fn fits_one_subvolume(
    region: &BoundingBox,
    settings: &SegmentSettings,
    device: &ComputeDevice,
    memory_bytes: u64,
) -> bool {
    check_memory(region, settings, device, settings.kept_here(device), memory_bytes).is_ok()
}

/// Refuses a region that does not fit, with what is kept of it on the device.
pub(super) fn check_memory(
    region: &BoundingBox,
    settings: &SegmentSettings,
    device: &ComputeDevice,
    kept: KeptHere,
    available: u64,
) -> Result<()> {
    let voxels = region.num_voxels();
    let needed = voxels
        .saturating_mul(settings.bytes_per_voxel())
        .saturating_add(kept.bytes(voxels))
        .saturating_add(settings.batch_bytes_here(device, 1));
    // Labels inside a subvolume are 32 bits with a sign.
    let too_many = voxels > i32::MAX as u64;
    if needed > available || too_many {
        let (needed, available) = (needed >> 20, available >> 20);
        let less = if kept.bytes(voxels) > 0 { ", --device-memory" } else { "" };
        let message = format!(
            "needs {needed} MiB of memory, {available} MiB may be used; choose a smaller --roi{less}, or --subvolume"
        );
        return Err(Error::settings(format!("region {region}"), message));
    }
    Ok(())
}
