//! Connected components: trees of voxels in one array of parents, joined with atomic minima, so that
//! every root is the first voxel of its component, whatever the order of units.
//!
//! After Playne and Hawick, "A new algorithm for parallel connected-component labelling on GPUs", IEEE
//! Transactions on Parallel and Distributed Systems 29 (2018).

use cubecl::calculate_cube_count_elemwise;
use cubecl::client::Client;
use cubecl::prelude::*;
use cubecl::server::Handle;

use super::words::{self, ordered};

/// Parent of voxels that belong to nothing.
const NONE: u32 = u32::MAX;
/// Voxels that one unit counts the roots of.
const RUN: usize = 256;

/// 1 for words from `low` to `high`, else 0; `floats`: words are bits of floats.
#[cube(launch)]
fn within(values: &[u32], class: &mut [u32], low: u32, high: u32, #[comptime] floats: bool) {
    let at = ABSOLUTE_POS;
    if at < class.len() {
        let mut value = values[at];
        let (mut from, mut to) = (low, high);
        if comptime!(floats) {
            value = ordered(value);
            from = ordered(low);
            to = ordered(high);
        }
        class[at] = select(value >= from && value <= to, 1u32, 0u32);
    }
}

/// Every voxel of a class above 0 is a tree of its own.
#[cube(launch)]
fn plant(class: &[u32], parent: &mut [u32]) {
    let at = ABSOLUTE_POS;
    if at < parent.len() {
        parent[at] = select(class[at] == 0u32, NONE, at as u32);
    }
}

#[cube]
fn root(parent: &[Atomic<u32>], from: u32) -> u32 {
    let mut at = from;
    let mut above = parent[at as usize].load();
    while above != at {
        at = above;
        above = parent[at as usize].load();
    }
    at
}

/// Joins two trees: the larger root gets the smaller as its parent. Where another unit has been
/// quicker, what it has put there is joined in turn.
#[cube]
fn join(parent: &[Atomic<u32>], first: u32, second: u32) {
    let mut a = first;
    let mut b = second;
    let mut done = false;
    while !done {
        a = root(parent, a);
        b = root(parent, b);
        if a == b {
            done = true;
        } else {
            let (low, high) = (min(a, b), max(a, b));
            let before = parent[high as usize].fetch_min(low);
            done = before == high;
            a = before;
            b = low;
        }
    }
}

/// Joins every voxel with its neighbours before it in memory, if they are of one class. `reach`: along
/// how many axes a neighbour may differ at once, 1 to 3.
#[cube(launch)]
fn join_neighbours(
    class: &[u32],
    parent: &[Atomic<u32>],
    ny: u32,
    nx: u32,
    #[comptime] reach: u32,
) {
    let at = ABSOLUTE_POS;
    if at < class.len() && class[at] != 0u32 {
        let own = class[at];
        let here = at as u32;
        let (x, y, z) = (here % nx, (here / nx) % ny, here / nx / ny);
        // The 13 of the 26 neighbours that come before in memory.
        #[unroll]
        for n in 0..13u32 {
            let (dz, dy, dx) = comptime!((n / 9, n / 3 % 3, n % 3));
            let axes = comptime!((dz != 1) as u32 + (dy != 1) as u32 + (dx != 1) as u32);
            if comptime!(axes <= reach) {
                let inside =
                    z + dz >= 1 && y + dy >= 1 && y + dy <= ny && x + dx >= 1 && x + dx <= nx;
                if inside {
                    let other = ((z + dz - 1) * ny + y + dy - 1) * nx + x + dx - 1;
                    if class[other as usize] == own {
                        join(parent, here, other);
                    }
                }
            }
        }
    }
}

/// Every voxel gets its root as its parent.
#[cube(launch)]
fn flatten(parent: &[Atomic<u32>]) {
    let at = ABSOLUTE_POS;
    if at < parent.len() {
        let above = parent[at].load();
        if above != NONE {
            parent[at].store(root(parent, above));
        }
    }
}

/// Number of roots of each run.
#[cube(launch)]
fn count_roots(parent: &[u32], counts: &mut [u32]) {
    let run = ABSOLUTE_POS;
    if run < counts.len() {
        let start = run * RUN;
        let mut count = 0u32;
        for at in start..min(start + RUN, parent.len()) {
            if parent[at] == at as u32 {
                count += 1u32;
            }
        }
        counts[run] = count;
    }
}

/// Numbers the roots in the order of memory; `before`: roots ahead of each run.
#[cube(launch)]
fn number_roots(parent: &[u32], before: &[u32], numbers: &mut [u32]) {
    let run = ABSOLUTE_POS;
    if run < before.len() {
        let start = run * RUN;
        let mut number = before[run];
        for at in start..min(start + RUN, parent.len()) {
            if parent[at] == at as u32 {
                number += 1u32;
                numbers[at] = number;
            }
        }
    }
}

/// Every voxel gets the number of its root; the roots' numbers are all that is read of `numbers`.
#[cube(launch)]
fn paint(numbers: &[u32], labels: &mut [u32]) {
    let at = ABSOLUTE_POS;
    if at < labels.len() {
        let root = labels[at];
        labels[at] = if root == NONE { 0u32.runtime() } else { numbers[root as usize] };
    }
}

/// `to[i] = from[at[i]]`.
#[cube(launch)]
fn gather(from: &[u32], at: &[u32], to: &mut [u32]) {
    let i = ABSOLUTE_POS;
    if i < to.len() {
        to[i] = from[at[i] as usize];
    }
}

/// `to[at[i]] = values[i]`; `at` has no position twice.
#[cube(launch)]
fn scatter(values: &[u32], at: &[u32], to: &mut [u32]) {
    let i = ABSOLUTE_POS;
    if i < values.len() {
        to[at[i] as usize] = values[i];
    }
}

#[cube(launch)]
fn clear(values: &mut [u32]) {
    if ABSOLUTE_POS < values.len() {
        values[ABSOLUTE_POS] = 0u32;
    }
}

/// Cubes for a unit of each of so many things.
fn units(client: &Client, count: usize) -> (CubeCount, CubeDim) {
    let dim = CubeDim::new(client, count);
    (calculate_cube_count_elemwise(client, count, dim), dim)
}

/// A buffer of words, 1 where `values` lie from `low` to `high`, bounds included. With `floats`,
/// values and bounds are bits of floats; NaN is in no range that ends at or before the infinities.
pub(crate) fn launch_within(
    client: &Client,
    values: &Handle,
    [low, high]: [u32; 2],
    floats: bool,
) -> Handle {
    let class = client.empty(values.size_in_used() as usize);
    let (count, dim) = units(client, words::length(values));
    within::launch(client, count, dim, words::all(values), words::all(&class), low, high, floats);
    class
}

/// The first voxel of each voxel's component, [`u32::MAX`] where `class` is 0. Neighbours of one class
/// belong together.
pub(crate) fn launch_roots(
    client: &Client,
    class: &Handle,
    [_, ny, nx]: [usize; 3],
    reach: u32,
) -> Handle {
    let parent = client.empty(class.size_in_used() as usize);
    let voxels = words::length(class);
    let (count, dim) = units(client, voxels);
    plant::launch(client, count.clone(), dim, words::all(class), words::all(&parent));
    let (ny, nx) = (ny as u32, nx as u32);
    let (classes, parents) = (words::all(class), words::all(&parent));
    join_neighbours::launch(client, count.clone(), dim, classes, parents, ny, nx, reach);
    flatten::launch(client, count, dim, words::all(&parent));
    parent
}

/// Number of roots in each run of memory.
pub(crate) fn launch_count_roots(client: &Client, parent: &Handle) -> Handle {
    let runs = words::length(parent).div_ceil(RUN);
    let counts = client.empty(runs * 4);
    let (count, dim) = units(client, runs);
    count_roots::launch(client, count, dim, words::all(parent), words::all(&counts));
    counts
}

/// Turns roots into numbers from 1 on, in place; `before`: the roots ahead of each run.
pub(crate) fn launch_number(client: &Client, parent: &Handle, before: &Handle) {
    let numbers = client.empty(parent.size_in_used() as usize);
    let (count, dim) = units(client, words::length(before));
    let (parents, befores) = (words::all(parent), words::all(before));
    number_roots::launch(client, count, dim, parents, befores, words::all(&numbers));
    launch_paint(client, &numbers, parent);
}

/// Turns roots into the numbers that stand at the roots' places, in place.
pub(crate) fn launch_paint(client: &Client, numbers: &Handle, parent: &Handle) {
    let (count, dim) = units(client, words::length(parent));
    paint::launch(client, count, dim, words::all(numbers), words::all(parent));
}

/// The words of `from` at some positions, each below its length.
pub(crate) fn launch_gather(client: &Client, from: &Handle, at: &Handle) -> Handle {
    let to = client.empty(at.size_in_used() as usize);
    let (count, dim) = units(client, words::length(at));
    gather::launch(client, count, dim, words::all(from), words::all(at), words::all(&to));
    to
}

/// A buffer of `length` words, 0 but for `values` at the positions `at`, none of which comes twice.
pub(crate) fn launch_scatter(
    client: &Client,
    values: &Handle,
    at: &Handle,
    length: usize,
) -> Handle {
    let to = client.empty(length * 4);
    let (count, dim) = units(client, length);
    clear::launch(client, count, dim, words::all(&to));
    let (count, dim) = units(client, words::length(at));
    scatter::launch(client, count, dim, words::all(values), words::all(at), words::all(&to));
    to
}
