//! Copies in the order, and with the zeros, that kernels for CubeCL's CPU runtime want.

use cubecl::calculate_cube_count_elemwise;
use cubecl::client::Client;
use cubecl::prelude::*;
use cubecl::server::Handle;

use super::lanes;
use crate::kernels::words;

/// Channels as they are computed: more than there are, where those would not make whole vectors.
pub(super) fn columns(widest: usize, channels: usize) -> usize {
    let whole = lanes(widest, channels);
    let few = whole == widest || channels <= 4 * whole;
    if few { channels } else { channels.next_multiple_of(widest) }
}

/// What becomes of the rows of a volume, `[row, x, channel]`: `[row, block, margin + x + margin, channel of
/// the block]`, zeros in margins and beyond the last channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Padding {
    /// Channels as they are.
    pub(super) channels: usize,
    pub(super) blocks: usize,
    /// Channels of a block.
    pub(super) block: usize,
    /// Voxels before and after each row.
    pub(super) margin: usize,
    /// What is below 0 becomes 0.
    pub(super) relu: bool,
}

/// Whether there is such a channel; not asked where all are known to be.
#[cube]
pub(super) fn exists(channel: usize, #[comptime] channels: usize, #[comptime] all: bool) -> bool {
    if comptime!(all) { true.runtime() } else { channel < channels }
}

/// A unit copies one block of one row.
#[cube(launch)]
fn pad(values: &[f32], out: &mut [f32], rows: usize, nx: usize, #[comptime] padding: Padding) {
    let (blocks, block, margin) = comptime!((padding.blocks, padding.block, padding.margin));
    let row = ABSOLUTE_POS / blocks;
    if row >= rows {
        terminate!();
    }
    let first = ABSOLUTE_POS % blocks * block;
    let start = ABSOLUTE_POS * (nx + 2 * margin) * block;
    for i in 0..comptime!(margin * block) {
        out[start + i] = 0.0f32;
        out[start + (nx + margin) * block + i] = 0.0f32;
    }
    let whole = comptime!(blocks * block == padding.channels);
    for x in 0..nx {
        let (from, to) = ((row * nx + x) * padding.channels, start + (x + margin) * block);
        #[unroll]
        for c in 0..block {
            let mut value = 0.0f32;
            if exists(first + c, padding.channels, whole) {
                value = values[from + first + c];
            }
            if comptime!(padding.relu) {
                value = max(value, 0.0f32);
            }
            out[to + c] = value;
        }
    }
}

/// A copy of `count` voxels with zeros after their channels, `[voxel, column]`, in blocks of `lanes`.
pub(super) fn widened(
    client: &Client,
    values: &Handle,
    count: usize,
    [channels, columns]: [usize; 2],
    lanes: usize,
) -> Handle {
    let padding =
        Padding { channels, blocks: columns / lanes, block: lanes, margin: 0, relu: false };
    padding.launch(client, values, count, 1)
}

impl Padding {
    /// A copy of `rows` rows of `nx` voxels.
    pub(super) fn launch(self, client: &Client, values: &Handle, rows: usize, nx: usize) -> Handle {
        let units = rows * self.blocks;
        let out = client.empty(units * (nx + 2 * self.margin) * self.block * 4);
        let dim = CubeDim::new(client, units);
        let count = calculate_cube_count_elemwise(client, units, dim);
        pad::launch(client, count, dim, words::all(values), words::all(&out), rows, nx, self);
        out
    }
}
