//! Subvolumes that overlap, by arithmetic.

use exavox_io::BoundingBox;

use crate::blocks::BlockGrid;
use crate::error::{Error, Result};

/// Subvolumes of one size that cover a region, each overlapping the next along each axis, numbered in C
/// order of (z, y, x).
///
/// The rule is that of google/ffn's `BoxGenerator` with `back_shift`: a stride of size minus overlap, as
/// many as it takes, and the last one shifted back until it ends with the region, so that all have the
/// full size. Where two meet, the middle of what they share is the seam between their cores; the cores tile
/// the region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subvolumes {
    region: BoundingBox,
    size: [u64; 3],
    overlap: [u64; 3],
    /// Numbers and coordinates: a grid of one voxel for each subvolume.
    grid: BlockGrid,
}

impl Subvolumes {
    /// Subvolumes of `size` voxels `[z, y, x]`, less where the region has less.
    ///
    /// # Errors
    /// [`Error::Settings`] if the region is empty, or the overlap is not smaller than the size.
    pub fn new(region: BoundingBox, size: [u64; 3], overlap: [u64; 3]) -> Result<Self> {
        let outer = region.shape();
        for (a, axis) in ["z", "y", "x"].into_iter().enumerate() {
            if overlap[a] >= size[a] {
                let (size, overlap) = (size[a], overlap[a]);
                let message =
                    format!("expected an overlap below {size} along {axis}, found {overlap}");
                return Err(Error::settings("subvolumes", message));
            }
        }
        let counts = std::array::from_fn(|a| {
            let shared = overlap[a].min(outer[a].saturating_sub(1));
            (outer[a] - shared).div_ceil(size[a] - overlap[a])
        });
        let size = std::array::from_fn(|a| size[a].min(outer[a]));
        let grid = BlockGrid::new(BoundingBox::whole(counts), [1; 3])?;
        Ok(Self { region, size, overlap, grid })
    }

    /// What they cover.
    pub fn region(&self) -> BoundingBox {
        self.region
    }

    /// How many there are; at least 1.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> u64 {
        self.grid.len()
    }

    /// How many there are along z, y and x.
    pub fn counts(&self) -> [u64; 3] {
        self.grid.counts()
    }

    /// Shape `[z, y, x]` of each.
    pub fn size(&self) -> [u64; 3] {
        self.size
    }

    /// Coordinate `[z, y, x]` of a subvolume by its number.
    pub fn coordinate(&self, number: u64) -> [u64; 3] {
        self.grid.coordinate(number)
    }

    /// Voxels of a subvolume.
    pub fn area(&self, number: u64) -> BoundingBox {
        let at = self.coordinate(number);
        let start = std::array::from_fn(|a| self.start(a, at[a]));
        BoundingBox::from_start_shape(start, self.size)
    }

    /// Voxels that the output has from a subvolume.
    pub fn core(&self, number: u64) -> BoundingBox {
        let at = self.coordinate(number);
        let start = std::array::from_fn(|a| self.seam(a, at[a]));
        BoundingBox { start, end: std::array::from_fn(|a| self.seam(a, at[a] + 1)) }
    }

    /// Number of the next subvolume along an axis (0 = z), if there is one. Two that are neighbours have
    /// a box in common that also holds what either shares with a diagonal neighbour there.
    pub fn next_along(&self, number: u64, axis: usize) -> Option<u64> {
        self.grid.next_along(number, axis)
    }

    /// Numbers of the subvolumes whose core has a voxel in a box inside the region, in order.
    pub fn touching(&self, area: &BoundingBox) -> impl Iterator<Item = u64> + use<> {
        let first = std::array::from_fn(|a| self.holder(a, area.start[a]));
        let end = std::array::from_fn(|a| self.holder(a, area.end[a].max(1) - 1) + 1);
        self.grid.touching(&BoundingBox::new(first, end))
    }

    /// First voxel of the `n`th along an axis.
    fn start(&self, axis: usize, n: u64) -> u64 {
        let last = self.region.shape()[axis] - self.size[axis];
        // A single one may be shorter than the overlap.
        let stride = self.size[axis].saturating_sub(self.overlap[axis]);
        self.region.start[axis] + (n * stride).min(last)
    }

    /// First voxel of the `n`th core along an axis.
    fn seam(&self, axis: usize, n: u64) -> u64 {
        if n == 0 {
            return self.region.start[axis];
        }
        if n == self.counts()[axis] {
            return self.region.end[axis];
        }
        let (start, end) = (self.start(axis, n), self.start(axis, n - 1) + self.size[axis]);
        start + (end - start) / 2
    }

    /// Which core along an axis holds a voxel.
    fn holder(&self, axis: usize, voxel: u64) -> u64 {
        let (mut low, mut high) = (0, self.counts()[axis]);
        while high - low > 1 {
            let middle = low.midpoint(high);
            if self.seam(axis, middle) <= voxel { low = middle } else { high = middle }
        }
        low
    }
}

/// The shape of subvolumes of at most `voxels` voxels that cover a volume of `shape` with an overlap, all
/// about equal: axes are cut where they are longest. `None` if none with at least `smallest` voxels along
/// each axis has so few.
pub fn fitting_subvolume(
    shape: [u64; 3],
    overlap: [u64; 3],
    smallest: [u64; 3],
    voxels: u64,
) -> Option<[u64; 3]> {
    let size = |counts: [u64; 3]| -> [u64; 3] {
        std::array::from_fn(|a| match counts[a] {
            1 => shape[a],
            n => (shape[a] - overlap[a]).div_ceil(n) + overlap[a],
        })
    };
    let mut counts = [1_u64; 3];
    loop {
        let now = size(counts);
        if now.iter().fold(1, |n: u64, v| n.saturating_mul(*v)) <= voxels {
            return Some(now);
        }
        let cut_by = |a: usize, more: u64| {
            let mut cut = counts;
            cut[a] += more;
            cut
        };
        let can = |a: usize, more: u64| {
            shape[a] > 2 * overlap[a] && size(cut_by(a, more))[a] >= smallest[a].max(2 * overlap[a])
        };
        let longest = (0..3).filter(|a| can(*a, 1)).max_by_key(|a| now[*a])?;
        // By an eighth where there are many: a volume of any size takes few steps.
        let eighth = 1 + counts[longest] / 8;
        counts = cut_by(longest, if can(longest, eighth) { eighth } else { 1 });
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn subvolumes() -> impl Strategy<Value = Subvolumes> {
        let axis = || (1_u64..40).prop_flat_map(|size| (Just(size), 0..size));
        let axes = [axis(), axis(), axis()];
        (prop::array::uniform3(0_u64..9), prop::array::uniform3(1_u64..90), axes).prop_map(
            |(start, shape, axes)| {
                let region = BoundingBox::from_start_shape(start, shape);
                Subvolumes::new(region, axes.map(|a| a.0), axes.map(|a| a.1)).unwrap()
            },
        )
    }

    proptest! {
        #[test]
        fn cores_tile_the_region_inside_their_subvolumes(all in subvolumes(), corner in prop::array::uniform3(0_u64..90)) {
            prop_assume!(all.len() < 20_000);
            let region = all.region();
            let cores: Vec<BoundingBox> = (0..all.len()).map(|n| all.core(n)).collect();
            let voxels: u64 = cores.iter().map(BoundingBox::num_voxels).sum();
            prop_assert_eq!(voxels, region.num_voxels());
            for n in 0..all.len() {
                prop_assert!(!cores[n as usize].is_empty());
                prop_assert!(all.area(n).contains(&cores[n as usize]));
                prop_assert!(region.contains(&all.area(n)));
                for axis in 0..3 {
                    if let Some(next) = all.next_along(n, axis) {
                        // They have at least the overlap in common: an overlap of 0 gives neighbours.
                        let common = all.area(n).intersect(&all.area(next));
                        let depth = common.map_or(0, |c| c.shape()[axis]);
                        prop_assert!(depth >= all.overlap[axis]);
                        prop_assert_eq!(cores[n as usize].end[axis], cores[next as usize].start[axis]);
                    }
                }
            }
            let start = std::array::from_fn(|a| region.start[a] + corner[a] % region.shape()[a]);
            let area = BoundingBox { start, end: region.end };
            let touching: Vec<u64> = all.touching(&area).collect();
            let naive: Vec<u64> =
                (0..all.len()).filter(|n| all.core(*n).intersect(&area).is_some_and(|c| !c.is_empty())).collect();
            prop_assert_eq!(touching, naive);
        }

        #[test]
        fn fitting_ones_fit(
            shape in prop::array::uniform3(40_u64..2000),
            overlap in prop::array::uniform3(0_u64..20),
            voxels in 100_000_u64..3_000_000,
        ) {
            // The least that an axis may have, by trying all numbers of pieces.
            let least: u64 = (0..3).map(|a| {
                let pieces = |n| (shape[a] - overlap[a]).div_ceil(n) + overlap[a];
                (1..=shape[a]).map(pieces).filter(|size| *size >= 40).min().unwrap_or(shape[a])
            }).product();
            let found = fitting_subvolume(shape, overlap, [40; 3], voxels);
            prop_assert_eq!(found.is_some(), least <= voxels);
            let Some(size) = found else { return Ok(()) };
            prop_assert!(size.iter().product::<u64>() <= voxels);
            prop_assert!((0..3).all(|a| size[a] >= 40 && size[a] <= shape[a]));
            // All are about equal: the last is shifted back by less than there are of them.
            let all = Subvolumes::new(BoundingBox::whole(shape), size, overlap).unwrap();
            for a in 0..3 {
                let covered = all.counts()[a] * (size[a] - overlap[a]) + overlap[a];
                prop_assert!(covered < shape[a] + all.counts()[a] + overlap[a]);
            }
        }
    }

    #[test]
    fn the_published_rule() {
        // 250 voxels in pieces of 141 with 32 in common: 0..141 and 109..250.
        let whole = BoundingBox::whole([250; 3]);
        let all = Subvolumes::new(whole, [141; 3], [32; 3]).unwrap();
        assert_eq!(all.counts(), [2; 3]);
        assert_eq!(all.area(7), BoundingBox::new([109; 3], [250; 3]));
        assert_eq!(all.core(0), BoundingBox::new([0; 3], [125; 3]));
        // The last one is shifted back; its seam is in the middle of what it shares.
        let all = Subvolumes::new(whole, [120, 250, 250], [20, 0, 0]).unwrap();
        assert_eq!(all.counts(), [3, 1, 1]);
        assert_eq!(all.area(2).start[0], 130);
        assert_eq!(all.core(2).start[0], 175);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let whole = BoundingBox::whole([50; 3]);
        let error = Subvolumes::new(whole, [20; 3], [5, 20, 5]).unwrap_err().to_string();
        assert_eq!(error, "subvolumes: expected an overlap below 20 along y, found 20");
        assert_eq!(fitting_subvolume([500; 3], [32; 3], [64; 3], 1000), None);
    }
}
