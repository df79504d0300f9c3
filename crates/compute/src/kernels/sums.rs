//! Sums over the rows of matrices, in parts whose number depends on the matrix alone: the same bits on
//! each run and with any number of threads.

use cubecl::calculate_cube_count_elemwise;
use cubecl::client::Client;
use cubecl::prelude::*;
use cubecl::server::Handle;

use super::words;

/// Rows of a part.
pub(super) const PART: usize = 256;

/// A unit adds up one column of vectors of a part.
#[cube(launch)]
fn sum_parts<N: Size>(
    values: &[Vector<f32, N>],
    out: &mut [Vector<f32, N>],
    rows: usize,
    columns: usize,
) {
    let (part, column) = (ABSOLUTE_POS / columns, ABSOLUTE_POS % columns);
    if part * PART < rows {
        let mut sum = Vector::<f32, N>::new(0.0f32);
        for row in part * PART..min((part + 1) * PART, rows) {
            sum += values[row * columns + column];
        }
        out[ABSOLUTE_POS] = sum;
    }
}

/// A unit adds up one vector of all parts, of `length` vectors each in rows of `from`, of which `to` are
/// wanted.
#[cube(launch)]
fn add_parts<N: Size>(
    parts: &[Vector<f32, N>],
    out: &mut [Vector<f32, N>],
    count: usize,
    length: usize,
    from: usize,
    to: usize,
) {
    let at = ABSOLUTE_POS / to * from + ABSOLUTE_POS % to;
    if at < length {
        let mut sum = Vector::<f32, N>::new(0.0f32);
        for part in 0..count {
            sum += parts[part * length + at];
        }
        out[ABSOLUTE_POS] = sum;
    }
}

/// Widest vectors that rows of all these lengths are made of.
fn lanes(client: &Client, columns: &[usize]) -> usize {
    let widest = (client.properties().hardware.load_width as usize / 32).max(1);
    columns.iter().fold(widest, |lanes, columns| super::conv3d::lanes(lanes, *columns))
}

/// Parts that lie one after the other, each a matrix.
pub(super) struct Parts {
    pub(super) values: Handle,
    pub(super) count: usize,
    pub(super) rows: usize,
    /// Of a row, and of these the first that are wanted.
    pub(super) columns: [usize; 2],
}

impl Parts {
    /// Their sum, without the columns that are not wanted.
    pub(super) fn add_up(&self, client: &Client) -> Handle {
        let [from, to] = self.columns;
        let out = client.empty(self.rows * to * 4);
        let lanes = lanes(client, &self.columns);
        let (from, to) = (from / lanes, to / lanes);
        let dim = CubeDim::new(client, self.rows * to);
        let cubes = calculate_cube_count_elemwise(client, self.rows * to, dim);
        let (parts, sums) = (words::all(&self.values), words::all(&out));
        let (count, length) = (self.count, self.rows * from);
        add_parts::launch(client, cubes, dim, lanes, parts, sums, count, length, from, to);
        out
    }
}

/// The sum of the rows of `values`, f32 `[rows, columns]`.
pub(crate) fn launch(client: &Client, values: &Handle, rows: usize, columns: usize) -> Handle {
    let count = rows.div_ceil(PART);
    let parts = client.empty(count * columns * 4);
    let lanes = lanes(client, &[columns]);
    let units = count * (columns / lanes);
    let dim = CubeDim::new(client, units);
    let cubes = calculate_cube_count_elemwise(client, units, dim);
    let (from, to) = (words::all(values), words::all(&parts));
    sum_parts::launch(client, cubes, dim, lanes, from, to, rows, columns / lanes);
    Parts { values: parts, count, rows: 1, columns: [columns; 2] }.add_up(client)
}
