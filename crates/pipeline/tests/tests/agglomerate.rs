//! Agglomeration of whole volumes: consensus and points by blocks, tubes that were cut, restarts.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;

use exavox_compute::ffn::{BurnNetwork, ModelConfig, Network};
use exavox_compute::{ComputeDevice, Error as ComputeError};
use exavox_io::{BoundingBox, DataType, Element, Volume, VolumeWriter, Voxels, WriteOptions};
use exavox_pipeline::agglomerate::{
    AgglomerateRun, AgglomerateSettings, ConsensusOptions, CoveredRecord, Endpoint, EndpointRun,
    PointOptions, agglomerate, agglomerate_image, agglomerate_image_with, agglomerate_with,
    consensus, extend_endpoints, extend_endpoints_with, find_points, read_endpoints, write_points,
};
use exavox_pipeline::demo::{Synthetic, demo_network, demo_settings, synthetic};
use exavox_pipeline::segment::{MaskTable, Seeds};
use exavox_pipeline::table::TableFormat;
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
    options.memory_bytes = Some(500_000);
    let cut = find_points(&volume, None, &options, &Silent).unwrap();
    assert!(cut.blocks >= 8, "{}", cut.blocks);
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
    assert!(error.contains("agglomerate.radius_zyx was [18,18,18]"), "{error}");
    assert!(
        !error.contains('\n') && !folder.entries().iter().any(|name| name.ends_with(".partial"))
    );
}

/// Puts something else in the place of the labels when all of them are written.
struct InTheWay(PathBuf);

impl Observer for InTheWay {
    fn notify(&self, event: &Event<'_>) {
        if let Event::Finished { stage: "write", .. } = event {
            std::fs::create_dir(&self.0).unwrap();
        }
    }
}

#[test]
fn a_run_that_ended_between_its_tables_and_its_labels_goes_on() {
    let mut tubes = Tubes::new();
    tubes.settings.points.max_distance = Some(20.0);
    let Tubes { folder, settings, .. } = &tubes;
    let (labels, image) = (folder.open("labels.zarr"), folder.open("image.zarr"));
    let run = |name: &str, observer: &dyn Observer, settings: &AgglomerateSettings| {
        agglomerate(&labels, &image, settings, &tubes.run(name), observer)
    };
    run("whole.zarr", &Silent, settings).unwrap();
    let target = folder.path("out.zarr");
    // What is not of this run stays, and nothing is put beside it.
    for _ in 0..2 {
        let error = run("out.zarr", &InTheWay(target.clone()), settings).unwrap_err().to_string();
        assert!(error.contains("out.zarr") && error.contains("exists"), "{error}");
        assert!(!folder.path("out.pairs.csv").exists());
        assert_eq!(std::fs::read_dir(&target).unwrap().count(), 0);
    }
    std::fs::remove_dir(&target).unwrap();
    // As after a kill between the tables and the labels.
    let mut keeping = tubes.run("out.zarr");
    keeping.keep_work = true;
    agglomerate(&labels, &image, settings, &keeping, &Silent).unwrap();
    std::fs::remove_dir_all(&target).unwrap();
    std::fs::write(folder.path(".out.zarr.agglomerate/placing"), format!("{:?}\n", settings.rule))
        .unwrap();
    let tables = || {
        ["out.pairs.csv", "out.equivalences.csv"].map(|n| std::fs::read(folder.path(n)).unwrap())
    };
    let before = tables();
    assert!(folder.path("out.report.html").exists());
    // What was asked for then may be put into its place; something else may not replace it.
    let mut other = settings.clone();
    other.rule.min_iou = 0.9;
    let error = run("out.zarr", &Silent, &other).unwrap_err().to_string();
    assert!(error.contains("out.pairs.csv") && error.contains("exists"), "{error}");
    let report = run("out.zarr", &Silent, settings).unwrap();
    assert_eq!(report.pairs_done_before, report.pairs);
    assert_eq!(tables(), before);
    assert_eq!(folder.labels("out.zarr"), folder.labels("whole.zarr"));
    let left = |name: &String| name.contains(".agglomerate") || name.ends_with(".partial");
    assert!(!folder.entries().iter().any(left), "{:?}", folder.entries());
    let error = run("out.zarr", &Silent, settings).unwrap_err().to_string();
    assert!(error.contains("exists"), "{error}");
}

#[test]
fn inputs_that_were_replaced_meanwhile_are_named() {
    let mut tubes = Tubes::new();
    tubes.settings.segment.masks =
        vec![MaskTable { volume: Some(tubes.folder.name("mask.npy")), ..MaskTable::default() }];
    let Tubes { folder, settings, .. } = &tubes;
    let mask = |value: u8| {
        let _ = std::fs::remove_file(folder.path("mask.npy"));
        folder.write("mask.npy", SHAPE, &vec![value; SHAPE.iter().product()]);
    };
    mask(0);
    let (labels, image) = (folder.open("labels.zarr"), folder.open("image.zarr"));
    let run = |settings: &AgglomerateSettings| {
        let mut network = FailsAt { inner: tubes.network(), step: 3, steps: 0 };
        let run = tubes.run("out.zarr");
        let ended = agglomerate_with(&mut network, &labels, &image, settings, &run, &Silent);
        ended.unwrap_err().to_string()
    };
    assert!(run(settings).contains("lost"));
    let replaced = |path: &str| {
        let path = folder.path(path);
        let bytes = std::fs::read(&path).unwrap();
        // The same bytes, later.
        let time = std::fs::metadata(&path).unwrap().modified().unwrap();
        std::fs::write(&path, bytes).unwrap();
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(time + std::time::Duration::from_secs(1)).unwrap();
        let error = run(settings);
        file.set_modified(time).unwrap();
        assert!(error.contains(" was ") && !error.contains('\n'), "{error}");
        error
    };
    assert!(replaced("labels.zarr/0/.zarray").contains("asked for: labels.files was {"));
    assert!(replaced("image.zarr/0/.zarray").contains("asked for: image.files was {"));
    assert!(replaced("network.safetensors").contains("asked for: checkpoint was ["));
    assert!(replaced("mask.npy").contains("mask.npy was {"));
    assert!(run(settings).contains("lost"));
}

#[test]
fn a_rule_that_asks_for_less_than_the_first_run_is_warned_of() {
    let mut tubes = Tubes::new();
    tubes.settings.points.max_distance = Some(20.0);
    tubes.settings.rule.min_consistency = 0.4;
    let (labels, image) = (tubes.folder.open("labels.zarr"), tubes.folder.open("image.zarr"));
    let warnings = |settings: &AgglomerateSettings, target: &str| {
        let warnings = Warnings::default();
        agglomerate(&labels, &image, settings, &tubes.run(target), &warnings).unwrap();
        warnings.0.into_inner().unwrap().concat()
    };
    let told = warnings(&tubes.settings, "a.zarr");
    assert!(told.contains("min_consistency 0.4 is below segment_recovery_fraction 0.6"), "{told}");
    let mut both = tubes.settings.clone();
    both.terminate_early = false;
    assert!(!warnings(&both, "b.zarr").contains("min_consistency"));
    both.terminate_early = true;
    both.segment_recovery_fraction = 0.4;
    assert!(!warnings(&both, "c.zarr").contains("min_consistency"));
}

#[test]
fn the_merge_graph_as_parquet_is_that_of_the_csv() {
    let mut tubes = Tubes::new();
    tubes.settings.points.max_distance = Some(45.0);
    let Tubes { folder, settings, .. } = &tubes;
    let (labels, image) = (folder.open("labels.zarr"), folder.open("image.zarr"));
    let mut run = tubes.run("out.zarr");
    run.keep_work = true;
    agglomerate(&labels, &image, settings, &run, &Silent).unwrap();
    run.pairs_format = TableFormat::Parquet;
    run.mode = exavox_io::volume::WriteMode::Overwrite;
    let report = agglomerate(&labels, &image, settings, &run, &Silent).unwrap();
    assert_eq!(report.pairs_done_before, report.pairs);
    assert_eq!(report.pairs_table, folder.path("out.pairs.parquet"));
    peers(
        &["pairs", &folder.name("out.pairs.csv"), &folder.name("out.pairs.parquet")],
        &format!("{} rows", report.pairs),
    );

    let points = find_points(&labels, None, &settings.points, &Silent).unwrap();
    for name in ["points.csv", "points.parquet"] {
        write_points(&folder.path(name), &points).unwrap();
    }
    let expected = format!("{} rows", points.pairs);
    peers(&["pairs", &folder.name("points.csv"), &folder.name("points.parquet")], &expected);
}

/// What the script says that reads with pyarrow, if there is one.
fn peers(args: &[&str], expected: &str) {
    let Some(python) = std::env::var_os("EXAVOX_PEERS_PYTHON") else {
        eprintln!("skipped: EXAVOX_PEERS_PYTHON is not set");
        return;
    };
    // Asked at run time: a build folder can be shared between checkouts.
    let package = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    let script = std::path::Path::new(&package).join("tests/peers/table_peers.py");
    let output = std::process::Command::new(python).arg(script).args(args).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {errors}");
    assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), expected);
}

/// Says "inside" with the same probability everywhere within its reach of x, "outside" beyond.
struct Reaches {
    columns: std::ops::Range<usize>,
    steps: u64,
}

impl Network for Reaches {
    fn step(
        &mut self,
        image: &[f32],
        _seed: &[f32],
        logits: &mut [f32],
    ) -> Result<(), ComputeError> {
        self.steps += 1;
        for (i, (logit, x)) in logits.iter_mut().zip(image).enumerate() {
            // The largest of a face is its centre: the FOV moves to the six neighbours.
            let off = [i / 25, i / 5 % 5, i % 5].into_iter().filter(|v| *v != 2).count();
            let inside = self.columns.contains(&(*x as usize));
            *logit = if inside { 4.0 - 0.1 * off as f32 } else { -4.0 };
        }
        Ok(())
    }

    fn device_name(&self) -> String {
        "test".into()
    }
}

/// Bars along x in an image that says where each voxel is: 1 ends at x = 20, 2 goes on from 24 to 40, 3 lies
/// beyond; each fills all of z and y.
fn bars() -> (Folder, AgglomerateSettings) {
    const BARS: [usize; 3] = [19, 19, 61];
    let folder = Folder::new();
    let count = BARS.iter().product::<usize>();
    folder.write("image.npy", BARS, &(0..count).map(|i| (i % BARS[2]) as f32).collect::<Vec<_>>());
    let label = |i: usize| match i % BARS[2] {
        0..20 => 1_u32,
        24..40 => 2,
        44.. => 3,
        _ => 0,
    };
    folder.write("labels.npy", BARS, &(0..count).map(label).collect::<Vec<_>>());
    let mut segment = demo_settings();
    segment.model = ModelConfig { fov_zyx: [5; 3], deltas_zyx: [1; 3] };
    segment.inference.image_mean = 0.0;
    segment.inference.image_stddev = 1.0;
    // Fields of view that are all inside count.
    segment.inference.disco_seed_threshold = -1.0;
    let mut settings = AgglomerateSettings::new(segment);
    settings.radius_zyx = Some([9, 9, 20]);
    settings.analysis_radius_zyx = Some([4, 4, 18]);
    settings.max_retry_iters = 1;
    (folder, settings)
}

#[test]
fn an_endpoint_says_what_its_segment_grows_into() {
    let (folder, settings) = bars();
    let (labels, image) = (folder.open("labels.npy"), folder.open("image.npy"));
    std::fs::write(folder.path("ends.csv"), "id_a,z,y,x,id_b\n1,9,9,21,0\n3,9,9,42,\n1,9,9,60,\n")
        .unwrap();
    let ends = read_endpoints(&folder.path("ends.csv")).unwrap();
    assert_eq!(ends[1], Endpoint { id: 3, point_zyx: [9, 9, 42] });
    let extend = |target: &str, network: &mut dyn Network| {
        let device = ComputeDevice::cpu().unwrap();
        let (target, mode) = (folder.path(target), Default::default());
        let run = EndpointRun { target, mode, device };
        extend_endpoints_with(network, &labels, &image, &ends, &settings, &run, &Silent)
    };
    let mut network = Reaches { columns: 0..34, steps: 0 };
    let report = extend("out.csv", &mut network).unwrap();
    assert_eq!(report.fov_steps, network.steps);
    assert_eq!((report.endpoints, report.recovered, report.without_run), (3, 1, 1), "{report:?}");
    assert_eq!(report.reach_another, 1);
    // Of the box, 9 x 9 x 37 voxels around x = 21, the network takes columns 3 to 33: 17 of 1, 4 that were
    // empty, 10 of the 16 of 2.
    let run = report.records[0].run.as_ref().unwrap();
    assert_eq!((run.segment_voxels, run.recovered_share, run.recovered), (17 * 81, 1.0, true));
    assert_eq!((run.voxels, run.grown_voxels, run.empty_voxels), (31 * 81, 14 * 81, 4 * 81));
    assert_eq!(run.covered, [CoveredRecord { id: 2, voxels: 810, share: 0.625 }]);
    // The seed of 3 is outside for the network: nothing is recovered.
    let run = report.records[1].run.as_ref().unwrap();
    assert_eq!((run.recovered, run.recovered_share, run.covered.len()), (false, 0.0, 0));
    assert_eq!(report.records[2].stopped.as_deref(), Some("it is not in the block"));
    let text = |name: &str| std::fs::read_to_string(folder.path(name)).unwrap();
    let table = text("out.csv");
    assert!(
        table.starts_with("id,z,y,x,recovered,reason,recovered_share,segment_voxels,"),
        "{table}"
    );
    assert!(table.contains("\n1,9,9,21,yes,,1.0000,1377,2511,1134,324,1,2,0.6250,"), "{table}");
    let covered = "id,z,y,x,covered_id,covered_voxels,covered_share\n1,9,9,21,2,810,0.6250\n";
    assert_eq!(text("out.covered.csv"), covered);
    assert!(!folder.entries().iter().any(|name| name.contains(".agglomerate")));

    // Killed after the first endpoint: it is not followed again.
    let steps = report.records[0].steps;
    let inner = Reaches { columns: 0..34, steps: 0 };
    let mut network = FailsAt { inner, step: steps, steps: 0 };
    extend("killed.csv", &mut network).unwrap_err();
    assert!(folder.path(".killed.csv.agglomerate").exists() && !folder.path("killed.csv").exists());
    let mut network = Reaches { columns: 0..34, steps: 0 };
    let again = extend("killed.csv", &mut network).unwrap();
    assert_eq!((again.endpoints_done_before, network.steps), (1, report.fov_steps - steps));
    assert_eq!(text("killed.covered.csv"), covered);
    let first =
        |name: &str| text(name).lines().nth(1).unwrap().rsplit_once(',').unwrap().0.to_owned();
    assert_eq!(first("killed.csv"), first("out.csv"));
}

#[test]
fn tables_of_endpoints_are_read_from_csv_and_parquet_and_damage_is_named() {
    let (folder, settings) = bars();
    let path = folder.path("points.parquet");
    // Pairs are no endpoints.
    let points = find_points(&folder.open("labels.npy"), None, &settings.points, &Silent).unwrap();
    assert!(points.pairs > 0);
    write_points(&path, &points).unwrap();
    let error = read_endpoints(&path).unwrap_err().to_string();
    assert!(error.contains("points.parquet row 1") && error.contains("id_b"), "{error}");
    // A table cut short, or with other bytes, is an error or read as something: no panic.
    let whole = std::fs::read(&path).unwrap();
    for at in 0..whole.len() {
        std::fs::write(&path, &whole[..at]).unwrap();
        assert!(read_endpoints(&path).is_err(), "{at}");
        let mut other = whole.clone();
        other[at] ^= 0x55;
        std::fs::write(&path, other).unwrap();
        // Some bytes do not matter; of the others the error says which file is wrong.
        if let Err(error) = read_endpoints(&path) {
            assert!(error.to_string().contains(&path.display().to_string()), "{at}: {error}");
        }
    }
    let csv = folder.path("p.csv");
    for (text, expected) in [
        ("id,z,y\n1,2,3\n", "expected a column x"),
        ("id,z,y,x\n1,2,3,4\n7,1,b,3\n", "row 2: y: expected a whole number, found 'b'"),
        ("id,z,y,x\n0,2,3,4\n", "row 1: expected a label above 0"),
        ("id_a,z,y,x,id_b\n1,2,3,4,9\n", "row 1: id_b: expected 0 or nothing"),
        ("id,z,y,x\n-3,2,3,4\n", "expected a whole number, found '-3'"),
    ] {
        std::fs::write(&csv, text).unwrap();
        let error = read_endpoints(&csv).unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains("p.csv"), "{error}");
    }
    let outside = [Endpoint { id: 1, point_zyx: [0, 19, 0] }];
    let device = ComputeDevice::cpu().unwrap();
    let run = EndpointRun { target: folder.path("o.csv"), mode: Default::default(), device };
    let (labels, image) = (folder.open("labels.npy"), folder.open("image.npy"));
    let error = extend_endpoints(&labels, &image, &outside, &settings, &run, &Silent).unwrap_err();
    assert!(error.to_string().contains("endpoint of 1: expected y below 19, found 19"), "{error}");
    // As pyarrow writes a table, with a column of floats and gaps.
    let peer = folder.path("peer.parquet");
    peers(&["endpoints", &peer.display().to_string()], "written");
    if peer.exists() {
        let ends = read_endpoints(&peer).unwrap();
        let expected = [(5, [1, 2, 3]), (1 << 40, [4, 5, 6])];
        assert_eq!(ends, expected.map(|(id, point_zyx)| Endpoint { id, point_zyx }));
    }
}

#[test]
fn labels_too_large_for_sets_are_refused_before_a_pair_is_computed() {
    let (folder, settings) = bars();
    let large = |label: u64| if label == 2 { 1 << 63 } else { label };
    let large: Vec<u64> = folder.labels("labels.npy").into_iter().map(large).collect();
    let labels = folder.write("large.npy", [19, 19, 61], &large);
    let image = folder.open("image.npy");
    let mut network = Reaches { columns: 0..34, steps: 0 };
    let run = AgglomerateRun::new(folder.name("o.npy"), ComputeDevice::cpu().unwrap());
    let ended = agglomerate_with(&mut network, &labels, &image, &settings, &run, &Silent);
    let error = ended.unwrap_err().to_string();
    assert!(error.contains("large.npy") && error.contains("found 9223372036854775808"), "{error}");
    assert_eq!(network.steps, 0);
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
