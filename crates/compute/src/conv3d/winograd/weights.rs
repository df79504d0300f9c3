//! Weights at the points of the tiles, in the order in which products read them.

use super::tiling::{Kind, Tile};
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

    /// f32 values of all points of all kinds of tile. About 27 times the weights for a FOV of 33.
    pub(in crate::conv3d) fn packed_len(&self) -> usize {
        self.kinds.iter().map(|kind| kind.points() * self.point_len()).sum()
    }

    /// Where the weights of a kind of tile begin: after those of the kinds before it.
    #[inline(always)]
    fn kind_offset(&self, kind: Kind) -> usize {
        let before = self.kinds.iter().take_while(|other| **other != kind);
        before.map(|kind| kind.points() * self.point_len()).sum()
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
        for kind in self.kinds.iter().copied() {
            let start = self.kind_offset(kind);
            for (input, output) in (0..inputs).flat_map(|i| (0..outputs).map(move |o| (i, o))) {
                let tap = |t: usize| f64::from(weights[(t * inputs + input) * outputs + output]);
                let place = (output / block * inputs + input) * block + output % block;
                for (point, value) in
                    at_points([kind.z, kind.y, Tile::F3], tap).into_iter().enumerate()
                {
                    packed[start + point * self.point_len() + place] = value as f32;
                }
            }
        }
        packed
    }
}

/// A kernel of 27 taps at all points of a tile, `[pz][py][px]`.
fn at_points([z, y, x]: [Tile; 3], tap: impl Fn(usize) -> f64) -> Vec<f64> {
    let along_x: Vec<Vec<f64>> =
        (0..9).map(|row| transform::taps(x, [0, 1, 2].map(|i| tap(row * 3 + i)))).collect();
    // [kz][py][px], then [pz][py][px].
    let along_y: Vec<Vec<f64>> =
        (0..3).map(|kz| combine(y, &along_x[kz * 3..kz * 3 + 3])).collect();
    combine(z, &along_y)
}

/// Three rows of taps at the points of a tile, element by element.
fn combine(tile: Tile, rows: &[Vec<f64>]) -> Vec<f64> {
    let length = rows[0].len();
    let mut out = vec![0.0; tile.points() * length];
    for i in 0..length {
        for (point, value) in
            transform::taps(tile, [0, 1, 2].map(|k| rows[k][i])).iter().enumerate()
        {
            out[point * length + i] = *value;
        }
    }
    out
}

impl PackedWeights<'_> {
    /// All points of a kind of tile.
    #[inline(always)]
    pub(super) fn of_kind(&self, plan: &Plan, kind: Kind) -> &[f32] {
        let start = plan.kind_offset(kind);
        &self.values[start..start + kind.points() * plan.point_len()]
    }
}
