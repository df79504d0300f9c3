//! Packing weights that change at each step: in f32, on all threads.

use rayon::prelude::*;

use super::Plan;
use super::taps::Matrix;
use super::tiling::{Kind, Tile};
use crate::precision::Precision;
use crate::simd::aligned::AlignedBuffer;
use crate::simd::lanes::{LANES, Simd, WithLanes, with_lanes};

impl Plan {
    /// As [`Plan::pack`], some hundred times as fast and less exact by the rounding of f32.
    ///
    /// # Panics
    /// If a length is another or the plan is for integers: mistakes of ours.
    pub(in crate::conv3d) fn repack(&self, weights: &[f32], packed: &mut [f32]) {
        assert_eq!(self.precision, Precision::Exact, "integers are packed once");
        assert_eq!(packed.len(), self.packed_len(), "room for the packed weights");
        let taps = self.lines(weights);
        let mut tasks = Vec::new();
        let mut rest = packed;
        for kind in &self.kinds {
            let length = kind.y.points() * Tile::F3.points() * self.point_len();
            for point in 0..kind.z.points() {
                let (target, after) = rest.split_at_mut(length);
                tasks.push((*kind, point, target));
                rest = after;
            }
        }
        tasks.into_par_iter().for_each(|(kind, point, target)| {
            with_lanes(self.isa, PointsInZ { taps: &taps, kind, point, target });
        });
    }

    /// A line for each tap in the order of a point's weights: `[block of outputs][input][width]`.
    fn lines(&self, weights: &[f32]) -> AlignedBuffer {
        let (inputs, outputs) = (self.sizes.inputs, self.sizes.outputs);
        assert_eq!(weights.len(), 27 * inputs * outputs, "weights are [3, 3, 3, in, out]");
        let (length, width) = (self.point_len(), self.width * LANES);
        let mut lines = AlignedBuffer::default();
        lines.fit(27 * length);
        for (line, weights) in
            lines.chunks_exact_mut(length).zip(weights.chunks_exact(inputs * outputs))
        {
            for (block, line) in line.chunks_exact_mut(inputs * width).enumerate() {
                for (to, from) in line.chunks_exact_mut(width).zip(weights.chunks_exact(outputs)) {
                    let from = &from[block * width..outputs.min((block + 1) * width)];
                    to[..from.len()].copy_from_slice(from);
                }
            }
        }
        lines
    }
}

/// All points of a kind of tile with one point in z.
struct PointsInZ<'a> {
    /// `[3][3][3][line]`.
    taps: &'a [f32],
    kind: Kind,
    point: usize,
    /// `[point y][point x][line]`.
    target: &'a mut [f32],
}

impl WithLanes for PointsInZ<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let line = self.taps.len() / 27;
        let (mut plane, mut row) = (AlignedBuffer::default(), AlignedBuffer::default());
        plane.fit(9 * line);
        row.fit(3 * line);
        Matrix::of(self.kind.z).at_point(simd, self.point, self.taps, &mut plane);
        let (along_y, along_x) = (Matrix::of(self.kind.y), Matrix::of(Tile::F3));
        let rows = self.target.chunks_exact_mut(along_x.points() * line);
        for (point, target) in rows.enumerate() {
            along_y.at_point(simd, point, &plane, &mut row);
            for (point, target) in target.chunks_exact_mut(line).enumerate() {
                along_x.at_point(simd, point, &row, target);
            }
        }
    }
}
