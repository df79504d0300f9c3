//! Exact Euclidean distance transform, anisotropic.
//!
//! The squared distance is separable: along x it is read off a mask, along y and z it is the least of
//! parabolas, as in Felzenszwalb & Huttenlocher, "Distance transforms of sampled functions", Theory of
//! Computing 8 (2012). Where distances are short, the least is found by trying candidates from near to
//! far, sixteen columns at once; where they are long, by divide and conquer. Both give the same.

use std::fmt;
use std::str::FromStr;

use exavox_io::{DataType, Element, Voxels, match_dtype};
use rayon::prelude::*;

use super::columns::bundles;
use crate::error::{Error, Result};
use crate::simd::lanes::{Isa, Simd, WithLanes, with_lanes};

mod along_columns;
mod along_rows;
mod double_precision;
mod passes;

use along_columns::{ColumnScratch, Pass, parabola};
use along_rows::RowScratch;
pub use double_precision::distance_to_zero;
pub use passes::DistancePasses;

/// What lies beyond the border of the volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Border {
    /// Nothing: distances are to background within the volume.
    #[default]
    Open,
    /// Background: voxels at the border are one voxel away from it.
    Background,
}

impl FromStr for Border {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "open" => Ok(Self::Open),
            "background" => Ok(Self::Background),
            _ => Err(Error::Usage(format!("expected open or background, found '{text}'"))),
        }
    }
}

impl fmt::Display for Border {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Background => "background",
        })
    }
}

/// What is given for each voxel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DistanceKind {
    /// The distance.
    #[default]
    Euclidean,
    /// Its square.
    Squared,
}

/// How distances are measured.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct DistanceOptions {
    /// Edge lengths of a voxel, in the unit of the result. Default: 1, 1, 1.
    pub voxel_size_zyx: [f64; 3],
    /// What is given. Default: the distance.
    pub kind: DistanceKind,
    /// What lies beyond the border. Default: nothing.
    pub border: Border,
}

impl Default for DistanceOptions {
    fn default() -> Self {
        let (kind, border) = (DistanceKind::default(), Border::default());
        Self { voxel_size_zyx: [1.0; 3], kind, border }
    }
}

/// Distance of each object voxel (not 0) to the nearest background voxel (0), 0 for background; infinite
/// where there is no background at all. `mask`: integers of any type. The result is f32.
///
/// Exact: if the squared edge lengths are whole numbers, squared distances below 2^24 are exact and
/// distances are the nearest f32. Otherwise, or above, a squared distance is rounded at most three times.
/// The result does not depend on the number of threads or on the CPU.
///
/// Cost: a pass along each axis; per voxel and pass it grows with the distance as long as distances are
/// short, and with the logarithm of the axis where they are long. Memory: the result, 3 % of it for lists of
/// rows, and for each thread 128 columns.
///
/// # Errors
/// [`Error::Usage`] if the mask is of floats or an edge length is not finite and above 0; [`Error::Io`] if
/// memory cannot be had.
pub fn distance_transform(mask: &Voxels, options: &DistanceOptions) -> Result<Voxels> {
    check(mask.dtype(), options)?;
    let mut out = Voxels::zeros(DataType::F32, mask.shape())?;
    match_dtype!(mask.dtype(), T => {
        fill(mask.as_slice::<T>()?, mask.shape(), out.as_mut_slice::<f32>()?, options);
    });
    Ok(out)
}

/// Refuses what [`distance_transform`] does.
fn check(mask: DataType, options: &DistanceOptions) -> Result<()> {
    if mask.kind() == 'f' {
        let message = format!("a distance transform wants a mask of integers, found {mask}");
        return Err(Error::Usage(message));
    }
    if !options.voxel_size_zyx.iter().all(|v| v.is_finite() && *v > 0.0) {
        let message =
            format!("voxel size {:?}: each must be finite and above 0", options.voxel_size_zyx);
        return Err(Error::Usage(message));
    }
    Ok(())
}

fn fill<T: Element>(mask: &[T], shape: [usize; 3], out: &mut [f32], options: &DistanceOptions) {
    if out.is_empty() {
        return;
    }
    let turns = turns(shape);
    let ([nz, ny, nx], size) = (turned(shape, turns), turned(options.voxel_size_zyx, turns));
    let (along_y, along_z) = (parabola(ny, size[1]), parabola(nz, size[0]));
    let border = options.border;
    // A stack of many planes is cut between planes, where they stay in the cache, few planes within.
    let at_least = if nz < 16 { 1 } else { usize::MAX };
    let planes = out.par_chunks_mut(ny * nx).zip(mask.par_chunks(ny * nx));
    planes.for_each(|(out, mask)| {
        rows(mask, out, nx, size[2], border, at_least);
        columns(
            out,
            [ny, nx],
            Pass { parabola: &along_y, border },
            DistanceKind::Squared,
            at_least,
        );
    });
    columns(out, [nz, ny * nx], Pass { parabola: &along_z, border }, options.kind, 1);
}

/// The pass along rows of a mask; a task has at least so many times 32 rows.
fn rows<T: Element>(
    mask: &[T],
    out: &mut [f32],
    length: usize,
    spacing: f64,
    border: Border,
    at_least: usize,
) {
    let weight = (spacing * spacing) as f32;
    let tasks = out.par_chunks_mut(32 * length).zip(mask.par_chunks(32 * length));
    tasks.with_min_len(at_least).for_each_init(RowScratch::default, |scratch, (out, mask)| {
        with_lanes(Isa::best(), Rows { scratch, mask, out, length, weight, border });
    });
}

/// The pass along the first axis of `[length, columns]`; a task has at least so many bundles of columns.
fn columns(
    values: &mut [f32],
    [length, columns]: [usize; 2],
    pass: Pass<'_>,
    kind: DistanceKind,
    at_least: usize,
) {
    let bundles = bundles(values, length, columns).into_par_iter().with_min_len(at_least);
    bundles.for_each_init(ColumnScratch::default, |scratch, mut bundle| {
        with_lanes(Isa::best(), Columns { scratch, bundle: &mut bundle, pass, kind });
    });
}

/// How often axes are turned so that the last one, along which vectors go, is not of one voxel.
fn turns(shape: [usize; 3]) -> usize {
    (0..2).find(|turns| turned(shape, *turns)[2] != 1).unwrap_or(2)
}

/// The last axis first, so many times. Axes that come first are of one voxel: voxels stay where they are.
fn turned<T: Copy>(mut axes: [T; 3], turns: usize) -> [T; 3] {
    axes.rotate_right(turns);
    axes
}

/// Rows of a mask.
struct Rows<'a, T> {
    scratch: &'a mut RowScratch,
    mask: &'a [T],
    out: &'a mut [f32],
    length: usize,
    weight: f32,
    border: Border,
}

impl<T: Element> WithLanes for Rows<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _simd: S) {
        let rows = self.mask.chunks_exact(self.length);
        for (mask, out) in rows.zip(self.out.chunks_exact_mut(self.length)) {
            let is_object = mask.iter().map(|v| *v != T::default());
            along_rows::transform(self.scratch, is_object, out, self.weight, self.border);
        }
    }
}

/// A bundle of columns.
struct Columns<'a, 'b> {
    scratch: &'a mut ColumnScratch,
    bundle: &'a mut [&'b mut [f32]],
    pass: Pass<'a>,
    kind: DistanceKind,
}

impl WithLanes for Columns<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        along_columns::transform(simd, self.scratch, self.bundle, self.pass);
        if self.kind == DistanceKind::Euclidean {
            let values = self.bundle.iter_mut().flat_map(|run| run.iter_mut());
            values.for_each(|value| *value = value.sqrt());
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::simd::on_each;
    use proptest::prelude::*;

    /// The definition, squared, in f64.
    fn naive(mask: &[u8], shape: [usize; 3], options: &DistanceOptions) -> Vec<f64> {
        let [_, ny, nx] = shape;
        let position = |i: usize| [i / (ny * nx), i / nx % ny, i % nx];
        let squared = |offset: [f64; 3]| -> f64 {
            (0..3).map(|a| (options.voxel_size_zyx[a] * offset[a]).powi(2)).sum()
        };
        let zeros: Vec<_> = (0..mask.len()).filter(|i| mask[*i] == 0).map(position).collect();
        let of = |i: usize| {
            let p = position(i);
            let inside = zeros.iter().map(|q| [0, 1, 2].map(|a| p[a] as f64 - q[a] as f64));
            let outside = (0..3).map(|a| {
                let mut offset = [0.0; 3];
                offset[a] = (p[a] + 1).min(shape[a] - p[a]) as f64;
                offset
            });
            let outside = outside.filter(|_| options.border == Border::Background);
            inside.chain(outside).map(squared).fold(f64::INFINITY, f64::min)
        };
        (0..mask.len()).map(|i| if mask[i] == 0 { 0.0 } else { of(i) }).collect()
    }

    fn found(mask: &[u8], shape: [usize; 3], options: &DistanceOptions) -> Vec<f32> {
        let mask = Voxels::from_vec(shape, mask.to_vec()).unwrap();
        distance_transform(&mask, options).unwrap().as_slice::<f32>().unwrap().to_vec()
    }

    /// Noise of a density, or blocks of one value: long distances, long runs.
    fn mask(count: usize, seed: u64, zeros_of_1000: u64, run: usize) -> Vec<u8> {
        let hash = |i: u64| (i ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29) >> 8;
        (0..count).map(|i| u8::from(hash((i / run) as u64) % 1000 >= zeros_of_1000) * 7).collect()
    }

    fn options() -> impl Strategy<Value = DistanceOptions> {
        let sizes =
            vec![[1.0; 3], [3.0, 2.0, 1.0], [40.0, 4.0, 4.0], [1.0, 50.0, 7.0], [2.5, 0.3, 1.1]];
        let border = prop::sample::select(vec![Border::Open, Border::Background]);
        (prop::sample::select(sizes), border).prop_map(|(voxel_size_zyx, border)| DistanceOptions {
            voxel_size_zyx,
            border,
            kind: DistanceKind::Squared,
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(120))]
        #[test]
        fn equals_the_definition(
            shape in [1usize..7, 1usize..12, 1usize..150], options in options(), seed in any::<u64>(),
            density in prop::sample::select(vec![0, 1, 5, 100, 700]), run in 1usize..200, axis in 0usize..3,
        ) {
            let mut shape = shape;
            shape.rotate_left(axis);
            let mask = mask(shape.iter().product(), seed, density, run);
            let expected = naive(&mask, shape, &options);
            let whole = options.voxel_size_zyx.iter().all(|v| v.fract() == 0.0);
            on_each(|| {
                for (f, e) in found(&mask, shape, &options).into_iter().zip(&expected) {
                    let close = !whole && (f64::from(f) - e).abs() < 3e-7 * e;
                    assert!(f64::from(f) == *e || close, "{f}, expected {e}");
                }
            });
        }
    }

    #[test]
    fn long_distances_are_divided_and_conquered() {
        // Far background in a corner, in a plane, and slanted: more steps than the search may take.
        let shape = [3, 90, 300];
        for zero in
            [|_: usize, y: usize, x: usize| y + x == 0, |_, _, x| x == 0, |z, y, x| x + z == 3 * y]
        {
            let position = |i: usize| (i / 27_000, i / 300 % 90, i % 300);
            let is_zero = |i: usize| {
                let (z, y, x) = position(i);
                zero(z, y, x)
            };
            let mask: Vec<u8> = (0..81_000).map(|i| u8::from(!is_zero(i))).collect();
            let mut options = DistanceOptions { kind: DistanceKind::Squared, ..Default::default() };
            let expected = naive(&mask, shape, &options);
            on_each(|| {
                let found = found(&mask, shape, &options);
                assert!(found.iter().zip(&expected).all(|(f, e)| f64::from(*f) == *e));
            });
            options.kind = DistanceKind::Euclidean;
            let roots = found(&mask, shape, &options);
            assert!(roots.iter().zip(&expected).all(|(f, e)| *f == e.sqrt() as f32));
        }
    }

    #[test]
    fn rows_longer_than_bytes_count_are_scanned() {
        let mut mask = vec![1u8; 1200];
        mask[700] = 0;
        let mut options = DistanceOptions { kind: DistanceKind::Squared, ..Default::default() };
        for border in [Border::Open, Border::Background] {
            options.border = border;
            let expected = naive(&mask, [1, 1, 1200], &options);
            let found = found(&mask, [1, 1, 1200], &options);
            assert!(found.iter().zip(&expected).all(|(f, e)| f64::from(*f) == *e));
        }
    }
}
