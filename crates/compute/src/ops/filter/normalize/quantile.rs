//! Quantiles without sorting: the digits of the value at a rank are found one by one, from the highest, by
//! counting. A digit has 16 bits, so 8- and 16-bit values take one pass.

use rayon::prelude::*;

use super::CHUNK;
use crate::ops::filter::sample::Sample;

const DIGIT: u32 = 16;

/// The quantile `q` (0 to 1) of the finite values, linear between two of them as in `numpy.quantile`; 0 if
/// there is none.
pub(super) fn quantile<T: Sample>(values: &[T], q: f64) -> f64 {
    let count = values.par_iter().filter(|v| v.to_f64().is_finite()).count();
    if count == 0 {
        return 0.0;
    }
    let at = q.clamp(0.0, 1.0) * (count - 1) as f64;
    let low = at_rank(values, at.floor() as u64);
    let rest = at.fract();
    if rest == 0.0 {
        return low;
    }
    low + (at_rank(values, at.floor() as u64 + 1) - low) * rest
}

/// The value at a rank of the finite ones, from 0.
fn at_rank<T: Sample>(values: &[T], mut rank: u64) -> f64 {
    let bits = 8 * size_of::<T>() as u32;
    let mut prefix = 0;
    let mut shift = bits.saturating_sub(DIGIT);
    loop {
        let counts = count_digits(values, prefix, shift);
        let mut digit = 0;
        while digit + 1 < counts.len() && rank >= counts[digit] {
            rank -= counts[digit];
            digit += 1;
        }
        prefix = prefix << DIGIT | digit as u64;
        if shift == 0 {
            return T::from_order(prefix).to_f64();
        }
        shift -= DIGIT;
    }
}

/// How often each digit follows the prefix among the finite values.
fn count_digits<T: Sample>(values: &[T], prefix: u64, shift: u32) -> Vec<u64> {
    let none = || vec![0u64; 1 << DIGIT];
    let count = |mut counts: Vec<u64>, chunk: &[T]| {
        for value in chunk.iter().filter(|v| v.to_f64().is_finite()) {
            let order = value.order();
            if (order >> shift) >> DIGIT == prefix {
                counts[(order >> shift) as usize & ((1 << DIGIT) - 1)] += 1;
            }
        }
        counts
    };
    let add = |mut a: Vec<u64>, b: Vec<u64>| {
        a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
        a
    };
    values.par_chunks(CHUNK).with_min_len(16).fold(none, count).reduce(none, add)
}
