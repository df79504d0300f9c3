//! What this machine's cores can do at most: how fast they read memory, and how many multiply-adds
//! they do. Measurements stand beside these two figures, so that a ratio says how much is left.
//!
//! Both run on rayon's current pool, each thread on a part of its own, with the widest vectors of the
//! CPU; [`Roofline::measure`] takes the best of several passes.

use std::time::{Duration, Instant};

use exavox_io::{DataType, Voxels};
use rayon::prelude::*;

use crate::error::Result;
use crate::simd::{Vectorised, dispatch};

mod multiply_add;

pub use multiply_add::multiply_add_f32;

/// Bytes that are read to measure the memory: more than any cache that one machine's cores share.
const READ_BYTES: usize = 256 << 20;

/// Bytes that one thread reads before it takes the next piece.
const PIECE_BYTES: usize = 1 << 20;

/// The limits of the cores of rayon's current pool.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Roofline {
    /// Bytes of memory read in a second.
    pub read_bytes_per_second: f64,
    /// Floating-point operations of f32 in a second; a multiply-add counts as two.
    pub f32_flops_per_second: f64,
}

impl Roofline {
    /// Measures both limits, each for about `budget`; the best pass counts. Takes 256 MiB.
    ///
    /// # Errors
    /// If the memory cannot be had.
    pub fn measure(budget: Duration) -> Result<Self> {
        let mut block = Voxels::zeros(DataType::U64, [1, 1, READ_BYTES / size_of::<u64>()])?;
        let words = block.as_mut_slice::<u64>()?;
        // Written once: untouched pages would all be the system's one page of zeros.
        words.fill(1);
        let reading = best_seconds(budget, || {
            std::hint::black_box(read_all(words));
        });
        let bytes = READ_BYTES as f64;
        let rounds = rounds_of_a_pass();
        let threads = rayon::current_num_threads();
        let flops = multiply_add_f32(0).flops_per_round as f64 * (rounds * threads as u64) as f64;
        let adding = best_seconds(budget, || {
            (0..threads).into_par_iter().for_each(|_| {
                std::hint::black_box(multiply_add_f32(rounds).sum);
            });
        });
        Ok(Self { read_bytes_per_second: bytes / reading, f32_flops_per_second: flops / adding })
    }

    /// Seconds that reading `bytes` and computing `flops` take at least, if both go on at once.
    pub fn seconds(&self, bytes: u64, flops: u64) -> f64 {
        let (reading, adding) =
            (bytes as f64 / self.read_bytes_per_second, flops as f64 / self.f32_flops_per_second);
        reading.max(adding)
    }
}

/// Reads every word once, on rayon's current pool; gives their exclusive or.
pub fn read_all(words: &[u64]) -> u64 {
    let piece = PIECE_BYTES / size_of::<u64>();
    words.par_chunks(piece).map(|piece| dispatch(Fold(piece))).reduce(|| 0, |a, b| a ^ b)
}

struct Fold<'a>(&'a [u64]);

impl Vectorised for Fold<'_> {
    type Output = u64;

    #[inline(always)]
    fn run(self) -> u64 {
        // Several vectors at once: one alone would wait for itself.
        const LANES: usize = 64;
        let mut lanes = [0; LANES];
        let groups = self.0.chunks_exact(LANES);
        let rest = groups.remainder().iter().fold(0, |a, b| a ^ b);
        for group in groups {
            for (lane, word) in lanes.iter_mut().zip(group) {
                *lane ^= word;
            }
        }
        lanes.into_iter().fold(rest, |a, b| a ^ b)
    }
}

/// Rounds of multiply-adds that take some milliseconds.
fn rounds_of_a_pass() -> u64 {
    let mut rounds = 1000;
    loop {
        let started = Instant::now();
        std::hint::black_box(multiply_add_f32(rounds).sum);
        if started.elapsed() > Duration::from_millis(4) {
            return rounds;
        }
        rounds *= 2;
    }
}

/// Best time of as many passes as the budget holds, at least three.
fn best_seconds(budget: Duration, mut pass: impl FnMut()) -> f64 {
    let (started, mut best, mut passes) = (Instant::now(), f64::INFINITY, 0);
    while passes < 3 || started.elapsed() < budget {
        let pass_started = Instant::now();
        pass();
        best = best.min(pass_started.elapsed().as_secs_f64());
        passes += 1;
    }
    best.max(1e-12)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_word_is_read_once(words in prop::collection::vec(any::<u64>(), 0..1000)) {
            prop_assert_eq!(read_all(&words), words.iter().fold(0, |a, b| a ^ b));
        }
    }

    #[test]
    fn words_of_several_pieces_are_all_read() {
        let words: Vec<u64> = (0..500_000_u64).map(|i| i.wrapping_mul(0x9E37_79B9)).collect();
        assert_eq!(read_all(&words), words.iter().fold(0, |a, b| a ^ b));
    }

    #[test]
    fn the_slower_of_reading_and_computing_counts() {
        let roofline = Roofline { read_bytes_per_second: 10.0, f32_flops_per_second: 100.0 };
        assert_eq!((roofline.seconds(20, 100), roofline.seconds(20, 1000)), (2.0, 10.0));
    }

    #[test]
    fn limits_of_a_real_machine_are_plausible() {
        let limits = Roofline::measure(Duration::from_millis(1)).unwrap();
        // From a small board computer to a large server.
        assert!((1e8..1e14).contains(&limits.read_bytes_per_second), "{limits:?}");
        assert!((1e8..1e15).contains(&limits.f32_flops_per_second), "{limits:?}");
    }
}
