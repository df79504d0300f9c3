//! The median of a box around each voxel.

mod histogram;
mod key;
mod network;
mod rows;

use exavox_io::{Voxels, match_dtype};
use rayon::prelude::*;

use super::Boundary;
use crate::error::{Error, Result};
use crate::simd::dispatch;
use histogram::{Counts, Slide};
use key::{Key, Sample};
use network::{Network, Sort};
use rows::Window;

/// Windows up to so many voxels are sorted in vectors; larger ones of 8 and 16 bits are counted.
const SORTED_8_BITS: usize = 343;
const SORTED_16_BITS: usize = 125;
/// Windows of other types up to so many voxels are sorted in vectors; in larger ones the middle is selected.
const SORTED: usize = 2048;

/// The median of the box of `2 * radius + 1` voxels around each voxel, of the input's type: equal to
/// `scipy.ndimage.median_filter`. A NaN counts as larger than every number: the median is NaN only where
/// more than half of the box is.
///
/// Cost: boxes of some hundred voxels are sorted, 64 boxes at once. Larger ones of 8 and 16 bits are kept as
/// a histogram, which costs as much per voxel as two faces of the box have voxels; of other types the
/// middle is selected. Memory: the result, and for each thread the rows of a box.
///
/// # Errors
/// [`Error::Usage`] if the box has 2^31 voxels or more; [`Error::Io`] if memory cannot be had.
pub fn median(voxels: &Voxels, radius_zyx: [usize; 3], boundary: Boundary) -> Result<Voxels> {
    let sizes = radius_zyx.map(|r| r.saturating_mul(2).saturating_add(1));
    let count = sizes.into_iter().fold(1, usize::saturating_mul);
    if count >= 1 << 31 {
        let message =
            format!("median of radius {radius_zyx:?}: a box of {count} voxels is too large");
        return Err(Error::Usage(message));
    }
    let mut out = Voxels::zeros(voxels.dtype(), voxels.shape())?;
    let window = Window { shape: voxels.shape(), radius: radius_zyx, boundary };
    match_dtype!(voxels.dtype(), T => {
        run::<T>(voxels.as_slice::<T>()?, &window, out.as_mut_slice::<T>()?);
    });
    Ok(out)
}

fn run<T: Sample>(values: &[T], window: &Window, out: &mut [T]) {
    let (ny, nx) = (window.shape[1], window.shape[2]);
    let count = window.voxels();
    let rows = out.par_chunks_mut(nx.max(1)).enumerate();
    let sorted = match <T::Key as Key>::BITS {
        8 => SORTED_8_BITS,
        16 => SORTED_16_BITS,
        _ => SORTED,
    };
    if count <= sorted {
        let network = Network::median(count);
        rows.for_each_init(Default::default, |scratch, (n, out)| {
            let (network, at) = (&network, [n / ny, n % ny]);
            dispatch(Sort { scratch, network, window, values, at, out });
        });
    } else if <T::Key as Key>::BITS <= 16 {
        rows.for_each_init(Default::default, |scratch: &mut (Vec<T::Key>, Counts), (n, out)| {
            let (padded, counts) = (&mut scratch.0, &mut scratch.1);
            dispatch(Slide { padded, counts, window, values, at: [n / ny, n % ny], out });
        });
    } else {
        rows.for_each_init(Default::default, |scratch: &mut [Vec<T::Key>; 2], (n, out)| {
            select(scratch, window, values, [n / ny, n % ny], out);
        });
    }
}

/// Selects the middle of each box.
fn select<T: Sample>(
    [padded, keys]: &mut [Vec<T::Key>; 2],
    window: &Window,
    values: &[T],
    at: [usize; 2],
    out: &mut [T],
) {
    window.fill(values, at, padded);
    let width = 2 * window.radius[2] + 1;
    for (x, out) in out.iter_mut().enumerate() {
        keys.clear();
        for row in padded.chunks_exact(window.padded()) {
            keys.extend_from_slice(&row[x..x + width]);
        }
        let middle = keys.len() / 2;
        *out = T::of(*keys.select_nth_unstable(middle).1);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::simd::on_each_set;
    use exavox_io::{DataType, Element};
    use proptest::prelude::*;

    fn naive(voxels: &Voxels, radius: [usize; 3], boundary: Boundary) -> Vec<f64> {
        let [nz, ny, nx] = voxels.shape();
        let r = radius.map(|r| r as i64);
        let values: Vec<f64> = match_dtype!(voxels.dtype(), T => {
            voxels.as_slice::<T>().unwrap().iter().map(|v| v.to_f64()).collect()
        });
        let of = |i: usize| {
            let p = [i / (ny * nx), i / nx % ny, i % nx].map(|v| v as i64);
            let mut window = Vec::new();
            for z in p[0] - r[0]..=p[0] + r[0] {
                for y in p[1] - r[1]..=p[1] + r[1] {
                    for x in p[2] - r[2]..=p[2] + r[2] {
                        let (z, y) = (boundary.position(z, nz), boundary.position(y, ny));
                        window.push(values[(z * ny + y) * nx + boundary.position(x, nx)]);
                    }
                }
            }
            let order = |a: &f64, b: &f64| match (a.is_nan(), b.is_nan()) {
                (false, false) => a.partial_cmp(b).unwrap(),
                (a, b) => a.cmp(&b),
            };
            window.sort_by(order);
            window[window.len() / 2]
        };
        (0..values.len()).map(of).collect()
    }

    fn voxels(dtype: DataType, shape: [usize; 3], seed: u64, levels: u64) -> Voxels {
        let hash = |i: u64| ((i ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33) % levels;
        let count = shape.iter().product::<usize>() as u64;
        match_dtype!(dtype, T => {
            let value = |i| match hash(i) {
                0 if dtype.kind() == 'f' => T::from_f64(f64::NAN),
                1 if dtype.kind() == 'f' => T::from_f64(f64::NEG_INFINITY),
                h if dtype.kind() == 'u' => T::from_f64(h as f64 * 9.0),
                h => T::from_f64(h as f64 * 9.0 - 60.0),
            };
            Voxels::from_vec(shape, (0..count).map(value).collect::<Vec<T>>()).unwrap()
        })
    }

    fn check(voxels: &Voxels, radius: [usize; 3], boundary: Boundary) {
        let expected = naive(voxels, radius, boundary);
        on_each_set(|| {
            let found = median(voxels, radius, boundary).unwrap();
            assert_eq!(found.dtype(), voxels.dtype());
            match_dtype!(found.dtype(), T => {
                for (f, e) in found.as_slice::<T>().unwrap().iter().zip(&expected) {
                    let f = f.to_f64();
                    assert!(f == *e || f.is_nan() && e.is_nan(), "{f}, expected {e}");
                }
            });
        });
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(80))]
        #[test]
        fn equals_the_definition(
            shape in [1usize..5, 1usize..6, 1usize..90], radius in [0usize..3, 0usize..3, 0usize..3],
            dtype in prop::sample::select(DataType::ALL.to_vec()), seed in any::<u64>(),
            boundary in prop::sample::select(vec![Boundary::Reflect, Boundary::Nearest]),
            levels in prop::sample::select(vec![3u64, 28, 7000]),
        ) {
            check(&voxels(dtype, shape, seed, levels), radius, boundary);
        }
    }

    #[test]
    fn large_boxes_are_counted_or_selected() {
        for dtype in DataType::ALL {
            for (shape, radius) in
                [([2, 3, 40], [0, 3, 60]), ([1, 9, 20], [4, 4, 4]), ([1, 2, 9], [9, 7, 9])]
            {
                check(&voxels(dtype, shape, 5, 7000), radius, Boundary::Reflect);
            }
        }
    }

    #[test]
    fn boxes_beyond_all_bounds_are_refused() {
        let voxels = Voxels::zeros(DataType::U8, [2; 3]).unwrap();
        let error = median(&voxels, [usize::MAX, 1, 1], Boundary::Reflect).unwrap_err().to_string();
        assert!(error.contains("median of radius"), "{error}");
    }
}
