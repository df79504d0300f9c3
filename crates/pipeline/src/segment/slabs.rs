//! Slabs of a volume that is read piece by piece.

use exavox_io::BoundingBox;

/// Voxels that are read at once, about.
const SLAB: u64 = 1 << 22;
/// Voxels that are read at once at most, to read no chunk twice.
const LARGEST: u64 = 1 << 24;

/// A region as slabs of whole planes that begin and end at chunks of the volume, whose height is given: no chunk is
/// read for two of them. A slab has some 2^22 voxels, or the height of a chunk if that makes no more than 2^24.
pub(super) fn slabs(region: &BoundingBox, chunk: u64) -> impl Iterator<Item = BoundingBox> + use<> {
    let [_, ny, nx] = region.shape();
    let plane = ny.saturating_mul(nx).max(1);
    let at_once = (SLAB / plane).max(1);
    let chunk = chunk.clamp(1, region.end[0].max(1));
    let planes = match at_once / chunk * chunk {
        0 if chunk.saturating_mul(plane) > LARGEST => at_once,
        0 => chunk,
        planes => planes,
    };
    let mut grid = *region;
    grid.start[0] = region.start[0] / planes * planes;
    let region = *region;
    grid.tiles([planes, ny, nx]).filter_map(move |slab| slab.intersect(&region))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn slabs_tile_the_region_and_no_chunk_is_in_two(
            start in 0u64..200, depth in 1u64..300, chunk in 0u64..80, plane in 1u64..1 << 21,
        ) {
            let region = BoundingBox::new([start, 3, 5], [start + depth, 4, 5 + plane]);
            let is_aligned = chunk.clamp(1, start + depth) * plane <= LARGEST;
            let all: Vec<BoundingBox> = slabs(&region, chunk).collect();
            let mut next = start;
            for slab in &all {
                prop_assert_eq!((slab.start[0], slab.start[1..].to_vec()), (next, vec![3, 5]));
                prop_assert_eq!(&slab.end[1..], &region.end[1..]);
                next = slab.end[0];
                let at_chunk = next.is_multiple_of(chunk.clamp(1, start + depth));
                prop_assert!(at_chunk || next == region.end[0] || !is_aligned);
                prop_assert!(slab.num_voxels() <= LARGEST.max(plane));
            }
            prop_assert_eq!(next, region.end[0]);
        }
    }
}
