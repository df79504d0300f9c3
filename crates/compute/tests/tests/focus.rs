//! Extended focus and colour by depth against their definitions.

use exavox_compute::ops::projection::depth_colour::{depth_colour, hue};
use exavox_compute::ops::projection::focus::{
    Composer, FocusMap, FocusOptions, extended_focus, smoothed,
};
use exavox_compute::ops::projection::{ProjectionKind, project};
use exavox_io::{Axis, BoundingBox, DataType, Element, Voxels, match_dtype};
use proptest::prelude::*;

/// Small whole numbers, so that sums are exact in any order; sometimes not a number among floats.
fn stack() -> impl Strategy<Value = Voxels> {
    let shape = [1..9_usize, 1..9_usize, 1..9_usize];
    (prop::sample::select(DataType::ALL.to_vec()), shape, any::<u64>()).prop_map(
        |(dtype, shape, seed)| {
            let mut state = seed | 1;
            let mut random = move || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (state >> 33) as usize
            };
            let holes = dtype.kind() == 'f' && seed.is_multiple_of(3);
            match_dtype!(dtype, T => {
                let mut value = || match random() % 40 {
                    0 if holes => T::from_f64(f64::NAN),
                    1 if holes => T::from_f64(f64::INFINITY),
                    v => T::from_f64((v % 9) as f64),
                };
                let count = shape.iter().product::<usize>();
                let values: Vec<T> = (0..count).map(|_| value()).collect();
                Voxels::from_vec(shape, values).unwrap()
            })
        },
    )
}

/// The planes across an axis, each `rows x columns`, as f64.
fn planes(stack: &Voxels, axis: Axis) -> (Vec<Vec<f64>>, [usize; 2]) {
    let [z, y, x] = stack.shape();
    let values: Vec<f64> = match_dtype!(stack.dtype(), T => {
        stack.as_slice::<T>().unwrap().iter().map(|v| v.to_f64()).collect()
    });
    let at = |i: usize, j: usize, k: usize| values[(i * y + j) * x + k];
    match axis {
        Axis::Z => {
            let plane = |i| (0..y * x).map(|p| at(i, p / x, p % x)).collect();
            ((0..z).map(plane).collect(), [y, x])
        }
        Axis::Y => {
            let plane = |j| (0..z * x).map(|p| at(p / x, j, p % x)).collect();
            ((0..y).map(plane).collect(), [z, x])
        }
        _ => {
            let plane = |k| (0..z * y).map(|p| at(p / y, p % y, k)).collect();
            ((0..x).map(plane).collect(), [z, y])
        }
    }
}

/// Values of a window around a pixel, or what of it lies in the plane.
fn window(plane: &[f64], [rows, columns]: [usize; 2], at: usize, radius: usize) -> Vec<f64> {
    let (y, x) = (at / columns, at % columns);
    let inside = |a: usize, b: usize| a.abs_diff(b) <= radius;
    let pixels = (0..rows * columns).filter(|p| inside(p / columns, y) && inside(p % columns, x));
    pixels.map(|p| plane[p]).collect()
}

fn naive(stack: &Voxels, axis: Axis, radius: usize, smooth: usize) -> (Vec<f64>, Vec<f64>) {
    let (planes, shape) = planes(stack, axis);
    let pixels = shape[0] * shape[1];
    let sharpest = |at: usize| {
        let mut best = (0, f64::NEG_INFINITY);
        for (index, plane) in planes.iter().enumerate() {
            let values = window(plane, shape, at, radius);
            let (sum, n) = (values.iter().sum::<f64>(), values.len() as f64);
            let variance = n * values.iter().map(|v| v * v).sum::<f64>() - sum * sum;
            if variance > best.1 {
                best = (index, variance);
            }
        }
        best.0 as f64
    };
    let heights: Vec<f64> = (0..pixels).map(sharpest).collect();
    let median = |at: usize| {
        let mut values = window(&heights, shape, at, smooth);
        values.sort_by(f64::total_cmp);
        values[(values.len() - 1) / 2]
    };
    let heights: Vec<f64> = (0..pixels).map(median).collect();
    let image = (0..pixels).map(|at| planes[heights[at] as usize][at]).collect();
    (image, heights)
}

fn values(voxels: &Voxels) -> Vec<f64> {
    match_dtype!(voxels.dtype(), T => {
        voxels.as_slice::<T>().unwrap().iter().map(|v| v.to_f64()).collect()
    })
}

fn assert_equal(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    let same = |(f, e): (&f64, &f64)| f == e || (f.is_nan() && e.is_nan());
    assert!(found.iter().zip(expected).all(same), "{found:?}, expected {expected:?}");
}

fn axes() -> impl Strategy<Value = Axis> {
    prop::sample::select(Axis::ZYX.to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn extended_focus_is_the_definition(
        stack in stack(), axis in axes(), radius in 1..4_usize, smooth in 0..3_usize
    ) {
        let mut options = FocusOptions::default();
        (options.radius, options.smooth_radius) = (radius, smooth);
        let (image, heights) = extended_focus(&stack, axis, &options).unwrap();
        let (expected_image, expected_heights) = naive(&stack, axis, radius, smooth);
        assert_equal(&values(&heights), &expected_heights);
        assert_equal(&values(&image), &expected_image);
        prop_assert_eq!(image.dtype(), stack.dtype());
    }

    #[test]
    fn blocks_along_the_axis_give_the_same(stack in stack(), axis in axes(), step in 1..5_usize) {
        let options = FocusOptions::default();
        let blocks = || {
            let shape = stack.shape().map(|v| v as u64);
            let mut step_shape = shape;
            step_shape[axis.zyx_index().unwrap()] = step as u64;
            BoundingBox::whole(shape).tiles(step_shape).map(|tile| {
                let shape = tile.shape().map(|v| v as usize);
                let mut block = Voxels::zeros(stack.dtype(), shape).unwrap();
                block.copy_box([0; 3], &stack, &tile).unwrap();
                block
            })
        };
        let mut map = FocusMap::new(axis, stack.shape(), &options).unwrap();
        blocks().for_each(|block| map.push(&block).unwrap());
        let heights = smoothed(&map.finish().unwrap(), axis, options.smooth_radius).unwrap();
        let mut composer = Composer::new(stack.dtype(), axis, stack.shape(), &heights).unwrap();
        blocks().for_each(|block| composer.push(&block).unwrap());
        let (image, whole_heights) = extended_focus(&stack, axis, &options).unwrap();
        assert_equal(&values(&composer.finish().unwrap()), &values(&image));
        prop_assert_eq!(heights, whole_heights);
    }

    #[test]
    fn colours_are_the_hue_of_the_plane_times_the_brightness(
        stack in stack(), axis in axes(), low in -3..5_i32, span in 1..9_i32, threads in 1..6_usize
    ) {
        let maxima = project(ProjectionKind::Max, axis, &stack).unwrap();
        let depths = project(ProjectionKind::Argmax, axis, &stack).unwrap();
        let planes = stack.shape()[axis.zyx_index().unwrap()];
        let range = f64::from(low)..=f64::from(low + span);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let colours = pool.install(|| depth_colour(&maxima, &depths, planes, range)).unwrap();
        for (at, (value, depth)) in values(&maxima).iter().zip(values(&depths)).enumerate() {
            let light = ((value - f64::from(low)) / f64::from(span)).clamp(0.0, 1.0) as f32;
            for (c, colour) in colours.iter().enumerate() {
                let expected = (hue(depth as usize, planes)[c] * light * 255.0).round() as u8;
                prop_assert_eq!(colour.as_slice::<u8>().unwrap()[at], expected);
            }
        }
    }
}

#[test]
fn what_cannot_be_is_refused() {
    let stack = Voxels::zeros(DataType::U8, [3, 4, 5]).unwrap();
    let mut options = FocusOptions::default();
    options.radius = 16;
    let error = extended_focus(&stack, Axis::Z, &options).unwrap_err().to_string();
    assert!(error.contains("focus radius") && error.contains("16"), "{error}");
    let empty = Voxels::zeros(DataType::U8, [3, 0, 5]).unwrap();
    assert!(extended_focus(&empty, Axis::Z, &FocusOptions::default()).is_err());
    let heights = Voxels::from_vec([1, 4, 5], vec![3_u16; 20]).unwrap();
    assert!(Composer::new(DataType::U8, Axis::Z, [3, 4, 5], &heights).is_err());
    let mut map = FocusMap::new(Axis::Z, [4, 4, 5], &FocusOptions::default()).unwrap();
    map.push(&stack).unwrap();
    assert!(map.push(&stack).is_err());
    let error = map.finish().unwrap_err().to_string();
    assert!(error.contains("expected 4 planes, found 3"), "{error}");
}

#[test]
fn a_wedge_in_focus_plane_by_plane_gives_its_slope() {
    // Column x is sharp (a checkerboard) in plane x / 8 and flat elsewhere.
    let value = |i: usize| {
        let (z, y, x) = (i / 64 / 32, i / 64 % 32, i % 64);
        if x / 8 == z { ((y + x) % 2 * 200) as u8 } else { 100 }
    };
    let stack = Voxels::from_vec([8, 32, 64], (0..8 * 32 * 64).map(value).collect()).unwrap();
    let (image, heights) = extended_focus(&stack, Axis::Z, &FocusOptions::default()).unwrap();
    let heights = heights.as_slice::<u16>().unwrap();
    let right = (0..32 * 64).filter(|p| usize::from(heights[*p]) == p % 64 / 8).count();
    assert_eq!(right, 32 * 64);
    let flat = image.as_slice::<u8>().unwrap().iter().filter(|v| **v == 100).count();
    assert_eq!(flat, 0);
}
