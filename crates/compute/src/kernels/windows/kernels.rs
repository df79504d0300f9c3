//! A unit for each voxel, row or word.

use cubecl::prelude::*;

use super::super::tiles::{EDGE, VOXELS};
use super::super::words::{is_nan, ordered};
use super::plan::{HEADER, NOTES, NOWHERE, SAID};

/// [`ordered`] zeros.
const ZERO: u32 = 0x8000_0000;
pub(super) const BEST: usize = 3;
pub(super) const FIRST: usize = 9;

/// Voxels of a field of view, and along y and x.
#[derive(CubeType, CubeLaunch)]
pub(super) struct Fov {
    pub(super) voxels: usize,
    pub(super) ny: usize,
    pub(super) nx: usize,
}

/// Place in the pool of a window's voxel.
#[cube]
fn place(plan: &[u32], window: usize, voxel: usize, fov: &Fov) -> usize {
    let at = window * HEADER;
    let z = plan[at] as usize + voxel / fov.nx / fov.ny;
    let y = plan[at + 1] as usize + voxel / fov.nx % fov.ny;
    let x = plan[at + 2] as usize + voxel % fov.nx;
    let tz = z / EDGE - plan[at] as usize / EDGE;
    let ty = y / EDGE - plan[at + 1] as usize / EDGE;
    let tx = x / EDGE - plan[at + 2] as usize / EDGE;
    let tile = (tz * plan[at + 4] as usize + ty) * plan[at + 5] as usize + tx;
    let slot = plan[plan[at + 3] as usize + tile] as usize;
    slot * VOXELS + (z % EDGE * EDGE + y % EDGE) * EDGE + x % EDGE
}

/// Image and logits, voxel by voxel beside each other, of `count` windows from `first` on. `packed`: voxels
/// in a word of the image, whose values stand in `table` if they are more than one.
#[cube(launch)]
#[allow(clippy::too_many_arguments)]
pub(super) fn gather(
    image: &[u32],
    table: &[u32],
    pool: &[u32],
    plan: &[u32],
    input: &mut [u32],
    fov: Fov,
    ny: usize,
    nx: usize,
    first: usize,
    count: usize,
    #[comptime] packed: usize,
) {
    if ABSOLUTE_POS < count * fov.voxels {
        let at = first * fov.voxels + ABSOLUTE_POS;
        let (window, voxel) = (at / fov.voxels, at % fov.voxels);
        let header = window * HEADER;
        let z = plan[header] as usize + voxel / fov.nx / fov.ny;
        let y = plan[header + 1] as usize + voxel / fov.nx % fov.ny;
        let x = plan[header + 2] as usize + voxel % fov.nx;
        let from = (z * ny + y) * nx + x;
        if comptime!(packed == 1) {
            input[2 * at] = image[from];
        } else {
            let bits = comptime!(32 / packed as u32);
            let mask = comptime!((1u32 << bits) - 1);
            let word = image[from / packed] >> ((from % packed) as u32 * bits);
            input[2 * at] = table[(word & mask) as usize];
        }
        let logit = pool[place(plan, window, voxel, &fov)];
        input[2 * at + 1] = select(is_nan(logit), plan[header + 6], logit);
    }
}

/// Turns updates into logits and counts them, a unit for each row.
#[cube(launch)]
pub(super) fn add_seeds(
    input: &[u32],
    update: &mut [u32],
    plan: &[u32],
    notes: &[Atomic<u32>],
    fov: Fov,
    rows: usize,
) {
    let row = ABSOLUTE_POS;
    if row < rows {
        let window = row * fov.nx / fov.voxels;
        let limit = ordered(plan[window * HEADER + 7]);
        let mut inside = 0u32;
        let mut there = 0u32;
        for x in 0..fov.nx {
            let at = row * fov.nx + x;
            let sum = f32::reinterpret(input[2 * at + 1]) + f32::reinterpret(update[at]);
            let logit = u32::reinterpret(sum);
            update[at] = logit;
            if !is_nan(logit) {
                there += 1u32;
                inside += select(ordered(logit) >= limit, 1u32, 0u32);
            }
        }
        notes[window * NOTES].fetch_add(inside);
        notes[window * NOTES + 1].fetch_add(there);
    }
}

/// Whether enough of a window is inside for what is outside to stay there.
#[cube]
fn keeps_outside(plan: &[u32], notes: &[Atomic<u32>], window: usize) -> bool {
    let header = window * HEADER;
    let there = notes[window * NOTES + 1].load();
    let share = plan[header + 10].mul_hi(there) >> plan[header + 11];
    plan[header + 9] == 1u32 && notes[window * NOTES].load() > share
}

/// Writes logits to their tiles; those that are kept outside are so in `logits`, too.
#[cube(launch)]
pub(super) fn scatter(
    logits: &mut [u32],
    pool: &mut [u32],
    plan: &[u32],
    notes: &[Atomic<u32>],
    fov: Fov,
    windows: usize,
) {
    let at = ABSOLUTE_POS;
    if at < windows * fov.voxels && !is_nan(logits[at]) {
        let window = at / fov.voxels;
        let to = place(plan, window, at % fov.voxels, &fov);
        let (new, old) = (logits[at], pool[to]);
        let mut result = new;
        if !is_nan(old) {
            let (was, is) = (ordered(old), ordered(new));
            if was >= ordered(plan[window * HEADER + 8]) && is < ZERO {
                notes[window * NOTES + 2].fetch_add(1u32);
            }
            if was < ZERO && is > was && keeps_outside(plan, notes, window) {
                result = old;
            }
        }
        logits[at] = result;
        pool[to] = result;
    }
}

/// Puts together what the host is told: [`SAID`] words for each window, then single voxels of the pool, whose
/// places stand in the plan from `probes_at` on.
#[cube(launch)]
#[allow(clippy::too_many_arguments)]
pub(super) fn report(
    logits: &[u32],
    pool: &[u32],
    plan: &[u32],
    notes: &[u32],
    said: &mut [u32],
    fov: Fov,
    windows: usize,
    probes_at: usize,
) {
    let at = ABSOLUTE_POS;
    if at < said.len() {
        if at >= windows * SAID {
            said[at] = pool[plan[probes_at + at - windows * SAID] as usize];
        } else {
            let (window, item) = (at / SAID, at % SAID);
            let note = window * NOTES;
            let mut word = 0u32;
            if item == 0 {
                word = notes[note + 2];
            } else if item < 7 {
                word = notes[note + FIRST + item - 1];
            } else if item < 13 {
                let place = notes[note + FIRST + item - 7];
                word = 0xff80_0000u32.runtime();
                if place != NOWHERE {
                    word = logits[window * fov.voxels + place as usize];
                }
            }
            said[at] = word;
        }
    }
}
