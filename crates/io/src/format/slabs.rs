//! Large regions in parts: decoders give a block of their own, which must not double the memory that a
//! region takes.

use crate::bounding_box::BoundingBox;
use crate::error::Result;
use crate::voxels::Voxels;

/// Bytes of a part: enough chunks for all cores, little beside the regions that need parts.
const SLAB_BYTES: u64 = 256 << 20;

/// Fills `out` with a region. `decode` gives the voxels of a box; it is called once for a region of up
/// to 256 MiB (and its block then takes the place of `out`, without a copy), else for one part after
/// the other, each made of whole chunks.
pub(crate) fn read_by_slabs(
    region: &BoundingBox,
    chunk_shape: [u64; 3],
    out: &mut Voxels,
    decode: impl Fn(&BoundingBox) -> Result<Voxels>,
) -> Result<()> {
    read_in_parts(region, chunk_shape, SLAB_BYTES, out, decode)
}

fn read_in_parts(
    region: &BoundingBox,
    chunk_shape: [u64; 3],
    slab_bytes: u64,
    out: &mut Voxels,
    decode: impl Fn(&BoundingBox) -> Result<Voxels>,
) -> Result<()> {
    let size = out.dtype().size() as u64;
    if region.num_voxels().saturating_mul(size) <= slab_bytes {
        *out = decode(region)?;
        return Ok(());
    }
    for slab in slabs(region, chunk_shape, slab_bytes / size) {
        let block = decode(&slab)?;
        let to = slab.relative_to(region.start).start.map(|v| v as usize);
        out.copy_box(to, &block, &BoundingBox::whole(slab.shape()))?;
    }
    Ok(())
}

/// Boxes that tile a region: as wide as it, cut at chunks along z and y, of about `voxels` voxels or of
/// one row of chunks.
fn slabs(
    region: &BoundingBox,
    chunk: [u64; 3],
    voxels: u64,
) -> impl Iterator<Item = BoundingBox> + use<> {
    let aligned = [0, 1].map(|a| region.start[a] / chunk[a] * chunk[a]);
    let grid = BoundingBox::new([aligned[0], aligned[1], region.start[2]], region.end);
    let [_, height, width] = grid.shape();
    let chunk_row = chunk[0].saturating_mul(chunk[1]).saturating_mul(width);
    let rows = (voxels / chunk_row.max(1)).max(1);
    let rows_per_layer = height.div_ceil(chunk[1]);
    let shape = if rows < rows_per_layer {
        [chunk[0], chunk[1] * rows, width]
    } else {
        [chunk[0].saturating_mul(rows / rows_per_layer), height, width]
    };
    let region = *region;
    grid.tiles(shape).filter_map(move |tile| tile.intersect(&region))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dtype::DataType;

    fn edges(low: u64, high: u64) -> impl Strategy<Value = [u64; 3]> {
        [low..=high, low..=high, low..=high]
    }

    /// Voxels that know where they are.
    fn places(region: &BoundingBox) -> Result<Voxels> {
        let [z, y, x] = [0, 1, 2].map(|a| region.start[a]..region.end[a]);
        let values: Vec<u32> = z
            .flat_map(|z| y.clone().map(move |y| (z, y)))
            .flat_map(|(z, y)| x.clone().map(move |x| ((z * 100 + y) * 100 + x) as u32))
            .collect();
        Voxels::from_vec(region.shape().map(|v| v as usize), values)
    }

    proptest! {
        #[test]
        fn parts_make_the_region(
            start in edges(0, 20),
            shape in edges(1, 30),
            chunk in edges(1, 9),
            slab_bytes in 4..16000u64,
        ) {
            let region = BoundingBox::from_start_shape(start, shape);
            let mut out = Voxels::zeros(DataType::U32, shape.map(|v| v as usize)).unwrap();
            read_in_parts(&region, chunk, slab_bytes, &mut out, places).unwrap();
            prop_assert!(out == places(&region).unwrap());
        }

        #[test]
        fn slabs_tile_the_region_along_chunks(
            start in edges(0, 20),
            shape in edges(1, 30),
            chunk in edges(1, 9),
            voxels in 1..4000u64,
        ) {
            let region = BoundingBox::from_start_shape(start, shape);
            let parts: Vec<BoundingBox> = slabs(&region, chunk, voxels).collect();
            let covered: u64 = parts.iter().map(BoundingBox::num_voxels).sum();
            prop_assert_eq!(covered, region.num_voxels());
            for (n, part) in parts.iter().enumerate() {
                prop_assert!(region.contains(part));
                prop_assert!(parts[..n].iter().all(|other| other.intersect(part).is_none()));
                let whole = |a: usize| part.start[a].is_multiple_of(chunk[a]);
                let cut = |a: usize| part.start[a] == region.start[a] || whole(a);
                prop_assert!(cut(0) && cut(1));
                let row = chunk[0] * chunk[1] * shape[2];
                prop_assert!(part.num_voxels() <= voxels.max(row));
            }
        }
    }
}
