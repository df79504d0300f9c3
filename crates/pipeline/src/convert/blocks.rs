//! Into which blocks a conversion is cut.

use exavox_io::BoundingBox;

/// What the cutting depends on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cutting {
    /// What is converted, in voxels of the source.
    pub(super) region: BoundingBox,
    /// Blocks start at multiples of it, counted from the region's start, as the target wants it.
    pub(super) granule: [u64; 3],
    /// What the source decodes at once.
    pub(super) source_chunk: [u64; 3],
    /// Whether blocks put one after the other must be in C order.
    pub(super) ordered: bool,
    /// Voxels of a block to stay below, unless a single granule has more.
    pub(super) max_voxels: u64,
    /// Voxels of a block above which it is large enough, unless whole source chunks need more.
    pub(super) enough_voxels: u64,
}

/// Blocks that tile a region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Blocks {
    region: BoundingBox,
    pub(super) origin: [u64; 3],
    /// Largest shape of a block.
    pub(super) shape: [u64; 3],
}

impl Cutting {
    /// Chooses the blocks: whole granules, as near to whole source chunks as memory allows (each
    /// source chunk is decoded once for each block that touches it), long in x before y before z.
    pub(super) fn blocks(&self) -> Blocks {
        let extent = self.region.shape();
        let unit: [u64; 3] = std::array::from_fn(|a| self.granule[a].clamp(1, extent[a]));
        let step: [u64; 3] =
            std::array::from_fn(|a| common_multiple(unit[a], self.source_chunk[a]));
        let mut shape = unit;
        if !self.ordered {
            self.grow_to_chunks(&mut shape, unit, step);
        }
        self.grow_to_memory(&mut shape, unit, step);
        let origin = std::array::from_fn(|a| self.origin(a, &shape));
        Blocks { region: self.region, origin, shape }
    }

    fn grow_to_chunks(&self, shape: &mut [u64; 3], unit: [u64; 3], step: [u64; 3]) {
        let extent = self.region.shape();
        for a in [2, 1, 0] {
            let covering = self.source_chunk[a].checked_next_multiple_of(unit[a]);
            for size in [step[a], covering.unwrap_or(u64::MAX)] {
                let grown = with(shape, a, size.min(extent[a]).max(shape[a]));
                if self.fits(&grown) {
                    *shape = grown;
                    break;
                }
            }
        }
    }

    fn grow_to_memory(&self, shape: &mut [u64; 3], unit: [u64; 3], step: [u64; 3]) {
        let extent = self.region.shape();
        for a in [2, 1, 0] {
            let others = with(shape, a, 1).into_iter().fold(1, u64::saturating_mul);
            let most = self.max_voxels.min(self.enough_voxels) / others;
            let size = if most >= extent[a] {
                extent[a]
            } else {
                let whole = most - most % unit[a];
                if whole >= step[a] { whole - whole % step[a] } else { whole }
            };
            shape[a] = shape[a].max(size);
            // Blocks that leave part of a row or plane to the next block must not go on beyond it.
            if self.ordered && shape[a] < extent[a] {
                break;
            }
        }
    }

    /// Where the grid of blocks begins on an axis: at a border of source chunks, if the target takes
    /// blocks that start anywhere.
    fn origin(&self, a: usize, shape: &[u64; 3]) -> u64 {
        let start = self.region.start[a];
        let chunk = self.source_chunk[a].max(1);
        let free = self.granule[a] <= 1 && shape[a] < self.region.shape()[a];
        if free && shape[a].is_multiple_of(chunk) { start - start % chunk } else { start }
    }

    fn fits(&self, shape: &[u64; 3]) -> bool {
        shape.iter().copied().fold(1, u64::saturating_mul) <= self.max_voxels
    }
}

impl Blocks {
    /// Blocks as another run has cut them; `None` if they do not fit the region.
    pub(super) fn again(cutting: &Cutting, [origin, shape]: [[u64; 3]; 2]) -> Option<Self> {
        let region = cutting.region;
        let fits = |a: usize| {
            let start = region.start[a];
            let inside = origin[a] <= start && start - origin[a] < shape[a];
            // A grid that begins before the region is one of blocks that start anywhere.
            let aligned = cutting.granule[a] <= 1 || origin[a] == start;
            let whole =
                shape[a].is_multiple_of(cutting.granule[a]) || shape[a] >= region.shape()[a];
            inside && aligned && whole
        };
        (0..3).all(fits).then_some(Self { region, origin, shape })
    }

    /// The blocks in C order, in voxels of the source.
    pub(super) fn iter(&self) -> impl Iterator<Item = BoundingBox> + Send + use<> {
        let region = self.region;
        BoundingBox::new(self.origin, region.end)
            .tiles(self.shape)
            .filter_map(move |tile| tile.intersect(&region))
    }
}

fn with(shape: &[u64; 3], axis: usize, size: u64) -> [u64; 3] {
    let mut changed = *shape;
    changed[axis] = size;
    changed
}

/// Least common multiple; `a` where it would not fit into 64 bits.
pub(super) fn common_multiple(a: u64, b: u64) -> u64 {
    let (mut gcd, mut rest) = (a.max(1), b.max(1));
    while rest != 0 {
        (gcd, rest) = (rest, gcd % rest);
    }
    (a.max(1) / gcd).checked_mul(b.max(1)).unwrap_or(a)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cutting() -> impl Strategy<Value = Cutting> {
        let triple = |low, high| [low..high, low..high, low..high];
        (
            triple(0, 9u64),
            triple(1, 20u64),
            triple(1, 7u64),
            triple(1, 9u64),
            any::<bool>(),
            [1..900u64, 1..900u64],
        )
            .prop_map(|(start, shape, granule, source_chunk, ordered, voxels)| {
                let region = BoundingBox::from_start_shape(start, shape);
                let [max_voxels, enough_voxels] = voxels;
                Cutting { region, granule, source_chunk, ordered, max_voxels, enough_voxels }
            })
    }

    /// Position in C order of each voxel of the region, in the order in which the blocks bring them,
    /// as a writer that takes whole granules after one another sees them.
    fn granules_in_c_order(cutting: &Cutting, blocks: &Blocks) -> bool {
        let granule_of = |block: &BoundingBox| {
            block.relative_to(cutting.region.start).tiles(cutting.granule).map(|g| g.start)
        };
        let starts: Vec<[u64; 3]> =
            blocks.iter().flat_map(|b| granule_of(&b).collect::<Vec<_>>()).collect();
        starts.is_sorted()
    }

    proptest! {
        #[test]
        fn blocks_tile_the_region_and_keep_the_rules(cutting in cutting()) {
            let blocks = cutting.blocks();
            let region = cutting.region;
            let mut covered = 0;
            for block in blocks.iter() {
                prop_assert!(region.contains(&block) && !block.is_empty());
                covered += block.num_voxels();
                let local = block.relative_to(region.start);
                for a in 0..3 {
                    prop_assert!(local.start[a].is_multiple_of(cutting.granule[a]));
                    let at_end = block.end[a] == region.end[a];
                    prop_assert!(at_end || local.end[a].is_multiple_of(cutting.granule[a]));
                }
            }
            let again = Blocks::again(&cutting, [blocks.origin, blocks.shape]);
            prop_assert_eq!(again, Some(blocks));
            // Tiles of one grid cannot overlap: as many voxels as the region has means all of them.
            prop_assert_eq!(covered, region.num_voxels());
            let granule: u64 = (0..3).map(|a| cutting.granule[a].min(region.shape()[a])).product();
            prop_assert!(blocks.shape.iter().product::<u64>() <= cutting.max_voxels.max(granule));
            if cutting.ordered {
                prop_assert!(granules_in_c_order(&cutting, &blocks), "{blocks:?}");
            }
        }
    }

    #[test]
    fn blocks_follow_the_chunks_of_the_source_where_the_target_has_none() {
        let region = BoundingBox::new([10, 10, 10], [200, 200, 200]);
        let (granule, source_chunk) = ([1; 3], [64; 3]);
        let (ordered, max_voxels, enough_voxels) = (false, 64 * 64 * 64, u64::MAX);
        let cutting = Cutting { region, granule, source_chunk, ordered, max_voxels, enough_voxels };
        let blocks: Vec<BoundingBox> = cutting.blocks().iter().collect();
        assert_eq!(blocks[0], BoundingBox::new([10; 3], [64; 3]));
        assert_eq!(blocks.len(), 64);
    }
}
