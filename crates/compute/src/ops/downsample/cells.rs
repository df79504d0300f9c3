//! Which voxels of a block belong to which cell.

use rayon::prelude::*;

/// The cells of a block in C order.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cells {
    /// Shape of the block.
    shape: [usize; 3],
    /// Shape of a cell.
    pub(super) factor: [usize; 3],
    /// Number of cells along each axis.
    pub(super) count: [usize; 3],
}

/// A row of cells along x: the rows of voxels that it takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct CellRow {
    /// First voxel of the first row.
    start: usize,
    /// Rows along z and y.
    rows: [usize; 2],
    /// From a row to the next along z and y.
    step: [usize; 2],
    /// Voxels of a row.
    length: usize,
}

impl Cells {
    pub(super) fn new(shape: [usize; 3], factor: [usize; 3]) -> Self {
        // A cell larger than the block is as large as the block.
        let factor: [usize; 3] = std::array::from_fn(|a| factor[a].min(shape[a]).max(1));
        let count = std::array::from_fn(|a| shape[a].div_ceil(factor[a]));
        Self { shape, factor, count }
    }

    /// Voxels of a whole cell.
    pub(super) fn voxels(&self) -> usize {
        self.factor.iter().product()
    }

    /// Calls `fill` with each row of cells and the output of that row, on many threads. `fill` gets
    /// memory of its thread, which holds anything.
    pub(super) fn for_each_row<T, S>(
        &self,
        out: &mut [T],
        fill: impl Fn(&mut Vec<S>, &CellRow, &mut [T]) + Sync + Send,
    ) where
        T: Send,
        S: Send,
    {
        let width = self.count[2].max(1);
        let rows = out.par_chunks_mut(width).enumerate();
        rows.with_min_len(8).for_each_init(Vec::new, |scratch, (n, out)| {
            fill(scratch, &self.row(n / self.count[1], n % self.count[1]), out);
        });
    }

    fn row(&self, z: usize, y: usize) -> CellRow {
        let [_, height, length] = self.shape;
        let [z, y] = [z * self.factor[0], y * self.factor[1]];
        CellRow {
            start: (z * height + y) * length,
            rows: [self.factor[0].min(self.shape[0] - z), self.factor[1].min(height - y)],
            step: [height * length, length],
            length,
        }
    }
}

impl CellRow {
    /// Number of rows of voxels.
    pub(super) fn num_rows(&self) -> usize {
        self.rows[0] * self.rows[1]
    }

    /// The rows of voxels, in C order.
    pub(super) fn rows<'v, T>(
        &self,
        values: &'v [T],
    ) -> impl Iterator<Item = &'v [T]> + use<'v, T> {
        let this = *self;
        (0..this.rows[0]).flat_map(move |z| {
            (0..this.rows[1]).map(move |y| {
                &values[this.start + z * this.step[0] + y * this.step[1]..][..this.length]
            })
        })
    }
}
