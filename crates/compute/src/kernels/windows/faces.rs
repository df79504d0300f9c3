//! The faces of the cuboid `deltas` around a window's centre: a unit for each row.

use cubecl::prelude::*;

use super::super::words::{is_nan, ordered};
use super::kernels::{BEST, FIRST, Fov};
use super::plan::{HEADER, LOWEST, NOTES, NOWHERE};

/// Voxels of a row, from the first voxel of the window on.
#[derive(CubeType)]
struct Row {
    start: usize,
    length: usize,
    stride: usize,
    /// Whether the face has it.
    is_there: bool,
}

/// A row of a face. Rows are along x, but for the faces across x.
#[cube]
fn row_of(plan: &[u32], window: usize, face: usize, row: usize, fov: &Fov) -> Row {
    let deltas = window * HEADER + 12;
    let (dz, dy) = (plan[deltas] as usize, plan[deltas + 1] as usize);
    let dx = plan[deltas + 2] as usize;
    let axis = face / 2;
    let sign = face % 2;
    let nz = fov.voxels / fov.nx / fov.ny;
    let mut z = nz / 2 - dz;
    let mut y = fov.ny / 2 - dy;
    let mut x = fov.nx / 2 - dx;
    let mut delta = dz;
    let mut last = 2 * dy;
    let mut length = 2 * dx + 1;
    let mut stride = 1usize.runtime();
    if axis == 0 {
        z += sign * 2 * dz;
        y += row;
    } else if axis == 1 {
        y += sign * 2 * dy;
        z += row;
        delta = dy;
        last = 2 * dz;
    } else {
        x += sign * 2 * dx;
        z += row;
        delta = dx;
        last = 2 * dz;
        length = 2 * dy + 1;
        stride = fov.nx;
    }
    let start = (z * fov.ny + y) * fov.nx + x;
    Row { start, length, stride, is_there: delta > 0 && row <= last }
}

/// Looks through the faces of each window's cuboid: for the maxima, then for the first places where they are.
#[cube(launch)]
pub(super) fn search_faces(
    logits: &[u32],
    plan: &[u32],
    notes: &[Atomic<u32>],
    fov: Fov,
    windows: usize,
    rows: usize,
    #[comptime] places: bool,
) {
    let face = ABSOLUTE_POS / rows % 6;
    let window = ABSOLUTE_POS / rows / 6;
    if window < windows {
        let row = row_of(plan, window, face, ABSOLUTE_POS % rows, &fov);
        if row.is_there {
            let note = window * NOTES + face;
            let mut best = LOWEST.runtime();
            let mut first = NOWHERE.runtime();
            for i in 0..row.length {
                let place = row.start + i * row.stride;
                let value = logits[window * fov.voxels + place];
                if !is_nan(value) && ordered(value) > best {
                    best = ordered(value);
                    first = place as u32;
                }
            }
            if best > LOWEST {
                if comptime!(places) {
                    if notes[note + BEST].load() == best {
                        notes[note + FIRST].fetch_min(first);
                    }
                } else {
                    notes[note + BEST].fetch_max(best);
                }
            }
        }
    }
}
