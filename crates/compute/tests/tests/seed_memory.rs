//! What seed policies say of their memory, against what they take. Unsafe by name: the allocator counts.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use exavox_compute::ffn::InferenceOptions;
use exavox_compute::ffn::seed::{self, NormalisedImage, Order, Scene, SeedPolicy};
use exavox_io::Voxels;

thread_local! {
    /// Bytes that this thread holds, and the most it has held.
    static HELD: Cell<[isize; 2]> = const { Cell::new([0; 2]) };
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The system's allocator. A block that grows is two blocks for a while, as where it cannot grow in its place.
struct Counting;

fn count(bytes: isize) {
    // A thread that ends may free after its counts are gone.
    let _ = HELD.try_with(|held| {
        let [now, most] = held.get();
        held.set([now + bytes, most.max(now + bytes)]);
    });
}

// SAFETY: all is done by the system's allocator; counting neither allocates nor unwinds.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller's promise.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(block, layout) }
    }
}

/// The most that a call holds at a time.
fn most_held<T>(run: impl FnOnce() -> T) -> (T, usize) {
    let before = HELD.with(|held| {
        let [now, _] = held.get();
        held.set([now, now]);
        now
    });
    let result = run();
    (result, HELD.with(|held| held.get()[1] - before) as usize)
}

const SHAPE: [usize; 3] = [96, 16, 32];

/// A plateau with one peak, noise, a ramp.
fn images() -> [Voxels; 3] {
    let count = SHAPE.iter().product::<usize>();
    let noise = |i: usize| ((i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as f32;
    let plateau = (0..count).map(|i| if i == count / 2 { 300.0 } else { 200.0 }).collect();
    let values: [Vec<f32>; 3] = [
        plateau,
        (0..count).map(|i| 128.0 + noise(i) / 1e5).collect(),
        (0..count).map(|i| 128.0 + i as f32).collect(),
    ];
    values.map(|values| Voxels::from_vec(SHAPE, values).unwrap())
}

fn policies() -> Vec<SeedPolicy> {
    let mut all = vec![
        SeedPolicy::Max,
        SeedPolicy::Dense { threshold: -9.0, num_erosions: 0, invert: false },
        SeedPolicy::Dense { threshold: 0.5, num_erosions: 2, invert: false },
        SeedPolicy::Grid3d { step: 1, offsets: vec![0, 0, 1] },
        SeedPolicy::Grid3d { step: 16, offsets: vec![0, 8, 4, 12, 2, 10, 14] },
        SeedPolicy::Grid2d { step: 2, offsets: vec![0, 1, 0, 1, 0] },
        SeedPolicy::Grid2d { step: 16, offsets: vec![0, 8, 4, 12, 2, 6, 10, 14] },
    ];
    for d in [0, 1, 2, 3, 6] {
        let (threshold_abs, order) = (-1e9, Order::Descending);
        all.extend([
            SeedPolicy::Peaks2d { min_distance: d, threshold_abs, order },
            SeedPolicy::MaxPeaks { min_distance: d, threshold_abs, threshold_rel: -1.0 },
            SeedPolicy::ImagePeaks3d2d { min_distance_2d: Some(d), min_distance_3d: Some(d) },
            SeedPolicy::ImagePeaks3d2d { min_distance_2d: None, min_distance_3d: Some(d) },
            SeedPolicy::ImagePeaks2dDisk {
                min_distance_2d: d,
                threshold_rel: -1.0,
                disk_radius: d,
            },
        ]);
    }
    let both = vec![SeedPolicy::Max, SeedPolicy::Grid3d { step: 1, offsets: vec![0] }];
    all.push(SeedPolicy::Reverse(Box::new(SeedPolicy::Sequence(both))));
    all.push(SeedPolicy::Sequence(all[7..17].to_vec()));
    all
}

#[test]
fn policies_take_as_much_as_they_say() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let (voxels, plane) = (SHAPE.iter().product::<usize>(), SHAPE[1] * SHAPE[2]);
    let mut fullest = 0.0_f64;
    for image in &images() {
        let image = NormalisedImage::new(image, &InferenceOptions::default());
        let scene = Scene::new(image, [1.0; 3], [1; 3]);
        for policy in policies() {
            let (seeds, bytes) =
                pool.install(|| most_held(|| seed::find(&policy, &scene).unwrap()));
            let said = 13 + policy.extra_bytes_per_voxel() as usize;
            let allowed = said * voxels + 400 * plane;
            assert!(
                bytes <= allowed,
                "{policy:?}: {bytes} bytes for {} seeds, {allowed} said",
                seeds.len()
            );
            fullest = fullest.max(bytes as f64 / allowed as f64);
        }
    }
    assert!(fullest > 0.6, "{fullest}");
}
