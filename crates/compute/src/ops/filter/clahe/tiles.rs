//! How a volume is cut into tiles, and which tiles are near a voxel.

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

    /// Calls `take` with the index of each voxel of tile `n`.
    pub(super) fn for_each_voxel(&self, n: usize, mut take: impl FnMut(usize)) {
        let [_, my, mx] = self.count;
        let tile = [n / (my * mx), n / mx % my, n % mx];
        let range = |a: usize| {
            (tile[a] * self.size[a]..(tile[a] + 1) * self.size[a])
                .map(move |i| mirror(i, self.shape[a]))
        };
        for z in range(0) {
            for y in range(1) {
                let row = (z * self.shape[1] + y) * self.shape[2];
                range(2).for_each(|x| take(row + x));
            }
        }
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
