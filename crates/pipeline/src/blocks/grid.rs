//! Blocks of a region, numbered by arithmetic: a billion of them take no memory.

use exavox_io::BoundingBox;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Blocks that tile a region, in C order of (z, y, x). The last ones of an axis may be smaller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockGrid {
    region: BoundingBox,
    block: [u64; 3],
    counts: [u64; 3],
}

/// A grid as it is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Written {
    start: [u64; 3],
    end: [u64; 3],
    block: [u64; 3],
}

impl BlockGrid {
    /// Blocks of `block` voxels `[z, y, x]` that start at the region's first voxel.
    ///
    /// # Errors
    /// [`Error::Settings`] if the region is empty, a block has no voxels, or there are more blocks than
    /// 64 bits can number.
    pub fn new(region: BoundingBox, block: [u64; 3]) -> Result<Self> {
        let wrong = |message: String| Err(Error::settings(format!("blocks of {region}"), message));
        if region.is_empty() || block.contains(&0) {
            return wrong(format!("expected voxels on each axis, found blocks of {block:?}"));
        }
        let shape = region.shape();
        let counts: [u64; 3] = std::array::from_fn(|a| shape[a].div_ceil(block[a]));
        if counts.into_iter().try_fold(1_u64, u64::checked_mul).is_none() {
            return wrong(format!("{counts:?} blocks are too many; choose larger ones"));
        }
        Ok(Self { region, block, counts })
    }

    /// The region.
    pub fn region(&self) -> BoundingBox {
        self.region
    }

    /// Shape `[z, y, x]` of a whole block.
    pub fn block_shape(&self) -> [u64; 3] {
        self.block
    }

    /// Blocks along z, y and x.
    pub fn counts(&self) -> [u64; 3] {
        self.counts
    }

    /// Blocks in all; at least 1.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> u64 {
        self.counts.iter().product()
    }

    /// Coordinate `[z, y, x]` of a block by its number.
    pub fn coordinate(&self, number: u64) -> [u64; 3] {
        let [_, y, x] = self.counts;
        [number / (x * y), number / x % y, number % x]
    }

    /// Number of the block at a coordinate `[z, y, x]`.
    pub fn number(&self, coordinate: [u64; 3]) -> u64 {
        (coordinate[0] * self.counts[1] + coordinate[1]) * self.counts[2] + coordinate[2]
    }

    /// Voxels of a block.
    pub fn block(&self, number: u64) -> BoundingBox {
        let at = self.coordinate(number);
        let start: [u64; 3] = std::array::from_fn(|a| self.region.start[a] + at[a] * self.block[a]);
        let end = std::array::from_fn(|a| (start[a] + self.block[a]).min(self.region.end[a]));
        BoundingBox { start, end }
    }

    /// Voxels of a block with `halo` voxels `[z, y, x]` more on each side, as far as the region goes.
    pub fn with_halo(&self, number: u64, halo: [u64; 3]) -> BoundingBox {
        let block = self.block(number);
        let start = std::array::from_fn(|a| {
            block.start[a].saturating_sub(halo[a]).max(self.region.start[a])
        });
        let end =
            std::array::from_fn(|a| block.end[a].saturating_add(halo[a]).min(self.region.end[a]));
        BoundingBox { start, end }
    }

    /// Number of the next block along an axis (0 = z), if there is one.
    pub fn next_along(&self, number: u64, axis: usize) -> Option<u64> {
        let mut at = self.coordinate(number);
        at[axis] += 1;
        (at[axis] < self.counts[axis]).then(|| self.number(at))
    }

    /// Numbers of the blocks that have a voxel in a box, in order.
    pub fn touching(&self, area: &BoundingBox) -> impl Iterator<Item = u64> + use<> {
        let this = *self;
        let common = area.intersect(&self.region).unwrap_or(BoundingBox::whole([0; 3]));
        let range = move |a: usize| {
            let from = |v: u64| (v.saturating_sub(this.region.start[a])) / this.block[a];
            if common.is_empty() {
                0..0
            } else {
                from(common.start[a])..from(common.end[a] - 1) + 1
            }
        };
        range(0).flat_map(move |z| {
            range(1).flat_map(move |y| range(2).map(move |x| this.number([z, y, x])))
        })
    }
}

impl Serialize for BlockGrid {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Written { start: self.region.start, end: self.region.end, block: self.block }
            .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for BlockGrid {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Written { start, end, block } = Written::deserialize(deserializer)?;
        Self::new(BoundingBox::new(start, end), block).map_err(serde::de::Error::custom)
    }
}

/// The largest block that is a multiple of `granule` on each axis, has at most `voxels` voxels, and is as
/// near to a cube as that allows; at least one granule. An axis is not made longer than `shape` needs.
pub fn fitting_block(shape: [u64; 3], granule: [u64; 3], voxels: u64) -> [u64; 3] {
    let granule = granule.map(|g| g.max(1));
    let most: [u64; 3] = std::array::from_fn(|a| shape[a].max(1).div_ceil(granule[a]) * granule[a]);
    let mut block: [u64; 3] = std::array::from_fn(|a| granule[a].min(most[a]));
    loop {
        let grown = |a: usize| {
            let mut larger = block;
            larger[a] = (block[a] * 2).min(most[a]);
            larger
        };
        let fits = |b: &[u64; 3]| b.iter().fold(1, |n: u64, v| n.saturating_mul(*v)) <= voxels;
        let shortest = (0..3).filter(|a| grown(*a) != block && fits(&grown(*a)));
        match shortest.min_by_key(|a| block[*a]) {
            Some(axis) => block = grown(axis),
            None => return block,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn grids() -> impl Strategy<Value = BlockGrid> {
        let triple = |most| prop::array::uniform3(1..=most);
        (prop::array::uniform3(0_u64..9), triple(13_u64), triple(7_u64)).prop_map(
            |(start, shape, block)| {
                BlockGrid::new(BoundingBox::from_start_shape(start, shape), block).unwrap()
            },
        )
    }

    proptest! {
        #[test]
        fn numbers_and_coordinates_agree_with_a_list(grid in grids(), halo in prop::array::uniform3(0_u64..5)) {
            let listed: Vec<_> = grid.region().tiles(grid.block_shape()).collect();
            prop_assert_eq!(listed.len() as u64, grid.len());
            for (n, block) in listed.iter().enumerate() {
                let n = n as u64;
                prop_assert_eq!(grid.block(n), *block);
                prop_assert_eq!(grid.number(grid.coordinate(n)), n);
                let wide = grid.with_halo(n, halo);
                prop_assert!(grid.region().contains(&wide) && wide.contains(block));
                let touching: Vec<u64> = grid.touching(&wide).collect();
                let naive: Vec<u64> =
                    (0..grid.len()).filter(|m| grid.block(*m).intersect(&wide).is_some()).collect();
                prop_assert_eq!(touching, naive);
            }
        }

        #[test]
        fn fitting_blocks_fit(
            shape in prop::array::uniform3(1_u64..500),
            granule in prop::array::uniform3(1_u64..65),
            voxels in 1_u64..10_000_000,
        ) {
            let block = fitting_block(shape, granule, voxels);
            for a in 0..3 {
                prop_assert_eq!(block[a] % granule[a], 0);
                prop_assert!(block[a] < shape[a] + granule[a]);
            }
            let smallest: u64 = granule.iter().product();
            prop_assert!(block.iter().product::<u64>() <= voxels.max(smallest));
        }
    }

    #[test]
    fn a_billion_blocks_are_arithmetic() {
        let grid = BlockGrid::new(BoundingBox::whole([1 << 20; 3]), [1 << 10; 3]).unwrap();
        assert_eq!(grid.len(), 1 << 30);
        assert_eq!(grid.number(grid.coordinate(987_654_321)), 987_654_321);
    }

    #[test]
    fn what_cannot_be_numbered_is_refused() {
        let whole = BoundingBox::whole([1 << 40; 3]);
        let error = BlockGrid::new(whole, [1; 3]).unwrap_err().to_string();
        assert!(error.contains("choose larger ones"), "{error}");
        assert!(BlockGrid::new(whole, [0, 1, 1]).is_err());
        assert!(BlockGrid::new(BoundingBox::whole([0, 1, 1]), [1; 3]).is_err());
    }
}
