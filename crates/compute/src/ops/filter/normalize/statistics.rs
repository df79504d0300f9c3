//! Mean, deviation and extremes of a volume.

use rayon::prelude::*;

use super::CHUNK;
use crate::ops::filter::sample::Sample;

/// What is known of the finite values of a volume. Without any all is 0.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(in crate::ops::filter) struct Statistics {
    /// How many there are.
    pub(in crate::ops::filter) count: u64,
    /// Their mean.
    pub(in crate::ops::filter) mean: f64,
    /// Their standard deviation, divided by the count.
    pub(in crate::ops::filter) std: f64,
    /// The lowest.
    pub(in crate::ops::filter) min: f64,
    /// The highest.
    pub(in crate::ops::filter) max: f64,
}

/// Statistics of the finite values, in f64. Sums are made chunk by chunk and added in order: they do not
/// depend on the number of threads.
pub(in crate::ops::filter) fn statistics<T: Sample>(values: &[T]) -> Statistics {
    let chunks = || values.par_chunks(CHUNK);
    let parts: Vec<Statistics> = chunks().map(|chunk| of_chunk(chunk)).collect();
    let all = parts.into_iter().filter(|part| part.count > 0);
    let Some(all) = all.reduce(|a, b| Statistics {
        count: a.count + b.count,
        mean: a.mean + b.mean,
        std: 0.0,
        min: a.min.min(b.min),
        max: a.max.max(b.max),
    }) else {
        return Statistics::default();
    };
    let mean = all.mean / all.count as f64;
    let squares: Vec<f64> =
        chunks().map(|chunk| finite(chunk).map(|v| (v - mean) * (v - mean)).sum()).collect();
    let std = (squares.iter().sum::<f64>() / all.count as f64).sqrt();
    Statistics { mean, std, ..all }
}

fn finite<T: Sample>(chunk: &[T]) -> impl Iterator<Item = f64> + '_ {
    chunk.iter().map(|v| v.to_f64()).filter(|v| v.is_finite())
}

/// As [`Statistics`], with the sum for the mean.
fn of_chunk<T: Sample>(chunk: &[T]) -> Statistics {
    let none = Statistics { min: f64::INFINITY, max: f64::NEG_INFINITY, ..Statistics::default() };
    finite(chunk).fold(none, |s, v| Statistics {
        count: s.count + 1,
        mean: s.mean + v,
        std: 0.0,
        min: s.min.min(v),
        max: s.max.max(v),
    })
}
