//! What a segmentation takes on a device that images and logits of objects stay on, by arithmetic.

use super::object_logits::TILE_VOXELS;

/// FOVs at once that keep a large GPU busy.
pub const DEVICE_BATCH: usize = 16;
/// Most slots of the pool of tiles: words are counted with 32 bits, and some are left for those who double.
pub(super) const MOST_SLOTS: u64 = 1 << 18;

const TILE_BYTES: u64 = 4 * TILE_VOXELS as u64;
const F32: u64 = size_of::<f32>() as u64;

/// Bytes of image and logits of a canvas of so many voxels of `voxel_bytes` each, where objects fill everything: the
/// one that grows, and as much again of those before their turn. The pool of tiles is doubled when it is full, and
/// what it was before may be held by the device's allocator. Canvases that share a device share a pool, which
/// never takes more than 8 GiB that way.
pub fn device_canvas_bytes(voxels: u64, voxel_bytes: u64) -> u64 {
    let image = voxels.saturating_mul(voxel_bytes.min(F32));
    let slots = voxels.div_ceil(TILE_VOXELS as u64).saturating_mul(2);
    let pool = slots.saturating_mul(2).min(MOST_SLOTS);
    image.saturating_add(2 * pool * TILE_BYTES)
}

/// Bytes of the activations of a batch of FOVs: three times the features of a layer, what goes in and what comes
/// out.
pub fn device_batch_bytes(fov_voxels: u64, features: u64, batch: u64) -> u64 {
    let values = features.saturating_mul(3).saturating_add(3);
    batch.saturating_mul(fov_voxels).saturating_mul(values).saturating_mul(F32)
}
