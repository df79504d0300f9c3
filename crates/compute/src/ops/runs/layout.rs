//! How the rows of a block lie in words of bits.

use std::ops::Range;

/// Rows of bits, each with at least one spare bit at its end, and an empty row after each plane: what
/// lies before a row, a plane or a word is then always there, and nothing runs over into the next row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ops) struct Layout {
    /// Planes.
    pub(in crate::ops) planes: usize,
    /// Rows of a plane, without the empty one.
    pub(in crate::ops) rows: usize,
    /// Voxels of a row.
    pub(in crate::ops) length: usize,
    /// Words of a row.
    pub(in crate::ops) words: usize,
}

impl Layout {
    /// The layout of a block `[z, y, x]` with at least one voxel. Axes of one voxel are moved out of the
    /// way: neighbours and C order stay as they are, and rows become as long as they can be.
    pub(in crate::ops) fn new(shape: [usize; 3]) -> Self {
        let [mut planes, mut rows, mut length] = shape;
        for _ in 0..2 {
            if length == 1 {
                [planes, rows, length] = [1, planes, rows];
            }
        }
        if planes == 1 {
            [planes, rows] = [rows, 1];
        }
        Self { planes, rows, length, words: length / 64 + 1 }
    }

    /// Rows of a plane with the empty one.
    pub(in crate::ops) fn padded_rows(&self) -> usize {
        self.rows + 1
    }

    /// The number of voxels before a row, counted with the empty ones.
    pub(in crate::ops) fn voxels_before(&self, row: usize) -> usize {
        let (plane, row) = (row / self.padded_rows(), row % self.padded_rows());
        (plane * self.rows + row) * self.length
    }

    /// Whether a row is an empty one.
    pub(in crate::ops) fn is_empty_row(&self, row: usize) -> bool {
        row % self.padded_rows() == self.rows
    }

    /// Row, counted with the empty ones, and place in the row of a voxel.
    pub(in crate::ops) fn locate(&self, voxel: usize) -> (usize, usize) {
        let (row, x) = (voxel / self.length, voxel % self.length);
        (row / self.rows * self.padded_rows() + row % self.rows, x)
    }

    /// Ranges of rows for `wanted` tasks, or fewer: each but a single one holds a plane and a row, so
    /// that neighbours lie in the same slab or in the one before.
    pub(in crate::ops) fn slabs(&self, wanted: usize) -> Vec<Range<usize>> {
        let all = self.planes * self.padded_rows();
        let count = wanted.min(all / (self.padded_rows() + 1)).max(1);
        (0..count).map(|n| all * n / count..all * (n + 1) / count).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_of_one_voxel_are_moved_away() {
        let shape = |shape| {
            let layout = Layout::new(shape);
            [layout.planes, layout.rows, layout.length]
        };
        assert_eq!(shape([3, 4, 5]), [3, 4, 5]);
        assert_eq!(shape([3, 4, 1]), [3, 1, 4]);
        assert_eq!(shape([3, 1, 1]), [1, 1, 3]);
        assert_eq!(shape([1, 4, 5]), [4, 1, 5]);
        assert_eq!(shape([4, 1, 5]), [4, 1, 5]);
        assert_eq!(shape([1, 1, 1]), [1, 1, 1]);
    }

    #[test]
    fn slabs_hold_a_plane_and_a_row() {
        for (shape, wanted) in [([7, 5, 9], 4), ([2, 3, 4], 9), ([1, 90, 4], 8), ([1, 1, 4], 3)] {
            let layout = Layout::new(shape);
            let slabs = layout.slabs(wanted);
            assert_eq!(
                slabs.iter().map(|s| s.len()).sum::<usize>(),
                layout.planes * layout.padded_rows()
            );
            let shortest = slabs.iter().map(|s| s.len()).min();
            assert!(slabs.len() == 1 || shortest > Some(layout.padded_rows()));
        }
    }
}
