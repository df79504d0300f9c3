//! In which numbers products are computed: f32, or 16-bit integers with 32-bit sums.
//!
//! Integers: the weights of a point and an output are scaled so that their absolute values add up to at
//! most 2^16, the inputs of a row and a point to at most 2^15; no sum can overflow then. The scale of
//! inputs comes from the largest value of the row, noted when the row is made, and the norm of the transform. Scales follow from a strip's values alone: results
//! do not depend on the number of threads.

use crate::simd::lanes::{HalfLine, Integers, LANES, Lanes, Simd, vectors};

/// Points of a tile in x.
pub(super) const POINTS: usize = 5;

/// Sum of the absolute coefficients of each point of the transform in x.
const NORMS: [f32; POINTS] = [6.0, 6.0, 4.0, 2.0, 6.0];

/// The largest absolute value of an input; one less than fits, for the rounding of the scale.
const LARGEST: f32 = 32766.0;

/// Numbers of a product.
pub(super) trait Arithmetic<S: Simd> {
    /// Inputs in a unit of 32 bits.
    const INPUTS: usize;

    /// A bound of absolute values that holds for one more.
    fn note(simd: S, value: S::Vector, bound: S::Vector) -> S::Vector;
    /// Factors that make numbers of a row's inputs, for each point in x, from the bound of its values.
    fn input_factors(simd: S, bound: &Lanes) -> [f32; POINTS];
    /// Sixteen inputs times a factor, as units.
    fn store(simd: S, value: S::Vector, factor: f32, to: &mut [f32]);
    /// `sum + unit * weights`.
    fn add_product(simd: S, unit: S::Vector, weights: S::Vector, sum: S::Vector) -> S::Vector;
    /// What one is worth in each output, from the scales of weights and the factor of the inputs.
    fn scales<const W: usize>(simd: S, weights: &[f32], input: f32) -> [S::Vector; W];
    /// A sum as f32.
    fn value(simd: S, sum: S::Vector, scale: S::Vector) -> S::Vector;
}

/// f32.
pub(super) struct Floats;

impl<S: Simd> Arithmetic<S> for Floats {
    const INPUTS: usize = 1;

    #[inline(always)]
    fn note(_simd: S, _value: S::Vector, bound: S::Vector) -> S::Vector {
        bound
    }

    #[inline(always)]
    fn input_factors(_simd: S, _bound: &Lanes) -> [f32; POINTS] {
        [1.0; POINTS]
    }

    #[inline(always)]
    fn store(simd: S, value: S::Vector, _factor: f32, to: &mut [f32]) {
        if let Some(to) = to.first_chunk_mut::<LANES>() {
            simd.store(value, to);
        }
    }

    #[inline(always)]
    fn add_product(simd: S, unit: S::Vector, weights: S::Vector, sum: S::Vector) -> S::Vector {
        simd.mul_add(unit, weights, sum)
    }

    #[inline(always)]
    fn scales<const W: usize>(simd: S, _weights: &[f32], _input: f32) -> [S::Vector; W] {
        [simd.splat(1.0); W]
    }

    #[inline(always)]
    fn value(_simd: S, sum: S::Vector, _scale: S::Vector) -> S::Vector {
        sum
    }
}

/// 16-bit integers.
pub(super) struct Shorts;

impl<S: Integers> Arithmetic<S> for Shorts {
    const INPUTS: usize = 2;

    #[inline(always)]
    fn note(simd: S, value: S::Vector, bound: S::Vector) -> S::Vector {
        let negative = simd.sub(simd.splat(0.0), value);
        simd.max(simd.max(value, negative), bound)
    }

    #[inline(always)]
    fn input_factors(_simd: S, bound: &Lanes) -> [f32; POINTS] {
        let mut largest = f32::MIN_POSITIVE;
        for lane in bound {
            // Not `max`, which looks for NaN: there is none among bounds.
            largest = if *lane > largest { *lane } else { largest };
        }
        let mut factors = [0.0; POINTS];
        for point in 0..POINTS {
            // Of a row of zeros, or nearly, nothing is left; of one with infinities neither.
            factors[point] = (LARGEST / (NORMS[point] * largest)).min(f32::MAX);
        }
        factors
    }

    #[inline(always)]
    fn store(simd: S, value: S::Vector, factor: f32, to: &mut [f32]) {
        let scaled = simd.mul_add(value, simd.splat(factor), simd.splat(0.0));
        if let Some(to) = to.first_chunk_mut::<{ LANES / 2 }>() {
            let to: &mut HalfLine = to;
            simd.store_rounded(scaled, to);
        }
    }

    #[inline(always)]
    fn add_product(simd: S, unit: S::Vector, weights: S::Vector, sum: S::Vector) -> S::Vector {
        simd.dot_pairs(unit, weights, sum)
    }

    #[inline(always)]
    fn scales<const W: usize>(simd: S, weights: &[f32], factor: f32) -> [S::Vector; W] {
        let (worth, zero) = (simd.splat(1.0 / factor), simd.splat(0.0));
        let mut scales = [zero; W];
        for (scale, weights) in scales.iter_mut().zip(vectors(weights)) {
            *scale = simd.mul_add(simd.load(weights), worth, zero);
        }
        scales
    }

    #[inline(always)]
    fn value(simd: S, sum: S::Vector, scale: S::Vector) -> S::Vector {
        simd.mul_add(simd.integers_to_floats(sum), scale, simd.splat(0.0))
    }
}
