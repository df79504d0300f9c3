//! `project` against projections of the whole volume in memory, and what it does when something fails.

use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use exavox_compute::Error as ComputeError;
use exavox_compute::ops::projection::{
    CpuEngine, Projection, ProjectionEngine, ProjectionKind, reference,
};
use exavox_io::volume::{Codec, WriteMode};
use exavox_io::{
    Axis, BoundingBox, DataType, Element, Volume, VolumeWriter, VoxelSize, Voxels, WriteOptions,
};
use exavox_pipeline::{Event, Observer, ProjectOptions, ProjectReport, Silent, project};
use proptest::prelude::*;

fn name(folder: &tempfile::TempDir, file: &str) -> String {
    folder.path().join(file).display().to_string()
}

/// A volume of noise with small and large values.
fn noise(dtype: DataType, shape: [u64; 3], seed: u64) -> Voxels {
    let mut state = seed | 1;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let count = shape.iter().product::<u64>();
    exavox_io::match_dtype!(dtype, T => {
        let values = (0..count).map(|_| T::from_f64((random() % 251) as f64));
        Voxels::from_vec(shape.map(|v| v as usize), values.collect::<Vec<T>>()).unwrap()
    })
}

fn write(target: &str, channels: &[Voxels], chunk: Option<[u64; 3]>) {
    let shape = channels[0].shape().map(|v| v as u64);
    let names = (0..channels.len()).map(|c| format!("ch{c}")).collect();
    let mut options = WriteOptions::new(channels[0].dtype(), shape)
        .with_channels(names)
        .with_voxel_size(VoxelSize::from_nm_zyx([40.0, 4.0, 5.0]));
    options.chunk_shape = chunk;
    let writer = VolumeWriter::create(target, &options).unwrap();
    for (c, voxels) in channels.iter().enumerate() {
        writer.write(c, [0; 3], voxels).unwrap();
    }
    writer.finish().unwrap();
}

fn read(source: &str, channel: usize) -> Voxels {
    let volume = Volume::open(source).unwrap();
    volume.read(channel, &BoundingBox::whole(volume.shape())).unwrap()
}

fn options(kind: ProjectionKind, axis: Axis) -> ProjectOptions {
    let mut options = ProjectOptions::default();
    (options.kind, options.axis) = (kind, axis);
    options
}

/// The report, or the text of the error.
fn run(source: &str, target: &str, options: &ProjectOptions) -> Result<ProjectReport, String> {
    let volume = Volume::open(source).unwrap();
    project(&volume, target, options, &Silent).map_err(|error| error.to_string())
}

/// The planes `z` of a block.
fn planes(voxels: &Voxels, z: std::ops::Range<u64>) -> Voxels {
    let shape = voxels.shape();
    let part = BoundingBox::new([z.start, 0, 0], [z.end, shape[1] as u64, shape[2] as u64]);
    let mut block = Voxels::zeros(voxels.dtype(), part.shape().map(|v| v as usize)).unwrap();
    block.copy_box([0; 3], voxels, &part).unwrap();
    block
}

/// Equal, or for standard deviations and variances within the last bits.
fn assert_same(kind: ProjectionKind, found: &Voxels, expected: &Voxels) {
    if matches!(kind, ProjectionKind::Std | ProjectionKind::Variance) {
        let (found, expected) = (found.to_f32(), expected.to_f32());
        assert_eq!(found.len(), expected.len());
        for (f, e) in found.iter().zip(&expected) {
            assert!((f - e).abs() <= 4e-7 * e.abs(), "{f}, expected {e}");
        }
    } else {
        assert_eq!(found, expected, "{kind}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn projection_does_not_depend_on_format_chunks_threads_or_memory(
        dtype in prop::sample::select(DataType::ALL.to_vec()),
        kind in prop::sample::select(ProjectionKind::ALL.to_vec()),
        axis in prop::sample::select(Axis::ZYX.to_vec()),
        shape in [1..20u64, 1..40u64, 1..40u64],
        chunk in [1..9u64, 1..17u64, 1..17u64],
        formats in (any::<bool>(), any::<bool>()),
        channels in 1..4usize, threads in 1..5usize, memory in prop::option::of(1..4000u64),
        range in (any::<u64>(), any::<u64>()), seed in any::<u64>(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let extension = |zarr: bool| if zarr { "zarr" } else { "npy" };
        let source = name(&folder, &format!("source.{}", extension(formats.0)));
        let target = name(&folder, &format!("target.{}", extension(formats.1)));
        let all: Vec<Voxels> = (0..channels as u64).map(|c| noise(dtype, shape, seed ^ c)).collect();
        write(&source, &all, formats.0.then_some(chunk));
        let z0 = range.0 % shape[0];
        let z1 = z0 + 1 + range.1 % (shape[0] - z0);
        let mut options = options(kind, axis);
        options.z_range = Some(z0..z1);
        options.threads = NonZeroUsize::new(threads).unwrap();
        options.memory_bytes = memory;
        let report = run(&source, &target, &options).unwrap();
        prop_assert_eq!(report.failed().count(), 0);
        let bytes = (z1 - z0) * shape[1] * shape[2] * (dtype.size() * channels) as u64;
        prop_assert_eq!(report.input_bytes, bytes);
        for (c, voxels) in all.iter().enumerate() {
            let expected = reference::project(kind, axis, &planes(voxels, z0..z1)).unwrap();
            assert_same(kind, &read(&target, c), &expected);
        }
    }
}

#[test]
fn a_file_for_each_channel_carries_voxel_size_and_values() {
    let folder = tempfile::tempdir().unwrap();
    let all: Vec<Voxels> = (0..3).map(|c| noise(DataType::U16, [5, 70, 50], c)).collect();
    write(&name(&folder, "v.zarr"), &all, None);
    for (axis, size) in
        [(Axis::Z, [200.0, 4.0, 5.0]), (Axis::Y, [40.0, 280.0, 5.0]), (Axis::X, [40.0, 4.0, 250.0])]
    {
        let target = name(&folder, &format!("max_{axis}_{{channel}}.tif"));
        let report = run(&name(&folder, "v.zarr"), &target, &options(ProjectionKind::Max, axis));
        let names: Vec<String> = report.unwrap().channels.into_iter().map(|c| c.name).collect();
        assert_eq!(names, ["ch0", "ch1", "ch2"]);
        for (c, voxels) in all.iter().enumerate() {
            let file = target.replace("{channel}", &format!("ch{c}"));
            let expected = reference::project(ProjectionKind::Max, axis, voxels).unwrap();
            assert_eq!(read(&file, 0), expected);
            let found = Volume::open(&file).unwrap().metadata().voxel_size.unwrap();
            let close = |a: usize| (found.nm_zyx[a] - size[a]).abs() < 1e-6 * size[a];
            assert!((0..3).all(close), "{found}, expected {size:?}");
        }
    }
}

/// Eight channels of TIFF planes, the fourth of which has a plane that is cut off.
fn planes_with_a_damaged_channel(folder: &tempfile::TempDir) -> (String, Vec<Voxels>) {
    let source = name(folder, "mosaic_{channel}_z{z}.tif");
    let all: Vec<Voxels> = (0..8).map(|c| noise(DataType::U16, [7, 90, 110], c)).collect();
    write(&source, &all, None);
    let plane = source.replace("{channel}", "ch3").replace("{z}", "5");
    let bytes = fs::read(&plane).unwrap();
    let keep = |file: &Path| fs::write(file, &bytes[..bytes.len() / 2]).unwrap();
    keep(Path::new(&plane));
    (source, all)
}

#[test]
fn a_damaged_channel_of_eight_leaves_seven_projections() {
    let folder = tempfile::tempdir().unwrap();
    let (source, all) = planes_with_a_damaged_channel(&folder);
    for (target, threads) in [("{channel}_max.tif", 1), ("{channel}_max.npy", 4), ("all.npy", 3)] {
        let target = name(&folder, target);
        let mut options = options(ProjectionKind::Max, Axis::Z);
        options.threads = NonZeroUsize::new(threads).unwrap();
        let events = Recorder::default();
        let volume = Volume::open(&source).unwrap();
        let report = project(&volume, &target, &options, &events).unwrap();
        let failed: Vec<_> = report.failed().map(|c| (c.name.clone(), c.error.clone())).collect();
        assert_eq!(failed.len(), 1);
        assert_eq!(failed[0].0, "ch3");
        let error = failed[0].1.as_deref().unwrap();
        assert!(error.contains("mosaic_ch3_z5.tif") && !error.contains('\n'), "{error}");
        assert_eq!(report.input_bytes, 7 * 7 * 90 * 110 * 2);
        let good: Vec<usize> = (0..8).filter(|c| *c != 3).collect();
        for (at, c) in good.into_iter().enumerate() {
            let apart = target.contains("{channel}");
            let file = target.replace("{channel}", &format!("ch{c}"));
            let expected = reference::project(ProjectionKind::Max, Axis::Z, &all[c]).unwrap();
            assert_eq!(read(&file, if apart { 0 } else { at }), expected);
        }
        assert!(!Path::new(&target.replace("{channel}", "ch3")).exists() || target.contains("all"));
        let items = events.items();
        assert_eq!(items.len(), 8);
        assert_eq!(items.iter().filter(|item| item.contains("failed")).count(), 1, "{items:?}");
    }
    assert_nothing_partial(&folder);
}

#[test]
fn nothing_is_left_or_lost_if_every_channel_fails() {
    let folder = tempfile::tempdir().unwrap();
    let source = name(&folder, "v.npy");
    write(
        &source,
        &[noise(DataType::U8, [3, 40, 50], 1), noise(DataType::U8, [3, 40, 50], 2)],
        None,
    );
    let volume = Volume::open(&source).unwrap();
    // The first plane stays, the rest goes while the volume is open.
    fs::File::options().write(true).open(&source).unwrap().set_len(2500).unwrap();
    for target in ["all.npy", "o_{channel}.npy"] {
        fs::write(folder.path().join(target.replace("{channel}", "1")), b"old").unwrap();
        let mut options = options(ProjectionKind::Max, Axis::Z);
        options.mode = WriteMode::Overwrite;
        let error = project(&volume, &name(&folder, target), &options, &Silent).unwrap_err();
        assert!(error.to_string().contains("v.npy: file is truncated"), "{error}");
    }
    assert_eq!(fs::read(folder.path().join("all.npy")).unwrap(), b"old");
    assert_eq!(fs::read(folder.path().join("o_1.npy")).unwrap(), b"old");
    assert!(!folder.path().join("o_0.npy").exists());
    assert_nothing_partial(&folder);
}

#[test]
fn an_output_that_exists_is_refused_before_anything_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let source = name(&folder, "v.npy");
    write(&source, &[noise(DataType::U8, [3, 4, 5], 1), noise(DataType::U8, [3, 4, 5], 2)], None);
    fs::write(folder.path().join("o_1.tif"), b"old").unwrap();
    let target = name(&folder, "o_{channel}.tif");
    let error = run(&source, &target, &options(ProjectionKind::Max, Axis::Z)).unwrap_err();
    assert!(error.contains("o_1.tif: exists already"), "{error}");
    assert_eq!(fs::read(folder.path().join("o_1.tif")).unwrap(), b"old");
    assert!(!folder.path().join("o_0.tif").exists());
    assert_nothing_partial(&folder);
}

#[test]
fn wrong_options_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let source = name(&folder, "p_{channel}_z{z}.tif");
    write(&source, &[noise(DataType::U8, [3, 4, 5], 1)], None);
    let max = || options(ProjectionKind::Max, Axis::Z);
    let mut outside = max();
    outside.z_range = Some(1..4);
    let mut overwrite = max();
    overwrite.mode = WriteMode::Overwrite;
    let mut gzip = max();
    gzip.codec = Some(Codec::Gzip(3));
    for (target, options, expected) in [
        ("o.npy", outside, "axis z"),
        ("o.npy", options(ProjectionKind::Max, Axis::C), "expected z, y or x"),
        ("p_{channel}_z2.tif", overwrite, "plane of"),
        ("o.xyz", gzip, "xyz"),
    ] {
        let error = run(&source, &name(&folder, target), &options).unwrap_err();
        assert!(error.contains(expected) && !error.contains('\n'), "{error}");
    }
}

/// An engine that does maxima only, and fails at its n-th block.
struct FailingEngine {
    fail_at: usize,
    blocks: Arc<AtomicUsize>,
}

struct FailingProjection {
    inner: Box<dyn Projection>,
    fail_at: usize,
    blocks: Arc<AtomicUsize>,
}

impl ProjectionEngine for FailingEngine {
    fn name(&self) -> String {
        "broken:0".to_owned()
    }

    fn block_bytes(&self) -> usize {
        1000
    }

    fn begin(
        &self,
        kind: ProjectionKind,
        dtype: DataType,
        axis: Axis,
        shape: [usize; 3],
    ) -> exavox_compute::Result<Option<Box<dyn Projection>>> {
        if kind != ProjectionKind::Max {
            return Ok(None);
        }
        let Some(inner) = CpuEngine.begin(kind, dtype, axis, shape)? else { return Ok(None) };
        let (fail_at, blocks) = (self.fail_at, Arc::clone(&self.blocks));
        Ok(Some(Box::new(FailingProjection { inner, fail_at, blocks })))
    }
}

impl Projection for FailingProjection {
    fn push(&mut self, block: &Voxels) -> exavox_compute::Result<()> {
        if self.blocks.fetch_add(1, Ordering::Relaxed) >= self.fail_at {
            let (device, reason) = ("broken:0".to_owned(), "out of memory".to_owned());
            return Err(ComputeError::DeviceFailed { device, reason });
        }
        self.inner.push(block)
    }

    fn finish(self: Box<Self>) -> exavox_compute::Result<Voxels> {
        self.inner.finish()
    }
}

#[test]
fn a_device_that_fails_is_replaced_by_the_cpu_with_one_warning() {
    let folder = tempfile::tempdir().unwrap();
    let source = name(&folder, "v.npy");
    let all: Vec<Voxels> = (0..3).map(|c| noise(DataType::U16, [6, 40, 30], c)).collect();
    write(&source, &all, None);
    for (fail_at, threads, device) in [(0, 1, "cpu"), (20, 1, "broken:0"), (20, 4, "broken:0")] {
        let target = name(&folder, &format!("max_{fail_at}_{threads}.npy"));
        let mut options = options(ProjectionKind::Max, Axis::Z);
        options.threads = NonZeroUsize::new(threads).unwrap();
        options.device = Some(Arc::new(FailingEngine { fail_at, blocks: Arc::default() }));
        let events = Recorder::default();
        let report = project(&Volume::open(&source).unwrap(), &target, &options, &events).unwrap();
        assert_eq!(report.failed().count(), 0);
        assert_eq!(report.device, device);
        let warnings = events.warnings();
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].contains("broken:0") && warnings[0].contains("out of memory"));
        for (c, voxels) in all.iter().enumerate() {
            let expected = reference::project(ProjectionKind::Max, Axis::Z, voxels).unwrap();
            assert_eq!(read(&target, c), expected);
        }
    }
}

#[test]
fn what_a_device_does_not_do_is_done_by_the_cpu_and_told() {
    let folder = tempfile::tempdir().unwrap();
    let (source, target) = (name(&folder, "v.npy"), name(&folder, "median.npy"));
    let stack = noise(DataType::U16, [6, 40, 30], 3);
    write(&source, std::slice::from_ref(&stack), None);
    let mut options = options(ProjectionKind::Median, Axis::Z);
    options.device = Some(Arc::new(FailingEngine { fail_at: 0, blocks: Arc::default() }));
    let events = Recorder::default();
    let report = project(&Volume::open(&source).unwrap(), &target, &options, &events).unwrap();
    assert_eq!(report.device, "cpu");
    assert_eq!(events.warnings(), ["device broken:0 does no median of uint16; the CPU does"]);
    let expected = reference::project(ProjectionKind::Median, Axis::Z, &stack).unwrap();
    assert_eq!(read(&target, 0), expected);
}

/// Keeps what it is told.
#[derive(Default)]
struct Recorder(Mutex<Vec<String>>);

impl Recorder {
    fn starting_with(&self, prefix: &str) -> Vec<String> {
        let all = self.0.lock().unwrap();
        all.iter().filter_map(|text| text.strip_prefix(prefix)).map(str::to_owned).collect()
    }

    fn items(&self) -> Vec<String> {
        self.starting_with("item ")
    }

    fn warnings(&self) -> Vec<String> {
        self.starting_with("warning ")
    }
}

impl Observer for Recorder {
    fn notify(&self, event: &Event<'_>) {
        let text = match event {
            Event::Item { name, error: None } => format!("item {name}"),
            Event::Item { name, error: Some(error) } => format!("item {name} failed: {error}"),
            Event::Warning(text) => format!("warning {text}"),
            _ => return,
        };
        self.0.lock().unwrap().push(text);
    }
}

fn assert_nothing_partial(folder: &tempfile::TempDir) {
    let names = fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name());
    let partial: Vec<_> = names.filter(|n| n.to_string_lossy().contains("partial")).collect();
    assert!(partial.is_empty(), "{partial:?}");
}

#[test]
fn projections_equal_numpy() {
    let Some(python) = std::env::var_os("EXAVOX_PEERS_PYTHON") else {
        eprintln!("skipped: EXAVOX_PEERS_PYTHON is not set");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    // Asked at run time: a build folder can be shared between checkouts.
    let package = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    let script = Path::new(&package).join("tests/peers/project_peers.py");
    let python = |step: &str| {
        let mut command = std::process::Command::new(&python);
        let output = command.arg(&script).arg(step).arg(folder.path()).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{step}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    };
    let mut made = 0;
    for stack in python("make").split_whitespace() {
        for (kind, axis) in ProjectionKind::ALL.into_iter().flat_map(|k| Axis::ZYX.map(|a| (k, a)))
        {
            let target = format!("{stack}.{kind}.{axis}.npy");
            run(&name(&folder, stack), &name(&folder, &target), &options(kind, axis)).unwrap();
            made += 1;
        }
    }
    assert_eq!(python("compare").trim(), format!("{made} equal"));
}
