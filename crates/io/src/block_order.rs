//! Orders in which the blocks of a region are visited, computed step by step: a region of 10^9 blocks
//! takes no list.

use crate::bounding_box::BoundingBox;

/// An order of blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BlockOrder {
    /// x fastest, then y, then z.
    #[default]
    C,
    /// Along a Z-curve: blocks that come one after the other lie near each other along all axes, so that
    /// halos and coarse chunks are still in a cache. (G. M. Morton, 1966.)
    Morton,
}

impl BlockOrder {
    /// The blocks of `shape` (`[z, y, x]`, at least 1) that tile a region, in this order. Those at its
    /// end may be smaller.
    pub fn blocks(
        self,
        region: &BoundingBox,
        shape: [u64; 3],
    ) -> impl Iterator<Item = BoundingBox> + Send + use<> {
        let region = *region;
        let extent = region.shape();
        let counts: [u64; 3] = std::array::from_fn(|a| extent[a].div_ceil(shape[a].max(1)));
        let bits = counts.map(|n: u64| u64::BITS - n.saturating_sub(1).leading_zeros());
        let codes = match self {
            Self::C => counts.iter().map(|n| u128::from(*n)).product(),
            Self::Morton => 1_u128 << bits.iter().sum::<u32>(),
        };
        let position = move |code: u128| match self {
            Self::C => c_position(code, counts),
            Self::Morton => morton_position(code, bits),
        };
        (0..codes).map(position).filter_map(move |at| {
            let inside = (0..3).all(|a| at[a] < counts[a]);
            let start = std::array::from_fn(|a| region.start[a] + at[a] * shape[a]);
            inside.then(|| {
                let end = std::array::from_fn(|a| (start[a] + shape[a]).min(region.end[a]));
                BoundingBox::new(start, end)
            })
        })
    }
}

fn c_position(code: u128, counts: [u64; 3]) -> [u64; 3] {
    let [_, y, x] = counts.map(|n| u128::from(n.max(1)));
    [(code / x / y) as u64, (code / x % y) as u64, (code % x) as u64]
}

/// Bits of the code go to x, y, z in turn, leaving out axes that have enough.
fn morton_position(mut code: u128, bits: [u32; 3]) -> [u64; 3] {
    let mut at = [0; 3];
    for level in 0..*bits.iter().max().unwrap_or(&0) {
        for axis in [2, 1, 0] {
            if level < bits[axis] {
                at[axis] |= ((code & 1) as u64) << level;
                code >>= 1;
            }
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn both_orders_visit_the_same_blocks_once(
            start in [0..9u64, 0..9u64, 0..9u64],
            size in [1..30u64, 1..30u64, 1..30u64],
            shape in [1..9u64, 1..9u64, 1..9u64],
        ) {
            let region = BoundingBox::from_start_shape(start, size);
            let c: Vec<_> = BlockOrder::C.blocks(&region, shape).map(|b| (b.start, b.end)).collect();
            let morton: Vec<_> =
                BlockOrder::Morton.blocks(&region, shape).map(|b| (b.start, b.end)).collect();
            prop_assert!(c.is_sorted());
            prop_assert_eq!(morton.len(), c.len());
            prop_assert_eq!(morton.into_iter().collect::<BTreeSet<_>>(), c.iter().copied().collect());
            let volume: u64 = BlockOrder::C.blocks(&region, shape).map(|b| b.num_voxels()).sum();
            prop_assert_eq!(volume, region.num_voxels());
        }
    }

    #[test]
    fn the_curve_goes_through_the_first_eight_blocks_first() {
        let blocks = BlockOrder::Morton.blocks(&BoundingBox::whole([4; 3]), [1; 3]);
        let first: BTreeSet<[u64; 3]> = blocks.take(8).map(|b| b.start).collect();
        assert!(first.iter().flatten().all(|v| *v < 2));
    }
}
