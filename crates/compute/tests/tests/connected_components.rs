//! Connected components against a flood from voxel to voxel.

use std::collections::VecDeque;

use exavox_compute::ops::connected_components::{Components, Foreground, label_equal, label_mask};
use exavox_compute::ops::{Connectivity, ValueRange};
use exavox_io::{DataType, Element, Voxels, match_dtype};
use proptest::prelude::*;

/// Neighbours by definition: the 26 voxels around, of which at most 1, 2 or 3 coordinates differ.
pub(crate) fn neighbours(
    shape: [usize; 3],
    voxel: usize,
    connectivity: Connectivity,
) -> impl Iterator<Item = usize> {
    let [_, ny, nx] = shape;
    let at = [voxel / (ny * nx), voxel / nx % ny, voxel % nx].map(|v| v as i64);
    let most = match connectivity {
        Connectivity::Six => 1,
        Connectivity::Eighteen => 2,
        Connectivity::TwentySix => 3,
    };
    (0..27_i64).filter_map(move |n| {
        let step = [n / 9 - 1, n / 3 % 3 - 1, n % 3 - 1];
        let to: [i64; 3] = std::array::from_fn(|a| at[a] + step[a]);
        let differ = step.iter().filter(|s| **s != 0).count();
        let inside = (0..3).all(|a| (0..shape[a] as i64).contains(&to[a]));
        let [z, y, x] = to.map(|v| v as usize);
        (inside && (1..=most).contains(&differ)).then(|| (z * ny + y) * nx + x)
    })
}

/// Voxels in C order each flood what has their value and is not labelled yet; 0 is background.
fn naive(values: &[u64], shape: [usize; 3], connectivity: Connectivity) -> (Vec<u64>, u64) {
    let mut labels = vec![0; values.len()];
    let mut count = 0;
    for first in 0..values.len() {
        if values[first] == 0 || labels[first] != 0 {
            continue;
        }
        count += 1;
        labels[first] = count;
        let mut queue = VecDeque::from([first]);
        while let Some(voxel) = queue.pop_front() {
            for next in neighbours(shape, voxel, connectivity) {
                if values[next] == values[first] && labels[next] == 0 {
                    labels[next] = count;
                    queue.push_back(next);
                }
            }
        }
    }
    (labels, count)
}

fn check(found: &Components, values: &[u64], connectivity: Connectivity) {
    let shape = found.labels.shape();
    let (labels, count) = naive(values, shape, connectivity);
    assert_eq!(found.labels.dtype(), DataType::U32);
    assert_eq!(found.count, count, "{shape:?} {connectivity}");
    assert!(found.labels.to_labels().unwrap() == labels, "{shape:?} {connectivity}");
}

/// Calls `test` with 1, 2 and 5 threads.
pub(crate) fn with_threads(test: impl Fn() + Sync) {
    for threads in [1, 2, 5] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(&test);
    }
}

/// Values below `kinds`, in stretches along x of up to `stretch` voxels.
pub(crate) fn stretches(count: usize, kinds: u64, stretch: u64, seed: u64) -> Vec<u64> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state >> 20
    };
    let mut values = Vec::with_capacity(count);
    while values.len() < count {
        let (value, length) = (random() % kinds, random() % stretch + 1);
        values.extend(std::iter::repeat_n(value, length as usize));
    }
    values.truncate(count);
    values
}

/// A block of a type, values kept.
pub(crate) fn block(dtype: DataType, shape: [usize; 3], values: &[u64]) -> Voxels {
    match_dtype!(dtype, T => {
        Voxels::from_vec(shape, values.iter().map(|v| *v as T).collect()).unwrap()
    })
}

pub(crate) fn shapes() -> impl Strategy<Value = [usize; 3]> {
    let x = prop_oneof![1usize..9, 60usize..70, 120usize..200, Just(64), Just(128)];
    (prop_oneof![1usize..4, 4usize..14], prop_oneof![1usize..4, 4usize..14], x)
        .prop_map(|(z, y, x)| [z, y, x])
}

pub(crate) fn connectivities() -> impl Strategy<Value = Connectivity> {
    prop::sample::select(Connectivity::ALL.to_vec())
}

pub(crate) fn dtypes() -> impl Strategy<Value = DataType> {
    prop::sample::select(DataType::ALL.to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn masks_equal_the_definition(
        shape in shapes(), connectivity in connectivities(), dtype in dtypes(),
        kinds in 2u64..6, stretch in prop::sample::select(vec![1u64, 2, 5, 40]), seed in any::<u64>(),
    ) {
        let values = stretches(shape.iter().product(), kinds, stretch, seed);
        let voxels = block(dtype, shape, &values);
        let mask: Vec<u64> = values.iter().map(|v| u64::from(*v != 0)).collect();
        let low: Vec<u64> = values.iter().map(|v| u64::from(*v == 0)).collect();
        with_threads(|| {
            let found = label_mask(&voxels, Foreground::NonZero, connectivity).unwrap();
            check(&found, &mask, connectivity);
            let range = Foreground::Range(ValueRange::new(-0.5, 0.5).unwrap());
            check(&label_mask(&voxels, range, connectivity).unwrap(), &low, connectivity);
        });
    }

    #[test]
    fn labels_equal_the_definition(
        shape in shapes(), connectivity in connectivities(), dtype in dtypes(),
        kinds in 2u64..6, stretch in prop::sample::select(vec![1u64, 2, 5, 40]), seed in any::<u64>(),
    ) {
        let dtype = if dtype.kind() == 'f' { DataType::U32 } else { dtype };
        let values = stretches(shape.iter().product(), kinds, stretch, seed);
        let voxels = block(dtype, shape, &values);
        with_threads(|| {
            check(&label_equal(&voxels, connectivity).unwrap(), &values, connectivity);
        });
    }
}

/// Blocks of many slabs, whose components go through all of them.
#[test]
fn seams_do_not_show() {
    let shape = [40, 30, 70];
    for (kinds, stretch) in [(2, 1), (2, 3), (3, 30), (5, 2)] {
        let values = stretches(shape.iter().product(), kinds, stretch, kinds * stretch);
        let mask: Vec<u64> = values.iter().map(|v| u64::from(*v != 0)).collect();
        let voxels = block(DataType::U8, shape, &values);
        for connectivity in Connectivity::ALL {
            with_threads(|| {
                let found = label_mask(&voxels, Foreground::NonZero, connectivity).unwrap();
                check(&found, &mask, connectivity);
                check(&label_equal(&voxels, connectivity).unwrap(), &values, connectivity);
            });
        }
    }
}

/// One voxel wide, to and fro through rows and planes.
pub(crate) fn serpentine(shape: [usize; 3]) -> Vec<u64> {
    let [nz, ny, nx] = shape;
    let value = |z: usize, y: usize, x: usize| match (z % 2, y % 2) {
        (0, 0) => true,
        (0, _) => x == if y % 4 == 1 { nx - 1 } else { 0 },
        // Planes are joined at one end, then at the other.
        _ => z % 2 == 1 && y == if z % 4 == 1 { ny - 1 } else { 0 } && x == 0,
    };
    let voxels = (0..nz).flat_map(|z| (0..ny).flat_map(move |y| (0..nx).map(move |x| (z, y, x))));
    voxels.map(|(z, y, x)| u64::from(value(z, y, x))).collect()
}

#[test]
fn special_masks_equal_the_definition() {
    for shape in [[9, 13, 70], [5, 7, 64], [1, 1, 1], [1, 9, 1], [3, 1, 130]] {
        let count = shape.iter().product::<usize>();
        let checkers = |i: &usize| {
            let [_, ny, nx] = shape;
            ((i / nx / ny + i / nx % ny + i % nx) % 2) as u64
        };
        for values in [
            vec![1; count],
            vec![0; count],
            serpentine(shape),
            (0..count).map(|i| checkers(&i)).collect(),
            (0..count).map(|i| u64::from(i == count / 2)).collect(),
        ] {
            let voxels = block(DataType::U8, shape, &values);
            for connectivity in Connectivity::ALL {
                with_threads(|| {
                    let found = label_mask(&voxels, Foreground::NonZero, connectivity).unwrap();
                    check(&found, &values, connectivity);
                    check(&label_equal(&voxels, connectivity).unwrap(), &values, connectivity);
                });
            }
        }
    }
}

#[test]
fn empty_blocks_have_no_components() {
    for shape in [[0, 3, 4], [3, 0, 4], [3, 4, 0], [0, 0, 0]] {
        let voxels = Voxels::zeros(DataType::U8, shape).unwrap();
        let found = label_mask(&voxels, Foreground::NonZero, Connectivity::Six).unwrap();
        assert_eq!((found.labels.shape(), found.count), (shape, 0));
        assert_eq!(label_equal(&voxels, Connectivity::Six).unwrap().count, 0);
    }
}

#[test]
fn what_is_no_number_is_background() {
    let values = vec![f32::NAN, 1.0, f32::INFINITY, f32::NAN, -0.0, f32::NEG_INFINITY, -1.0];
    let voxels = Voxels::from_vec([1, 1, 7], values).unwrap();
    let labels = |foreground| {
        let found = label_mask(&voxels, foreground, Connectivity::Six).unwrap();
        found.labels.to_labels().unwrap()
    };
    assert_eq!(labels(Foreground::NonZero), [0, 1, 1, 0, 0, 2, 2]);
    let range = |text: &str| Foreground::Range(text.parse().unwrap());
    assert_eq!(labels(range(":")), [0, 1, 1, 0, 2, 2, 2]);
    assert_eq!(labels(range("1:")), [0, 1, 1, 0, 0, 0, 0]);
    assert_eq!(labels(range("-1:1e30")), [0, 1, 0, 0, 2, 0, 3]);
}

#[test]
fn what_cannot_be_is_an_error() {
    let floats = Voxels::zeros(DataType::F32, [1, 2, 3]).unwrap();
    let error = label_equal(&floats, Connectivity::Six).unwrap_err().to_string();
    assert_eq!(error, "labels must be integers, found float32");
    let bytes = Voxels::zeros(DataType::U8, [1, 2, 3]).unwrap();
    let range = Foreground::Range(ValueRange::of_integers(256, 300).unwrap());
    let error = label_mask(&bytes, range, Connectivity::Six).unwrap_err().to_string();
    assert_eq!(error, "range 256:300 holds no value of uint8");
}

#[test]
fn negative_labels_are_labels() {
    let voxels = Voxels::from_vec([1, 1, 5], vec![-1_i16, -1, 0, 7, -1]).unwrap();
    let found = label_equal(&voxels, Connectivity::Six).unwrap();
    assert_eq!(found.labels.as_slice::<u32>().unwrap(), [1, 1, 0, 2, 3]);
    assert_eq!(i16::DTYPE, voxels.dtype());
}
