//! How a volume is cut into tiles, and which tiles are near a voxel.

use std::ops::Range;

use super::Dimensions;

/// Tiles of a volume. Those at an end reach beyond it, where the volume is mirrored at its last voxel:
/// `d c b | a b c d | c b a`.
#[derive(Debug)]
pub(super) struct Tiles {
    pub(super) shape: [usize; 3],
    pub(super) size: [usize; 3],
    /// Tiles along each axis.
    pub(super) count: [usize; 3],
    dimensions: Dimensions,
}

/// The two tiles along an axis between whose centres a voxel lies, and the weight of the second.
#[derive(Debug, Clone, Copy)]
pub(super) struct Near {
    tiles: [usize; 2],
    weight: f64,
}

impl Near {
    /// Both tiles, whatever their weight.
    pub(super) fn both(&self) -> [usize; 2] {
        self.tiles
    }

    /// The tiles with their weights.
    #[inline(always)]
    pub(super) fn tiles(&self) -> impl Iterator<Item = (usize, f64)> + use<> {
        let [first, second] = self.tiles;
        let only = self.weight == 0.0;
        [(first, 1.0 - self.weight), (second, self.weight)].into_iter().take(if only {
            1
        } else {
            2
        })
    }
}

impl Tiles {
    pub(super) fn new(shape: [usize; 3], mut size: [usize; 3], dimensions: Dimensions) -> Self {
        if dimensions == Dimensions::Two {
            size[0] = 1;
        }
        let count = std::array::from_fn(|a| shape[a].div_ceil(size[a]));
        Self { shape, size, count, dimensions }
    }

    /// Voxels of a tile, those beyond the end included.
    pub(super) fn voxels(&self) -> usize {
        self.size.iter().fold(1, |n, s| n.saturating_mul(*s))
    }

    /// Positions along an axis of the voxels of a tile, those beyond the end mirrored.
    pub(super) fn positions(&self, a: usize, tile: usize) -> impl Iterator<Item = usize> + '_ {
        let first = tile * self.size[a];
        (first..first + self.size[a]).map(move |i| mirror(i, self.shape[a]))
    }

    /// Coordinate of a tile by its number in C order.
    pub(super) fn coordinate(&self, n: usize) -> [usize; 3] {
        let [_, my, mx] = self.count;
        [n / (my * mx), n / mx % my, n % mx]
    }

    /// Positions along an axis that some neighbouring tiles are made of: from the first to one past the
    /// last.
    pub(super) fn reach(&self, a: usize, tiles: Range<usize>) -> Range<usize> {
        let (length, first) = (self.shape[a], tiles.start * self.size[a]);
        let end = tiles.end * self.size[a];
        // What lies beyond the end is mirrored to a range that ends at the last voxel but one.
        let beyond = end.saturating_sub(length).min(length - 1);
        first.min(length - 1 - beyond)..end.min(length)
    }

    /// The tiles near position `i` of an axis. In two dimensions a plane is its own tile along z.
    pub(super) fn near(&self, a: usize, i: usize) -> Near {
        if a == 0 && self.dimensions == Dimensions::Two {
            return Near { tiles: [i, i], weight: 0.0 };
        }
        let size = self.size[a];
        let shifted = i + size / 2;
        let (block, within) = (shifted / size, shifted % size);
        let last = self.count[a] - 1;
        let tiles = [block.saturating_sub(1).min(last), block.min(last)];
        Near { tiles, weight: within as f64 / size as f64 }
    }
}

/// A position beyond the end, mirrored at the last voxel.
fn mirror(i: usize, length: usize) -> usize {
    if i < length {
        return i;
    }
    let period = 2 * (length - 1);
    if period == 0 {
        return 0;
    }
    let folded = i % period;
    if folded < length { folded } else { period - folded }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn tiles_reach_as_far_as_their_positions(length in 1usize..40, size in 1usize..50, from in 0usize..40, n in 1usize..5) {
            let tiles = Tiles::new([1, 1, length], [1, 1, size], Dimensions::Three);
            let from = from % tiles.count[2];
            let range = from..(from + n).min(tiles.count[2]);
            let all: Vec<usize> = range.clone().flat_map(|t| tiles.positions(2, t)).collect();
            let reach = tiles.reach(2, range);
            prop_assert!(all.iter().all(|p| reach.contains(p)));
            prop_assert_eq!(all.iter().min(), Some(&reach.start));
            prop_assert_eq!(all.iter().max().map(|p| p + 1), Some(reach.end));
        }
    }
}
