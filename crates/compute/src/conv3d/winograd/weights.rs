//! Weights at the points of the tiles, in the order in which products read them.

use super::tiling::{Kind, Tile};
use super::{Plan, transform};
use crate::precision::Precision;
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
    /// Units of 32 bits that the inputs of one output take.
    #[inline(always)]
    pub(super) fn units(&self) -> usize {
        match self.precision {
            Precision::Exact => self.sizes.inputs,
            Precision::Fast => self.sizes.inputs.div_ceil(2),
        }
    }

    /// Units of one point: `[block of outputs][units of inputs][outputs of the block]`, then, for
    /// integers, what one is worth in each output.
    #[inline(always)]
    pub(super) fn point_len(&self) -> usize {
        let scales = usize::from(self.precision == Precision::Fast);
        self.padded_outputs() * (self.units() + scales)
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
        for kind in self.kinds.iter().copied() {
            let start = self.kind_offset(kind);
            let length = kind.points() * self.point_len();
            let target = &mut packed[start..start + length];
            for output in 0..outputs {
                // [input][point]
                let tap =
                    |i: usize, t: usize| f64::from(weights[(t * inputs + i) * outputs + output]);
                let at_points: Vec<Vec<f64>> = (0..inputs)
                    .map(|i| at_points([kind.z, kind.y, Tile::F3], |t| tap(i, t)))
                    .collect();
                for (point, target) in target.chunks_exact_mut(self.point_len()).enumerate() {
                    let column: Vec<f64> = at_points.iter().map(|values| values[point]).collect();
                    self.pack_column(&column, output, target);
                }
            }
        }
        packed
    }

    /// The weights of one point and one output.
    fn pack_column(&self, column: &[f64], output: usize, target: &mut [f32]) {
        let block = self.width * LANES;
        let start = output / block * block * self.units() + output % block;
        if self.precision == Precision::Exact {
            for (i, value) in column.iter().enumerate() {
                target[start + i * block] = *value as f32;
            }
            return;
        }
        let (worth, shorts) = quantise(column);
        for (i, pair) in shorts.chunks(2).enumerate() {
            let high = pair.get(1).copied().unwrap_or(0);
            let unit = u32::from(pair[0] as u16) | u32::from(high as u16) << 16;
            target[start + i * block] = f32::from_bits(unit);
        }
        target[self.units() * self.padded_outputs() + output] = worth;
    }
}

/// As integers whose absolute values add up to at most 2^16, and what one is worth.
fn quantise(column: &[f64]) -> (f32, Vec<i16>) {
    let sum: f64 = column.iter().map(|v| v.abs()).sum();
    let largest = column.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
    // Rounding may add a half for each.
    let room = 65536.0 - column.len() as f64;
    let factor = (room / sum).min(f64::from(i16::MAX) / largest);
    if !factor.is_finite() {
        return (0.0, vec![0; column.len()]);
    }
    let shorts = column.iter().map(|v| (v * factor).round() as i16).collect();
    ((1.0 / factor) as f32, shorts)
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
