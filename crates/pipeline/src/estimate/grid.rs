//! Blocks of a volume by arithmetic: how many, how many voxels they read, how many faces they share.
//! Nothing is listed, so that 10^12 blocks cost what one costs.

use crate::error::{Error, Result};

/// Blocks of one shape over a volume. Neighbours share `overlap_zyx` voxels; the last block along an
/// axis ends with the volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockGrid {
    shape_zyx: [u64; 3],
    block_zyx: [u64; 3],
    overlap_zyx: [u64; 3],
}

impl BlockGrid {
    /// A grid over a volume, all in voxels along z, y, x.
    ///
    /// # Errors
    ///
    /// If a size is 0, if the overlap is not smaller than the block, or if there are 2^63 blocks or
    /// more.
    pub fn new(shape_zyx: [u64; 3], block_zyx: [u64; 3], overlap_zyx: [u64; 3]) -> Result<Self> {
        for (axis, name) in ["z", "y", "x"].into_iter().enumerate() {
            let (shape, block, overlap) = (shape_zyx[axis], block_zyx[axis], overlap_zyx[axis]);
            if shape == 0 || block == 0 {
                let message = format!("a volume of {shape} voxels in blocks of {block}");
                return Err(Error::settings(format!("axis {name}"), message));
            }
            if overlap >= block {
                let message =
                    format!("an overlap of {overlap} voxels, blocks have {block}: expected less");
                return Err(Error::settings(format!("axis {name}"), message));
            }
        }
        let grid = Self { shape_zyx, block_zyx, overlap_zyx };
        let blocks: u128 = grid.checked_blocks().unwrap_or(u128::MAX);
        if blocks >= 1 << 63 {
            let [z, y, x] = grid.counts();
            let message =
                format!("{z} x {y} x {x} blocks are not below 2^63: larger blocks would fit");
            return Err(Error::settings("blocks", message));
        }
        Ok(grid)
    }

    fn checked_blocks(&self) -> Option<u128> {
        self.counts().into_iter().try_fold(1_u128, |n, count| n.checked_mul(count.into()))
    }

    /// Blocks along z, y, x.
    pub fn counts(&self) -> [u64; 3] {
        std::array::from_fn(|a| {
            let overlap = self.overlap_zyx[a].min(self.shape_zyx[a] - 1);
            (self.shape_zyx[a] - overlap).div_ceil(self.block_zyx[a] - self.overlap_zyx[a])
        })
    }

    /// All blocks.
    pub fn blocks(&self) -> u64 {
        self.counts().into_iter().product()
    }

    /// Voxels of all blocks along an axis: those in an overlap count twice.
    fn extents(&self) -> [u128; 3] {
        let counts = self.counts();
        std::array::from_fn(|a| {
            u128::from(self.shape_zyx[a])
                + u128::from(counts[a] - 1) * u128::from(self.overlap_zyx[a])
        })
    }

    /// Voxels of all blocks together.
    pub fn voxels(&self) -> u128 {
        self.extents().into_iter().fold(1, u128::saturating_mul)
    }

    /// Voxels that all blocks read together, if each also reads `halo_zyx` voxels around itself as far
    /// as the volume goes. For blocks that do not overlap.
    pub fn voxels_with_halo(&self, halo_zyx: [u64; 3]) -> u128 {
        let counts = self.counts();
        let extent = |a: usize| {
            let (block, halo) = (u128::from(self.block_zyx[a]), u128::from(halo_zyx[a]));
            let (shape, inner) = (u128::from(self.shape_zyx[a]), u128::from(counts[a] - 1));
            let last = shape - inner * block;
            // A boundary has the volume's start a number of whole blocks behind it, and its end so
            // many before it and the last block.
            shape + clipped(block, block, inner, halo) + clipped(last, block, inner, halo)
        };
        (0..3).map(extent).fold(1, u128::saturating_mul)
    }

    /// Area of the faces between blocks that lie in different groups of `group`^3 blocks, in voxels;
    /// with a group of 1 of all faces.
    pub fn face_voxels(&self, group: u64) -> u128 {
        (0..3).map(|axis| self.faces_along(axis, group)).fold(0, u128::saturating_add)
    }

    /// Voxels of all overlaps; where blocks only touch, the plane of voxels on one side counts.
    pub fn overlap_voxels(&self) -> u128 {
        let thick = |axis: usize| u128::from(self.overlap_zyx[axis].max(1));
        let voxels = (0..3).map(|axis| self.faces_along(axis, 1).saturating_mul(thick(axis)));
        voxels.fold(0, u128::saturating_add)
    }

    fn faces_along(&self, axis: usize, group: u64) -> u128 {
        let planes = self.counts()[axis].div_ceil(group.max(1)) - 1;
        let extents = self.extents();
        let area = extents[(axis + 1) % 3].saturating_mul(extents[(axis + 2) % 3]);
        u128::from(planes).saturating_mul(area)
    }
}

/// The sum of `min(most, first + i * step)` over `count` values of i from 0.
fn clipped(first: u128, step: u128, count: u128, most: u128) -> u128 {
    let below = if most < first { 0 } else { ((most - first) / step + 1).min(count) };
    let whole = below * first + step * (below * below.saturating_sub(1) / 2);
    whole + (count - below) * most
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Start and end of each block along an axis, listed.
    fn listed(shape: u64, block: u64, overlap: u64) -> Vec<(u64, u64)> {
        let mut blocks = Vec::new();
        let mut start = 0;
        loop {
            let end = (start + block).min(shape);
            blocks.push((start, end));
            if end == shape {
                return blocks;
            }
            start += block - overlap;
        }
    }

    fn axis() -> impl Strategy<Value = (u64, u64, u64)> {
        (1_u64..40, 1_u64..12).prop_flat_map(|(s, b)| (Just(s), Just(b), 0..b))
    }

    proptest! {
        #[test]
        fn figures_are_those_of_the_listed_blocks(z in axis(), y in axis(), x in axis(), group in 1_u64..5) {
            let axes = [z, y, x];
            let grid = BlockGrid::new(axes.map(|a| a.0), axes.map(|a| a.1), axes.map(|a| a.2)).unwrap();
            let lists = axes.map(|(s, b, o)| listed(s, b, o));
            prop_assert_eq!(grid.counts(), [0, 1, 2].map(|a| lists[a].len() as u64));
            let (mut voxels, mut overlaps, mut faces) = (0_u128, 0_u128, 0_u128);
            let length = |(from, to): (u64, u64)| u128::from(to - from);
            for (i, a) in lists[0].iter().enumerate() {
                for (j, b) in lists[1].iter().enumerate() {
                    for (k, c) in lists[2].iter().enumerate() {
                        let lengths = [length(*a), length(*b), length(*c)];
                        voxels += lengths.iter().product::<u128>();
                        for (axis, n) in [i, j, k].into_iter().enumerate().filter(|(_, n)| *n > 0) {
                            let area = lengths[(axis + 1) % 3] * lengths[(axis + 2) % 3];
                            let shared = lists[axis][n - 1].1 - lists[axis][n].0;
                            overlaps += area * u128::from(shared.max(1));
                            let n = n as u64;
                            faces += if n / group != (n - 1) / group { area } else { 0 };
                        }
                    }
                }
            }
            prop_assert_eq!(grid.voxels(), voxels);
            prop_assert_eq!(grid.overlap_voxels(), overlaps);
            prop_assert_eq!(grid.face_voxels(group), faces);
        }

        #[test]
        fn halos_end_with_the_volume(shape in 1_u64..60, block in 1_u64..12, halo in 0_u64..30) {
            let grid = BlockGrid::new([shape, 1, 1], [block, 1, 1], [0; 3]).unwrap();
            let reads = listed(shape, block, 0).into_iter();
            let reads = reads.map(|(from, to)| (to + halo).min(shape) - from.saturating_sub(halo));
            prop_assert_eq!(grid.voxels_with_halo([halo, 0, 0]), u128::from(reads.sum::<u64>()));
        }
    }

    #[test]
    fn an_exabyte_is_counted_exactly() {
        let grid = BlockGrid::new([1_000_000; 3], [512; 3], [64; 3]).unwrap();
        assert_eq!(grid.counts(), [2232; 3]);
        assert_eq!(grid.blocks(), 2232_u64.pow(3));
        assert_eq!(grid.voxels(), (1_000_000_u128 + 2231 * 64).pow(3));
    }

    #[test]
    fn wrong_grids_name_the_axis() {
        let wrong =
            |shape, block, overlap| BlockGrid::new(shape, block, overlap).unwrap_err().to_string();
        assert!(wrong([8, 0, 8], [4; 3], [0; 3]).contains("axis y"));
        assert!(wrong([8; 3], [4; 3], [1, 1, 4]).contains("axis x: an overlap of 4"));
        assert!(wrong([u64::MAX; 3], [1; 3], [0; 3]).contains("2^63"));
        assert!(wrong([1 << 21; 3], [1; 3], [0; 3]).contains("larger blocks"));
    }
}
