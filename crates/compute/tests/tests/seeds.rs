//! Seed policies against NumPy, SciPy and scikit-image, and masks in the flood loop.

use std::fmt::Write;
use std::path::Path;

use exavox_compute::Error;
use exavox_compute::ffn::restrictor::{Expression, Mask, Restrictor, ShiftMask};
use exavox_compute::ffn::seed::{self, NormalisedImage, Order, Scene, SeedPolicy};
use exavox_compute::ffn::{
    Canvas, InferenceOptions, Inline, ModelConfig, Network, Restrict, Segmentation, Segmenter,
    quantise, segment_all,
};
use exavox_io::{BoundingBox, Volume, Voxels};

fn masked(expression: &str, shape: [usize; 3]) -> Mask {
    let expression = Expression::parse(expression).unwrap();
    let mut mask = Mask::empty(shape);
    mask.add_planes(0, shape[0], |z, y, row| {
        for (x, bit) in row.iter_mut().enumerate() {
            *bit = expression.holds([z as i64, y as i64, x as i64]);
        }
    });
    mask
}

fn labels([nz, ny, nx]: [usize; 3]) -> Vec<i32> {
    let kind = |i: usize| (i / (ny * nx) / 6 + i / nx % ny / 7 + i % nx / 9) % 5;
    (0..nz * ny * nx).map(|i| if matches!(kind(i), 1 | 2) { kind(i) as i32 } else { 0 }).collect()
}

/// Cases of `peers/seed_peers.py`: name, policy, whether labels and masks count.
fn cases() -> Vec<(&'static str, SeedPolicy, bool)> {
    let peaks_2d = |min_distance, threshold_abs, order| SeedPolicy::Peaks2d {
        min_distance,
        threshold_abs,
        order,
    };
    let max_peaks = |min_distance, threshold_abs, threshold_rel| SeedPolicy::MaxPeaks {
        min_distance,
        threshold_abs,
        threshold_rel,
    };
    let image_peaks = |min_distance_2d, min_distance_3d| SeedPolicy::ImagePeaks3d2d {
        min_distance_2d,
        min_distance_3d,
    };
    let disk = |min_distance_2d, threshold_rel, disk_radius| SeedPolicy::ImagePeaks2dDisk {
        min_distance_2d,
        threshold_rel,
        disk_radius,
    };
    let dense =
        |threshold, num_erosions, invert| SeedPolicy::Dense { threshold, num_erosions, invert };
    vec![
        ("peaks", SeedPolicy::Peaks, false),
        ("peaks_sized", SeedPolicy::Peaks, false),
        ("peaks_masked", SeedPolicy::Peaks, true),
        ("peaks_2d", peaks_2d(7, 2.5, Order::Ascending), false),
        ("peaks_2d_masked", peaks_2d(2, 0.0, Order::Descending), true),
        ("fill", SeedPolicy::FillEmptySpace, true),
        ("max", SeedPolicy::Max, false),
        ("max_peaks", max_peaks(3, 0.0, 0.0), true),
        ("max_peaks_high", max_peaks(1, -1.0, 0.25), true),
        ("image_peaks", image_peaks(Some(2), Some(4)), false),
        ("image_peaks_2d", image_peaks(Some(0), None), false),
        ("disk_peaks", disk(3, 0.5, 1), false),
        ("disk_peaks_wide", disk(1, 0.1, 3), false),
        ("grid_3d", SeedPolicy::Grid3d { step: 16, offsets: vec![0, 8, 4, 12, 2, 10, 14] }, false),
        ("grid_2d", SeedPolicy::Grid2d { step: 5, offsets: vec![3, 1] }, false),
        ("dense", dense(0.5, 0, false), false),
        ("dense_eroded", dense(0.25, 2, true), false),
    ]
}

#[test]
fn seeds_are_those_of_scikit_image() {
    let Some(python) = std::env::var_os("EXAVOX_PEERS_PYTHON") else {
        eprintln!("skipped: EXAVOX_PEERS_PYTHON is not set");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let package = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    let script = Path::new(&package).join("tests/peers/seed_peers.py");
    let python = |step: &str| {
        let mut command = std::process::Command::new(&python);
        let output = command.arg(&script).arg(step).arg(folder.path()).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{step}: {errors}");
        eprintln!("{errors}");
        String::from_utf8(output.stdout).unwrap()
    };
    let mut made = 0;
    for name in python("make").split_whitespace() {
        let path = folder.path().join(name);
        let volume = Volume::open(path.to_str().unwrap()).unwrap();
        let voxels = volume.read(0, &BoundingBox::whole(volume.shape())).unwrap();
        for (case, policy, has_masks) in cases() {
            let seeds = found(&voxels, case, &policy, has_masks);
            let mut text = String::new();
            seeds.iter().for_each(|[z, y, x]| writeln!(text, "{z} {y} {x}").unwrap());
            std::fs::write(folder.path().join(format!("{name}.{case}.txt")), text).unwrap();
            made += 1;
        }
    }
    assert_eq!(python("compare").trim(), format!("{made} equal"));
}

fn found(voxels: &Voxels, case: &str, policy: &SeedPolicy, has_masks: bool) -> Vec<[usize; 3]> {
    let shape = voxels.shape();
    let image = NormalisedImage::new(voxels, &InferenceOptions::default());
    let size = if case == "peaks_sized" { [3.0, 1.0, 2.0] } else { [1.0; 3] };
    let mut scene = Scene::new(image, size, [2, 3, 4]);
    let labels = labels(shape);
    let restrictor = Restrictor {
        mask: Some(masked("((z*31 + y*17 + x*7) % 97 == 0) | (x > 40)", shape)),
        seed_mask: Some(masked("(abs(z - 9) < 2) & ~(y < 12)", shape)),
        shift_mask: None,
    };
    if has_masks {
        scene.labels = Some(&labels);
        scene.restrictor = Some(&restrictor);
    }
    seed::find(policy, &scene).unwrap()
}

#[test]
fn wrappers_reverse_and_chain_and_the_margin_counts_for_each() {
    let voxels = Voxels::from_vec([6, 7, 8], (0..336).map(|v| (v % 251) as u8).collect()).unwrap();
    let scene =
        Scene::new(NormalisedImage::new(&voxels, &InferenceOptions::default()), [1.0; 3], [1; 3]);
    let find = |policy: &SeedPolicy| seed::find(policy, &scene).unwrap();
    let points =
        SeedPolicy::Points(vec![[1, 1, 1], [0, 3, 3], [4, 5, 6], [usize::MAX; 3], [5, 1, 1]]);
    assert_eq!(find(&points), [[1, 1, 1], [4, 5, 6]]);
    let grid = SeedPolicy::Grid3d { step: 3, offsets: vec![1] };
    let reversed: Vec<_> = find(&grid).into_iter().rev().collect();
    assert_eq!(reversed.len(), 8);
    let sequence = SeedPolicy::Sequence(vec![points, SeedPolicy::Reverse(Box::new(grid))]);
    assert_eq!(find(&sequence), [&[[1, 1, 1], [4, 5, 6]], &reversed[..]].concat());
    for (policy, expected) in [
        (SeedPolicy::Grid2d { step: 0, offsets: vec![0] }, "step: expected at least 1"),
        (SeedPolicy::Grid2d { step: 1, offsets: vec![usize::MAX] }, "offsets: expected at most"),
        (
            SeedPolicy::ImagePeaks2dDisk {
                min_distance_2d: 3,
                threshold_rel: 0.5,
                disk_radius: 65,
            },
            "disk_radius: expected at most 64, found 65",
        ),
        (SeedPolicy::Dense { threshold: f32::NAN, num_erosions: 0, invert: false }, "threshold"),
    ] {
        let policy = SeedPolicy::Sequence(vec![policy]);
        let error = seed::find(&policy, &scene).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

const SHAPE: [usize; 3] = [13, 15, 17];
const CONFIG: ModelConfig = ModelConfig { fov_zyx: [5; 3], deltas_zyx: [1; 3] };

/// A network that says the same everywhere, and remembers where it was asked: the image says it.
struct Everywhere {
    centres: Vec<usize>,
    /// Logit by the number of axes along which a voxel is off the centre.
    logits: [f32; 4],
}

impl Everywhere {
    /// The largest of a face is its centre: the FOV moves to the six neighbours.
    fn flooding() -> Self {
        Self { centres: Vec::new(), logits: [3.0, 3.0, 2.9, 2.8] }
    }
}

impl Network for Everywhere {
    fn step(&mut self, image: &[f32], _seed: &[f32], logits: &mut [f32]) -> Result<(), Error> {
        self.centres.push(image[image.len() / 2] as usize);
        for (i, logit) in logits.iter_mut().enumerate() {
            let off = [i / 25, i / 5 % 5, i % 5].into_iter().filter(|v| *v != 2).count();
            *logit = self.logits[off];
        }
        Ok(())
    }

    fn device_name(&self) -> String {
        "test".into()
    }
}

fn canvas() -> Canvas {
    let image = (0..SHAPE.iter().product::<usize>()).map(|i| i as f32).collect();
    let image = Voxels::from_vec(SHAPE, image).unwrap();
    let options = InferenceOptions {
        image_mean: 0.0,
        image_stddev: 1.0,
        min_segment_size: 1,
        ..InferenceOptions::default()
    };
    Canvas::new(image, CONFIG, options).unwrap()
}

fn restricted(
    restrictor: &Restrictor,
    seeds: &[[usize; 3]],
    network: &mut Everywhere,
) -> Segmentation {
    restrictor.check(SHAPE).unwrap();
    let segmenter = Segmenter::new(canvas(), seeds.to_vec()).unwrap();
    let mut segmenter = segmenter.with_restriction(restrictor);
    let mut steps = Inline::new(network, 1);
    while segmenter.advance(&mut steps, &mut |_| {}).unwrap() {}
    segmenter.finish()
}

fn at(index: usize) -> [usize; 3] {
    [index / (SHAPE[1] * SHAPE[2]), index / SHAPE[2] % SHAPE[1], index % SHAPE[2]]
}

#[test]
fn no_fov_is_centred_in_a_mask_and_no_object_starts_in_a_seed_mask() {
    let mut free = Everywhere::flooding();
    let seeds = [[6, 7, 4], [6, 7, 8], [6, 7, 12]];
    segment_all(canvas(), &seeds, &mut free, |_| {}).unwrap();
    assert_eq!(free.centres.len(), 9 * 11 * 13);

    let mask = masked("(x == 6) | (y > 9)", SHAPE);
    let mut shifted = Mask::empty([SHAPE[0], SHAPE[1].div_ceil(4), SHAPE[2].div_ceil(4)]);
    shifted.add_planes(9, 1, |_, y, row| row[3] = y == 1);
    let around = [[0, -1, -1], [1, 2, 2]];
    let restrictor = Restrictor {
        mask: Some(mask.clone()),
        seed_mask: Some(masked("x < 6", SHAPE)),
        shift_mask: Some(ShiftMask::new(shifted, 4, [0; 2], around)),
    };
    let mut network = Everywhere::flooding();
    let result = restricted(&restrictor, &seeds, &mut network);
    assert_eq!(result.origins.len(), 1);
    assert_eq!(result.origins[0].seed_zyx, seeds[1]);
    assert!(result.counters.skip_restricted_pos > 0);
    let error = restrictor.check([13, 15, 18]).unwrap_err().to_string();
    assert!(error.contains("expected a shape of [13, 15, 18], found [13, 15, 17]"), "{error}");
    for centre in network.centres.iter().map(|index| at(*index)) {
        assert!(!mask.get(centre) && centre[2] > 6, "{centre:?}");
        let is_shifted =
            centre[0] == 9 && (3..=8).contains(&centre[1]) && (11..17).contains(&centre[2]);
        assert!(!is_shifted, "{centre:?}");
    }
    // All others beyond the wall were visited.
    let allowed = free.centres.iter().map(|index| at(*index));
    let allowed = allowed.filter(|p| p[2] > 6 && restrictor.allows_centre(*p)).count();
    assert_eq!(network.centres.len(), allowed);
}

#[test]
fn labels_that_are_there_stay_and_probabilities_are_bytes() {
    let [inside, around] = [0.95f64, 0.75].map(|p| (p / (1.0 - p)).ln() as f32);
    let mut network = Everywhere { centres: Vec::new(), logits: [inside, around, around, around] };
    let mut before = vec![0; SHAPE.iter().product()];
    before
        .iter_mut()
        .enumerate()
        .filter(|(i, _)| at(*i)[2] < 5)
        .for_each(|(i, l)| *l = 1 + (i % 2) as i32);
    let canvas = canvas().with_segmentation(before.clone()).unwrap().with_probabilities();
    let result = segment_all(canvas, &[[6, 7, 3], [6, 7, 8]], &mut network, |_| {}).unwrap();
    // One step: around the centre it is below the move threshold, above that of segments.
    assert_eq!((result.origins.len(), result.origins[0].id, result.origins[0].steps), (1, 3, 1));
    let probabilities = result.probabilities.unwrap();
    // min(floor(254 * 0.75) + 1, 255) by hand.
    assert_eq!([0.75, 0.95, 1.0].map(quantise), [191, 242, 255]);
    for (i, label) in result.labels.iter().enumerate() {
        let p = at(i);
        let is_new = (0..3).all(|a| p[a].abs_diff([6, 7, 8][a]) <= 2);
        let expected = if before[i] > 0 {
            (before[i] as u32, 255)
        } else if p == [6, 7, 8] {
            (3, 242)
        } else if is_new {
            (3, 191)
        } else {
            (0, 0)
        };
        assert_eq!((*label, probabilities[i]), expected, "{p:?}");
    }
}

#[test]
fn bytes_of_restrictors_tell_them_apart() {
    let mask = || Some(masked("(x == 6) | (y > 9)", SHAPE));
    let shifts = |scale, around| {
        Some(ShiftMask::new(masked("y == 1", [13, 4, 5]), scale, [0; 2], [[0; 3], [1, 1, around]]))
    };
    let none = Restrictor::default();
    let all = [
        none.clone(),
        Restrictor { mask: mask(), ..none.clone() },
        Restrictor { seed_mask: mask(), ..none.clone() },
        Restrictor { mask: Some(masked("x == 6", SHAPE)), ..none.clone() },
        Restrictor { shift_mask: shifts(4, 2), ..none.clone() },
        Restrictor { shift_mask: shifts(5, 2), ..none.clone() },
        Restrictor { shift_mask: shifts(4, 3), ..none },
    ];
    let bytes: Vec<Vec<u8>> = all.iter().map(Restrictor::to_bytes).collect();
    for (i, a) in bytes.iter().enumerate() {
        assert!(bytes.iter().skip(i + 1).all(|b| a != b), "{i}");
        assert_eq!(*a, all[i].clone().to_bytes());
    }
}
