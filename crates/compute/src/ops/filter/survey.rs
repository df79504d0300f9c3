//! What filters must know of a whole volume: found in passes over its parts, in any order, with the same
//! result to the last bit however it is parted.
//!
//! Values of 8 and 16 bits are counted; from the counts all else follows. Of other types sums are kept
//! exactly, and quantiles found digit by digit, from the highest, by counting: a digit has 16 bits.

mod exact_sum;
mod ranks;
mod tally;

use exavox_io::{DataType, Voxels, match_dtype};
use rayon::prelude::*;

use super::sample::Sample;
use crate::error::Result;
use exact_sum::ExactSum;
use ranks::{Ranks, count_digits};
pub use tally::Tally;

/// Bits of a digit.
const DIGIT: u32 = 16;
/// Counts of a tally at most: two quantiles lie between two ranks each.
const MOST_COUNTS: usize = 4 << DIGIT;
/// Voxels that a thread takes at once.
const CHUNK: usize = 1 << 16;

/// What is to be known of the finite values of a volume: two numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Sought {
    /// Mean and standard deviation, divided by the count.
    MeanStd,
    /// The lowest and the highest.
    Extremes,
    /// Two quantiles (0 to 1), linear between two values as in `numpy.quantile`.
    Quantiles([f64; 2]),
}

/// A survey of a volume. In each pass every part of it is counted once by [`Survey::tally`]; the merged
/// tallies bring it to the next pass, until the numbers are found.
#[derive(Debug, Clone)]
pub struct Survey {
    sought: Sought,
    dtype: DataType,
    pass: Pass,
}

#[derive(Debug, Clone)]
enum Pass {
    /// Digits at a shift, after each of these prefixes. The ranks that are looked for are known from the
    /// second pass on.
    Digits {
        shift: u32,
        prefixes: Vec<u64>,
        ranks: Option<Ranks>,
    },
    /// Count, sum and ends.
    Sum,
    /// Squared distances from the mean.
    Squares {
        count: u64,
        mean: f64,
    },
    Done([f64; 2]),
}

impl Survey {
    /// A survey of which nothing is done.
    pub fn new(sought: Sought, dtype: DataType) -> Self {
        let bits = 8 * dtype.size() as u32;
        let digits = bits <= DIGIT || matches!(sought, Sought::Quantiles(_));
        let pass = if digits {
            let shift = bits.saturating_sub(DIGIT);
            Pass::Digits { shift, prefixes: vec![0], ranks: None }
        } else {
            Pass::Sum
        };
        Self { sought, dtype, pass }
    }

    /// Passes over a volume that it takes in all: 1 to 4.
    pub fn passes(&self) -> usize {
        let digits = (8 * self.dtype.size()).div_ceil(DIGIT as usize);
        match self.sought {
            Sought::Quantiles(_) => digits,
            Sought::MeanStd => digits.min(2),
            Sought::Extremes => 1,
        }
    }

    /// The two numbers, once they are found; 0 if no value is finite.
    pub fn found(&self) -> Option<[f64; 2]> {
        match self.pass {
            Pass::Done(found) => Some(found),
            _ => None,
        }
    }

    /// A tally of no voxels, to merge others into.
    pub fn none(&self) -> Tally {
        match &self.pass {
            Pass::Digits { prefixes, .. } => {
                let digit = DIGIT.min(8 * self.dtype.size() as u32);
                Tally::none(prefixes.len() << digit, ExactSum::default())
            }
            _ => Tally::none(1, ExactSum::zero()),
        }
    }

    /// Counts a part of the volume in the present pass, on all threads.
    ///
    /// # Errors
    /// If the voxels have another type.
    pub fn tally(&self, part: &Voxels) -> Result<Tally> {
        match_dtype!(self.dtype, T => Ok(self.count(part.as_slice::<T>()?)))
    }

    fn count<T: Sample>(&self, values: &[T]) -> Tally {
        let chunks = values.par_chunks(CHUNK).with_min_len(16);
        let counted = chunks.fold(
            || self.none(),
            |mut tally, chunk| {
                self.count_chunk(chunk, &mut tally);
                tally
            },
        );
        counted.reduce(
            || self.none(),
            |mut a, b| {
                a.merge(&b);
                a
            },
        )
    }

    fn count_chunk<T: Sample>(&self, values: &[T], tally: &mut Tally) {
        match &self.pass {
            Pass::Digits { shift, prefixes, .. } => {
                count_digits(values, *shift, prefixes, &mut tally.counts);
            }
            Pass::Sum if self.sought == Sought::Extremes => {
                for value in finite(values) {
                    tally.counts[0] += 1;
                    tally.ends = [tally.ends[0].min(value), tally.ends[1].max(value)];
                }
            }
            Pass::Sum => finite(values).for_each(|value| {
                tally.counts[0] += 1;
                tally.sum.add(value, 1);
            }),
            Pass::Squares { mean, .. } => {
                finite(values).for_each(|v| tally.sum.add((v - mean) * (v - mean), 1));
            }
            Pass::Done(_) => {}
        }
    }

    /// Goes on to the next pass with the tally of the whole volume.
    pub fn advance(&mut self, tally: &Tally) {
        let dtype = self.dtype;
        let pass = std::mem::replace(&mut self.pass, Pass::Done([0.0; 2]));
        self.pass = match (pass, self.sought) {
            (Pass::Digits { shift, prefixes, ranks }, Sought::Quantiles(quantiles)) => {
                let Some(ranks) = ranks.or_else(|| Ranks::new(tally, quantiles)) else { return };
                let ranks = ranks.after(tally, &prefixes, DIGIT.min(8 * dtype.size() as u32));
                if shift == 0 {
                    Pass::Done(match_dtype!(dtype, T => ranks.quantiles::<T>()))
                } else {
                    let (shift, prefixes) = (shift - DIGIT, ranks.prefixes());
                    Pass::Digits { shift, prefixes, ranks: Some(ranks) }
                }
            }
            (Pass::Digits { .. }, sought) => {
                Pass::Done(match_dtype!(dtype, T => of_levels::<T>(&tally.counts, sought)))
            }
            (Pass::Sum, Sought::MeanStd) if tally.first() > 0 => {
                let count = tally.first();
                Pass::Squares { count, mean: tally.sum.value() / count as f64 }
            }
            // Without the sign of a zero, which depends on the order.
            (Pass::Sum, _) if tally.first() > 0 => Pass::Done(tally.ends.map(|end| end + 0.0)),
            (Pass::Squares { count, mean }, _) => {
                Pass::Done([mean, (tally.sum.value() / count as f64).sqrt()])
            }
            (Pass::Done(found), _) => Pass::Done(found),
            // Without a finite value the mean is 0, and no distance is left to be added up.
            (Pass::Sum, Sought::MeanStd) => Pass::Squares { count: 1, mean: 0.0 },
            (Pass::Sum, _) => return,
        };
    }
}

fn finite<T: Sample>(values: &[T]) -> impl Iterator<Item = f64> + '_ {
    values.iter().map(|v| v.to_f64()).filter(|v| v.is_finite())
}

/// What is sought of values of at most 16 bits, from how often each occurs, in their order.
fn of_levels<T: Sample>(counts: &[u64], sought: Sought) -> [f64; 2] {
    let levels = || {
        let levels = counts.iter().zip(0..).filter(|(count, _)| **count > 0);
        levels.map(|(count, order)| (T::from_order(order).to_f64(), *count))
    };
    if sought == Sought::Extremes {
        let ends = [levels().next(), levels().last()];
        return ends.map(|end| end.map_or(0.0, |(value, _)| value));
    }
    let (mut sum, mut squares) = (ExactSum::zero(), ExactSum::zero());
    let all: u64 = counts.iter().sum();
    let count = all.max(1) as f64;
    levels().for_each(|(value, times)| sum.add(value, times));
    let mean = sum.value() / count;
    levels().for_each(|(value, times)| squares.add((value - mean) * (value - mean), times));
    [mean, (squares.value() / count).sqrt()]
}

/// One pass over a volume in memory for each pass of a survey.
pub(super) fn survey(voxels: &Voxels, sought: Sought) -> Result<[f64; 2]> {
    let mut survey = Survey::new(sought, voxels.dtype());
    loop {
        if let Some(found) = survey.found() {
            return Ok(found);
        }
        let tally = survey.tally(voxels)?;
        survey.advance(&tally);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use exavox_io::Element;
    use proptest::prelude::*;

    use super::*;

    fn naive(values: &[f64], sought: Sought) -> [f64; 2] {
        let mut sorted: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
        sorted.sort_by(f64::total_cmp);
        if sorted.is_empty() {
            return [0.0; 2];
        }
        let n = sorted.len() as f64;
        match sought {
            Sought::MeanStd => {
                let mean = sorted.iter().sum::<f64>() / n;
                [mean, (sorted.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt()]
            }
            Sought::Extremes => [sorted[0], sorted[sorted.len() - 1]],
            Sought::Quantiles(quantiles) => quantiles.map(|q| {
                let at = q * (n - 1.0);
                let (low, high) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
                low + (high - low) * at.fract()
            }),
        }
    }

    /// In parts of a length, last one first, by way of bytes.
    fn in_parts<T: Element>(values: &[T], length: usize, sought: Sought) -> [f64; 2] {
        let mut survey = Survey::new(sought, T::DTYPE);
        for _ in 0..survey.passes() {
            let mut all = survey.none();
            for part in values.chunks(length).rev() {
                let part = Voxels::from_vec([1, 1, part.len()], part.to_vec()).unwrap();
                let tally = survey.tally(&part).unwrap();
                all.merge(&Tally::from_bytes(&tally.to_bytes()).unwrap());
            }
            survey.advance(&all);
        }
        survey.found().unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(120))]
        #[test]
        fn parts_give_the_bits_of_the_whole_and_all_is_as_defined(
            values in prop::collection::vec(any::<i64>(), 0..300), length in 1usize..100,
            dtype in prop::sample::select(DataType::ALL.to_vec()), odd in any::<bool>(),
            sought in prop::sample::select(vec![
                Sought::MeanStd, Sought::Extremes, Sought::Quantiles([0.02, 0.9]), Sought::Quantiles([0.0, 1.0]),
            ]),
        ) {
            match_dtype!(dtype, T => {
                // Values of all sizes, so that every digit is counted.
                let mut values: Vec<T> =
                    values.iter().enumerate().map(|(i, v)| (v >> (i % 60)) as T).collect();
                if odd && dtype.kind() == 'f' && values.len() > 3 {
                    values[1] = T::from_f64(f64::NAN);
                    values[2] = T::from_f64(f64::NEG_INFINITY);
                    values[3] = T::from_f64(-0.0);
                }
                let voxels = Voxels::from_vec([1, 1, values.len()], values.clone()).unwrap();
                let whole = survey(&voxels, sought).unwrap();
                let parts = in_parts(&values, length, sought);
                prop_assert_eq!(whole.map(f64::to_bits), parts.map(f64::to_bits));
                let floats: Vec<f64> = values.iter().map(|v| v.to_f64()).collect();
                let largest = floats.iter().filter(|v| v.is_finite()).fold(1.0_f64, |a, v| a.max(v.abs()));
                for (found, expected) in whole.iter().zip(naive(&floats, sought)) {
                    prop_assert!((found - expected).abs() <= 1e-12 * largest, "{found}, expected {expected}");
                }
            });
        }
    }

    #[test]
    fn the_number_of_threads_changes_nothing() {
        let values: Vec<f32> = (0..3_000_000).map(|i| ((i * 7919) % 10_007) as f32 * 0.1).collect();
        let voxels = Voxels::from_vec([3, 1000, 1000], values).unwrap();
        for sought in [Sought::MeanStd, Sought::Quantiles([0.01, 0.99])] {
            let run = |threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| survey(&voxels, sought).unwrap())
            };
            assert!(run(1) == run(2) && run(1) == run(5));
        }
    }
}
