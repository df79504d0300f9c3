//! Pyramids and coarser volumes against downsampling the whole volume in memory.

use std::num::NonZeroUsize;

use exavox_compute::ops::downsample::{DownsampleMethod, downsample as in_memory};
use exavox_io::volume::{OmeVersion, WriteMode};
use exavox_io::{
    BoundingBox, DataType, OpenOptions, Volume, VolumeWriter, VoxelSize, Voxels, WriteOptions,
};
use exavox_pipeline::downsample::{add_scales, downsample};
use exavox_pipeline::{DownsampleOptions, Silent};
use proptest::prelude::*;
use tempfile::TempDir;

/// Voxels of a channel: small numbers, each several times.
fn voxels(dtype: DataType, shape: [usize; 3], channel: usize) -> Voxels {
    let count = shape.iter().product::<usize>();
    exavox_io::match_dtype!(dtype, T => {
        let values = (0..count).map(|i| ((i * i + i / 7 + channel) % 11) as T).collect::<Vec<T>>();
        Voxels::from_vec(shape, values).unwrap()
    })
}

struct Source {
    folder: TempDir,
    channels: Vec<Voxels>,
}

impl Source {
    /// A volume of two channels at `a.EXTENSION`.
    fn new(
        name: &str,
        dtype: DataType,
        shape: [usize; 3],
        change: impl Fn(&mut WriteOptions),
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let names = vec!["red".to_owned(), "green".to_owned()];
        let mut options = WriteOptions::new(dtype, shape.map(|v| v as u64)).with_channels(names);
        options.voxel_size = VoxelSize::from_nm_zyx([40.0, 4.0, 5.0]);
        change(&mut options);
        let path = folder.path().join(name).display().to_string();
        let writer = VolumeWriter::create(&path, &options).unwrap();
        let channels: Vec<Voxels> = (0..2).map(|c| voxels(dtype, shape, c)).collect();
        for (c, voxels) in channels.iter().enumerate() {
            writer.write(c, [0; 3], voxels).unwrap();
        }
        writer.finish().unwrap();
        Self { folder, channels }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// The channels made coarser `level` times in memory.
    fn expected(&self, factor: [u64; 3], method: DownsampleMethod, level: usize) -> Vec<Voxels> {
        let factor = factor.map(|f| f as usize);
        let once = |v: Voxels| in_memory(&v, factor, method).unwrap();
        let times = |v: &Voxels| (0..level).fold(v.clone(), |v, _| once(v));
        self.channels.iter().map(times).collect()
    }
}

fn check(volume: &Volume, expected: &[Voxels]) {
    let shape = expected[0].shape().map(|v| v as u64);
    assert_eq!(volume.shape(), shape);
    for (c, expected) in expected.iter().enumerate() {
        assert!(volume.read(c, &BoundingBox::whole(shape)).unwrap() == *expected, "channel {c}");
    }
}

fn options(factor: [u64; 3], threads: usize, memory: Option<u64>) -> DownsampleOptions {
    let mut options = DownsampleOptions::default();
    options.factor = factor;
    options.threads = NonZeroUsize::new(threads).unwrap();
    options.memory_bytes = memory;
    options
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn a_new_volume_equals_the_whole_in_memory(
        dtype in prop::sample::select(DataType::ALL.to_vec()),
        shape in [1..20_usize, 1..20_usize, 1..20_usize],
        factor in [1..4_u64, 1..4_u64, 2..4_u64],
        names in (prop::sample::select(vec!["a.npy", "a.zarr"]), prop::sample::select(vec!["b.npy", "b.zarr"])),
        threads in 1..4_usize,
    ) {
        let source = Source::new(names.0, dtype, shape, |o| {
            o.chunk_shape = names.0.ends_with(".zarr").then_some([3, 4, 5]);
        });
        let mut options = options(factor, threads, Some(60_000));
        options.chunk_shape = names.1.ends_with(".zarr").then_some([2, 3, 4]);
        let volume = Volume::open(&source.path(names.0)).unwrap();
        let report = downsample(&volume, &source.path(names.1), &options, &Silent).unwrap();
        prop_assert_eq!(report.bytes, volume.metadata().num_bytes());
        let method = DownsampleMethod::default_of(dtype);
        prop_assert_eq!(report.method, method.name());
        let found = Volume::open(&source.path(names.1)).unwrap();
        check(&found, &source.expected(factor, method, 1));
    }
}

#[test]
fn a_pyramid_is_made_scale_by_scale_and_gone_on_with() {
    for (name, version) in [("a.zarr", OmeVersion::V04), ("b.zarr", OmeVersion::V05)] {
        let source = Source::new(name, DataType::U16, [20, 75, 150], |o| {
            o.ome = version;
            o.chunk_shape = Some([16; 3]);
            o.shard_shape = (version == OmeVersion::V05).then_some([32; 3]);
        });
        let (path, factor) = (source.path(name), [1, 2, 2]);
        let options = options(factor, 3, Some(1_000_000));
        let open = OpenOptions::default();
        let first = add_scales(&path, None, &open, &options, &Silent).unwrap();
        assert_eq!(first.shapes, [[20, 38, 75]]);
        // One more than there is; and then nothing to do.
        let second = add_scales(&path, Some(3), &open, &options, &Silent).unwrap();
        assert_eq!(second.shapes, [[20, 19, 38], [20, 10, 19]]);
        let third = add_scales(&path, Some(2), &open, &options, &Silent).unwrap();
        assert!(third.shapes.is_empty() && third.bytes == 0);

        for level in 0..4 {
            let open = OpenOptions::default().with_scale(level);
            let volume = Volume::open_with(&path, &open).unwrap();
            check(&volume, &source.expected(factor, DownsampleMethod::Mean, level));
            let times = 2.0_f64.powi(level as i32);
            let size = volume.metadata().voxel_size.unwrap().nm_zyx;
            assert_eq!(size, [40.0, 4.0 * times, 5.0 * times]);
            assert_eq!(volume.metadata().channels, ["red", "green"]);
            assert_eq!(volume.metadata().scales.len(), 4);
        }
        let mut other = options.clone();
        other.factor = [2, 2, 2];
        let error = add_scales(&path, None, &open, &other, &Silent).unwrap_err().to_string();
        let expected = "scale 1 has shape [20, 38, 75], this factor makes [10, 38, 75]";
        assert!(error.contains(name) && error.contains(expected), "{error}");
    }
}

#[test]
fn labels_keep_their_values_unless_a_mean_is_asked_for() {
    let source = Source::new("a.zarr", DataType::U64, [9, 10, 11], |_| {});
    let volume = Volume::open(&source.path("a.zarr")).unwrap();
    let mut options = options([2; 3], 1, None);
    downsample(&volume, &source.path("b.zarr"), &options, &Silent).unwrap();
    let found = Volume::open(&source.path("b.zarr")).unwrap();
    check(&found, &source.expected([2; 3], DownsampleMethod::Mode, 1));
    options.method = Some(DownsampleMethod::Mean);
    options.mode = WriteMode::Overwrite;
    downsample(&volume, &source.path("b.zarr"), &options, &Silent).unwrap();
    let found = Volume::open(&source.path("b.zarr")).unwrap();
    check(&found, &source.expected([2; 3], DownsampleMethod::Mean, 1));
}

#[test]
fn a_new_volume_can_be_resumed() {
    let source = Source::new("a.npy", DataType::U8, [40, 40, 40], |_| {});
    let volume = Volume::open(&source.path("a.npy")).unwrap();
    let mut options = options([2; 3], 1, Some(60_000));
    options.chunk_shape = Some([4; 3]);
    options.mode = WriteMode::Resume;
    let target = source.path("b.zarr");
    let first = downsample(&volume, &target, &options, &Silent).unwrap();
    assert!(first.blocks > 1);
    assert!(downsample(&volume, &target, &options, &Silent).unwrap().shapes.is_empty());
    check(&Volume::open(&target).unwrap(), &source.expected([2; 3], DownsampleMethod::Mean, 1));
}

#[test]
fn what_cannot_be_is_refused() {
    let source = Source::new("a.npy", DataType::F32, [8, 8, 8], |_| {});
    let (path, open) = (source.path("a.npy"), OpenOptions::default());
    let volume = Volume::open(&path).unwrap();
    let mut mode = options([2; 3], 1, None);
    mode.method = Some(DownsampleMethod::Mode);
    for (options, expected) in [
        (options([0, 2, 2], 1, None), "factor [0, 2, 2]"),
        (options([1; 3], 1, None), "factor [1, 1, 1]"),
        (options([2; 3], 1, Some(10)), "the limit for blocks is 10"),
        (mode, "found float32"),
    ] {
        let error = downsample(&volume, &source.path("b.npy"), &options, &Silent).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
    let error = add_scales(&path, Some(1), &open, &options([2; 3], 1, None), &Silent).unwrap_err();
    assert!(error.to_string().contains("a.npy: not supported"), "{error}");
    let entries = std::fs::read_dir(source.folder.path()).unwrap().count();
    assert_eq!(entries, 1);
}
