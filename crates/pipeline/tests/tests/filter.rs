//! Filters of volumes on disk against the same filters in memory, and what happens when something fails.

use std::sync::Mutex;

use exavox_compute::ops::distance_transform::DistanceOptions;
use exavox_compute::ops::filter::{Boundary, ClaheOptions, Filter, Gradient, Normalization};
use exavox_io::volume::WriteMode;
use exavox_io::{
    BoundingBox, DataType, Volume, VolumeWriter, VoxelSize, Voxels, WriteOptions, match_dtype,
};
use exavox_pipeline::filter::memory_bytes;
use exavox_pipeline::{Event, FilterOptions, Observer, Silent, filter};
use proptest::prelude::*;
use tempfile::TempDir;

fn voxels(dtype: DataType, shape: [usize; 3], seed: u64) -> Voxels {
    let hash = |i: u64| (i ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58;
    let count = shape.iter().product::<usize>() as u64;
    match_dtype!(dtype, T => {
        Voxels::from_vec(shape, (0..count).map(|i| hash(i) as T).collect::<Vec<T>>()).unwrap()
    })
}

struct Source {
    folder: TempDir,
    channels: Vec<Voxels>,
}

impl Source {
    fn new(name: &str, dtype: DataType, shape: [usize; 3], channels: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let source =
            Self { folder, channels: (0..channels).map(|c| voxels(dtype, shape, c)).collect() };
        let names = (0..channels).map(|c| format!("ch{c}")).collect();
        let mut options = WriteOptions::new(dtype, shape.map(|v| v as u64))
            .with_channels(names)
            .with_voxel_size(VoxelSize::from_nm_zyx([40.0, 4.0, 5.0]));
        options.chunk_shape = name.ends_with("zarr").then_some([4; 3]);
        let writer = VolumeWriter::create(&source.path(name), &options).unwrap();
        for (c, voxels) in source.channels.iter().enumerate() {
            writer.write(c, [0; 3], voxels).unwrap();
        }
        writer.finish().unwrap();
        source
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn open(&self, name: &str) -> Volume {
        Volume::open(&self.path(name)).unwrap()
    }
}

fn read(volume: &Volume, channel: usize) -> Voxels {
    volume.read(channel, &BoundingBox::whole(volume.shape())).unwrap()
}

fn filters() -> Vec<Filter> {
    let boundary = Boundary::Reflect;
    vec![
        Filter::Gaussian { sigma_zyx: [1.0, 2.0, 0.5], boundary },
        Filter::Median { radius_zyx: [1, 0, 2], boundary: Boundary::Nearest },
        Filter::Sobel(Gradient::Magnitude),
        Filter::Clahe(ClaheOptions::default()),
        Filter::Normalize(Normalization::Percentiles { low: 2.0, high: 90.0 }),
        Filter::Normalize(Normalization::MeanStd),
        Filter::Distance(DistanceOptions::default()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn a_volume_is_filtered_as_in_memory(
        filter_settings in prop::sample::select(filters()), shape in [1..9usize, 1..9usize, 1..20usize],
        dtype in prop::sample::select(vec![DataType::U8, DataType::I16, DataType::U32]),
        names in (prop::sample::select(vec!["a.npy", "a.zarr"]), prop::sample::select(vec!["b.npy", "b.zarr"])),
    ) {
        let source = Source::new(names.0, dtype, shape, 2);
        let options = FilterOptions::new(filter_settings.clone());
        let report =
            filter(&source.open(names.0), &source.path(names.1), &options, &Silent).unwrap();
        prop_assert_eq!(report.failed().count(), 0);
        prop_assert_eq!(report.voxels, 2 * shape.iter().product::<usize>() as u64);
        let found = source.open(names.1);
        for (c, voxels) in source.channels.iter().enumerate() {
            prop_assert!(read(&found, c) == filter_settings.run(voxels).unwrap());
        }
    }
}

#[test]
fn a_part_has_the_voxel_size_and_channels_of_the_whole() {
    let source = Source::new("a.zarr", DataType::U8, [8, 9, 10], 2);
    let mut options = FilterOptions::new(filters().remove(2));
    options.region = Some("2:6,:,3:".parse().unwrap());
    let report = filter(&source.open("a.zarr"), &source.path("b.zarr"), &options, &Silent).unwrap();
    assert_eq!((report.shape, report.dtype), ([4, 9, 7], "float32"));
    let found = source.open("b.zarr");
    assert_eq!(found.metadata().channels, ["ch0", "ch1"]);
    assert_eq!(found.metadata().voxel_size.unwrap().nm_zyx, [40.0, 4.0, 5.0]);
    let part = source.open("a.zarr").read(1, &BoundingBox::new([2, 0, 3], [6, 9, 10])).unwrap();
    assert!(read(&found, 1) == options.filter.run(&part).unwrap());
}

#[test]
fn integers_are_rounded_and_unit_ranges_stretched() {
    let source = Source::new("a.npy", DataType::U8, [3, 4, 5], 1);
    for (settings, dtype, highest) in [
        (Filter::Normalize(Normalization::MinMax), DataType::U16, 65535.0),
        (Filter::Normalize(Normalization::MinMax), DataType::I8, 127.0),
        (filters().remove(0), DataType::U8, 1.0),
    ] {
        let mut options = FilterOptions::new(settings);
        options.dtype = Some(dtype);
        options.mode = WriteMode::Overwrite;
        filter(&source.open("a.npy"), &source.path("b.npy"), &options, &Silent).unwrap();
        let found = read(&source.open("b.npy"), 0);
        assert_eq!(found.dtype(), dtype);
        let expected = options.filter.run(&source.channels[0]).unwrap().to_f32();
        for (f, e) in found.to_f32().iter().zip(expected) {
            assert!((f - e * highest).abs() <= 0.51, "{f}, expected {}", e * highest);
        }
    }
}

/// Keeps the names of items that failed.
#[derive(Default)]
struct Failures(Mutex<Vec<String>>);

impl Observer for Failures {
    fn notify(&self, event: &Event<'_>) {
        if let Event::Item { name, error: Some(_) } = event {
            self.0.lock().unwrap().push((*name).to_owned());
        }
    }
}

#[test]
fn a_damaged_channel_is_left_out_and_named() {
    let source = Source::new("a.zarr", DataType::U16, [6, 7, 8], 3);
    let volume = source.open("a.zarr");
    let mut chunks = Vec::new();
    let mut folders = vec![source.folder.path().join("a.zarr/0")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.components().any(|part| part.as_os_str() == "1")
                && !path.file_name().unwrap().to_string_lossy().starts_with('.')
            {
                chunks.push(path);
            }
        }
    }
    // The first index of a chunk is its channel.
    let start = source.folder.path().join("a.zarr/0");
    let of_channel_1 = |path: &std::path::PathBuf| {
        let text = path.strip_prefix(&start).unwrap().display().to_string();
        text.starts_with("1/") || text.starts_with("1.")
    };
    let damaged: Vec<_> = chunks.into_iter().filter(of_channel_1).collect();
    assert!(!damaged.is_empty());
    for path in damaged {
        std::fs::write(path, b"no chunk").unwrap();
    }
    let options = FilterOptions::new(filters().remove(0));
    let observer = Failures::default();
    let report = filter(&volume, &source.path("b.zarr"), &options, &observer).unwrap();
    let failed: Vec<&str> = report.failed().map(|channel| channel.name.as_str()).collect();
    assert_eq!(failed, ["ch1"]);
    assert_eq!(*observer.0.lock().unwrap(), ["ch1"]);
    assert_eq!(report.voxels, 2 * 6 * 7 * 8);
    let found = source.open("b.zarr");
    assert_eq!(found.metadata().channels, ["ch0", "ch2"]);
    for (at, c) in [(0, 0), (1, 2)] {
        assert!(read(&found, at) == options.filter.run(&source.channels[c]).unwrap());
    }
}

#[test]
fn what_cannot_be_is_refused_and_leaves_nothing() {
    let source = Source::new("a.npy", DataType::F32, [8, 8, 8], 1);
    let volume = source.open("a.npy");
    let plain = FilterOptions::new(filters().remove(0));
    let needed = memory_bytes(&volume, &plain).unwrap();
    assert_eq!(needed, 512 * 8 * 11 / 10 + (32 << 20));
    let mut little = plain.clone();
    little.memory_bytes = Some(needed - 1);
    let mut outside = plain.clone();
    outside.region = Some(BoundingBox::new([0; 3], [9, 8, 8]));
    let negative = Filter::Gaussian { sigma_zyx: [1.0, -2.0, 1.0], boundary: Boundary::Reflect };
    for (options, expected) in [
        (little, "takes 33558937 bytes of memory, 33558936 are allowed"),
        (outside, "a.npy"),
        (FilterOptions::new(filters().remove(6)), "wants a mask of integers, found float32"),
        (FilterOptions::new(negative), "sigma [1.0, -2.0, 1.0]"),
    ] {
        let error = filter(&volume, &source.path("b.npy"), &options, &Silent).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
    let error = filter(&volume, &source.path("a.npy"), &plain, &Silent).unwrap_err().to_string();
    assert!(error.contains("would replace what is read"), "{error}");
    assert_eq!(std::fs::read_dir(source.folder.path()).unwrap().count(), 1);
}
