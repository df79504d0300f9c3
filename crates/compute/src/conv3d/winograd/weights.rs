//! Weights at the points of the tiles, in the order in which products read them.

use super::tiling::{Tile, Tiling};
use super::{Plan, transform};
use crate::simd::lanes::LANES;

/// Weights that [`Plan::pack`] has made, as the backend's tensor holds them.
pub(in crate::conv3d) struct PackedWeights<'a> {
    values: &'a [f32],
}

impl<'a> PackedWeights<'a> {
    pub(in crate::conv3d) fn new(values: &'a [f32]) -> Self {
        Self { values }
    }

    pub(super) fn len(&self) -> usize {
        self.values.len()
    }
}

impl Plan {
    /// f32 values of one point: `[block of outputs][input][outputs of the block]`.
    pub(super) fn point_len(&self) -> usize {
        self.padded_outputs() * self.sizes.inputs
    }

    /// f32 values of all points of all kinds of tile. About 30 times the weights for a FOV of 33.
    pub(in crate::conv3d) fn packed_len(&self) -> usize {
        let points = |axis| -> usize { Tiling::kinds(axis).iter().map(|t| t.points()).sum() };
        let x = Tile::F3.points();
        points(&self.tiling.z) * points(&self.tiling.y) * x * self.point_len()
    }

    /// Where the weights of a kind of tile in z and y begin: after those of the kinds before it.
    pub(super) fn kind_offset(&self, z: Tile, y: Tile) -> usize {
        let before = self.kinds().take_while(|kind| *kind != (z, y));
        before.map(|(z, y)| z.points() * y.points() * Tile::F3.points() * self.point_len()).sum()
    }

    fn kinds(&self) -> impl Iterator<Item = (Tile, Tile)> + use<> {
        let (z, y) = (Tiling::kinds(&self.tiling.z), Tiling::kinds(&self.tiling.y));
        z.into_iter().flat_map(move |z| y.clone().into_iter().map(move |y| (z, y)))
    }

    /// Transforms weights `[3, 3, 3, inputs, outputs]`; in f64, rounded once.
    ///
    /// # Panics
    /// If the length is another: a mistake of ours.
    pub(in crate::conv3d) fn pack(&self, weights: &[f32]) -> Vec<f32> {
        let (inputs, outputs) = (self.sizes.inputs, self.sizes.outputs);
        assert_eq!(weights.len(), 27 * inputs * outputs, "weights are [3, 3, 3, in, out]");
        let mut packed = vec![0.0; self.packed_len()];
        let block = self.width * LANES;
        for (z, y) in self.kinds() {
            let start = self.kind_offset(z, y);
            for (input, output) in (0..inputs).flat_map(|i| (0..outputs).map(move |o| (i, o))) {
                let tap = |t: usize| f64::from(weights[(t * inputs + input) * outputs + output]);
                let place = (output / block * inputs + input) * block + output % block;
                for (point, value) in at_points([z, y, Tile::F3], tap).into_iter().enumerate() {
                    packed[start + point * self.point_len() + place] = value as f32;
                }
            }
        }
        packed
    }
}

/// A kernel of 27 taps at all points of a tile, `[pz][py][px]`.
fn at_points([z, y, x]: [Tile; 3], tap: impl Fn(usize) -> f64) -> Vec<f64> {
    let along_x: Vec<Vec<f64>> = (0..9)
        .map(|row| transform::taps(x, [0, 1, 2].map(|i| tap(row * 3 + i))))
        .collect();
    // [kz][py][px], then [pz][py][px].
    let along_y: Vec<Vec<f64>> = (0..3)
        .map(|kz| combine(y, &along_x[kz * 3..kz * 3 + 3]))
        .collect();
    combine(z, &along_y)
}

/// Three rows of taps at the points of a tile, element by element.
fn combine(tile: Tile, rows: &[Vec<f64>]) -> Vec<f64> {
    let length = rows[0].len();
    let mut out = vec![0.0; tile.points() * length];
    for i in 0..length {
        for (point, value) in transform::taps(tile, [0, 1, 2].map(|k| rows[k][i])).iter().enumerate()
        {
            out[point * length + i] = *value;
        }
    }
    out
}

impl PackedWeights<'_> {
    /// Weights of one point.
    #[inline(always)]
    pub(super) fn at(&self, offset: usize, point: usize, length: usize) -> &[f32] {
        &self.values[offset + point * length..][..length]
    }
}
