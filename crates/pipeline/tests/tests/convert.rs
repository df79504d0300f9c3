//! `convert` against a voxel-by-voxel crop and cast, and what it leaves when something fails.

use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use exavox_io::volume::{Codec, OmeVersion, WriteMode};
use exavox_io::{BoundingBox, DataType, Element, Volume, VolumeWriter, Voxels, WriteOptions};
use exavox_io::{VoxelSize, match_dtype};
use exavox_pipeline::convert::Precision;
use exavox_pipeline::{ConvertOptions, Error, Event, Observer, Silent, convert};
use proptest::prelude::*;

/// A voxel's value, whatever its type.
#[derive(Debug, Clone, Copy)]
enum Value {
    Integer(i128),
    Float(f64),
}

/// Values of `[channel][z, y, x]` in C order, with their type.
#[derive(Debug, Clone)]
struct Array {
    dtype: DataType,
    shape: [u64; 3],
    channels: Vec<Vec<Value>>,
}

impl Array {
    /// Any values of the type, the ends of its range among them.
    fn random(dtype: DataType, channels: usize, shape: [u64; 3], seed: u64) -> Self {
        let mut state = seed;
        let count = shape.iter().product::<u64>();
        let mut value = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            random_value(dtype, state >> 8)
        };
        let channels = (0..channels).map(|_| (0..count).map(|_| value()).collect()).collect();
        Self { dtype, shape, channels }
    }

    fn at(&self, channel: usize, [z, y, x]: [u64; 3]) -> Value {
        self.channels[channel][((z * self.shape[1] + y) * self.shape[2] + x) as usize]
    }

    fn write(&self, name: &str, chunk: [u64; 3]) {
        let names = (0..self.channels.len()).map(|c| format!("channel {c}")).collect();
        let mut options = WriteOptions::new(self.dtype, self.shape).with_channels(names);
        options.chunk_shape = name.ends_with(".zarr").then_some(chunk);
        let writer = VolumeWriter::create(name, &options).unwrap();
        for (c, values) in self.channels.iter().enumerate() {
            let mut voxels = Voxels::zeros(self.dtype, self.shape.map(|v| v as usize)).unwrap();
            voxels.bytes_mut().copy_from_slice(&bytes(self.dtype, values));
            writer.write(c, [0; 3], &voxels).unwrap();
        }
        writer.finish().unwrap();
    }
}

fn random_value(dtype: DataType, random: u64) -> Value {
    let special = random % 11;
    match dtype.kind() {
        'f' if special == 0 => Value::Float(f64::NAN),
        'f' if special == 1 => {
            Value::Float(if dtype.size() == 8 { 1e300 } else { f64::from(1e30_f32) })
        }
        'f' => Value::Float((random / 11 % 2000) as f64 / 4.0 - 250.0),
        _ => {
            let (low, high) = range(dtype);
            Value::Integer(match special {
                0 => low,
                1 => high,
                2 => high / 2 + 1,
                _ => (i128::from(random / 11 % 300) - 20).clamp(low, high),
            })
        }
    }
}

fn range(dtype: DataType) -> (i128, i128) {
    match_dtype!(dtype, T => (
        T::from_f64(f64::NEG_INFINITY).to_string().parse().unwrap_or(0),
        T::from_f64(f64::INFINITY).to_string().parse().unwrap_or(0),
    ))
}

fn bytes(dtype: DataType, values: &[Value]) -> Vec<u8> {
    let one = |value: &Value| {
        match_dtype!(dtype, T => match value {
            Value::Integer(v) => (*v as T).to_ne_bytes().to_vec(),
            Value::Float(v) => (*v as T).to_ne_bytes().to_vec(),
        })
    };
    values.iter().flat_map(one).collect()
}

/// The value in another type; `None` if the type does not have it and `precision` is exact.
fn naive_cast(value: Value, to: DataType, precision: Precision) -> Option<Value> {
    let lossy = precision == Precision::Lossy;
    let (low, high) = range(to);
    match (value, to.kind()) {
        (Value::Integer(v), 'u' | 'i') => {
            (lossy || (low..=high).contains(&v)).then(|| Value::Integer(v.clamp(low, high)))
        }
        (Value::Float(v), 'u' | 'i') => {
            let nearest = if v.is_nan() { 0 } else { v.round() as i128 };
            let whole = v.fract() == 0.0 && v.abs() < 1e20 && (low..=high).contains(&nearest);
            (lossy || whole).then(|| Value::Integer(nearest.clamp(low, high)))
        }
        (Value::Integer(v), _) => {
            let kept = if to.size() == 4 { v as f32 as i128 == v } else { v as f64 as i128 == v };
            (lossy || kept).then_some(value)
        }
        (Value::Float(v), _) => {
            let kept = to.size() == 8 || f64::from(v as f32) == v || v.is_nan();
            (lossy || kept).then_some(value)
        }
    }
}

/// The crop of one channel, cast voxel by voxel; `Err` if a voxel does not fit.
fn naive_convert(
    array: &Array,
    channel: usize,
    region: &BoundingBox,
    to: DataType,
    precision: Precision,
) -> Result<Vec<u8>, ()> {
    let mut values = Vec::new();
    for z in region.start[0]..region.end[0] {
        for y in region.start[1]..region.end[1] {
            for x in region.start[2]..region.end[2] {
                let value = array.at(channel, [z, y, x]);
                values.push(naive_cast(value, to, precision).ok_or(())?);
            }
        }
    }
    Ok(bytes(to, &values))
}

#[derive(Debug, Clone)]
struct Case {
    array: Array,
    source: &'static str,
    source_chunk: [u64; 3],
    region: BoundingBox,
    channels: Vec<usize>,
    dtype: DataType,
    precision: Precision,
    target: &'static str,
    chunk: [u64; 3],
    threads: NonZeroUsize,
    memory_bytes: Option<u64>,
}

fn cases() -> impl Strategy<Value = Case> {
    let dtype = || prop::sample::select(DataType::ALL.to_vec());
    let triple = |high: u64| [1..high, 1..high, 1..high];
    let array = (dtype(), 1..4_usize, triple(10), any::<u64>())
        .prop_map(|(d, c, s, seed)| Array::random(d, c, s, seed));
    let layout = (triple(6), triple(6), prop::option::of(6_000..40_000_u64), 1..5_usize);
    let names = (
        prop::sample::select(vec!["a.npy", "a.zarr"]),
        prop::sample::select(vec!["b.npy", "b.raw", "b.zarr"]),
    );
    let picks = (dtype(), any::<bool>(), any::<[u16; 6]>(), any::<bool>());
    (array, layout, names, picks).prop_map(|(array, layout, (source, target), picks)| {
        let (source_chunk, chunk, memory_bytes, threads) = layout;
        let (dtype, lossy, corners, reverse) = picks;
        let start: [u64; 3] = std::array::from_fn(|a| u64::from(corners[a]) % array.shape[a]);
        let rest: [u64; 3] =
            std::array::from_fn(|a| 1 + u64::from(corners[a + 3]) % (array.shape[a] - start[a]));
        let mut channels: Vec<usize> = (0..array.channels.len()).collect();
        if reverse {
            channels.reverse();
            channels.truncate(2);
        }
        Case {
            region: BoundingBox::from_start_shape(start, rest),
            precision: if lossy { Precision::Lossy } else { Precision::Exact },
            threads: NonZeroUsize::new(threads).unwrap(),
            array,
            source,
            source_chunk,
            channels,
            dtype,
            target,
            chunk,
            memory_bytes,
        }
    })
}

fn options(case: &Case) -> ConvertOptions {
    let mut options = ConvertOptions::default();
    options.region = Some(case.region);
    options.channels = case.channels.iter().map(usize::to_string).collect();
    options.dtype = Some(case.dtype);
    options.precision = case.precision;
    options.chunk_shape = case.target.ends_with(".zarr").then_some(case.chunk);
    options.threads = case.threads;
    options.memory_bytes = case.memory_bytes;
    options
}

fn check(case: &Case) {
    let folder = tempfile::tempdir().unwrap();
    let name = |file: &str| folder.path().join(file).display().to_string();
    case.array.write(&name(case.source), case.source_chunk);
    let source = Volume::open(&name(case.source)).unwrap();
    let expected: Result<Vec<Vec<u8>>, ()> = case
        .channels
        .iter()
        .map(|c| naive_convert(&case.array, *c, &case.region, case.dtype, case.precision))
        .collect();
    match (convert(&source, &name(case.target), &options(case), &Silent), expected) {
        (Ok(report), Ok(expected)) => {
            let voxels = case.region.num_voxels() * case.channels.len() as u64;
            assert_eq!(report.bytes, voxels * case.array.dtype.size() as u64);
            assert_eq!(read_all(&name(case.target), case), expected);
        }
        (Err(Error::LossyCast { channel, voxel_zyx, .. }), Err(())) => {
            let value = case.array.at(channel, voxel_zyx);
            assert!(naive_cast(value, case.dtype, case.precision).is_none(), "{value:?}");
            assert_eq!(entries(folder.path()), [case.source]);
        }
        (found, expected) => panic!("found {found:?}, expected {expected:?}"),
    }
}

fn read_all(name: &str, case: &Case) -> Vec<Vec<u8>> {
    let [z, y, x] = case.region.shape();
    let name = match name.ends_with(".raw") {
        true => format!("{name}:{}:{},{z},{y},{x}", case.dtype, case.channels.len()),
        false => name.to_owned(),
    };
    let volume = Volume::open(&name).unwrap();
    assert_eq!(volume.metadata().channels.len(), case.channels.len());
    let whole = BoundingBox::whole(case.region.shape());
    (0..case.channels.len()).map(|c| volume.read(c, &whole).unwrap().bytes().to_vec()).collect()
}

fn entries(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name());
    let mut names: Vec<String> = names.map(|n| n.to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]
    #[test]
    fn equals_the_naive_crop_and_cast(case in cases()) {
        check(&case);
    }
}

/// A u16 ramp of 40^3 voxels, whose value is z + y + x.
fn ramp(folder: &Path, name: &str) -> String {
    let values: Vec<u16> =
        (0..64_000_u32).map(|i| (i / 1600 + i / 40 % 40 + i % 40) as u16).collect();
    let name = folder.join(name).display().to_string();
    let mut options = WriteOptions::new(DataType::U16, [40; 3]);
    options.chunk_shape = Some([16; 3]);
    let writer = VolumeWriter::create(&name, &options).unwrap();
    writer.write(0, [0; 3], &Voxels::from_vec([40; 3], values).unwrap()).unwrap();
    writer.finish().unwrap();
    name
}

fn error_of(source: &str, target: &str, change: impl Fn(&mut ConvertOptions)) -> String {
    let mut options = ConvertOptions::default();
    change(&mut options);
    let source = Volume::open(source).unwrap();
    convert(&source, target, &options, &Silent).unwrap_err().to_string()
}

#[test]
fn formats_of_planes_and_shards_hold_the_same_voxels() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let source = ramp(folder.path(), "a.npy");
    let expected = Volume::open(&source).unwrap().read(0, &BoundingBox::whole([40; 3])).unwrap();
    let mut from = source;
    for target in ["b.zarr", "c.tif", "d_{channel}_z{z}.png", "e.zarr", "f_{z}.tif", "g.npy"] {
        let mut options = ConvertOptions::default();
        options.threads = NonZeroUsize::new(3).unwrap();
        // Small enough that each volume takes several blocks.
        options.memory_bytes = Some(150_000);
        options.chunk_shape = target.ends_with(".zarr").then_some([16; 3]);
        if target == "e.zarr" {
            options.ome = OmeVersion::V05;
            options.chunk_shape = Some([8; 3]);
            options.shard_shape = Some([16, 16, 24]);
            options.codec = Some(Codec::Gzip(1));
        }
        let volume = Volume::open(&from).unwrap();
        let report = convert(&volume, &path(target), &options, &Silent).unwrap();
        assert!(report.blocks > 1, "{target}: {report:?}");
        from = path(target);
        let found = Volume::open(&from).unwrap().read(0, &BoundingBox::whole([40; 3])).unwrap();
        assert!(found == expected, "{target}");
    }
}

#[test]
fn voxel_size_and_channel_names_go_along() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let array = Array::random(DataType::U8, 3, [4, 5, 6], 1);
    array.write(&path("a.zarr"), [2, 3, 4]);
    let mut options = ConvertOptions::default();
    options.channels = vec!["channel 2".to_owned(), "0".to_owned()];
    options.voxel_size = VoxelSize::from_nm_zyx([40.0, 4.0, 4.0]);
    let source = Volume::open(&path("a.zarr")).unwrap();
    convert(&source, &path("b.zarr"), &options, &Silent).unwrap();
    let target = Volume::open(&path("b.zarr")).unwrap();
    assert_eq!(target.metadata().channels, ["channel 2", "channel 0"]);
    assert_eq!(target.metadata().voxel_size, options.voxel_size);
}

#[test]
fn what_cannot_be_is_refused_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let (source, other) = (ramp(folder.path(), "a.npy"), folder.path().join("b.npy"));
    let other = other.display().to_string();
    let outside = error_of(&source, &other, |o| o.region = Some(BoundingBox::whole([40, 41, 40])));
    assert!(outside.contains("axis y") && outside.contains("0:41"), "{outside}");
    let channel = error_of(&source, &other, |o| o.channels = vec!["red".to_owned()]);
    assert!(channel.contains("no channel 'red'"), "{channel}");
    let twice = error_of(&source, &other, |o| o.channels = vec!["0".to_owned(), "0".to_owned()]);
    assert!(twice.contains("twice"), "{twice}");
    let codec = error_of(&source, &other, |o| o.codec = Some(Codec::Zstd(1)));
    assert!(codec.contains("'.npy' has no codec"), "{codec}");
    let same = error_of(&source, &source, |o| o.mode = WriteMode::Overwrite);
    assert!(same.contains("would replace what is read"), "{same}");
    let zarr = folder.path().join("b.zarr").display().to_string();
    let memory = error_of(&source, &zarr, |o| {
        o.chunk_shape = Some([40; 3]);
        o.memory_bytes = Some(100_000);
    });
    assert!(memory.contains("[40, 40, 40] needs 384000 bytes"), "{memory}");
    assert_eq!(entries(folder.path()), ["a.npy"]);
}

#[test]
fn the_first_voxel_that_loses_is_named_for_any_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("b.npy").display().to_string();
    let source = folder.path().join("a.npy").display().to_string();
    // Two voxels that lose, in different blocks, and a later one that ends sooner.
    let mut values = vec![7_u16; 64_000];
    for z in [12, 20, 39] {
        values[z * 1600 + 5 * 40 + 9] = 300;
    }
    let writer = VolumeWriter::create(&source, &WriteOptions::new(DataType::U16, [40; 3])).unwrap();
    writer.write(0, [0; 3], &Voxels::from_vec([40; 3], values).unwrap()).unwrap();
    writer.finish().unwrap();
    for threads in 1..6 {
        let error = error_of(&source, &target, |o| {
            o.dtype = Some(DataType::U8);
            o.region = Some(BoundingBox::new([10, 1, 2], [40; 3]));
            o.threads = NonZeroUsize::new(threads).unwrap();
            o.memory_bytes = Some(20_000);
        });
        let expected = "a.npy: voxel c,z,y,x 0,12,5,9: 300 is not a value of uint8";
        assert!(error.ends_with(expected), "{error}");
    }
}

#[test]
fn a_damaged_block_stops_all_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let source = ramp(folder.path(), "a.zarr");
    let chunks = files(Path::new(&source));
    let chunk = chunks.iter().rfind(|p| p.metadata().unwrap().len() > 100).unwrap();
    let content = fs::read(chunk).unwrap();
    fs::write(chunk, &content[..content.len() / 2]).unwrap();
    let old = ramp(folder.path(), "b.npy");
    let before = fs::read(&old).unwrap();
    for target in ["b.npy", "c.zarr", "d.tif"] {
        for threads in [1, 3] {
            let target = folder.path().join(target).display().to_string();
            let error = error_of(&source, &target, |o| {
                o.mode = WriteMode::Overwrite;
                o.threads = NonZeroUsize::new(threads).unwrap();
                o.memory_bytes = Some(100_000);
            });
            assert!(error.contains("a.zarr") && error.contains("chunk"), "{error}");
        }
    }
    assert_eq!(entries(folder.path()), ["a.zarr", "b.npy"]);
    assert!(fs::read(&old).unwrap() == before, "a failed overwrite keeps the old output");
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

#[derive(Default)]
struct Counter {
    total: AtomicU64,
    done: AtomicU64,
    finished: AtomicU64,
}

impl Observer for Counter {
    fn notify(&self, event: &Event<'_>) {
        match event {
            Event::Started { total, .. } => self.total.store(*total, Ordering::Relaxed),
            Event::Advanced { by, .. } => _ = self.done.fetch_add(*by, Ordering::Relaxed),
            Event::Finished { .. } => _ = self.finished.fetch_add(1, Ordering::Relaxed),
            _ => {}
        }
    }
}

#[test]
fn progress_counts_all_bytes_once() {
    let folder = tempfile::tempdir().unwrap();
    let source = ramp(folder.path(), "a.npy");
    for target in ["b.zarr", "c.tif", "d_{z}.png"] {
        let counter = Counter::default();
        let mut options = ConvertOptions::default();
        options.threads = NonZeroUsize::new(2).unwrap();
        options.memory_bytes = Some(150_000);
        options.chunk_shape = target.ends_with(".zarr").then_some([16; 3]);
        let target = folder.path().join(target).display().to_string();
        convert(&Volume::open(&source).unwrap(), &target, &options, &counter).unwrap();
        assert_eq!(counter.total.load(Ordering::Relaxed), 128_000);
        assert_eq!(counter.done.load(Ordering::Relaxed), 128_000);
        assert_eq!(counter.finished.load(Ordering::Relaxed), 1);
    }
}
