//! Direct 3x3x3 convolution on the CPU.
//!
//! The padded volume of a channel is taken as one long line: the 27 neighbours of all voxels are then
//! the same line shifted, and a tile of 48 outputs is 27 x channels products of a number with a run of
//! 48 inputs. Two columns of each row are computed for nothing; in exchange no row has an end.

use rayon::prelude::*;

mod x86;

pub(super) use x86::Tile;

/// Outputs of a tile along the line.
const LENGTH: usize = 48;
/// Output channels of a tile.
const CHANNELS: usize = 8;
/// Tiles that one task computes, so that tasks are neither many nor long.
const TILES: usize = 5;

/// Results of a tile, a run for each output channel.
type Sums = [[f32; LENGTH]; CHANNELS];

/// Weights in the order in which tiles use them: `[block of 8 outputs][input][tap][8]`.
pub(super) struct Weights {
    packed: Vec<f32>,
    inputs: usize,
    outputs: usize,
}

impl Weights {
    /// From `[output][input][tap]`.
    pub(super) fn pack(weights: &[f32], inputs: usize, outputs: usize) -> Self {
        let blocks = outputs.div_ceil(CHANNELS);
        let mut packed = vec![0.0; blocks * inputs * 27 * CHANNELS];
        for output in 0..outputs {
            let (block, lane) = (output / CHANNELS, output % CHANNELS);
            for at in 0..inputs * 27 {
                packed[(block * inputs * 27 + at) * CHANNELS + lane] =
                    weights[output * inputs * 27 + at];
            }
        }
        Self { packed, inputs, outputs }
    }

    fn block(&self, block: usize) -> &[f32] {
        let size = self.inputs * 27 * CHANNELS;
        &self.packed[block * size..][..size]
    }
}

/// The padded volume as lines, one per input channel.
struct Lines {
    values: Vec<f32>,
    /// Values of a line, with room for the last tile to read past the end.
    stride: usize,
    /// Rows and columns with padding.
    padded: [usize; 2],
}

impl Lines {
    fn pad(input: &[f32], [nz, ny, nx]: [usize; 3]) -> Self {
        let padded = [ny + 2, nx + 2];
        let stride = (nz + 2) * padded[0] * padded[1] + LENGTH * (TILES + 1);
        let voxels = nz * ny * nx;
        let mut values = vec![0.0; input.len() / voxels * stride];
        values.par_chunks_mut(stride).zip(input.par_chunks(voxels)).for_each(|(line, volume)| {
            for (row, source) in volume.chunks_exact(nx).enumerate() {
                let (z, y) = (row / ny + 1, row % ny + 1);
                let at = (z * padded[0] + y) * padded[1] + 1;
                line[at..at + nx].copy_from_slice(source);
            }
        });
        Self { values, stride, padded }
    }

    /// How far each tap lies ahead of the output's place on the line.
    fn offsets(&self) -> [usize; 27] {
        let [py, px] = self.padded;
        std::array::from_fn(|tap| (tap / 9 * py + tap / 3 % 3) * px + tap % 3)
    }
}

/// One image of a batch: `input` `[inputs, z, y, x]`, `output` `[outputs, z, y, x]`.
pub(super) fn convolve(
    tile: Tile,
    input: &[f32],
    shape: [usize; 3],
    weights: &Weights,
    bias: &[f32],
    output: &mut [f32],
) {
    let [nz, ny, nx] = shape;
    let lines = Lines::pad(input, shape);
    let [py, px] = lines.padded;
    let per_plane = (ny * px).div_ceil(LENGTH * TILES);
    let run = LENGTH * TILES;
    let blocks = weights.outputs.div_ceil(CHANNELS);
    // Tasks write side by side here; a second pass puts the runs where they belong.
    let mut runs = vec![0.0; nz * per_plane * blocks * CHANNELS * run];
    runs.par_chunks_mut(blocks * CHANNELS * run).enumerate().for_each(|(task, out)| {
        let start = task / per_plane * py * px + task % per_plane * run;
        compute_task(tile, &lines, start, weights, out);
    });
    output.par_chunks_mut(nz * ny * nx).enumerate().for_each(|(channel, volume)| {
        for (row, target) in volume.chunks_exact_mut(nx).enumerate() {
            let (z, y) = (row / ny, row % ny);
            copy_row(&runs, z * per_plane, blocks, channel, y * px, target);
            target.iter_mut().for_each(|v| *v += bias[channel]);
        }
    });
}

/// All output channels of a run; `out`: `[channel][run]`.
fn compute_task(tile: Tile, lines: &Lines, start: usize, weights: &Weights, out: &mut [f32]) {
    let offsets = lines.offsets();
    let run = LENGTH * TILES;
    let mut sums: Sums = [[0.0; LENGTH]; CHANNELS];
    for part in 0..TILES {
        for (block, out) in out.chunks_exact_mut(CHANNELS * run).enumerate() {
            let at = start + part * LENGTH;
            tile.compute(
                &lines.values,
                at,
                lines.stride,
                &offsets,
                weights.block(block),
                &mut sums,
            );
            for (channel, sums) in sums.iter().enumerate() {
                out[channel * run + part * LENGTH..][..LENGTH].copy_from_slice(sums);
            }
        }
    }
}

/// A row of voxels may lie on two runs.
fn copy_row(
    runs: &[f32],
    first_task: usize,
    blocks: usize,
    channel: usize,
    start: usize,
    target: &mut [f32],
) {
    let run = LENGTH * TILES;
    let (mut at, mut rest) = (start, target);
    while !rest.is_empty() {
        let (task, inside) = (first_task + at / run, at % run);
        let count = rest.len().min(run - inside);
        let source = ((task * blocks * CHANNELS) + channel) * run + inside;
        let (head, tail) = rest.split_at_mut(count);
        head.copy_from_slice(&runs[source..source + count]);
        (at, rest) = (at + count, tail);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn naive(x: &[f32], [nz, ny, nx]: [usize; 3], w: &[f32], b: &[f32], inputs: usize) -> Vec<f64> {
        let mut out = Vec::new();
        for (output, bias) in b.iter().enumerate() {
            for at in 0..nz * ny * nx {
                let (z, y, x0) = (at / (ny * nx), at / nx % ny, at % nx);
                let mut sum = f64::from(*bias);
                for i in 0..inputs {
                    for tap in 0..27 {
                        let (z, y, x0) = (z + tap / 9, y + tap / 3 % 3, x0 + tap % 3);
                        let inside = (1..=nz).contains(&z)
                            && (1..=ny).contains(&y)
                            && (1..=nx).contains(&x0);
                        if inside {
                            let voxel = ((i * nz + z - 1) * ny + y - 1) * nx + x0 - 1;
                            sum += f64::from(w[(output * inputs + i) * 27 + tap])
                                * f64::from(x[voxel]);
                        }
                    }
                }
                out.push(sum);
            }
        }
        out
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn every_instruction_set_gives_the_definition(
            shape in [1usize..6, 1usize..9, 1usize..60], inputs in 1usize..5, outputs in 1usize..18,
            seed in 0usize..1000,
        ) {
            let number = |i: usize| ((i * 7919 + seed * 31) % 23) as f32 / 11.0 - 1.0;
            let voxels: usize = shape.iter().product();
            let x: Vec<f32> = (0..inputs * voxels).map(number).collect();
            let w: Vec<f32> = (0..outputs * inputs * 27).map(|i| number(i + 5)).collect();
            let b: Vec<f32> = (0..outputs).map(number).collect();
            let expected = naive(&x, shape, &w, &b, inputs);
            for tile in Tile::all() {
                let mut found = vec![0.0; outputs * voxels];
                convolve(tile, &x, shape, &Weights::pack(&w, inputs, outputs), &b, &mut found);
                for (f, e) in found.iter().zip(&expected) {
                    prop_assert!((f64::from(*f) - e).abs() < 1e-4);
                }
            }
        }
    }
}
