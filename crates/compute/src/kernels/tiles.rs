//! A pool of tiles of floats, each [`EDGE`] voxels along each axis, in one buffer: slots that objects take
//! and give back. Floats are bits in words, so that NaN stays NaN on every device.

use cubecl::calculate_cube_count_elemwise;
use cubecl::client::Client;
use cubecl::prelude::*;
use cubecl::server::Handle;

use super::words::{self, is_nan, ordered};

/// Voxels along each axis of a tile.
pub(crate) const EDGE: usize = 16;
/// Voxels of a tile.
pub(crate) const VOXELS: usize = EDGE * EDGE * EDGE;
/// Words that hold a bit for each voxel of a tile.
pub(crate) const BIT_WORDS: usize = VOXELS / 32;

/// NaN in the slots that `plan` names from `at` on.
#[cube(launch)]
fn empty_slots(pool: &mut [u32], plan: &[u32], at: usize, slots: usize) {
    let i = ABSOLUTE_POS;
    if i < slots * VOXELS {
        pool[plan[at + i / VOXELS] as usize * VOXELS + i % VOXELS] = 0x7fc0_0000u32;
    }
}

/// Sets single voxels: `plan` has pairs of place and bits from `at` on.
#[cube(launch)]
fn set_voxels(pool: &mut [u32], plan: &[u32], at: usize, voxels: usize) {
    let i = ABSOLUTE_POS;
    if i < voxels {
        pool[plan[at + 2 * i] as usize] = plan[at + 2 * i + 1];
    }
}

/// Puts a smaller pool at the beginning of a larger one.
#[cube(launch)]
fn copy_pool(from: &[u32], to: &mut [u32]) {
    let i = ABSOLUTE_POS;
    if i < from.len() {
        to[i] = from[i];
    }
}

/// A bit for each voxel of some slots, 1 where a logit reaches the threshold; the lowest bit first.
#[cube(launch)]
fn find_inside(pool: &[u32], slots: &[u32], bits: &mut [u32], threshold: u32) {
    let i = ABSOLUTE_POS;
    if i < bits.len() {
        let start = slots[i / BIT_WORDS] as usize * VOXELS + i % BIT_WORDS * 32;
        let mut word = 0u32;
        for bit in 0..32u32 {
            let value = pool[start + bit as usize];
            let inside = !is_nan(value) && ordered(value) >= ordered(threshold);
            word |= select(inside, 1u32, 0u32) << bit;
        }
        bits[i] = word;
    }
}

/// The values of some slots, one after the other.
#[cube(launch)]
fn take_slots(pool: &[u32], slots: &[u32], values: &mut [u32]) {
    let i = ABSOLUTE_POS;
    if i < values.len() {
        values[i] = pool[slots[i / VOXELS] as usize * VOXELS + i % VOXELS];
    }
}

/// The other way round.
#[cube(launch)]
fn put_slots(pool: &mut [u32], slots: &[u32], values: &[u32]) {
    let i = ABSOLUTE_POS;
    if i < values.len() {
        pool[slots[i / VOXELS] as usize * VOXELS + i % VOXELS] = values[i];
    }
}

/// Cubes for a unit of each of so many things.
pub(super) fn units(client: &Client, count: usize) -> (CubeCount, CubeDim) {
    let dim = CubeDim::new(client, count);
    (calculate_cube_count_elemwise(client, count, dim), dim)
}

/// Empties `slots` slots, whose numbers stand in `plan` from `at` on.
pub(crate) fn launch_empty(client: &Client, pool: &Handle, plan: &Handle, [at, slots]: [usize; 2]) {
    let (count, dim) = units(client, slots * VOXELS);
    empty_slots::launch(client, count, dim, words::all(pool), words::all(plan), at, slots);
}

/// Sets `voxels` voxels, whose places in the pool and bits stand in `plan` from `at` on.
pub(crate) fn launch_set(client: &Client, pool: &Handle, plan: &Handle, [at, voxels]: [usize; 2]) {
    let (count, dim) = units(client, voxels);
    set_voxels::launch(client, count, dim, words::all(pool), words::all(plan), at, voxels);
}

/// A pool of `slots` slots, the first of which are those of another.
pub(crate) fn launch_grow(client: &Client, pool: &Handle, slots: usize) -> Handle {
    let larger = client.empty(slots * VOXELS * 4);
    let (count, dim) = units(client, words::length(pool));
    copy_pool::launch(client, count, dim, words::all(pool), words::all(&larger));
    larger
}

/// [`BIT_WORDS`] words for each of the slots: the voxels that reach a threshold.
pub(crate) fn launch_inside(
    client: &Client,
    pool: &Handle,
    slots: &[u32],
    threshold: f32,
) -> Handle {
    let (slots, bits) = (upload(client, slots), client.empty(slots.len() * BIT_WORDS * 4));
    let (count, dim) = units(client, words::length(&bits));
    let (from, to, limit) = (words::all(&slots), words::all(&bits), threshold.to_bits());
    find_inside::launch(client, count, dim, words::all(pool), from, to, limit);
    bits
}

/// The bits of the values of some slots, one slot after the other.
pub(crate) fn launch_take(client: &Client, pool: &Handle, slots: &[u32]) -> Handle {
    let (slots, values) = (upload(client, slots), client.empty(slots.len() * VOXELS * 4));
    let (count, dim) = units(client, words::length(&values));
    let (from, to) = (words::all(&slots), words::all(&values));
    take_slots::launch(client, count, dim, words::all(pool), from, to);
    values
}

/// Fills some slots with values, one slot after the other.
pub(crate) fn launch_put(client: &Client, pool: &Handle, slots: &[u32], values: &[f32]) {
    let (count, dim) = units(client, values.len());
    let values = client.create_from_slice(bytemuck::cast_slice(values));
    let slots = upload(client, slots);
    let (to, from) = (words::all(&slots), words::all(&values));
    put_slots::launch(client, count, dim, words::all(pool), to, from);
}

pub(crate) fn upload(client: &Client, words: &[u32]) -> Handle {
    client.create_from_slice(bytemuck::cast_slice(words))
}
