//! TIFF against its naive twin: every layout, every type, any region, and write -> read.

use std::path::Path;

use exavox_io::volume::{Codec, WriteMode, WriteOrder};
use exavox_io::{
    BoundingBox, DataType, Error, Volume, VolumeWriter, VoxelSize, Voxels, WriteOptions,
};
use proptest::prelude::*;

use crate::pattern;
use crate::tiff_builder::{Builder, Layout};

/// Noise that uses all bits of a type.
pub(crate) fn noise(dtype: DataType, shape: [u64; 3], seed: u64) -> Voxels {
    let mut voxels = Voxels::zeros(dtype, shape.map(|v| v as usize)).unwrap();
    let mut state = seed | 1;
    for byte in voxels.bytes_mut() {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        *byte = (state >> 56) as u8;
    }
    voxels
}

/// A part of a volume by copying: the naive twin of reading it.
pub(crate) fn part(whole: &Voxels, region: &BoundingBox) -> Vec<u8> {
    let shape = region.shape().map(|v| v as usize);
    let mut out = Voxels::zeros(whole.dtype(), shape).unwrap();
    out.copy_box([0; 3], whole, region).unwrap();
    // Bytes, because noise has NaNs among its floats.
    out.bytes().to_vec()
}

fn any_layout() -> impl Strategy<Value = Layout> {
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    (flags, 1..=24usize, 1..=24usize, prop_oneof![Just(0usize), Just(3)]).prop_map(
        |((big_endian, big_tiff, tiled, interleaved), rows, columns, gap)| Layout {
            big_endian,
            big_tiff,
            tiled,
            chunk: [rows, columns],
            interleaved,
            gap,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_region_of_any_layout_is_read(
        layout in any_layout(),
        dtype in pattern::any_dtype(),
        shape in pattern::any_shape(),
        samples in 1..=3usize,
        seeds in any::<[(u64, u64); 3]>(),
    ) {
        let volumes: Vec<Voxels> =
            (0..samples).map(|s| noise(dtype, shape, s as u64 + seeds[0].0)).collect();
        let mut builder = Builder::new(&layout);
        (0..shape[0] as usize).for_each(|z| builder.page(&volumes, z));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("v.tif");
        std::fs::write(&path, builder.finish()).unwrap();
        let volume = Volume::open(path.to_str().unwrap()).unwrap();
        prop_assert_eq!(volume.shape(), shape);
        prop_assert_eq!(volume.metadata().channels.len(), samples);
        for region in [pattern::inside(shape, seeds), BoundingBox::whole(shape)] {
            for (channel, whole) in volumes.iter().enumerate() {
                let found = volume.read(channel, &region).unwrap();
                prop_assert_eq!(found.bytes(), &part(whole, &region)[..]);
            }
        }
    }

    #[test]
    fn what_is_written_is_read(
        dtype in pattern::any_dtype(),
        shape in pattern::any_shape(),
        channels in 1..=3usize,
        codec in prop_oneof![Just(Codec::Raw), Just(Codec::Gzip(1)), Just(Codec::Zstd(3))],
        depth in 1..=5u64,
        seeds in any::<[(u64, u64); 3]>(),
    ) {
        let channels = if matches!(dtype, DataType::U64 | DataType::I64) { 1 } else { channels };
        let volumes: Vec<Voxels> =
            (0..channels).map(|c| noise(dtype, shape, c as u64 + seeds[0].1)).collect();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("v.tif");
        let mut options = options(dtype, shape, channels);
        options.codec = codec;
        write(&path, &options, &volumes, depth);
        let volume = Volume::open(path.to_str().unwrap()).unwrap();
        // OME-XML, which holds the names, has no 64-bit integers.
        if !matches!(dtype, DataType::U64 | DataType::I64) {
            prop_assert_eq!(&volume.metadata().channels, &options.channels);
        }
        let region = pattern::inside(shape, seeds);
        for (channel, whole) in volumes.iter().enumerate() {
            let found = volume.read(channel, &region).unwrap();
            prop_assert_eq!(found.bytes(), &part(whole, &region)[..]);
        }
    }
}

fn options(dtype: DataType, shape: [u64; 3], channels: usize) -> WriteOptions {
    let names = (0..channels).map(|c| format!("channel {c} ü")).collect();
    WriteOptions::new(dtype, shape).with_channels(names)
}

fn write(path: &Path, options: &WriteOptions, volumes: &[Voxels], depth: u64) {
    let writer = VolumeWriter::create(path.to_str().unwrap(), options).unwrap();
    assert_eq!(writer.order(), WriteOrder::Strict);
    for (channel, volume) in volumes.iter().enumerate() {
        for block in BoundingBox::whole(options.shape).tiles([depth, u64::MAX, u64::MAX]) {
            let shape = block.shape().map(|v| v as usize);
            let mut voxels = Voxels::zeros(options.dtype, shape).unwrap();
            voxels.copy_box([0; 3], volume, &block).unwrap();
            writer.write(channel, block.start, &voxels).unwrap();
        }
    }
    writer.finish().unwrap();
}

#[test]
fn many_threads_read_one_file() {
    let shape = [6, 64, 80];
    let whole = noise(DataType::U16, shape, 7);
    for tiled in [false, true] {
        let mut builder = Builder::new(&Layout { tiled, ..Layout::default() });
        (0..6).for_each(|z| builder.page(std::slice::from_ref(&whole), z));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("v.tif");
        std::fs::write(&path, builder.finish()).unwrap();
        let volume = Volume::open(path.to_str().unwrap()).unwrap();
        std::thread::scope(|scope| {
            for thread in 0..8u64 {
                let (volume, whole) = (&volume, &whole);
                scope.spawn(move || {
                    for band in BoundingBox::whole(shape).tiles([1 + thread % 3, 5 + thread, 80]) {
                        assert_eq!(volume.read(0, &band).unwrap().bytes(), part(whole, &band));
                    }
                });
            }
        });
    }
}

#[test]
fn voxel_size_and_names_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("v.tif");
    let size = VoxelSize::from_nm_zyx([1500.5, 0.1, 4.13]);
    let options = options(DataType::U8, [2, 3, 4], 2).with_voxel_size(size);
    let volumes = [0, 1].map(|s| noise(DataType::U8, [2, 3, 4], s));
    write(&path, &options, &volumes, 1);
    let volume = Volume::open(path.to_str().unwrap()).unwrap();
    assert_eq!(volume.metadata().voxel_size, size);
    assert_eq!(volume.metadata().channels, ["channel 0 ü", "channel 1 ü"]);
    assert_eq!(volume.metadata().format, "ome-tiff");
}

#[test]
fn pages_out_of_order_and_missing_pages_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("v.tif");
    let options = options(DataType::U8, [2, 3, 4], 2);
    let writer = VolumeWriter::create(path.to_str().unwrap(), &options).unwrap();
    let plane = Voxels::zeros(DataType::U8, [1, 3, 4]).unwrap();
    let error = writer.write(0, [1, 0, 0], &plane).unwrap_err();
    assert!(error.to_string().contains("expected page 0, found 1"), "{error}");
    writer.write(0, [0, 0, 0], &plane).unwrap();
    assert!(writer.write(1, [0, 0, 0], &plane).is_err());
    let error = writer.finish().unwrap_err();
    assert!(error.to_string().contains("1 of 4 planes"), "{error}");
    assert_eq!(folder.path().read_dir().unwrap().count(), 0);
}

#[test]
fn what_tiff_cannot_hold_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("v.tif");
    let create = |options: &WriteOptions| VolumeWriter::create(path.to_str().unwrap(), options);
    let error = create(&options(DataType::U64, [1, 2, 2], 2)).unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }) && error.to_string().contains("uint64"));
    let error = create(&options(DataType::U8, [1, 1, 1 << 33], 1)).unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }), "{error}");
    assert_eq!(folder.path().read_dir().unwrap().count(), 0);
}

#[test]
fn bigtiff_is_written_where_four_gib_are_not_enough() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("v.tif");
    let options = WriteOptions::new(DataType::U8, [1 << 23, 8, 64]);
    let writer = VolumeWriter::create(path.to_str().unwrap(), &options).unwrap();
    writer.write(0, [0; 3], &Voxels::zeros(DataType::U8, [1, 8, 64]).unwrap()).unwrap();
    let partial = folder.path().read_dir().unwrap().next().unwrap().unwrap().path();
    assert_eq!(std::fs::read(partial).unwrap()[..4], *b"II\x2B\0");
    drop(writer);
    assert_eq!(folder.path().read_dir().unwrap().count(), 0);
}

#[test]
fn existing_output_is_kept_unless_overwriting() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("v.tif");
    let options = options(DataType::U8, [1, 3, 4], 1);
    let old = noise(DataType::U8, [1, 3, 4], 1);
    write(&path, &options, std::slice::from_ref(&old), 1);
    let error = VolumeWriter::create(path.to_str().unwrap(), &options).unwrap_err();
    assert!(matches!(error, Error::Exists { .. }), "{error:?}");
    let new = noise(DataType::U8, [1, 3, 4], 2);
    let options = options.with_mode(WriteMode::Overwrite);
    drop(VolumeWriter::create(path.to_str().unwrap(), &options).unwrap());
    let read = || {
        let volume = Volume::open(path.to_str().unwrap()).unwrap();
        volume.read(0, &BoundingBox::whole([1, 3, 4])).unwrap()
    };
    assert_eq!(read(), old);
    write(&path, &options, std::slice::from_ref(&new), 1);
    assert_eq!(read(), new);
    assert_eq!(folder.path().read_dir().unwrap().count(), 1);
}
