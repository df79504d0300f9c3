//! Intensities brought to a common scale.

use exavox_io::{DataType, Voxels, match_dtype};
use rayon::prelude::*;

use super::sample::Sample;
use super::survey::{Sought, survey};
use crate::error::{Error, Result};
use crate::simd::{Vectorised, dispatch};

/// What becomes of intensities.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Normalization {
    /// Mean 0, standard deviation 1.
    MeanStd,
    /// The lowest value becomes 0, the highest 1.
    MinMax,
    /// These two values become 0 and 1; what is beyond is clipped.
    Range {
        /// The value that becomes 0.
        low: f64,
        /// The value that becomes 1, above `low`.
        high: f64,
    },
    /// The values at two percentiles (0 to 100, as `numpy.percentile` has them) become 0 and 1; what is
    /// beyond is clipped.
    Percentiles {
        /// Percentile of the value that becomes 0.
        low: f64,
        /// Percentile of the value that becomes 1, above `low`.
        high: f64,
    },
}

impl Normalization {
    /// Whether results lie between 0 and 1.
    pub fn is_unit_range(&self) -> bool {
        !matches!(self, Self::MeanStd)
    }

    /// What must be known of the whole volume; nothing for a range.
    pub fn sought(&self) -> Option<Sought> {
        match self {
            Self::MeanStd => Some(Sought::MeanStd),
            Self::MinMax => Some(Sought::Extremes),
            Self::Range { .. } => None,
            Self::Percentiles { low, high } => {
                Some(Sought::Quantiles([*low, *high].map(|p| p / 100.0)))
            }
        }
    }
}

/// Normalises the intensities of a volume; f32.
///
/// Only finite values count for mean, extremes and percentiles. NaN stays NaN; infinities are clipped where
/// the method clips or, with the minimum and maximum, lie beyond 0 and 1. A volume of one value becomes 0.
/// Mean and deviation come from sums without rounding, percentiles are exact, found by counting digits,
/// without a copy. Cost: one to four passes over the volume before the one that writes. Memory: the result.
///
/// # Errors
/// [`Error::Usage`] if `low` is not below `high`, or a percentile is not within 0 and 100;
/// [`Error::Io`] if memory cannot be had.
pub fn normalize(voxels: &Voxels, method: Normalization) -> Result<Voxels> {
    method.check()?;
    let found = match method.sought() {
        Some(sought) => survey(voxels, sought)?,
        None => [0.0; 2],
    };
    normalize_by(voxels, method, found)
}

/// Normalises a part of a volume: as [`normalize`] does with the whole, of which `found` tells what
/// [`Normalization::sought`] asks for (nothing for a range).
///
/// # Errors
/// As [`normalize`].
pub fn normalize_by(voxels: &Voxels, method: Normalization, found: [f64; 2]) -> Result<Voxels> {
    method.check()?;
    let mut out = Voxels::zeros(DataType::F32, voxels.shape())?;
    let map = map(method, found);
    match_dtype!(voxels.dtype(), T => {
        let values = voxels.as_slice::<T>()?;
        let chunks = out.as_mut_slice::<f32>()?.par_chunks_mut(CHUNK).zip(values.par_chunks(CHUNK));
        chunks.for_each(|(out, values)| dispatch(Apply { map, values, out }));
    });
    Ok(out)
}

impl Normalization {
    /// Whether values beyond the ends are clipped.
    pub(crate) fn clips(&self) -> bool {
        matches!(self, Self::Range { .. } | Self::Percentiles { .. })
    }

    /// What is subtracted from a volume's values, and what they are multiplied by then; 0 for a volume of one
    /// value.
    pub(crate) fn offset_and_scale(&self, voxels: &Voxels) -> Result<[f64; 2]> {
        self.check()?;
        let found = self.sought().map_or(Ok([0.0; 2]), |sought| survey(voxels, sought))?;
        let map = map(*self, found);
        Ok([map.offset, map.scale])
    }
}

/// Voxels that a thread takes at once.
const CHUNK: usize = 1 << 16;

impl Normalization {
    /// Whether it can be.
    ///
    /// # Errors
    /// As [`normalize`].
    pub fn check(&self) -> Result<()> {
        let usage = |message: String| Err(Error::Usage(message));
        match self {
            Self::Range { low, high } | Self::Percentiles { low, high }
                if !(low < high && low.is_finite() && high.is_finite()) =>
            {
                usage(format!(
                    "normalisation from {low} to {high}: the first must be below the second"
                ))
            }
            Self::Percentiles { low, high } if *low < 0.0 || *high > 100.0 => {
                usage(format!("percentiles {low} and {high}: they lie between 0 and 100"))
            }
            _ => Ok(()),
        }
    }
}

/// `(value - offset) * scale`, clipped to `clip`.
#[derive(Debug, Clone, Copy)]
struct Map {
    offset: f64,
    scale: f64,
    clip: [f64; 2],
}

fn map(method: Normalization, found: [f64; 2]) -> Map {
    const NONE: [f64; 2] = [f64::NEG_INFINITY, f64::INFINITY];
    let inverse = |width: f64| if width > 0.0 { 1.0 / width } else { 0.0 };
    let range = |[low, high]: [f64; 2], clip| Map { offset: low, scale: inverse(high - low), clip };
    match method {
        Normalization::MeanStd => Map { offset: found[0], scale: inverse(found[1]), clip: NONE },
        Normalization::MinMax => range(found, NONE),
        Normalization::Range { low, high } => range([low, high], [0.0, 1.0]),
        Normalization::Percentiles { .. } => range(found, [0.0, 1.0]),
    }
}

struct Apply<'a, T> {
    map: Map,
    values: &'a [T],
    out: &'a mut [f32],
}

impl<T: Sample> Vectorised for Apply<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Map { offset, scale, clip: [low, high] } = self.map;
        for (out, value) in self.out.iter_mut().zip(self.values) {
            let mapped =
                if scale > 0.0 { (value.to_f64() - offset) * scale } else { value.to_f64() * 0.0 };
            let mapped = if mapped < low { low } else { mapped };
            *out = if mapped > high { high } else { mapped } as f32;
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn run(values: Vec<f64>, method: Normalization) -> Vec<f32> {
        let voxels = Voxels::from_vec([1, 1, values.len()], values).unwrap();
        normalize(&voxels, method).unwrap().as_slice::<f32>().unwrap().to_vec()
    }

    fn naive_quantile(sorted: &[f64], q: f64) -> f64 {
        let at = q * (sorted.len() - 1) as f64;
        let (low, high) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
        low + (high - low) * at.fract()
    }

    proptest! {
        #[test]
        fn equals_the_definition(
            values in prop::collection::vec(-1000i32..1000, 2..300), low in 0.0..49.0f64, high in 51.0..100.0f64,
        ) {
            let all: Vec<f64> = values.iter().map(|v| f64::from(*v) / 7.0).collect();
            let n = all.len() as f64;
            let mean = all.iter().sum::<f64>() / n;
            let std = (all.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt();
            let mut sorted = all.clone();
            sorted.sort_by(f64::total_cmp);
            let ends = |a: f64, b: f64| (naive_quantile(&sorted, a / 100.0), naive_quantile(&sorted, b / 100.0));
            let (min, max) = ends(0.0, 100.0);
            let (p, q) = ends(low, high);
            let unit = |v: f64, a: f64, b: f64| if b > a { (v - a) / (b - a) } else { 0.0 };
            for (i, v) in all.iter().enumerate() {
                let z = if std > 0.0 { (v - mean) / std } else { 0.0 };
                let of = |method| f64::from(run(all.clone(), method)[i]);
                if i % 50 == 0 {
                    prop_assert!((of(Normalization::MeanStd) - z).abs() < 1e-5);
                    prop_assert!((of(Normalization::MinMax) - unit(*v, min, max)).abs() < 1e-6);
                    let clipped = of(Normalization::Percentiles { low, high });
                    prop_assert!((clipped - unit(*v, p, q).clamp(0.0, 1.0)).abs() < 1e-6);
                }
            }
        }
    }

    #[test]
    fn values_that_are_not_finite_do_not_count() {
        let values = vec![f64::NAN, 0.0, 2.0, f64::INFINITY, f64::NEG_INFINITY, 4.0];
        let found = run(values.clone(), Normalization::MinMax);
        assert!(found[0].is_nan() && found[1..4] == [0.0, 0.5, f32::INFINITY]);
        let found = run(values.clone(), Normalization::Percentiles { low: 0.0, high: 100.0 });
        assert!(found[0].is_nan() && found[1..] == [0.0, 0.5, 1.0, 0.0, 1.0]);
        let found = run(values, Normalization::MeanStd);
        assert!(found[0].is_nan() && found[2] == 0.0 && found[1] == -found[5]);
        assert!(run(vec![f64::NAN; 3], Normalization::MinMax).iter().all(|v| v.is_nan()));
        assert_eq!(run(vec![7.0; 3], Normalization::MeanStd), [0.0; 3]);
    }

    #[test]
    fn ends_that_are_none_are_refused() {
        let voxels = Voxels::zeros(DataType::U8, [2; 3]).unwrap();
        for method in [
            Normalization::Range { low: 2.0, high: 2.0 },
            Normalization::Range { low: f64::NAN, high: 2.0 },
            Normalization::Percentiles { low: -1.0, high: 2.0 },
            Normalization::Percentiles { low: 1.0, high: 100.5 },
        ] {
            assert!(normalize(&voxels, method).is_err(), "{method:?}");
        }
    }
}
