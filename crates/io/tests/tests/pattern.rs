//! Volumes whose every value is known from its place, so that each reader has a naive twin.

use exavox_io::{BoundingBox, DataType, Element, Volume, VolumeWriter, Voxels, match_dtype};
use proptest::prelude::*;

/// The value at a place; the Python peers compute the same.
pub(crate) fn value(channel: u64, z: u64, y: u64, x: u64) -> u64 {
    (((channel * 13 + z) * 17 + y) * 19 + x) % 251 % 127
}

/// A region of the pattern, voxel by voxel.
pub(crate) fn region(dtype: DataType, channel: u64, region: &BoundingBox) -> Voxels {
    match_dtype!(dtype, T => {
        let mut values: Vec<T> = Vec::new();
        for z in region.start[0]..region.end[0] {
            for y in region.start[1]..region.end[1] {
                for x in region.start[2]..region.end[2] {
                    values.push(Element::from_f64(value(channel, z, y, x) as f64));
                }
            }
        }
        Voxels::from_vec(region.shape().map(|v| v as usize), values).unwrap()
    })
}

/// Writes the whole pattern, one granule or more at a time, in the order given by `shuffle`.
pub(crate) fn write(
    writer: &VolumeWriter,
    dtype: DataType,
    shape: [u64; 3],
    channels: u64,
    shuffle: u64,
) {
    let granule = writer.granule().map(|g| g.max(2).next_multiple_of(g));
    let whole = BoundingBox::whole(shape);
    let mut blocks: Vec<(u64, BoundingBox)> =
        (0..channels).flat_map(|c| whole.tiles(granule).map(move |b| (c, b))).collect();
    blocks.sort_by_key(|(c, b)| {
        shuffle.wrapping_mul(1 + value(*c, b.start[0], b.start[1], b.start[2]))
    });
    let (left, right) = blocks.split_at(blocks.len() / 2);
    std::thread::scope(|scope| {
        for part in [left, right] {
            scope.spawn(move || {
                for (channel, block) in part {
                    let voxels = region(dtype, *channel, block);
                    writer.write(*channel as usize, block.start, &voxels).unwrap();
                }
            });
        }
    });
}

/// Compares a region of each channel with the naive twin.
pub(crate) fn check(volume: &Volume, part: &BoundingBox) {
    for channel in 0..volume.metadata().channels.len() {
        let found = volume.read(channel, part).unwrap();
        let expected = region(volume.metadata().dtype, channel as u64, part);
        assert!(found == expected, "channel {channel} of {} at {part}", volume.name());
    }
}

/// Compares all of a volume, and some odd regions of it.
pub(crate) fn check_all(volume: &Volume) {
    let [z, y, x] = volume.shape();
    check(volume, &BoundingBox::whole([z, y, x]));
    check(volume, &BoundingBox::new([z / 2, y / 3, x / 2], [z / 2 + 1, y, x / 2 + 1]));
    check(volume, &BoundingBox::new([z - 1, y - 1, x - 1], [z, y, x]));
    check(volume, &BoundingBox::new([0, y / 2, 0], [z, y / 2 + 1, x]));
}

pub(crate) fn any_dtype() -> impl Strategy<Value = DataType> {
    proptest::sample::select(DataType::ALL.to_vec())
}

/// Shapes with 1-wide axes and sizes that no chunk divides.
pub(crate) fn any_shape() -> impl Strategy<Value = [u64; 3]> {
    let edge = prop_oneof![Just(1u64), 2..=23u64];
    [edge.clone(), edge.clone(), edge]
}

/// A non-empty region inside a shape, from numbers of any size.
pub(crate) fn inside(shape: [u64; 3], seeds: [(u64, u64); 3]) -> BoundingBox {
    let start: [u64; 3] = std::array::from_fn(|a| seeds[a].0 % shape[a]);
    let end = std::array::from_fn(|a| start[a] + 1 + seeds[a].1 % (shape[a] - start[a]));
    BoundingBox::new(start, end)
}
