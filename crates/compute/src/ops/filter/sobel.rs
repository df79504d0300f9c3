//! The Sobel operator in three dimensions: a difference along one axis, weights 1, 2, 1 along the others.

use std::fmt;
use std::str::FromStr;

use exavox_io::{Axis, DataType, Voxels, match_dtype};
use rayon::prelude::*;

use super::Boundary;
use super::sample::Sample;
use crate::error::{Error, Result};
use crate::simd::{Vectorised, dispatch};

/// What is given of the gradient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Gradient {
    /// Its length.
    #[default]
    Magnitude,
    /// The part along z, y or x: `scipy.ndimage.sobel` of that axis.
    Along(Axis),
}

impl FromStr for Gradient {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let axis = || Axis::from_name(text).filter(|axis| axis.zyx_index().is_some());
        match text {
            "magnitude" => Ok(Self::Magnitude),
            _ => axis().map(Self::Along).ok_or_else(|| {
                Error::Usage(format!("expected magnitude, z, y or x, found '{text}'"))
            }),
        }
    }
}

impl fmt::Display for Gradient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Magnitude => f.write_str("magnitude"),
            Self::Along(axis) => axis.fmt(f),
        }
    }
}

/// The gradient by the Sobel operator, not normalised, borders reflected; f32.
///
/// Along an axis it is `scipy.ndimage.sobel`, exact for integers up to 2^20; the magnitude is the root of
/// the sum of squares. A NaN makes NaN of every result that it takes part in. Cost: each voxel is read
/// nine times, from the cache. Memory: the result, and three rows for each thread.
///
/// # Errors
/// [`Error::Usage`] if the axis is not z, y or x; [`Error::Io`] if memory cannot be had.
pub fn sobel(voxels: &Voxels, gradient: Gradient) -> Result<Voxels> {
    let part = match gradient {
        Gradient::Magnitude => None,
        Gradient::Along(axis) => Some(
            axis.zyx_index()
                .ok_or_else(|| Error::Usage(format!("sobel along {axis}: expected z, y or x")))?,
        ),
    };
    let mut out = Voxels::zeros(DataType::F32, voxels.shape())?;
    match_dtype!(voxels.dtype(), T => {
        run(voxels.as_slice::<T>()?, voxels.shape(), part, out.as_mut_slice::<f32>()?);
    });
    Ok(out)
}

fn run<T: Sample>(values: &[T], shape: [usize; 3], part: Option<usize>, out: &mut [f32]) {
    let [_, ny, nx] = shape;
    let rows = out.par_chunks_mut(nx.max(1)).enumerate();
    rows.with_min_len(8).for_each_init(Scratch::default, |scratch, (row, out)| {
        let rows = neighbours(values, shape, [row / ny, row % ny]);
        dispatch(Row { scratch, rows, part, out });
    });
}

/// The nine rows around one, `[z][y]`, borders reflected.
fn neighbours<T>(values: &[T], shape: [usize; 3], [z, y]: [usize; 2]) -> [[&[T]; 3]; 3] {
    let [nz, ny, nx] = shape;
    let near = |i: usize, n: usize, k: usize| Boundary::Reflect.position((i + k) as i64 - 1, n);
    std::array::from_fn(|j| {
        std::array::from_fn(|i| &values[(near(z, nz, j) * ny + near(y, ny, i)) * nx..][..nx])
    })
}

/// For each voxel of a row, with a margin of one: sums over z and y, of the kinds that the three parts
/// need.
#[derive(Default)]
struct Scratch {
    smooth: Vec<f32>,
    along_z: Vec<f32>,
    along_y: Vec<f32>,
}

struct Row<'a, T> {
    scratch: &'a mut Scratch,
    rows: [[&'a [T]; 3]; 3],
    part: Option<usize>,
    out: &'a mut [f32],
}

impl<T: Sample> Vectorised for Row<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Scratch { smooth, along_z, along_y } = self.scratch;
        add_up(&self.rows, [smooth, along_z, along_y]);
        let length = self.out.len();
        let at = |sums: &'_ [f32], x: usize| [sums[x], sums[x + 1], sums[x + 2]];
        let (smooth, along_z, along_y) =
            (&smooth[..length + 2], &along_z[..length + 2], &along_y[..length + 2]);
        for (x, out) in self.out.iter_mut().enumerate() {
            let weighted = |[a, b, c]: [f32; 3]| a + 2.0 * b + c;
            let [before, _, after] = at(smooth, x);
            let gradient = [weighted(at(along_z, x)), weighted(at(along_y, x)), after - before];
            *out = match self.part {
                Some(axis) => gradient[axis],
                None => gradient.iter().map(|g| g * g).sum::<f32>().sqrt(),
            };
        }
    }
}

/// Sums over z and y: weights 1, 2, 1 along both; differences along z; differences along y.
#[inline(always)]
fn add_up<T: Sample>(rows: &[[&[T]; 3]; 3], sums: [&mut Vec<f32>; 3]) {
    let length = rows[0][0].len();
    let [smooth, along_z, along_y] = sums.map(|sums| {
        sums.resize(length + 2, 0.0);
        &mut sums[..length + 2]
    });
    let rows = rows.map(|rows| rows.map(|row| &row[..length]));
    for x in 0..length {
        let value = |j: usize, i: usize| rows[j][i][x].to_f32();
        let weighted = |j: usize| value(j, 0) + 2.0 * value(j, 1) + value(j, 2);
        let difference = |j: usize| value(j, 2) - value(j, 0);
        smooth[x + 1] = weighted(0) + 2.0 * weighted(1) + weighted(2);
        along_z[x + 1] = weighted(2) - weighted(0);
        along_y[x + 1] = difference(0) + 2.0 * difference(1) + difference(2);
    }
    for sums in [smooth, along_z, along_y] {
        (sums[0], sums[length + 1]) = (sums[1], sums[length]);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::simd::on_each_set;
    use proptest::prelude::*;

    /// The 27 weights of the definition at each voxel.
    fn naive(voxels: &Voxels, axis: usize) -> Vec<f64> {
        let [nz, ny, nx] = voxels.shape();
        let values = voxels.to_f32();
        let of = |i: usize| {
            let p = [i / (ny * nx), i / nx % ny, i % nx].map(|v| v as i64);
            let mut sum = 0.0;
            for k in 0..27i64 {
                let offset = [k / 9 - 1, k / 3 % 3 - 1, k % 3 - 1];
                let weight: i64 = (0..3)
                    .map(|a| if a == axis { offset[a] } else { 2 - offset[a].abs() })
                    .product();
                let at = |a: usize, n: usize| Boundary::Reflect.position(p[a] + offset[a], n);
                let value = values[(at(0, nz) * ny + at(1, ny)) * nx + at(2, nx)];
                sum += weight as f64 * f64::from(value);
            }
            sum
        };
        (0..values.len()).map(of).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        #[test]
        fn equals_the_definition(
            shape in [1usize..6, 1usize..8, 1usize..70], seed in any::<u64>(),
            dtype in prop::sample::select(DataType::ALL.to_vec()),
        ) {
            let hash = |i: u64| (i ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 57;
            let count = shape.iter().product::<usize>() as u64;
            let voxels = match_dtype!(dtype, T => {
                Voxels::from_vec(shape, (0..count).map(|i| hash(i) as T).collect::<Vec<T>>()).unwrap()
            });
            let parts = [0, 1, 2].map(|axis| naive(&voxels, axis));
            on_each_set(|| {
                let of = |gradient| sobel(&voxels, gradient).unwrap().as_slice::<f32>().unwrap().to_vec();
                for (axis, part) in Axis::ZYX.into_iter().zip(&parts) {
                    let found = of(Gradient::Along(axis));
                    assert!(found.iter().zip(part).all(|(f, e)| f64::from(*f) == *e));
                }
                for (i, f) in of(Gradient::Magnitude).into_iter().enumerate() {
                    let e = parts.iter().map(|p| p[i] * p[i]).sum::<f64>().sqrt();
                    assert!((f64::from(f) - e).abs() <= 1e-6 * e, "{f}, expected {e}");
                }
            });
        }
    }

    #[test]
    fn nan_reaches_its_neighbours_and_no_farther() {
        let mut values = vec![1.0f32; 7 * 7 * 7];
        values[(3 * 7 + 3) * 7 + 3] = f32::NAN;
        let voxels = Voxels::from_vec([7; 3], values).unwrap();
        let found = sobel(&voxels, Gradient::Magnitude).unwrap();
        for (i, value) in found.as_slice::<f32>().unwrap().iter().enumerate() {
            let offsets = [i / 49, i / 7 % 7, i % 7].map(|p| p.abs_diff(3));
            let near = offsets.iter().all(|o| *o <= 1) && offsets != [0; 3];
            assert_eq!(value.is_nan(), near, "voxel {i}");
        }
        assert!(sobel(&voxels, Gradient::Along(Axis::C)).is_err());
    }
}
