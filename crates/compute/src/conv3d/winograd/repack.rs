//! Packing weights that change at each step: in f32, on all threads.

use std::cell::Cell;

use rayon::prelude::*;

use super::Plan;
use super::taps::Matrix;
use super::tiling::{Kind, Tile};
use crate::precision::Precision;
use crate::simd::aligned::AlignedBuffer;
use crate::simd::lanes::{LANES, Simd, WithLanes, with_lanes};

thread_local! {
    /// Taken while they are in use, so that a thread that waits may begin another packing.
    static TAPS: Cell<AlignedBuffer> = Cell::default();
    static ROWS: Cell<AlignedBuffer> = Cell::default();
}

impl Plan {
    /// As [`Plan::pack`], some hundred times as fast and less exact by the rounding of f32.
    ///
    /// # Panics
    /// If a length is another or the plan is for integers: mistakes of ours.
    pub(in crate::conv3d) fn repack(&self, weights: Weights<'_>, packed: &mut [f32]) {
        assert_eq!(self.precision, Precision::Exact, "integers are packed once");
        assert_eq!(packed.len(), self.packed_len(), "room for the packed weights");
        let expected = 27 * self.sizes.inputs * self.sizes.outputs;
        assert_eq!(weights.len(), expected, "weights are [3, 3, 3, in, out]");
        let mut taps = TAPS.take();
        self.lines(weights, &mut taps);
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
            let mut rows = ROWS.take();
            with_lanes(self.isa, PointsInZ { taps: &taps, kind, point, target, rows: &mut rows });
            ROWS.set(rows);
        });
        TAPS.set(taps);
    }

    /// A line for each tap in the order of a point's weights: `[block of outputs][input][width]`.
    fn lines(&self, weights: Weights<'_>, lines: &mut AlignedBuffer) {
        let (inputs, outputs) = (self.sizes.inputs, self.sizes.outputs);
        let (length, width) = (self.point_len(), self.width * LANES);
        lines.fit(27 * length);
        lines.par_chunks_mut(length).enumerate().for_each(|(tap, line)| {
            for (block, line) in line.chunks_exact_mut(inputs * width).enumerate() {
                let first = block * width;
                for (input, to) in line.chunks_exact_mut(width).enumerate() {
                    let (to, padding) = to.split_at_mut(width.min(outputs - first));
                    weights.copy(tap, [inputs, outputs], [input, first], to);
                    padding.fill(0.0);
                }
            }
        });
    }
}

/// Weights as the network has them.
#[derive(Debug, Clone, Copy)]
pub(in crate::conv3d) enum Weights<'a> {
    /// `[3, 3, 3, inputs, outputs]`.
    Forward(&'a [f32]),
    /// `[3, 3, 3, outputs, inputs]` of the convolution that takes gradients back: taps in reverse,
    /// channels exchanged.
    Backward(&'a [f32]),
}

impl Weights<'_> {
    fn len(self) -> usize {
        match self {
            Self::Forward(weights) | Self::Backward(weights) => weights.len(),
        }
    }

    /// The weights of one tap and input to outputs from a first one on.
    fn copy(
        self,
        tap: usize,
        [inputs, outputs]: [usize; 2],
        [input, first]: [usize; 2],
        to: &mut [f32],
    ) {
        match self {
            Self::Forward(weights) => {
                let start = (tap * inputs + input) * outputs + first;
                to.copy_from_slice(&weights[start..start + to.len()]);
            }
            Self::Backward(weights) => {
                let tap = &weights[(26 - tap) * inputs * outputs..][..inputs * outputs];
                let column = tap[first * inputs + input..].iter().step_by(inputs);
                to.iter_mut().zip(column).for_each(|(to, weight)| *to = *weight);
            }
        }
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
    /// A plane and a row of taps.
    rows: &'a mut AlignedBuffer,
}

impl WithLanes for PointsInZ<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let line = self.taps.len() / 27;
        self.rows.fit(12 * line);
        let (plane, row) = self.rows.split_at_mut(9 * line);
        Matrix::of(self.kind.z).at_point(simd, self.point, self.taps, plane);
        let (along_y, along_x) = (Matrix::of(self.kind.y), Matrix::of(Tile::F3));
        let rows = self.target.chunks_exact_mut(along_x.points() * line);
        for (point, target) in rows.enumerate() {
            along_y.at_point(simd, point, plane, row);
            for (point, target) in target.chunks_exact_mut(line).enumerate() {
                along_x.at_point(simd, point, row, target);
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::Sizes;
    use super::*;
    use crate::simd::lanes::Isa;

    #[test]
    fn weights_are_packed_as_by_the_slow_way() {
        for (inputs, outputs) in [(1, 1), (2, 32), (17, 33), (40, 8)] {
            let number = |i: usize| ((i * 7919) % 31) as f32 / 15.0 - 1.0;
            let weights: Vec<f32> = (0..27 * inputs * outputs).map(number).collect();
            let place = |i: usize| (i / outputs % inputs, i / (inputs * outputs), i % outputs);
            let mut mirrored = weights.clone();
            for (i, weight) in weights.iter().enumerate() {
                let (input, tap, output) = place(i);
                mirrored[((26 - tap) * outputs + output) * inputs + input] = *weight;
            }
            for isa in Isa::all() {
                let sizes = Sizes { volume: [8, 5, 4], inputs, outputs };
                let plan = Plan::new(sizes, Precision::Exact, isa);
                let expected = plan.pack(&weights);
                let on = |threads: usize| {
                    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
                    let mut packed = vec![f32::NAN; expected.len()];
                    let pool = pool.build().unwrap();
                    pool.install(|| plan.repack(Weights::Forward(&weights), &mut packed));
                    packed
                };
                let found = on(1);
                let mut back = found.clone();
                plan.repack(Weights::Backward(&mirrored), &mut back);
                assert!(back == found, "{} {inputs} {outputs}", isa.name());
                for (f, e) in found.iter().zip(&expected) {
                    assert!((f - e).abs() < 1e-6, "{} {inputs} {outputs}: {f} {e}", isa.name());
                }
                assert!(on(5) == found);
            }
        }
    }
}
