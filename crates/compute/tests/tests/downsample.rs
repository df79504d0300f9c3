//! Downsampling against a cell-by-cell reckoning in 128-bit integers.

use std::collections::BTreeMap;

use exavox_compute::ops::downsample::{DownsampleMethod, downsample, downsampled_shape};
use exavox_io::{BoundingBox, DataType, Element, Voxels, match_dtype};
use proptest::prelude::*;

/// Any values, the ends of the type's range and repeated ones among them.
fn random(dtype: DataType, shape: [usize; 3], labels: u64, seed: u64) -> Voxels {
    let mut state = seed;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 16
    };
    let mut voxels = Voxels::zeros(dtype, shape).unwrap();
    match_dtype!(dtype, T => {
        for value in voxels.as_mut_slice::<T>().unwrap() {
            let random = next();
            *value = match random % 16 {
                0 => T::from_f64(f64::MIN),
                1 => T::from_f64(f64::MAX),
                2 if dtype.kind() == 'f' => T::from_f64(f64::NAN),
                3..6 => (random / 16) as T,
                _ => (random / 16 % labels) as T,
            };
        }
    });
    voxels
}

/// Indices of the voxels of a cell, x slowest: floats are added up along z and y before x.
fn cell(shape: [usize; 3], factor: [usize; 3], at: [usize; 3]) -> Vec<usize> {
    let range = |a: usize| at[a] * factor[a]..((at[a] + 1) * factor[a]).min(shape[a]);
    let mut indices = Vec::new();
    for x in range(2) {
        for z in range(0) {
            for y in range(1) {
                indices.push((z * shape[1] + y) * shape[2] + x);
            }
        }
    }
    indices
}

fn naive_mode<T: Element>(values: &[T], indices: &[usize]) -> T {
    let mut counts = BTreeMap::new();
    for i in indices {
        *counts.entry(values[*i].to_string().parse::<i128>().unwrap()).or_insert((0, *i)) =
            (counts.get(&values[*i].to_string().parse().unwrap()).map_or(1, |(n, _)| n + 1), *i);
    }
    let most = counts.values().map(|(n, _)| *n).max().unwrap();
    let (_, i) = counts.values().find(|(n, _)| *n == most).unwrap();
    values[*i]
}

/// Nearest integer to sum / count, halves to even.
fn naive_integer_mean(values: impl Iterator<Item = i128>) -> i128 {
    let values: Vec<i128> = values.collect();
    let (sum, count) = (values.iter().sum::<i128>(), values.len() as i128);
    let below = sum.div_euclid(count);
    let twice = 2 * (sum - below * count);
    if twice > count || (twice == count && below % 2 != 0) { below + 1 } else { below }
}

fn naive_float_mean(values: &[f64], rows: usize) -> f64 {
    let columns = values.chunks(rows).map(|c| c.iter().skip(1).fold(c[0], |s, v| s + v));
    columns.reduce(|s, v| s + v).unwrap() / values.len() as f64
}

fn naive(voxels: &Voxels, factor: [usize; 3], method: DownsampleMethod) -> Voxels {
    let shape = voxels.shape();
    let count: [usize; 3] = std::array::from_fn(|a| shape[a].div_ceil(factor[a]));
    let mut out = Voxels::zeros(voxels.dtype(), count).unwrap();
    match_dtype!(voxels.dtype(), T => {
        let values = voxels.as_slice::<T>().unwrap();
        for (n, target) in out.as_mut_slice::<T>().unwrap().iter_mut().enumerate() {
            let at = [n / (count[1] * count[2]), n / count[2] % count[1], n % count[2]];
            let indices = cell(shape, factor, at);
            let columns = factor[2].min(shape[2] - at[2] * factor[2]);
            *target = match (method, T::DTYPE.kind()) {
                (DownsampleMethod::Mode, _) => naive_mode(values, &indices),
                (_, 'f') => {
                    let cell: Vec<f64> = indices.iter().map(|i| values[*i].to_f64()).collect();
                    naive_float_mean(&cell, indices.len() / columns) as T
                }
                _ => naive_integer_mean(indices.iter().map(|i| values[*i] as i128)) as T,
            };
        }
    });
    out
}

fn case() -> impl Strategy<Value = (Voxels, [usize; 3])> {
    let shape = [1..12_usize, 1..12_usize, 1..40_usize];
    let factor = (1..5_usize, 1..5_usize, prop::sample::select(vec![1_usize, 2, 3, 4, 5, 8]));
    let twos = prop::bool::weighted(0.4);
    let dtype = prop::sample::select(DataType::ALL.to_vec());
    (dtype, shape, factor, twos, 1..9_u64, any::<u64>()).prop_map(
        |(dtype, shape, (z, y, x), twos, labels, seed)| {
            (random(dtype, shape, labels, seed), if twos { [2; 3] } else { [z, y, x] })
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn equals_the_naive_reckoning((voxels, factor) in case()) {
        let mean = downsample(&voxels, factor, DownsampleMethod::Mean).unwrap();
        let shape = voxels.shape().map(|v| v as u64);
        let expected = downsampled_shape(shape, factor.map(|v| v as u64));
        prop_assert_eq!(mean.shape().map(|v| v as u64), expected);
        // Compared as bytes: NaN is equal to NaN.
        let expected = naive(&voxels, factor, DownsampleMethod::Mean);
        match_dtype!(mean.dtype(), T => {
            let pairs = mean.as_slice::<T>().unwrap().iter().zip(expected.as_slice::<T>().unwrap());
            for (found, expected) in pairs {
                prop_assert_eq!(found.to_string(), expected.to_string());
            }
        });
        match (voxels.dtype().kind(), downsample(&voxels, factor, DownsampleMethod::Mode)) {
            ('f', result) => prop_assert!(result.unwrap_err().to_string().contains("found float")),
            (_, mode) => {
                prop_assert!(mode.unwrap() == naive(&voxels, factor, DownsampleMethod::Mode));
            }
        }
    }

    #[test]
    fn blocks_at_multiples_of_the_factor_give_the_whole((voxels, factor) in case(), cells in 1..4_usize) {
        let whole = downsample(&voxels, factor, DownsampleMethod::Mean).unwrap();
        let mut parts = Voxels::zeros(voxels.dtype(), whole.shape()).unwrap();
        let step = factor.map(|f| (f * cells) as u64);
        for tile in BoundingBox::whole(voxels.shape().map(|v| v as u64)).tiles(step) {
            let mut block = Voxels::zeros(voxels.dtype(), tile.shape().map(|v| v as usize)).unwrap();
            block.copy_box([0; 3], &voxels, &tile).unwrap();
            let small = downsample(&block, factor, DownsampleMethod::Mean).unwrap();
            let to = std::array::from_fn(|a| tile.start[a] as usize / factor[a]);
            let all = BoundingBox::whole(small.shape().map(|v| v as u64));
            parts.copy_box(to, &small, &all).unwrap();
        }
        prop_assert!(parts.bytes() == whole.bytes());
    }
}

#[test]
fn large_cells_do_not_overflow() {
    for dtype in [DataType::U8, DataType::I8, DataType::U16, DataType::I16] {
        for value in [f64::MIN, f64::MAX] {
            for factor in [[1, 1, 128], [1, 1, 129], [16, 16, 1], [7, 9, 33], [32, 32, 33]] {
                let mut voxels = Voxels::zeros(dtype, factor).unwrap();
                match_dtype!(dtype, T => {
                    voxels.as_mut_slice::<T>().unwrap().fill(T::from_f64(value));
                    let mean = downsample(&voxels, factor, DownsampleMethod::Mean).unwrap();
                    assert_eq!(mean.as_slice::<T>().unwrap(), [T::from_f64(value)], "{factor:?}");
                });
            }
        }
    }
}

#[test]
fn halves_go_to_even_and_ties_to_the_smallest() {
    let of = |values: Vec<i16>, method| {
        let count = values.len();
        let voxels = Voxels::from_vec([1, 1, count], values).unwrap();
        downsample(&voxels, [1, 1, count], method).unwrap().as_slice::<i16>().unwrap()[0]
    };
    use DownsampleMethod::{Mean, Mode};
    for (values, mean) in [([1, 2], 2), ([2, 3], 2), ([-1, -2], -2), ([-2, -3], -2), ([0, -1], 0)] {
        assert_eq!(of(values.to_vec(), Mean), mean, "{values:?}");
    }
    assert_eq!(of(vec![1, 1, 2], Mean), 1);
    assert_eq!(of(vec![7, 5, 5, 7, 9], Mode), 5);
    assert_eq!(of(vec![0, 0, 3], Mode), 0);
    assert_eq!(of(vec![3, -3], Mode), -3);
}

#[test]
fn a_factor_of_zero_is_refused() {
    let voxels = Voxels::zeros(DataType::U8, [2; 3]).unwrap();
    let error = downsample(&voxels, [2, 0, 2], DownsampleMethod::Mean).unwrap_err().to_string();
    assert!(error.contains("[2, 0, 2]"), "{error}");
    assert!("median".parse::<DownsampleMethod>().unwrap_err().to_string().contains("median"));
}
