//! Operations on volumes in a device's memory against their definitions, on the devices that need no
//! GPU.

use std::collections::BTreeMap;

use exavox_compute::ops::connected_components::{Foreground, label_equal, label_mask};
use exavox_compute::ops::device_volume::DeviceVolume;
use exavox_compute::ops::filter::{Boundary, ClaheOptions, Filter, Gradient, Normalization};
use exavox_compute::ops::flood_fill::{FloodOptions, Seed, flood_fill};
use exavox_compute::ops::{Connectivity, ValueRange, on_device};
use exavox_compute::{ComputeDevice, Error};
use exavox_io::{Axis, DataType, Element, Voxels};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use crate::golden::device;

const DEVICES: [&str; 2] = ["cpu-jit", "wgpu"];

/// Runs a test on every device with numbers of a strategy.
fn on_devices<S: Strategy>(
    cases: u32,
    strategy: S,
    test: impl Fn(&ComputeDevice, S::Value) -> Result<(), TestCaseError>,
) {
    for device in DEVICES.into_iter().filter_map(device) {
        let mut runner = TestRunner::new(Config { cases, ..Config::default() });
        runner.run(&strategy, |values| test(&device, values)).unwrap();
    }
}

fn range(low: f64, high: f64) -> ValueRange {
    ValueRange::new(low, high).unwrap()
}

fn shapes(longest: usize) -> impl Strategy<Value = [usize; 3]> {
    [1..longest, 1..longest, 1..longest]
}

/// Numbers below `values` that look random.
fn numbers(count: usize, values: u64, seed: u64) -> Vec<u64> {
    let mut state = seed | 1;
    let mut random = move || {
        // Marsaglia's xorshift.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 20) % values
    };
    (0..count).map(|_| random()).collect()
}

fn volume<T: Element>(shape: [usize; 3], values: u64, seed: u64) -> Voxels {
    let count = shape.iter().product();
    let values = numbers(count, values, seed).into_iter().map(|v| T::from_f64(v as f64)).collect();
    Voxels::from_vec::<T>(shape, values).unwrap()
}

/// A volume of one of the types that devices hold.
fn typed(dtype: usize, shape: [usize; 3], values: u64, seed: u64) -> Voxels {
    match dtype {
        0 => volume::<u8>(shape, values, seed),
        1 => volume::<u16>(shape, values, seed),
        2 => volume::<u32>(shape, values, seed),
        _ => volume::<f32>(shape, values, seed),
    }
}

/// Neighbours of a voxel inside the volume: all that differ along at most some axes.
fn neighbours(shape: [usize; 3], at: usize, count: u8) -> Vec<usize> {
    let position = [at / (shape[1] * shape[2]), at / shape[2] % shape[1], at % shape[2]];
    let reach = match count {
        6 => 1,
        18 => 2,
        _ => 3,
    };
    let place = |n: usize| -> Option<usize> {
        let offset = [n / 9, n / 3 % 3, n % 3];
        let differing = offset.iter().filter(|o| **o != 1).count();
        if differing == 0 || differing > reach {
            return None;
        }
        let mut place = 0;
        for a in 0..3 {
            let p = (position[a] + offset[a]).checked_sub(1).filter(|p| *p < shape[a])?;
            place = place * shape[a] + p;
        }
        Some(place)
    };
    (0..27).filter_map(place).collect()
}

/// Components by flooding from each voxel in turn; voxels of one class belong together, 0 to nothing.
fn components(class: &[u64], shape: [usize; 3], count: u8) -> (Vec<u32>, u32) {
    let mut labels = vec![0; class.len()];
    let mut last = 0;
    for start in 0..class.len() {
        if class[start] == 0 || labels[start] != 0 {
            continue;
        }
        last += 1;
        labels[start] = last;
        let mut stack = vec![start];
        while let Some(at) = stack.pop() {
            for other in neighbours(shape, at, count) {
                if labels[other] == 0 && class[other] == class[at] {
                    labels[other] = last;
                    stack.push(other);
                }
            }
        }
    }
    (labels, last)
}

#[test]
fn components_of_a_range_are_those_of_the_definition() {
    let connectivity = prop::sample::select(Connectivity::ALL.to_vec());
    let strategy = (0usize..4, shapes(24), connectivity, 2u64..6, any::<u64>());
    on_devices(24, strategy, |device, (dtype, shape, connectivity, values, seed)| {
        let voxels = typed(dtype, shape, values, seed);
        let class: Vec<u64> =
            voxels.to_f32().iter().map(|v| u64::from(*v >= 1.0 && *v <= 2.0)).collect();
        let (labels, found) = DeviceVolume::upload(device, &voxels)
            .unwrap()
            .components_within(range(0.5, 2.0), connectivity)
            .unwrap();
        let (expected, last) = components(&class, shape, connectivity.neighbours());
        prop_assert_eq!(found, last);
        let labels = labels.download().unwrap();
        prop_assert!(labels.as_slice::<u32>().unwrap() == expected);
        Ok(())
    });
}

#[test]
fn components_of_labels_are_those_of_the_definition() {
    let connectivity = prop::sample::select(Connectivity::ALL.to_vec());
    let strategy = (0usize..3, shapes(24), connectivity, 2u64..5, any::<u64>());
    on_devices(24, strategy, |device, (dtype, shape, connectivity, values, seed)| {
        let voxels = typed(dtype, shape, values, seed);
        let (labels, found) = DeviceVolume::upload(device, &voxels)
            .unwrap()
            .components_of_labels(connectivity)
            .unwrap();
        let (expected, last) =
            components(&voxels.to_labels().unwrap(), shape, connectivity.neighbours());
        prop_assert_eq!(found, last);
        let labels = labels.download().unwrap();
        prop_assert!(labels.as_slice::<u32>().unwrap() == expected);
        Ok(())
    });
}

/// A snake through the whole volume, one voxel wide: the longest way that labels can have to go.
#[test]
fn one_long_component_is_one() {
    let shape = [9, 33, 64];
    let snake = |at: usize| {
        let (z, y, x) = (at / (33 * 64), at / 64 % 33, at % 64);
        let along_y = if y / 2 % 2 == 0 { x == 63 } else { x == 0 };
        let open = y % 2 == 0 || along_y;
        u8::from(if z % 2 == 0 { open } else { y == if z / 2 % 2 == 0 { 32 } else { 0 } && x == 0 })
    };
    let values: Vec<u8> = (0..9 * 33 * 64).map(snake).collect();
    let class: Vec<u64> = values.iter().map(|v| u64::from(*v)).collect();
    let (expected, count) = components(&class, shape, 6);
    assert_eq!(count, 1);
    let voxels = Voxels::from_vec(shape, values).unwrap();
    for device in DEVICES.into_iter().filter_map(device) {
        let volume = DeviceVolume::upload(&device, &voxels).unwrap();
        let (labels, found) =
            volume.components_within(range(1.0, 255.0), Connectivity::Six).unwrap();
        assert_eq!(found, 1);
        assert!(labels.download().unwrap().as_slice::<u32>().unwrap() == expected);
    }
}

#[test]
fn nan_and_both_zeros_are_told_apart_by_ranges() {
    let special = [f32::NAN, -f32::NAN, 0.0, -0.0, f32::INFINITY, f32::NEG_INFINITY, -1.5, 1e-45];
    let voxels = Voxels::from_vec([1, 1, 8], special.to_vec()).unwrap();
    for device in DEVICES.into_iter().filter_map(device) {
        let volume = DeviceVolume::upload(&device, &voxels).unwrap();
        let inside = |low, high| {
            let (labels, _) =
                volume.components_within(range(low, high), Connectivity::Six).unwrap();
            let labels = labels.download().unwrap();
            labels.as_slice::<u32>().unwrap().iter().map(|l| u8::from(*l > 0)).collect::<Vec<_>>()
        };
        assert_eq!(inside(f64::NEG_INFINITY, f64::INFINITY), [0, 0, 1, 1, 1, 1, 1, 1]);
        assert_eq!(inside(0.0, 1.0), [0, 0, 1, 1, 0, 0, 0, 1]);
        assert_eq!(inside(-2.0, -0.0), [0, 0, 1, 1, 0, 0, 1, 0]);
        assert!(volume.gaussian([1.0; 3]).is_err());
    }
}

#[test]
fn floods_reach_what_the_definition_reaches() {
    let strategy = (0usize..4, shapes(20), 1usize..5, any::<u64>());
    on_devices(16, strategy, |device, (dtype, shape, count, seed)| {
        let voxels = typed(dtype, shape, 3, seed);
        let voxel_count = voxels.len() as u64;
        let places = numbers(count, voxel_count, seed ^ 77);
        let seeds: Vec<Seed> = places
            .iter()
            .zip(5..)
            .map(|(at, label)| {
                let at = *at as usize;
                let plane = shape[1] * shape[2];
                let position_zyx = [at / plane, at / shape[2] % shape[1], at % shape[2]];
                Seed { position_zyx, label }
            })
            .collect();
        let class: Vec<u64> = voxels.to_f32().iter().map(|v| u64::from(*v >= 1.0)).collect();
        let (objects, _) = components(&class, shape, 6);
        let mut first = BTreeMap::new();
        for (at, Seed { label, .. }) in places.iter().zip(&seeds) {
            let object = objects[*at as usize];
            if object > 0 {
                first.entry(object).or_insert(*label);
            }
        }
        let expected: Vec<u32> =
            objects.iter().map(|o| first.get(o).copied().unwrap_or(0)).collect();
        let found = DeviceVolume::upload(device, &voxels)
            .unwrap()
            .flood(range(1.0, 1e9), &seeds, Connectivity::Six)
            .unwrap()
            .labels
            .download()
            .unwrap();
        prop_assert!(found.as_slice::<u32>().unwrap() == expected);
        Ok(())
    });
}

/// Position of an axis with borders mirrored at the edges of the outer voxels.
fn mirrored(index: i64, length: usize) -> usize {
    let n = length as i64;
    let folded = index.rem_euclid(2 * n);
    (if folded < n { folded } else { 2 * n - 1 - folded }) as usize
}

/// Values of a box around each voxel, z slowest.
fn boxes(values: &[f32], shape: [usize; 3], radius: [usize; 3]) -> Vec<Vec<f64>> {
    let sizes = radius.map(|r| 2 * r + 1);
    let of = |at: usize| {
        let position = [at / (shape[1] * shape[2]), at / shape[2] % shape[1], at % shape[2]];
        let value = |k: usize| {
            let offset = [k / (sizes[1] * sizes[2]), k / sizes[2] % sizes[1], k % sizes[2]];
            let p: [usize; 3] = std::array::from_fn(|a| {
                mirrored((position[a] + offset[a]) as i64 - radius[a] as i64, shape[a])
            });
            f64::from(values[(p[0] * shape[1] + p[1]) * shape[2] + p[2]])
        };
        (0..sizes.iter().product()).map(value).collect()
    };
    (0..values.len()).map(of).collect()
}

/// Largest difference of a volume of floats to what is expected, in units of the largest value.
fn error(found: &DeviceVolume, expected: &[f64]) -> f64 {
    let found = found.download().unwrap();
    let found = found.as_slice::<f32>().unwrap();
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(1.0, |m: f64, v| m.max(v.abs()));
    let pairs = found.iter().zip(expected);
    pairs.map(|(f, e)| (f64::from(*f) - e).abs() / largest).fold(0.0, f64::max)
}

#[test]
fn gaussian_is_the_definition() {
    let sigmas = prop::sample::select(vec![[0.0, 0.0, 0.0], [0.5, 1.0, 0.0], [0.0, 0.3, 2.4]]);
    on_devices(10, (0usize..4, shapes(9), sigmas, any::<u64>()), |device, case| {
        let (dtype, shape, sigma, seed) = case;
        let voxels = typed(dtype, shape, 200, seed);
        let radius = sigma.map(|s: f64| if s > 0.0 { (4.0 * s + 0.5) as usize } else { 0 });
        let weight = |a: usize, k: usize| {
            let x = k as f64 - radius[a] as f64;
            if sigma[a] > 0.0 { (-0.5 * (x / sigma[a]).powi(2)).exp() } else { 1.0 }
        };
        let sizes = radius.map(|r| 2 * r + 1);
        let weights: Vec<f64> = (0..sizes.iter().product::<usize>())
            .map(|k| {
                let (z, y, x) = (k / (sizes[1] * sizes[2]), k / sizes[2] % sizes[1], k % sizes[2]);
                weight(0, z) * weight(1, y) * weight(2, x)
            })
            .collect();
        let sum: f64 = weights.iter().sum();
        let expected: Vec<f64> = boxes(&voxels.to_f32(), shape, radius)
            .iter()
            .map(|values| values.iter().zip(&weights).map(|(v, w)| v * w / sum).sum())
            .collect();
        let found = DeviceVolume::upload(device, &voxels).unwrap().gaussian(sigma).unwrap();
        let error = error(&found, &expected);
        prop_assert!(error < 1e-5, "error {error}");
        Ok(())
    });
}

#[test]
fn sobel_is_the_definition() {
    let along = prop::sample::select(vec![None, Some(0usize), Some(1), Some(2)]);
    on_devices(12, (0usize..4, shapes(9), along, any::<u64>()), |device, case| {
        let (dtype, shape, along, seed) = case;
        let voxels = typed(dtype, shape, 1000, seed);
        let part = |values: &[f64], axis: usize| -> f64 {
            let weight = |k: usize| {
                let offset = [k / 9, k / 3 % 3, k % 3];
                (0..3)
                    .map(|a| if a == axis { [-1.0, 0.0, 1.0] } else { [1.0, 2.0, 1.0] }[offset[a]])
                    .product::<f64>()
            };
            values.iter().enumerate().map(|(k, v)| v * weight(k)).sum()
        };
        let expected: Vec<f64> = boxes(&voxels.to_f32(), shape, [1; 3])
            .iter()
            .map(|values| match along {
                Some(axis) => part(values, axis),
                None => (0..3).map(|a| part(values, a).powi(2)).sum::<f64>().sqrt(),
            })
            .collect();
        let axis = along.map(|a| Axis::ZYX[a]);
        let found = DeviceVolume::upload(device, &voxels).unwrap().sobel(axis).unwrap();
        let error = error(&found, &expected);
        prop_assert!(error < 1e-6, "error {error}");
        Ok(())
    });
}

#[test]
fn median_is_the_definition() {
    let radii = prop::sample::select(vec![[1, 1, 1], [0, 1, 2], [0, 0, 0]]);
    on_devices(10, (0usize..4, shapes(8), radii, 2u64..50, any::<u64>()), |device, case| {
        let (dtype, shape, radius, values, seed) = case;
        let voxels = typed(dtype, shape, values, seed);
        let expected: Vec<f64> = boxes(&voxels.to_f32(), shape, radius)
            .into_iter()
            .map(|mut values| {
                values.sort_by(f64::total_cmp);
                values[values.len() / 2]
            })
            .collect();
        let found = DeviceVolume::upload(device, &voxels).unwrap().median(radius).unwrap();
        prop_assert_eq!(error(&found, &expected), 0.0);
        Ok(())
    });
}

#[test]
fn operations_follow_one_another_on_the_device() {
    let voxels = typed(0, [6, 7, 8], 250, 3);
    for device in DEVICES.into_iter().filter_map(device) {
        let volume = DeviceVolume::upload(&device, &voxels).unwrap();
        let normal = volume.normalize(128.0, 33.0).unwrap();
        let expected: Vec<f64> =
            voxels.to_f32().iter().map(|v| (f64::from(*v) - 128.0) / 33.0).collect();
        assert!(error(&normal, &expected) < 1e-6);
        let (labels, count) = normal
            .gaussian([1.0; 3])
            .unwrap()
            .components_within(range(0.0, 9.0), Connectivity::TwentySix)
            .unwrap();
        assert_eq!(labels.dtype(), DataType::U32);
        let most = labels.download().unwrap().as_slice::<u32>().unwrap().iter().max().copied();
        assert_eq!(most, Some(count));
    }
}

#[test]
fn what_devices_cannot_hold_is_refused() {
    for device in DEVICES.into_iter().filter_map(device) {
        let upload = |voxels: Voxels| DeviceVolume::upload(&device, &voxels);
        let Err(error) = upload(volume::<f64>([1, 2, 3], 9, 1)) else { panic!("f64 was taken") };
        assert!(error.to_string().contains("found float64"), "{error}");
        let empty = upload(volume::<u8>([2, 0, 3], 9, 1)).unwrap();
        assert_eq!(empty.components_within(range(1.0, 2.0), Connectivity::Six).unwrap().1, 0);
        assert!(empty.gaussian([1.0; 3]).unwrap().download().unwrap().is_empty());
        let small = upload(volume::<u8>([2, 2, 3], 9, 1)).unwrap();
        let (six, high) = (Connectivity::Six, range(300.0, f64::INFINITY));
        assert!(matches!(small.components_within(high, six), Err(Error::Usage(_))));
        let outside = [Seed::new([0, 2, 0])];
        assert!(matches!(small.flood(range(1.0, 2.0), &outside, six), Err(Error::Usage(_))));
        assert!(matches!(small.gaussian([-1.0, 0.0, 0.0]), Err(Error::Usage(_))));
        assert!(matches!(small.median([9; 3]), Err(Error::NotOnDevice(_))));
    }
    let Some(cpu) = device("cpu") else { return };
    assert!(DeviceVolume::upload(&cpu, &volume::<u8>([1; 3], 9, 1)).is_err());
}

#[test]
fn a_volume_larger_than_the_devices_buffers_is_refused() {
    let Some(device) = device("wgpu") else { return };
    let client = device.client().unwrap();
    let most = client.properties().memory.max_page_size / 4;
    if most > 1 << 28 {
        return eprintln!("skipped: the device's buffers are larger than this test should be");
    }
    let voxels = Voxels::zeros(DataType::U8, [1, 1, most as usize + 1]).unwrap();
    let Err(error) = DeviceVolume::upload(&device, &voxels) else { panic!("it was taken") };
    assert!(error.to_string().contains("is too large"), "{error}");
}

/// The one call for all devices gives what the CPU gives.
#[test]
fn whole_operations_are_those_of_the_cpu() {
    let strategy =
        (0usize..3, shapes(14), prop::sample::select(Connectivity::ALL.to_vec()), any::<u64>());
    on_devices(8, strategy, |device, (dtype, shape, connectivity, seed)| {
        let voxels = typed(dtype, shape, 3, seed);
        let foreground = Foreground::NonZero;
        let found =
            on_device::components_of_mask(device, &voxels, foreground, connectivity).unwrap();
        prop_assert_eq!(found, label_mask(&voxels, foreground, connectivity).unwrap());
        let found = on_device::components_of_labels(device, &voxels, connectivity).unwrap();
        prop_assert_eq!(found, label_equal(&voxels, connectivity).unwrap());
        let mut options = FloodOptions::default();
        options.connectivity = connectivity;
        let last = shape.map(|length| length - 1);
        let seeds = [Seed::new([0; 3]), Seed { position_zyx: last, label: 300 }, Seed::new(last)];
        let found =
            on_device::flood_fill(device, &voxels, range(1.0, 9.0), &seeds, &options).unwrap();
        let expected = flood_fill(&voxels, range(1.0, 9.0), &seeds, &options).unwrap();
        prop_assert_eq!(found, expected);
        options.max_voxels = Some(0);
        let leak = on_device::flood_fill(device, &voxels, range(0.0, 9.0), &seeds, &options);
        prop_assert!(leak.unwrap_err().to_string().contains("the flood leaks"));
        Ok(())
    });
}

#[test]
fn filters_on_devices_are_those_of_the_cpu() {
    let strategy = (0usize..2, shapes(12), 0usize..5, any::<u64>());
    on_devices(8, strategy, |device, (dtype, shape, number, seed)| {
        let voxels = typed(dtype, shape, 200, seed);
        let boundary = Boundary::Reflect;
        let filter = match number {
            0 => Filter::Gaussian { sigma_zyx: [0.7, 0.0, 1.5], boundary },
            1 => Filter::Median { radius_zyx: [1, 0, 1], boundary },
            2 => Filter::Sobel(Gradient::Magnitude),
            3 => Filter::Normalize(Normalization::MeanStd),
            _ => Filter::Normalize(Normalization::MinMax),
        };
        let found = on_device::filter(device, &filter, &voxels).unwrap();
        let expected = filter.run(&voxels).unwrap();
        prop_assert_eq!(found.dtype(), expected.dtype());
        for (found, expected) in found.to_f32().iter().zip(expected.to_f32()) {
            prop_assert!((found - expected).abs() <= 1e-4 * expected.abs().max(1.0));
        }
        Ok(())
    });
    for device in DEVICES.into_iter().filter_map(device) {
        let voxels = volume::<u8>([2, 3, 4], 9, 1);
        let clahe = Filter::Clahe(ClaheOptions::default());
        let error = on_device::filter(&device, &clahe, &voxels).unwrap_err().to_string();
        assert!(error.contains("clahe"), "{error}");
    }
}
