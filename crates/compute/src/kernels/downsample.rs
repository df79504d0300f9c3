//! Smaller volumes: a unit computes the voxel of one cell.

use cubecl::calculate_cube_count_elemwise;
use cubecl::client::Client;
use cubecl::prelude::*;
use cubecl::server::Handle;

use super::words;

/// Shapes of the volume and of its cells.
#[derive(CubeType, CubeLaunch)]
struct Cells {
    nz: usize,
    ny: usize,
    nx: usize,
    fz: usize,
    fy: usize,
    fx: usize,
}

/// First voxel and end, exclusive, of a cell along each axis.
#[derive(CubeType)]
struct Cell {
    z: (usize, usize),
    y: (usize, usize),
    x: (usize, usize),
}

#[cube]
impl Cell {
    fn new(at: usize, cells: &Cells) -> Cell {
        let (ny, nx) = (cells.ny.div_ceil(cells.fy), cells.nx.div_ceil(cells.fx));
        let (z, y, x) = (at / nx / ny * cells.fz, at / nx % ny * cells.fy, at % nx * cells.fx);
        Cell {
            z: (z, min(z + cells.fz, cells.nz)),
            y: (y, min(y + cells.fy, cells.ny)),
            x: (x, min(x + cells.fx, cells.nx)),
        }
    }

    fn voxels(&self) -> usize {
        (self.z.1 - self.z.0) * (self.y.1 - self.y.0) * (self.x.1 - self.x.0)
    }
}

/// The mean, rounded to the nearest whole number, halves to the even one.
#[cube(launch)]
fn mean_of_words(values: &[u32], out: &mut [u32], cells: Cells) {
    let at = ABSOLUTE_POS;
    if at < out.len() {
        let cell = Cell::new(at, &cells);
        let mut sum = 0u32;
        for z in cell.z.0..cell.z.1 {
            for y in cell.y.0..cell.y.1 {
                for x in cell.x.0..cell.x.1 {
                    sum += values[(z * cells.ny + y) * cells.nx + x];
                }
            }
        }
        let count = cell.voxels() as u32;
        let (mean, rest) = (sum / count, sum % count);
        let left = count - rest;
        let up = rest > left || (rest == left && mean % 2u32 == 1u32);
        out[at] = mean + u32::cast_from(up);
    }
}

#[cube(launch)]
fn mean_of_floats(values: &[f32], out: &mut [f32], cells: Cells) {
    let at = ABSOLUTE_POS;
    if at < out.len() {
        let cell = Cell::new(at, &cells);
        let mut sum = 0.0f32;
        for z in cell.z.0..cell.z.1 {
            for y in cell.y.0..cell.y.1 {
                for x in cell.x.0..cell.x.1 {
                    sum += values[(z * cells.ny + y) * cells.nx + x];
                }
            }
        }
        out[at] = sum / f32::cast_from(cell.voxels());
    }
}

/// How often a value occurs in a cell.
#[cube]
fn occurrences(values: &[u32], value: u32, cell: &Cell, cells: &Cells) -> u32 {
    let mut count = 0u32;
    for z in cell.z.0..cell.z.1 {
        for y in cell.y.0..cell.y.1 {
            for x in cell.x.0..cell.x.1 {
                count += u32::cast_from(values[(z * cells.ny + y) * cells.nx + x] == value);
            }
        }
    }
    count
}

/// The most frequent value, of several the smallest.
#[cube(launch)]
fn mode_of_words(values: &[u32], out: &mut [u32], cells: Cells) {
    let at = ABSOLUTE_POS;
    if at < out.len() {
        let cell = Cell::new(at, &cells);
        let mut best = 0u32;
        let mut most = 0u32;
        for z in cell.z.0..cell.z.1 {
            for y in cell.y.0..cell.y.1 {
                for x in cell.x.0..cell.x.1 {
                    let value = values[(z * cells.ny + y) * cells.nx + x];
                    // Neighbours mostly have the value that is ahead already.
                    if most == 0u32 || value != best {
                        let count = occurrences(values, value, &cell, &cells);
                        if count > most || (count == most && value < best) {
                            most = count;
                            best = value;
                        }
                    }
                }
            }
        }
        out[at] = best;
    }
}

/// What a cell's voxel is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CellRule {
    MeanOfWords,
    MeanOfFloats,
    ModeOfWords,
}

/// One voxel for each cell of `factor` voxels; those at the ends hold what is left.
pub(crate) fn launch(
    client: &Client,
    values: &Handle,
    [nz, ny, nx]: [usize; 3],
    [fz, fy, fx]: [usize; 3],
    rule: CellRule,
) -> Handle {
    let voxels = nz.div_ceil(fz) * ny.div_ceil(fy) * nx.div_ceil(fx);
    let out = client.empty(voxels * 4);
    let dim = CubeDim::new(client, voxels);
    let count = calculate_cube_count_elemwise(client, voxels, dim);
    let cells = CellsLaunch::new(nz, ny, nx, fz, fy, fx);
    let (from, to) = (words::all(values), words::all(&out));
    match rule {
        CellRule::MeanOfWords => mean_of_words::launch(client, count, dim, from, to, cells),
        CellRule::MeanOfFloats => mean_of_floats::launch(client, count, dim, from, to, cells),
        CellRule::ModeOfWords => mode_of_words::launch(client, count, dim, from, to, cells),
    }
    out
}
