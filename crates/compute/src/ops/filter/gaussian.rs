//! Gaussian smoothing: a pass along each axis, in f32.

mod kernel;
mod strip;

use exavox_io::{DataType, Voxels, match_dtype};
use rayon::prelude::*;

use super::Boundary;
use super::sample::Sample;
use crate::error::{Error, Result};
use crate::ops::columns::{WIDTH, bundles};
use crate::simd::{LANES, Lanes, OnLanes, dispatch_lanes};
use kernel::Kernel;
use strip::Position;

/// Smooths a volume with a Gaussian of `sigma_zyx` voxels, each 0 or above; 0 leaves an axis as it is.
/// The result is f32.
///
/// The kernel is cut at `4 * sigma`, as in `scipy.ndimage.gaussian_filter`. Weights are computed in f64,
/// values and sums are f32: the result differs from SciPy's in double precision by at most some 1e-6 of
/// the largest value (and, by the instruction set, in the last bit). A voxel is NaN if a NaN, or infinities
/// of both signs, lie in its box of `4 * sigma`.
///
/// Cost: along each axis `4 * sigma` additions and multiplications per voxel, but never more than the
/// axis has voxels. Memory: the result, and for each thread a bundle of 128 lines.
///
/// # Errors
/// [`Error::Usage`] if a sigma is negative or not finite; [`Error::Io`] if memory cannot be had.
pub fn gaussian(voxels: &Voxels, sigma_zyx: [f64; 3], boundary: Boundary) -> Result<Voxels> {
    if !sigma_zyx.iter().all(|s| s.is_finite() && *s >= 0.0) {
        let message = format!("sigma {sigma_zyx:?}: each must be finite and at least 0");
        return Err(Error::Usage(message));
    }
    let shape = voxels.shape();
    let mut out = Voxels::zeros(DataType::F32, shape)?;
    let kernels = std::array::from_fn(|a| Kernel::new(sigma_zyx[a], shape[a], boundary));
    let passes = Passes { shape, kernels, boundary };
    match_dtype!(voxels.dtype(), T => {
        passes.run(voxels.as_slice::<T>()?, out.as_mut_slice::<f32>()?);
    });
    Ok(out)
}

struct Passes {
    shape: [usize; 3],
    kernels: [Kernel; 3],
    boundary: Boundary,
}

/// Memory of a thread for the strips of a bundle, and for one strip of results.
#[derive(Default)]
struct Scratch {
    strips: Vec<Position>,
    results: Vec<Position>,
}

impl Passes {
    fn run<T: Sample>(&self, values: &[T], out: &mut [f32]) {
        let [nz, ny, nx] = self.shape;
        let plane = ny * nx;
        if out.is_empty() {
            return;
        }
        let along_z = self.kernels[0] != Kernel::None;
        if along_z {
            let bundles = bundles(out, nz, plane).into_par_iter().enumerate();
            bundles.for_each_init(Scratch::default, |scratch, (n, mut bundle)| {
                let (kernel, boundary, bundle) = (&self.kernels[0], self.boundary, &mut bundle);
                let source = Some(Source { values: &values[n * WIDTH..], plane });
                dispatch_lanes(Columns { scratch, source, bundle, kernel, boundary });
            });
        }
        let planes = out.par_chunks_mut(plane).zip(values.par_chunks(plane));
        planes.for_each(|(out, values)| {
            if !along_z {
                out.iter_mut().zip(values).for_each(|(o, v)| *o = v.to_f32());
            }
            self.along_y(out);
            self.along_x(out);
        });
    }

    fn along_y(&self, plane: &mut [f32]) {
        let (kernel, boundary) = (&self.kernels[1], self.boundary);
        if *kernel == Kernel::None {
            return;
        }
        let bundles = bundles(plane, self.shape[1], self.shape[2]).into_par_iter();
        bundles.for_each_init(Scratch::default, |scratch, mut bundle| {
            let (source, bundle) = (None::<Source<'_, f32>>, &mut bundle);
            dispatch_lanes(Columns { scratch, source, bundle, kernel, boundary });
        });
    }

    fn along_x(&self, plane: &mut [f32]) {
        let (kernel, boundary, length) = (&self.kernels[2], self.boundary, self.shape[2]);
        if *kernel == Kernel::None {
            return;
        }
        let groups = plane.par_chunks_mut(LANES * length);
        groups.for_each_init(Scratch::default, |scratch, rows| {
            dispatch_lanes(Rows { scratch, rows, length, kernel, boundary });
        });
    }
}

/// A bundle of columns, of the volume or of a source of another type.
struct Columns<'a, 'b, T> {
    scratch: &'a mut Scratch,
    /// Where the columns are read: a run of the source's for each of the bundle. In place without.
    source: Option<Source<'a, T>>,
    bundle: &'a mut [&'b mut [f32]],
    kernel: &'a Kernel,
    boundary: Boundary,
}

/// Runs of voxels a plane apart.
#[derive(Clone, Copy)]
struct Source<'a, T> {
    values: &'a [T],
    plane: usize,
}

impl<T: Sample> OnLanes for Columns<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes>(self) {
        let (length, margin) = (self.bundle.len(), strip::margin(self.kernel));
        let width = self.bundle.first().map_or(0, |run| run.len());
        let padded = length + 2 * margin;
        let Scratch { strips, results } = self.scratch;
        strips.resize(padded * width.div_ceil(LANES), [0.0; LANES]);
        results.resize(length, [0.0; LANES]);
        for (z, run) in self.bundle.iter().enumerate() {
            match self.source {
                Some(Source { values, plane }) => {
                    spread(&values[z * plane..][..width], &mut strips[margin + z..], padded);
                }
                None => spread(run, &mut strips[margin + z..], padded),
            }
        }
        for (s, strip) in strips.chunks_exact_mut(padded).enumerate() {
            strip::extend(strip, margin, self.boundary);
            strip::filter::<V>(strip, self.kernel, results);
            for (run, result) in self.bundle.iter_mut().zip(results.iter()) {
                copy(result, &mut run[s * LANES..]);
            }
        }
    }
}

/// Puts a run of voxels into one position of strips that lie `padded` positions apart.
#[inline(always)]
fn spread<T: Sample>(run: &[T], strips: &mut [Position], padded: usize) {
    let (whole, rest) = run.as_chunks::<LANES>();
    for (s, values) in whole.iter().enumerate() {
        let to = &mut strips[s * padded];
        for l in 0..LANES {
            to[l] = values[l].to_f32();
        }
    }
    if !rest.is_empty() {
        let to = &mut strips[whole.len() * padded];
        to.iter_mut().zip(rest).for_each(|(to, v)| *to = v.to_f32());
    }
}

#[inline(always)]
fn copy(from: &Position, to: &mut [f32]) {
    match to.first_chunk_mut::<LANES>() {
        Some(to) => *to = *from,
        None => to.iter_mut().zip(from).for_each(|(to, from)| *to = *from),
    }
}

/// Up to sixteen rows, in place.
struct Rows<'a> {
    scratch: &'a mut Scratch,
    rows: &'a mut [f32],
    length: usize,
    kernel: &'a Kernel,
    boundary: Boundary,
}

impl OnLanes for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes>(self) {
        let margin = strip::margin(self.kernel);
        let Scratch { strips, results } = self.scratch;
        strips.resize(self.length + 2 * margin, [0.0; LANES]);
        results.resize(self.length, [0.0; LANES]);
        strip::gather::<V>(self.rows, self.length, &mut strips[margin..margin + self.length]);
        strip::extend(strips, margin, self.boundary);
        strip::filter::<V>(strips, self.kernel, results);
        strip::scatter::<V>(results, self.length, self.rows);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::simd::on_each_set;
    use proptest::prelude::*;

    /// One pass along an axis in f64, voxel by voxel.
    fn naive_pass(
        values: &[f64],
        shape: [usize; 3],
        a: usize,
        sigma: f64,
        b: Boundary,
    ) -> Vec<f64> {
        let radius = (4.0 * sigma + 0.5) as i64;
        let weight = |k: i64| (-0.5 * (k as f64 / sigma).powi(2)).exp();
        let [_, ny, nx] = shape;
        let of = |i: usize| {
            let p = [i / (ny * nx), i / nx % ny, i % nx];
            let at = |k: i64| {
                let mut q = p;
                q[a] = b.position(p[a] as i64 + k, shape[a]);
                values[(q[0] * ny + q[1]) * nx + q[2]]
            };
            let sum: f64 = (-radius..=radius).map(|k| weight(k) * at(k)).sum();
            sum / (-radius..=radius).map(weight).sum::<f64>()
        };
        (0..values.len()).map(of).collect()
    }

    fn naive(voxels: &Voxels, sigma: [f64; 3], boundary: Boundary) -> Vec<f64> {
        let mut values: Vec<f64> = voxels.to_f32().into_iter().map(f64::from).collect();
        for a in (0..3).filter(|a| (4.0 * sigma[*a] + 0.5) as usize > 0) {
            values = naive_pass(&values, voxels.shape(), a, sigma[a], boundary);
        }
        values
    }

    fn voxels(dtype: DataType, shape: [usize; 3], seed: u64) -> Voxels {
        let hash = |i: u64| (i ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 57;
        let count = shape.iter().product::<usize>() as u64;
        match_dtype!(dtype, T => {
            Voxels::from_vec(shape, (0..count).map(|i| hash(i) as T).collect::<Vec<T>>()).unwrap()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        #[test]
        fn equals_the_definition(
            shape in [1usize..9, 1usize..20, 1usize..150], axis in 0usize..3, seed in any::<u64>(),
            sigma in [0.0..3.0f64, 0.0..6.0f64, 0.0..9.0f64],
            dtype in prop::sample::select(DataType::ALL.to_vec()),
            boundary in prop::sample::select(vec![Boundary::Reflect, Boundary::Nearest]),
        ) {
            let mut shape = shape;
            shape.rotate_left(axis);
            let voxels = voxels(dtype, shape, seed);
            let expected = naive(&voxels, sigma, boundary);
            on_each_set(|| {
                let found = gaussian(&voxels, sigma, boundary).unwrap();
                for (f, e) in found.as_slice::<f32>().unwrap().iter().zip(&expected) {
                    // Values go up to 127.
                    assert!((f64::from(*f) - e).abs() < 1e-4, "{f}, expected {e}");
                }
            });
        }
    }

    #[test]
    fn the_number_of_threads_changes_nothing() {
        let voxels = voxels(DataType::F32, [5, 40, 300], 3);
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| gaussian(&voxels, [1.0, 2.0, 3.0], Boundary::Reflect).unwrap())
        };
        assert!(run(1) == run(2) && run(1) == run(5));
    }

    #[test]
    fn nan_fills_the_box_of_its_kernel_and_no_more() {
        let mut values = vec![1.0f32; 20 * 20 * 20];
        values[(10 * 20 + 10) * 20 + 10] = f32::NAN;
        let voxels = Voxels::from_vec([20; 3], values).unwrap();
        let found = gaussian(&voxels, [1.0, 0.5, 0.0], Boundary::Reflect).unwrap();
        for (i, value) in found.as_slice::<f32>().unwrap().iter().enumerate() {
            let far = [(i / 400, 4), (i / 20 % 20, 2), (i % 20, 0)];
            let inside = far.iter().all(|(p, radius)| p.abs_diff(10) <= *radius);
            assert_eq!(value.is_nan(), inside, "voxel {i}");
        }
    }

    #[test]
    fn sigmas_that_are_none_are_refused() {
        let voxels = Voxels::zeros(DataType::U8, [2; 3]).unwrap();
        for sigma in [-1.0, f64::NAN, f64::INFINITY] {
            let error = gaussian(&voxels, [1.0, sigma, 1.0], Boundary::Reflect).unwrap_err();
            assert!(error.to_string().contains("sigma [1.0, "), "{error}");
        }
    }
}
