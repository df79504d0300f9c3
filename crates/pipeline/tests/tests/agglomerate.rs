//! Agglomeration of whole volumes: consensus and points by blocks, tubes that were cut, restarts.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;

use exavox_compute::ffn::{BurnNetwork, Network};
use exavox_compute::{ComputeDevice, Error as ComputeError};
use exavox_io::{BoundingBox, DataType, Element, Volume, VolumeWriter, Voxels, WriteOptions};
use exavox_pipeline::agglomerate::{
    AgglomerateRun, AgglomerateSettings, ConsensusOptions, PointOptions, agglomerate,
    agglomerate_image, agglomerate_image_with, agglomerate_with, consensus, find_points,
};
use exavox_pipeline::demo::{Synthetic, demo_network, demo_settings, synthetic};
use exavox_pipeline::segment::Seeds;
use exavox_pipeline::{Event, Observer, Silent};
use proptest::prelude::*;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn name(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    fn write<T: Element>(&self, name: &str, shape: [usize; 3], values: &[T]) -> Volume {
        let mut options = WriteOptions::new(T::DTYPE, shape.map(|s| s as u64));
        options.chunk_shape = name.ends_with("zarr").then_some([4, 4, 8]);
        let writer = VolumeWriter::create(&self.name(name), &options).unwrap();
        let voxels = Voxels::from_vec(shape, values.to_vec()).unwrap();
        writer.write(0, [0; 3], &voxels).unwrap();
        writer.finish().unwrap();
        self.open(name)
    }

    fn open(&self, name: &str) -> Volume {
        Volume::open(&self.name(name)).unwrap()
    }

    fn labels(&self, name: &str) -> Vec<u64> {
        let volume = self.open(name);
        volume.read(0, &BoundingBox::whole(volume.shape())).unwrap().to_labels().unwrap()
    }

    fn entries(&self) -> Vec<String> {
        let entries = self.0.path().read_dir().unwrap();
        let mut names: Vec<String> =
            entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

/// The rule as it is said: voxel by voxel.
fn naive_consensus(a: &[u64], b: &[u64], min_size: u64) -> Vec<u64> {
    let mut sizes: BTreeMap<(u64, u64), u64> = BTreeMap::new();
    a.iter().zip(b).for_each(|(a, b)| *sizes.entry((*a, *b)).or_default() += 1);
    let mut next = a.iter().max().copied().unwrap_or(0);
    let mut becomes = BTreeMap::new();
    for (pair, size) in &sizes {
        let largest =
            sizes.iter().filter(|(other, _)| other.0 == pair.0).map(|(_, size)| *size).max();
        let first = sizes.iter().find(|(other, size)| other.0 == pair.0 && Some(**size) == largest);
        let label = if pair.0 == 0 || *size < min_size {
            0
        } else if first.unwrap().0 == pair {
            pair.0
        } else {
            next += 1;
            next
        };
        becomes.insert(*pair, label);
    }
    a.iter().zip(b).map(|(a, b)| becomes[&(*a, *b)]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn a_streamed_consensus_is_the_rule(
        shape in [1usize..9, 1usize..13, 1usize..20], seed in any::<u64>(), min_size in 0u64..30,
        run in 1usize..9, chunked in any::<bool>(),
    ) {
        let hash = |i: usize, salt: u64| {
            ((i / run) as u64 ^ seed ^ salt << 32).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40
        };
        let count = shape.iter().product();
        let a: Vec<u32> = (0..count).map(|i| hash(i, 1) as u32 % 5 * 11).collect();
        let b: Vec<u64> = (0..count).map(|i| hash(i, 2) % 4 * (1 << 40)).collect();
        let folder = Folder::new();
        let (a_name, b_name) = if chunked { ("a.zarr", "b.zarr") } else { ("a.npy", "b.npy") };
        let (volume_a, volume_b) = (folder.write(a_name, shape, &a), folder.write(b_name, shape, &b));
        let a: Vec<u64> = a.into_iter().map(u64::from).collect();
        let expected = naive_consensus(&a, &b, min_size);
        for threads in [1, 2, 5] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let mut options = ConsensusOptions::default();
            options.split_min_size = min_size;
            // Blocks of one chunk.
            options.memory_bytes = Some(1);
            let name = format!("{threads}.{}", if chunked { "zarr" } else { "npy" });
            let target = folder.name(&name);
            let report =
                pool.install(|| consensus(&volume_a, &volume_b, &target, &options, &Silent)).unwrap();
            prop_assert_eq!(folder.labels(&name), expected.clone());
            prop_assert_eq!(report.max_label, expected.iter().copied().max().unwrap());
        }
    }
}

#[test]
fn a_consensus_of_what_does_not_fit_is_refused() {
    let folder = Folder::new();
    let a = folder.write("a.npy", [2, 3, 4], &[1_u32; 24]);
    let b = folder.write("b.npy", [2, 4, 4], &[1_u32; 32]);
    let floats = folder.write("f.npy", [2, 3, 4], &[1_f32; 24]);
    let high = folder.write("h.npy", [2, 3, 4], &[[u32::MAX; 12], [7; 12]].concat());
    let parts = folder.write("p.npy", [2, 3, 4], &(0..24_u8).map(|i| i % 2).collect::<Vec<_>>());
    let before = folder.entries();
    let mut options = ConsensusOptions::default();
    options.split_min_size = 1;
    let refused = |a: &Volume, b: &Volume, target: &str| {
        let error =
            consensus(a, b, &folder.name(target), &options, &Silent).unwrap_err().to_string();
        assert!(!error.contains('\n'), "{error}");
        assert_eq!(folder.entries(), before, "{error}");
        error
    };
    let error = refused(&a, &b, "c.npy");
    assert!(error.contains("axis y: expected 3 voxels") && error.contains("found 4"), "{error}");
    assert!(refused(&a, &floats, "c.npy").contains("labels must be integers, found float32"));
    assert!(refused(&a, &a, "a.npy").contains("would replace"));
    assert!(refused(&high, &parts, "c.npy").contains("does not fit into 32 bits"));
}

/// Keeps warnings.
#[derive(Default)]
struct Warnings(Mutex<Vec<String>>);

impl Observer for Warnings {
    fn notify(&self, event: &Event<'_>) {
        if let Event::Warning(text) = event {
            self.0.lock().unwrap().push((*text).to_owned());
        }
    }
}

#[test]
fn points_by_blocks_are_those_of_the_whole() {
    let shape = [20, 24, 40];
    // Balls of different sizes, some of which touch.
    let balls: Vec<([i64; 3], i64)> =
        (0..14).map(|n: i64| ([n * 7 % 20, n * 5 % 24, n * 11 % 40], 3 + n % 3)).collect();
    let label = |at: usize| {
        let p = [at / 960, at / 40 % 24, at % 40].map(|v| v as i64);
        let inside =
            |(c, r): &([i64; 3], i64)| (0..3).map(|a| (p[a] - c[a]).pow(2)).sum::<i64>() <= r * r;
        balls.iter().position(inside).map_or(0, |n| n as u16 + 1)
    };
    let labels: Vec<u16> = (0..20 * 24 * 40).map(label).collect();
    let folder = Folder::new();
    let volume = folder.write("labels.zarr", shape, &labels);
    let mut options = PointOptions::default();
    options.max_distance = Some(3.0);
    options.min_voxels = 40;
    let warnings = Warnings::default();
    let whole = find_points(&volume, None, &options, &warnings).unwrap();
    assert_eq!(whole.blocks, 1);
    let told = warnings.0.into_inner().unwrap().concat();
    assert!(told.contains("no voxel size") && told.contains("edge 1"), "{told}");
    assert!(whole.large_labels < whole.labels && whole.pairs > 8, "{whole:?}");
    options.memory_bytes = Some(64_000);
    let cut = find_points(&volume, None, &options, &Silent).unwrap();
    assert!(cut.blocks > 20, "{}", cut.blocks);
    let pairs = |points: &exavox_pipeline::agglomerate::Points| {
        let of = |p: &exavox_pipeline::agglomerate::Point| (p.id_a, p.id_b, p.distance, p.voxels);
        points.points.iter().map(of).collect::<Vec<_>>()
    };
    assert_eq!(pairs(&cut), pairs(&whole));
    options.max_distance = Some(f64::NAN);
    let error = find_points(&volume, None, &options, &Silent).unwrap_err().to_string();
    assert!(error.contains("max_distance: expected a finite distance"), "{error}");
}

const SHAPE: [usize; 3] = [72, 112, 64];
/// The label of the second half of tube 8.
const HALF: u32 = 100;

/// Tubes of the demo; one of them is cut in two by a gap of two voxels.
struct Tubes {
    folder: Folder,
    made: Synthetic,
    settings: AgglomerateSettings,
}

impl Tubes {
    fn new() -> Self {
        let folder = Folder::new();
        let made = synthetic(SHAPE, 1).unwrap();
        let mut labels = made.labels.as_slice::<u32>().unwrap().to_vec();
        for (at, label) in labels.iter_mut().enumerate().filter(|(_, label)| **label == 8) {
            match at % SHAPE[2] {
                0..31 => {}
                31 | 32 => *label = 0,
                _ => *label = HALF,
            }
        }
        let options = |dtype| {
            WriteOptions::new(dtype, SHAPE.map(|s| s as u64)).with_voxel_size(Some(made.voxel_size))
        };
        let write = |name: &str, voxels: &Voxels| {
            let writer =
                VolumeWriter::create(&folder.name(name), &options(voxels.dtype())).unwrap();
            writer.write(0, [0; 3], voxels).unwrap();
            writer.finish().unwrap();
        };
        write("image.zarr", &made.channels[0]);
        write("labels.zarr", &Voxels::from_vec(SHAPE, labels).unwrap());
        let mut segment = demo_settings();
        segment.checkpoint = folder.path("network.safetensors");
        demo_network().save(&segment.checkpoint).unwrap();
        let mut settings = AgglomerateSettings::new(segment);
        // Far enough for neighbours, through both membranes.
        settings.points.max_distance = Some(60.0);
        Self { folder, made, settings }
    }

    fn run(&self, name: &str) -> AgglomerateRun {
        AgglomerateRun::new(self.folder.name(name), ComputeDevice::cpu().unwrap())
    }

    fn network(&self) -> BurnNetwork {
        let cpu = ComputeDevice::cpu().unwrap();
        BurnNetwork::new(&demo_network(), &self.settings.segment.model, &cpu).unwrap()
    }
}

#[test]
fn a_tube_that_was_cut_is_one_again_and_neighbours_stay_apart() {
    let tubes = Tubes::new();
    let Tubes { folder, settings, .. } = &tubes;
    let (labels, image) = (folder.open("labels.zarr"), folder.open("image.zarr"));
    let report = agglomerate(&labels, &image, settings, &tubes.run("out.zarr"), &Silent).unwrap();
    assert_eq!((report.labels, report.agglomerated_labels), (16, 15), "{report:?}");
    assert_eq!(report.merged_pairs, 1, "{report:?}");
    // Neighbours in a row, and rows: none of them is one.
    assert!(report.pairs > 15 && report.fov_steps > 100, "{report:?}");
    let (before, after) = (folder.labels("labels.zarr"), folder.labels("out.zarr"));
    let expected = |label: &u64| if *label == u64::from(HALF) { 8 } else { *label };
    assert!(before.iter().map(expected).eq(after));
    assert_eq!(folder.open("out.zarr").metadata().dtype, DataType::U32);

    let text = |name: &str| std::fs::read_to_string(folder.path(name)).unwrap();
    assert_eq!(text("out.equivalences.csv"), "label,agglomerated\n100,8\n");
    let pairs = text("out.pairs.csv");
    assert!(pairs.starts_with("id_a,id_b,z,y,x,distance,voxels_a,voxels_b,merged,reason,iou,"));
    let columns = pairs.lines().next().unwrap().split(',').count();
    let merged: Vec<&str> = pairs.lines().filter(|line| line.contains(",yes,,")).collect();
    assert!(merged.len() == 1 && merged[0].starts_with("8,100,"), "{merged:?}");
    assert_eq!(pairs.lines().count() as u64, report.pairs + 1);
    assert!(pairs.lines().all(|line| line.split(',').count() == columns), "{pairs}");
    let html = text("out.report.html");
    assert!(html.matches("data:image/png;base64,").count() >= 3);
    assert!(!folder.entries().iter().any(|name| name.contains(".agglomerate")));
}

/// Fails at a step; counts those before.
struct FailsAt<N> {
    inner: N,
    step: u64,
    steps: u64,
}

impl<N: Network> Network for FailsAt<N> {
    fn step(
        &mut self,
        image: &[f32],
        seed: &[f32],
        logits: &mut [f32],
    ) -> Result<(), ComputeError> {
        if self.steps == self.step {
            let reason = "lost".to_owned();
            return Err(ComputeError::DeviceFailed { device: "gpu".into(), reason });
        }
        self.steps += 1;
        self.inner.step(image, seed, logits)
    }

    fn device_name(&self) -> String {
        self.inner.device_name()
    }
}

#[test]
fn a_run_that_was_killed_goes_on_with_the_pairs_that_are_left() {
    let mut tubes = Tubes::new();
    tubes.settings.points.max_distance = Some(45.0);
    let Tubes { folder, settings, .. } = &tubes;
    let (labels, image) = (folder.open("labels.zarr"), folder.open("image.zarr"));
    let run = |name: &str, step: u64| {
        let mut network = FailsAt { inner: tubes.network(), step, steps: 0 };
        let mut run = tubes.run(name);
        run.keep_work = true;
        let result = agglomerate_with(&mut network, &labels, &image, settings, &run, &Silent);
        (result, network.steps)
    };
    let (whole, steps) = run("whole.zarr", u64::MAX);
    let whole = whole.unwrap();
    assert_eq!(whole.fov_steps, steps);

    let (failed, _) = run("out.zarr", steps / 2);
    assert!(failed.unwrap_err().to_string().contains("lost"));
    assert!(!folder.path("out.zarr").exists() && !folder.path("out.pairs.csv").exists());
    // The last line is torn, as by a kill in the middle of it.
    let record = folder.path(".out.zarr.agglomerate/pairs.jsonl");
    let text = std::fs::read(&record).unwrap();
    std::fs::write(&record, &text[..text.len() - 9]).unwrap();
    let done = text.iter().filter(|b| **b == b'\n').count() as u64 - 1;
    assert!(done > 2, "{done}");
    let (resumed, rest) = run("out.zarr", u64::MAX);
    let resumed = resumed.unwrap();
    assert_eq!((resumed.pairs_done_before, resumed.fov_steps), (done, steps));
    assert!(rest < steps * 3 / 4, "{rest} of {steps}");
    assert_eq!(folder.labels("out.zarr"), folder.labels("whole.zarr"));
    let equal = |suffix: &str| {
        let of = |name: &str| std::fs::read(folder.path(&format!("{name}.{suffix}"))).unwrap();
        assert_eq!(of("out"), of("whole"), "{suffix}");
    };
    equal("equivalences.csv");

    // Another rule, on pairs that are done: nothing is segmented again. Other settings of the runs: refused.
    let mut strict = settings.clone();
    strict.rule.min_iou = 1.0;
    let mut run = tubes.run("out.zarr");
    run.mode = exavox_io::volume::WriteMode::Overwrite;
    run.keep_work = true;
    let mut network = FailsAt { inner: tubes.network(), step: 0, steps: 0 };
    let report = agglomerate_with(&mut network, &labels, &image, &strict, &run, &Silent).unwrap();
    assert_eq!((report.merged_pairs, report.agglomerated_labels), (0, 16));
    strict.radius_zyx = Some([12; 3]);
    let error = agglomerate(&labels, &image, &strict, &run, &Silent).unwrap_err().to_string();
    assert!(error.contains("radius_zyx") && !error.contains('\n'), "{error}");
}

#[test]
fn an_image_becomes_objects_in_one_run_that_can_be_killed() {
    let mut tubes = Tubes::new();
    tubes.settings.segment.roi = Some(BoundingBox::new([0, 0, 10], [48, 70, 64]));
    let inside = tubes.made.seeds_zyx.iter().filter(|s| s[0] < 40 && s[1] < 60).copied();
    tubes.settings.segment.seeds = Seeds::Points(inside.collect());
    let Tubes { folder, settings, .. } = &tubes;
    let image = folder.open("image.zarr");
    let mut network = FailsAt { inner: tubes.network(), step: u64::MAX, steps: 0 };
    let whole =
        agglomerate_image_with(&mut network, &image, settings, &tubes.run("whole.zarr"), &Silent);
    let (whole, steps) = (whole.unwrap(), network.steps);
    let segments = whole.forward_segments;
    assert!(segments >= 3 && whole.reverse_segments == segments, "{whole:?}");
    assert_eq!(whole.agglomerated.agglomerated_labels, segments, "{whole:?}");
    assert_eq!(folder.open("whole.zarr").shape(), [48, 70, 54]);

    // Killed in the second segmentation: the first one is not done again.
    let mut network = FailsAt { inner: tubes.network(), step: steps / 2, steps: 0 };
    let run = tubes.run("out.zarr");
    agglomerate_image_with(&mut network, &image, settings, &run, &Silent).unwrap_err();
    let work = folder.path(".out.zarr.agglomerate");
    assert!(work.join("forward.zarr").is_dir() && !folder.path("out.zarr").exists());
    agglomerate_image(&image, settings, &run, &Silent).unwrap();
    assert_eq!(folder.labels("out.zarr"), folder.labels("whole.zarr"));
    assert!(!work.exists());
}

#[test]
fn bad_input_is_one_line_and_leaves_nothing() {
    let tubes = Tubes::new();
    let folder = &tubes.folder;
    let image = folder.open("image.zarr");
    let small = folder.write("small.npy", [72, 112, 60], &vec![1_u32; 72 * 112 * 60]);
    let floats = folder.write("floats.npy", SHAPE, &vec![1_f32; SHAPE.iter().product()]);
    let labels = folder.open("labels.zarr");
    let before = folder.entries();
    let refused =
        |labels: &Volume, settings: &AgglomerateSettings, target: &str, expected: &str| {
            let run = tubes.run(target);
            let error =
                agglomerate(labels, &image, settings, &run, &Silent).unwrap_err().to_string();
            assert!(error.contains(expected) && !error.contains('\n'), "{error}");
            assert_eq!(folder.entries(), before, "{error}");
        };
    let settings = &tubes.settings;
    refused(&small, settings, "o.zarr", "small.npy: axis x: expected 64 voxels as in");
    refused(&floats, settings, "o.zarr", "labels must be integers, found float32");
    refused(&labels, settings, "labels.zarr", "labels.zarr");
    let mut wrong = settings.clone();
    wrong.radius_zyx = Some([6, 5, 6]);
    refused(&labels, &wrong, "o.zarr", "radius_zyx: axis y: expected 6 to 4096, found 5");
    let mut wrong = settings.clone();
    wrong.segment.checkpoint = folder.path("gone");
    refused(&labels, &wrong, "o.zarr", "gone");
}
