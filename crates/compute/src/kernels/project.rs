//! Reductions along the axis of a block laid out as `outer` times `depth` rows of `inner` values
//! ([`Layout`]): one unit per cell of the projection, neighbouring units read neighbouring values.

use cubecl::calculate_cube_count_elemwise;
use cubecl::client::Client;
use cubecl::prelude::*;
use cubecl::server::Handle;

use crate::ops::projection::Layout;

/// Highest value of each cell so far and the plane of its first occurrence; `first` is the index of
/// the block's first plane.
#[cube(launch)]
fn highest(
    values: &[i32],
    best: &mut [i32],
    plane: &mut [u32],
    depth: usize,
    inner: usize,
    first: u32,
) {
    let cell = ABSOLUTE_POS;
    if cell < best.len() {
        let base = (cell / inner) * depth * inner + cell % inner;
        let mut highest = best[cell];
        let mut at = plane[cell];
        for k in 0..depth {
            let value = values[base + k * inner];
            if value > highest {
                highest = value;
                at = first + u32::cast_from(k);
            }
        }
        best[cell] = highest;
        plane[cell] = at;
    }
}

/// Sum of each cell so far, modulo 2^32.
#[cube(launch)]
fn add_up(values: &[u32], sums: &mut [u32], depth: usize, inner: usize) {
    let cell = ABSOLUTE_POS;
    if cell < sums.len() {
        let base = (cell / inner) * depth * inner + cell % inner;
        let mut sum = sums[cell];
        for k in 0..depth {
            sum += values[base + k * inner];
        }
        sums[cell] = sum;
    }
}

/// Takes a block of `i32` values into `best` (i32) and `plane` (u32), one of each per cell.
#[allow(unsafe_code)]
pub(crate) fn launch_highest(
    client: &Client,
    values: Handle,
    best: &Handle,
    plane: &Handle,
    layout: Layout,
    first: u32,
) {
    let (cells, dim) = (layout.cells(), CubeDim::new(client, layout.cells()));
    let count = calculate_cube_count_elemwise(client, cells, dim);
    // SAFETY: `values` holds `cells * depth` and the others `cells` values of 4 bytes; the kernel
    // reads and writes below these lengths only.
    let (values, best, plane) = unsafe {
        (
            BufferArg::from_raw_parts(values, cells * layout.depth),
            BufferArg::from_raw_parts(best.clone(), cells),
            BufferArg::from_raw_parts(plane.clone(), cells),
        )
    };
    highest::launch(client, count, dim, values, best, plane, layout.depth, layout.inner, first);
}

/// Adds a block of `u32` values to `sums` (u32), one per cell.
#[allow(unsafe_code)]
pub(crate) fn launch_add_up(client: &Client, values: Handle, sums: &Handle, layout: Layout) {
    let (cells, dim) = (layout.cells(), CubeDim::new(client, layout.cells()));
    let count = calculate_cube_count_elemwise(client, cells, dim);
    // SAFETY: `values` holds `cells * depth` and `sums` `cells` values of 4 bytes; the kernel reads
    // and writes below these lengths only.
    let (values, sums) = unsafe {
        (
            BufferArg::from_raw_parts(values, cells * layout.depth),
            BufferArg::from_raw_parts(sums.clone(), cells),
        )
    };
    add_up::launch(client, count, dim, values, sums, layout.depth, layout.inner);
}
