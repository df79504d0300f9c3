//! Bytes of canvases on a device, against a pool that grows slot by slot.

use exavox_compute::ffn::{DEVICE_BATCH, device_batch_bytes, device_canvas_bytes};
use proptest::prelude::*;

/// Voxels and bytes of a tile.
const TILE: u64 = 16 * 16 * 16;
const TILE_BYTES: u64 = 4 * TILE;

/// All pools that there were until one has so many slots, as they are doubled.
fn pools(slots: u64) -> u64 {
    let (mut pool, mut all) = (256, 256);
    while pool < slots {
        pool *= 2;
        all += pool;
    }
    all * TILE_BYTES
}

proptest! {
    #[test]
    fn two_objects_that_fill_everything_have_room(
        tiles in 64u64..40_000, voxel_bytes in prop::sample::select(vec![1u64, 2, 4, 8]),
    ) {
        let found = device_canvas_bytes(tiles * TILE, voxel_bytes);
        let image = tiles * TILE * voxel_bytes.min(4);
        let needed = pools(2 * tiles);
        prop_assert!(found >= image + needed, "{found} {needed}");
        prop_assert!(found <= image + 2 * needed + 512 * TILE_BYTES, "{found} {needed}");
    }
}

#[test]
fn a_pool_is_bounded_and_a_batch_is_what_it_is_made_of() {
    // The bound of the pool, and what it was before.
    let most = device_canvas_bytes(1 << 40, 1) - (1 << 40);
    assert_eq!(most, 8 << 30);
    assert_eq!(device_canvas_bytes(u64::MAX, 8), u64::MAX);
    // 33^3 voxels, 32 features three times, two channels in, one out.
    assert_eq!(device_batch_bytes(35_937, 32, 1), 35_937 * 4 * 99);
    assert_eq!(device_batch_bytes(35_937, 32, DEVICE_BATCH as u64), 16 * 35_937 * 4 * 99);
}
