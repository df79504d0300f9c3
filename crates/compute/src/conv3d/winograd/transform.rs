//! The transforms of one axis.
//!
//! F(m, 3) is polynomial interpolation (Toom and Cook) read backwards: with points a_i and M the
//! product of all (x - a_i), row i of the input transform has the coefficients of M / (x - a_i), the
//! row of the point at infinity those of M; taps g become g(a_i) over the product of (a_i - a_j); and
//! output k is the sum of a_i^k times product i. Points: 0, 1, -1, -2, infinity for F(3, 3); 0, 1, -1,
//! 2, -2, -1/2, infinity for F(5, 3), in this order.

use std::marker::PhantomData;

use super::tiling::Tile;
use crate::simd::lanes::Simd;

/// Finite points of a tile.
pub(super) const fn points(tile: Tile) -> &'static [f64] {
    match tile {
        Tile::F3 => &[0.0, 1.0, -1.0, -2.0],
        Tile::F5 => &[0.0, 1.0, -1.0, 2.0, -2.0, -0.5],
    }
}

/// Three taps at the points of a tile; done once, in f64.
pub(super) fn taps(tile: Tile, [g0, g1, g2]: [f64; 3]) -> Vec<f64> {
    let points = points(tile);
    let at = |i: usize, a: f64| {
        let others = points.iter().enumerate().filter(|(j, _)| *j != i);
        (g0 + a * (g1 + a * g2)) / others.map(|(_, b)| a - b).product::<f64>()
    };
    points.iter().enumerate().map(|(i, a)| at(i, *a)).chain([g2]).collect()
}

/// What each of three taps is worth at the points of a tile: [`taps`] as a matrix. Its transpose takes
/// the gradients of products to those of taps.
#[cfg(feature = "train")]
pub(super) fn coefficients(tile: Tile) -> Vec<[f32; 3]> {
    let unit = |k: usize| taps(tile, std::array::from_fn(|i| if i == k { 1.0 } else { 0.0 }));
    let columns = [0, 1, 2].map(unit);
    (0..tile.points()).map(|point| [0, 1, 2].map(|k| columns[k][point] as f32)).collect()
}

/// A linear map from `I` to `O` vectors. A type, not a closure: only what is marked to be inlined is
/// compiled for the instruction set.
pub(super) trait Transform<const I: usize, const O: usize> {
    fn apply<S: Simd>(simd: S, values: [S::Vector; I]) -> [S::Vector; O];
}

/// Inputs of F(3, 3) at its points.
pub(super) struct Input3;

impl Transform<5, 5> for Input3 {
    #[inline(always)]
    fn apply<S: Simd>(s: S, d: [S::Vector; 5]) -> [S::Vector; 5] {
        let two = s.splat(2.0);
        let t = s.sub(d[3], d[1]);
        let u = s.mul_add(two, d[2], d[3]);
        let w = s.mul_add(two, d[1], d[2]);
        [
            s.mul_add(two, s.sub(d[2], d[0]), t),
            s.add(u, w),
            s.sub(u, w),
            t,
            s.mul_add(two, t, s.sub(d[4], d[2])),
        ]
    }
}

/// Outputs of F(3, 3) from the products at its points.
pub(super) struct Output3;

impl Transform<5, 3> for Output3 {
    #[inline(always)]
    fn apply<S: Simd>(s: S, m: [S::Vector; 5]) -> [S::Vector; 3] {
        let (sum, difference) = (s.add(m[1], m[2]), s.sub(m[1], m[2]));
        [
            s.add(s.add(sum, m[0]), m[3]),
            s.mul_add(s.splat(-2.0), m[3], difference),
            s.add(s.mul_add(s.splat(4.0), m[3], sum), m[4]),
        ]
    }
}

/// Inputs of F(5, 3) at its points. Pairs a, -a share the even and the odd part of their polynomial.
pub(super) struct Input5;

impl Transform<7, 7> for Input5 {
    #[inline(always)]
    fn apply<S: Simd>(s: S, d: [S::Vector; 7]) -> [S::Vector; 7] {
        let (half, two, four) = (s.splat(0.5), s.splat(2.0), s.splat(4.0));
        let (minus_two, minus_four) = (s.splat(-2.0), s.splat(-4.0));
        let minus_five = s.splat(-5.0);
        // Times x + 1/2, which all rows but that of -1/2 have as a factor.
        let mut e = [half; 6];
        for j in 0..6 {
            e[j] = s.mul_add(half, d[j], d[j + 1]);
        }
        let (odd_1, even_1) =
            (s.mul_add(minus_four, e[2], e[4]), s.mul_add(minus_four, e[1], e[3]));
        let (odd_2, even_2) = (s.sub(e[4], e[2]), s.sub(e[3], e[1]));
        [
            s.mul_add(four, e[0], s.mul_add(minus_five, e[2], e[4])),
            s.add(odd_1, even_1),
            s.sub(odd_1, even_1),
            s.mul_add(two, even_2, odd_2),
            s.mul_add(minus_two, even_2, odd_2),
            s.mul_add(four, d[1], s.mul_add(minus_five, d[3], d[5])),
            s.mul_add(four, e[1], s.mul_add(minus_five, e[3], e[5])),
        ]
    }
}

/// Outputs of F(5, 3) from the products at its points.
pub(super) struct Output5;

impl Transform<7, 5> for Output5 {
    #[inline(always)]
    fn apply<S: Simd>(s: S, m: [S::Vector; 7]) -> [S::Vector; 5] {
        let (sum_1, difference_1) = (s.add(m[1], m[2]), s.sub(m[1], m[2]));
        let (sum_2, difference_2) = (s.add(m[3], m[4]), s.sub(m[3], m[4]));
        let rest = [s.add(m[0], sum_1), difference_1, sum_1, difference_1, s.add(sum_1, m[6])];
        let mut out = rest;
        for k in 0..5 {
            let of_half = s.mul_add(s.splat(POWERS_OF_HALF[k]), m[5], rest[k]);
            let of_two = if k % 2 == 0 { sum_2 } else { difference_2 };
            out[k] = s.mul_add(s.splat(POWERS_OF_TWO[k]), of_two, of_half);
        }
        out
    }
}

const POWERS_OF_TWO: [f32; 5] = [1.0, 2.0, 4.0, 8.0, 16.0];
/// Of -1/2.
const POWERS_OF_HALF: [f32; 5] = [1.0, -0.5, 0.25, -0.125, 0.0625];

/// A transform of values whose negatives count as zero.
pub(super) struct AfterRelu<T>(PhantomData<T>);

impl<T: Transform<I, O>, const I: usize, const O: usize> Transform<I, O> for AfterRelu<T> {
    #[inline(always)]
    fn apply<S: Simd>(simd: S, mut values: [S::Vector; I]) -> [S::Vector; O] {
        let zero = simd.splat(0.0);
        for value in &mut values {
            *value = simd.max(*value, zero);
        }
        T::apply(simd, values)
    }
}

/// Gradients of the outputs of F(3, 3) to those of its products: [`Output3`] transposed, the values of
/// a polynomial at the points.
#[cfg(feature = "train")]
pub(super) struct Gradient3;

#[cfg(feature = "train")]
impl Transform<3, 5> for Gradient3 {
    #[inline(always)]
    fn apply<S: Simd>(s: S, e: [S::Vector; 3]) -> [S::Vector; 5] {
        let even = s.add(e[0], e[2]);
        let at_minus_two = s.mul_add(s.splat(4.0), e[2], s.mul_add(s.splat(-2.0), e[1], e[0]));
        [e[0], s.add(even, e[1]), s.sub(even, e[1]), at_minus_two, e[2]]
    }
}

/// Gradients of the outputs of F(5, 3) to those of its products: [`Output5`] transposed.
#[cfg(feature = "train")]
pub(super) struct Gradient5;

#[cfg(feature = "train")]
impl Transform<5, 7> for Gradient5 {
    #[inline(always)]
    fn apply<S: Simd>(s: S, e: [S::Vector; 5]) -> [S::Vector; 7] {
        let (four, minus_half) = (s.splat(4.0), s.splat(-0.5));
        let (even_1, odd_1) = (s.add(e[0], s.add(e[2], e[4])), s.add(e[1], e[3]));
        let even_2 = s.mul_add(four, s.mul_add(four, e[4], e[2]), e[0]);
        let odd_2 = s.mul_add(s.splat(2.0), e[1], s.mul_add(s.splat(8.0), e[3], s.splat(0.0)));
        let mut at_half = s.mul_add(minus_half, e[4], e[3]);
        for k in [2, 1, 0] {
            at_half = s.mul_add(minus_half, at_half, e[k]);
        }
        [
            e[0],
            s.add(even_1, odd_1),
            s.sub(even_1, odd_1),
            s.add(even_2, odd_2),
            s.sub(even_2, odd_2),
            at_half,
            e[4],
        ]
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::simd::lanes::{Isa, LANES, WithLanes, with_lanes};

    /// Lane i filters with inputs of its own.
    struct Filter<'a>(Tile, &'a [[f32; LANES]; 7], [f64; 3]);

    impl WithLanes for Filter<'_> {
        type Output = Vec<[f32; LANES]>;

        #[inline(always)]
        fn run<S: Simd>(self, s: S) -> Self::Output {
            let taps = taps(self.0, self.2);
            let product = |i: usize, v| s.mul_add(s.splat(taps[i] as f32), v, s.splat(0.0));
            let stored = |v| {
                let mut out = [0.0; LANES];
                s.store(v, &mut out);
                out
            };
            match self.0 {
                Tile::F3 => {
                    let v = Input3::apply(s, std::array::from_fn(|i| s.load(&self.1[i])));
                    let m = std::array::from_fn(|i| product(i, v[i]));
                    Output3::apply(s, m).map(stored).to_vec()
                }
                Tile::F5 => {
                    let v = Input5::apply(s, std::array::from_fn(|i| s.load(&self.1[i])));
                    let m = std::array::from_fn(|i| product(i, v[i]));
                    Output5::apply(s, m).map(stored).to_vec()
                }
            }
        }
    }

    #[test]
    fn transforms_give_the_filter() {
        let d: [[f32; LANES]; 7] =
            std::array::from_fn(|i| std::array::from_fn(|l| ((i * 37 + l * 11) % 19) as f32 - 9.0));
        let g = [0.75, -1.5, 0.3];
        for (isa, tile) in Isa::all().flat_map(|isa| [(isa, Tile::F3), (isa, Tile::F5)]) {
            let found = with_lanes(isa, Filter(tile, &d, g));
            assert_eq!(found.len(), tile.outputs());
            for (k, outputs) in found.iter().enumerate() {
                for (lane, output) in outputs.iter().enumerate() {
                    let x = |j: usize| f64::from(d[k + j][lane]);
                    let expected = g[0] * x(0) + g[1] * x(1) + g[2] * x(2);
                    let error = (f64::from(*output) - expected).abs();
                    assert!(error < 1e-4, "{tile:?} {} output {k}: {error}", isa.name());
                }
            }
        }
    }
}
