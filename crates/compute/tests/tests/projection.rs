//! The streaming projections, on the CPU and on devices, against the definitions.

use exavox_compute::Error;
use exavox_compute::ops::projection::{Projection, ProjectionKind, Projector, project, reference};
use exavox_io::{Axis, BoundingBox, DataType, Element, Voxels, match_dtype};
use proptest::prelude::*;

/// A stack with a type, values that are often equal and often extreme, and NaN among floats.
fn stack(longest: usize) -> impl Strategy<Value = Voxels> {
    let shape = [1..longest, 1..longest, 1..longest];
    (prop::sample::select(DataType::ALL.to_vec()), shape, any::<u64>())
        .prop_map(|(dtype, shape, seed)| random_voxels(dtype, shape, seed))
}

fn random_voxels(dtype: DataType, shape: [usize; 3], seed: u64) -> Voxels {
    let mut state = seed | 1;
    let mut random = move || {
        // Marsaglia's xorshift.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let count = shape.iter().product();
    let few_values = seed.is_multiple_of(2);
    match_dtype!(dtype, T => {
        let mut value = || match random() % 16 {
            _ if few_values => T::from_f64((random() % 5) as f64),
            0 if dtype.kind() == 'f' => T::from_f64(f64::NAN),
            1 => T::from_f64(f64::INFINITY),
            2 => T::from_f64(f64::NEG_INFINITY),
            _ if dtype.kind() == 'f' => T::from_f64((random() % 100_000) as f64 / 7.0 - 5000.0),
            _ => bytemuck::pod_read_unaligned(&random().to_le_bytes()[..dtype.size()]),
        };
        let values: Vec<T> = (0..count).map(|_| value()).collect();
        Voxels::from_vec(shape, values).unwrap()
    })
}

/// Equal, NaN to NaN; standard deviations and variances may differ in the last bits of the f32, since the definition
/// itself rounds.
fn assert_same(kind: ProjectionKind, found: &Voxels, expected: &Voxels) {
    assert_eq!((found.dtype(), found.shape()), (expected.dtype(), expected.shape()), "{kind}");
    match_dtype!(expected.dtype(), T => {
        let pairs = found.as_slice::<T>().unwrap().iter().zip(expected.as_slice::<T>().unwrap());
        for (cell, (a, b)) in pairs.enumerate() {
            let (f, e) = (a.to_f64(), b.to_f64());
            let spread = matches!(kind, ProjectionKind::Std | ProjectionKind::Variance);
            let close = spread && (f - e).abs() <= 4e-7 * e.abs();
            let summed = kind == ProjectionKind::Sum && (f - e).abs() <= 1e-12 * e.abs();
            let rounded = summed && expected.dtype() == DataType::F64;
            let nan = f.is_nan() && e.is_nan();
            assert!(a == b || nan || close || rounded, "{kind} of cell {cell}: {a}, expected {b}");
        }
    });
}

/// The stack cut along the axis into blocks of `step` planes.
fn blocks(stack: &Voxels, axis: Axis, step: usize) -> Vec<Voxels> {
    let a = axis.zyx_index().unwrap();
    let shape = stack.shape().map(|v| v as u64);
    let mut step_shape = shape;
    step_shape[a] = step as u64;
    let part = |tile: BoundingBox| {
        let shape = tile.shape().map(|v| v as usize);
        let mut block = Voxels::zeros(stack.dtype(), shape).unwrap();
        block.copy_box([0; 3], stack, &tile).unwrap();
        block
    };
    BoundingBox::whole(shape).tiles(step_shape).map(part).collect()
}

fn kinds() -> impl Strategy<Value = ProjectionKind> {
    prop::sample::select(ProjectionKind::ALL.to_vec())
}

fn axes() -> impl Strategy<Value = Axis> {
    prop::sample::select(Axis::ZYX.to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn streamed_projection_is_the_definition(
        stack in stack(14), kind in kinds(), axis in axes(), step in 1..14usize
    ) {
        let mut projector =
            Projector::new(kind, stack.dtype(), axis, stack.shape()).unwrap();
        for block in blocks(&stack, axis, step) {
            projector.push(&block).unwrap();
        }
        let found = Box::new(projector).finish().unwrap();
        assert_same(kind, &found, &reference::project(kind, axis, &stack).unwrap());
    }

    #[test]
    fn threads_do_not_change_a_projection(
        stack in stack(14), kind in kinds(), axis in axes(), threads in 1..6usize
    ) {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let found = pool.install(|| project(kind, axis, &stack).unwrap());
        assert_same(kind, &found, &reference::project(kind, axis, &stack).unwrap());
    }

    #[test]
    fn many_cells_and_many_planes(
        seed in any::<u64>(), kind in kinds(), axis in axes(), long in 0..3usize,
        dtype in prop::sample::select(DataType::ALL.to_vec()), length in 60..1500usize,
    ) {
        let mut shape = [2, 3, 2];
        shape[long] = length;
        let stack = random_voxels(dtype, shape, seed);
        let found = project(kind, axis, &stack).unwrap();
        assert_same(kind, &found, &reference::project(kind, axis, &stack).unwrap());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn groups_of_cells_and_what_is_left_of_them(
        planes in 1..40usize, rows in 1..4usize, row in 1..1500usize, turn in 0..3usize,
        seed in any::<u64>(), kind in kinds(), axis in axes(),
        dtype in prop::sample::select(DataType::ALL.to_vec()),
    ) {
        let mut shape = [planes, rows, row];
        shape.rotate_left(turn);
        let stack = random_voxels(dtype, shape, seed);
        let expected = reference::project(kind, axis, &stack).unwrap();
        let mut on_one = None;
        for threads in [1, 2, 5] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let found = pool.install(|| project(kind, axis, &stack).unwrap());
            assert_same(kind, &found, &expected);
            let on_one = on_one.get_or_insert_with(|| found.bytes().to_vec());
            prop_assert!(on_one == found.bytes(), "{kind} on {threads} threads");
        }
    }
}

/// More output than is left in the caches.
#[test]
fn large_projections_are_the_definition() {
    let stack = random_voxels(DataType::U16, [3, 1501, 1403], 12);
    for kind in [ProjectionKind::Max, ProjectionKind::Argmax, ProjectionKind::Mean] {
        let expected = reference::project(kind, Axis::Z, &stack).unwrap();
        assert_same(kind, &project(kind, Axis::Z, &stack).unwrap(), &expected);
    }
}

#[test]
fn pieces_of_large_planes_are_put_together() {
    for (shape, axis) in
        [([3, 150, 301], Axis::Z), ([2, 4, 40_001], Axis::Y), ([131, 301, 3], Axis::X)]
    {
        let stack = random_voxels(DataType::U16, shape, 4);
        for kind in ProjectionKind::ALL {
            let mut projector = Projector::new(kind, stack.dtype(), axis, shape).unwrap();
            projector.push(&stack).unwrap();
            let streamed = Box::new(projector).finish().unwrap();
            assert_same(kind, &project(kind, axis, &stack).unwrap(), &streamed);
            assert_same(kind, &streamed, &reference::project(kind, axis, &stack).unwrap());
        }
    }
}

#[test]
fn sums_of_more_planes_than_narrow_sums_hold() {
    let planes = 70_000;
    for dtype in [DataType::U8, DataType::U16, DataType::I16, DataType::U32, DataType::I32] {
        let stack = match_dtype!(dtype, T => {
            // One cell has the lowest value throughout, the other the highest.
            let pair = [f64::NEG_INFINITY, f64::INFINITY].map(T::from_f64);
            Voxels::from_vec([planes, 1, 2], pair.repeat(planes)).unwrap()
        });
        use ProjectionKind::{Mean, Std, Sum, Variance};
        for kind in [Sum, Mean, Std, Variance] {
            let expected = reference::project(kind, Axis::Z, &stack).unwrap();
            let found = project(kind, Axis::Z, &stack).unwrap();
            assert_same(kind, &found, &expected);
        }
        let argmax = project(ProjectionKind::Argmax, Axis::Z, &stack).unwrap();
        assert_eq!(argmax.dtype(), DataType::U32);
    }
}

#[test]
fn argmax_is_u16_up_to_65536_planes_and_holds_the_last_of_them() {
    let mut values = vec![0u8; 1 << 16];
    values[(1 << 16) - 1] = 1;
    let stack = Voxels::from_vec([1 << 16, 1, 1], values).unwrap();
    let found = project(ProjectionKind::Argmax, Axis::Z, &stack).unwrap();
    assert_eq!(found.as_slice::<u16>().unwrap(), [u16::MAX]);
}

#[test]
fn blocks_that_do_not_fit_and_missing_planes_are_refused() {
    let new = || Projector::new(ProjectionKind::Max, DataType::U8, Axis::Z, [4, 2, 3]).unwrap();
    let zeros = |dtype, shape| Voxels::zeros(dtype, shape).unwrap();
    for block in [
        zeros(DataType::U16, [1, 2, 3]),
        zeros(DataType::U8, [5, 2, 3]),
        zeros(DataType::U8, [1, 3, 2]),
    ] {
        let error = new().push(&block).unwrap_err();
        assert!(matches!(&error, Error::Usage(_)), "{error}");
        assert!(error.to_string().contains("[4, 2, 3]"), "{error}");
    }
    let mut short = new();
    short.push(&zeros(DataType::U8, [3, 2, 3])).unwrap();
    let error = Box::new(short).finish().unwrap_err().to_string();
    assert!(error.contains("expected 4 planes, found 3"), "{error}");
    assert!(Projector::new(ProjectionKind::Max, DataType::U8, Axis::C, [1, 1, 1]).is_err());
    assert!(Projector::new(ProjectionKind::Max, DataType::U8, Axis::Z, [1, 0, 1]).is_err());
}

#[test]
fn memory_that_cannot_be_had_is_an_error() {
    let shape = [1 << 30, 1 << 20, 1 << 10];
    let error = Projector::new(ProjectionKind::Median, DataType::U64, Axis::Z, shape);
    assert!(error.err().unwrap().to_string().contains("needs"));
}

/// Every kind and type that a device takes, against the CPU; what it does not take is `None`.
#[cfg(feature = "cube")]
fn device_equals_cpu(engine: &dyn exavox_compute::ops::projection::ProjectionEngine) {
    let mut taken = 0;
    for (seed, dtype) in (1..).zip(DataType::ALL) {
        for (kind, axis) in ProjectionKind::ALL.into_iter().flat_map(|k| Axis::ZYX.map(|a| (k, a)))
        {
            let stack = random_voxels(dtype, [9, 17, 33], seed * 77 + 1);
            let Some(mut run) = engine.begin(kind, dtype, axis, stack.shape()).unwrap() else {
                continue;
            };
            for block in blocks(&stack, axis, 4) {
                run.push(&block).unwrap();
            }
            assert_same(kind, &run.finish().unwrap(), &project(kind, axis, &stack).unwrap());
            taken += 1;
        }
    }
    // Three kinds of seven types (8, 16 and 32 bits), two of four types, along three axes.
    assert_eq!(taken, 3 * (3 * 7 + 2 * 4));
}

#[cfg(feature = "cube")]
fn on_device(spec: &str) {
    use exavox_compute::ComputeDevice;
    use exavox_compute::ops::projection::device::DeviceEngine;
    let opened = ComputeDevice::open(spec.parse().unwrap());
    match opened {
        Ok((device, _)) => {
            let client = device.client().unwrap().clone();
            device_equals_cpu(&DeviceEngine::new(device.name(), client));
        }
        Err(error) => eprintln!("skipped: {error}"),
    }
}

#[cfg(feature = "cpu-jit")]
#[test]
fn cubecl_on_the_cpu_equals_the_cpu() {
    on_device("cpu-jit");
}

#[cfg(feature = "wgpu")]
#[test]
fn wgpu_equals_the_cpu() {
    on_device("wgpu");
}

#[cfg(feature = "cuda")]
#[test]
fn cuda_equals_the_cpu() {
    on_device("cuda");
}
