//! Tiled TIFF output: against the naive twin, by tifffile, and what faults leave.

use std::path::Path;

use exavox_io::volume::{Codec, WriteOrder};
use exavox_io::{
    BoundingBox, DataType, Error, Volume, VolumeWriter, VoxelSize, Voxels, WriteOptions,
};
use proptest::prelude::*;

use crate::outputs::Disk;
use crate::{pattern, peers};

const CODECS: [Codec; 3] = [Codec::Raw, Codec::Gzip(6), Codec::Zstd(3)];

fn tiled(dtype: DataType, shape: [u64; 3], tile: [u64; 2], codec: Codec) -> WriteOptions {
    let mut options = WriteOptions::new(dtype, shape);
    options.chunk_shape = Some([1, tile[0], tile[1]]);
    options.codec = codec;
    options
}

fn write(path: &Path, options: &WriteOptions, shuffle: u64) -> Volume {
    let writer = VolumeWriter::create(path.to_str().unwrap(), options).unwrap();
    let channels = options.channels.len() as u64;
    pattern::write(&writer, options.dtype, options.shape, channels, shuffle);
    writer.finish().unwrap();
    Volume::open(path.to_str().unwrap()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn tiles_in_any_order_are_the_volume(
        dtype in pattern::any_dtype(),
        shape in pattern::any_shape(),
        tile in (1..=3u64, 1..=3u64),
        codec in proptest::sample::select(CODECS.to_vec()),
        channels in 1..=3usize,
        shuffle in any::<u64>(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let one = matches!(dtype, DataType::U64 | DataType::I64);
        let names = (0..if one { 1 } else { channels }).map(|c| c.to_string()).collect();
        let options = tiled(dtype, shape, [tile.0 * 16, tile.1 * 16], codec).with_channels(names);
        let volume = write(&folder.path().join("v.tif"), &options, shuffle);
        prop_assert_eq!(volume.shape(), shape);
        prop_assert_eq!(volume.metadata().channels.len(), options.channels.len());
        pattern::check_all(&volume);
    }
}

#[test]
fn tiles_are_read_by_tifffile() {
    let Some(python) = peers::python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let names = ["DAPI", "a<b>&\"é", "c"].map(str::to_owned);
    for dtype in DataType::ALL {
        for codec in CODECS {
            let plain = tiled(dtype, [1, 37, 45], [16, 32], codec);
            write(&folder.path().join(format!("plain_{dtype}_{codec:?}.tif")), &plain, 7);
            if matches!(dtype, DataType::U64 | DataType::I64) {
                continue;
            }
            for channels in [1, 3] {
                let options = tiled(dtype, [5, 37, 45], [32, 16], codec)
                    .with_channels(names[..channels].to_vec())
                    .with_voxel_size(VoxelSize::from_nm_zyx([1500.5, 8.0, 4.13]));
                let path = folder.path().join(format!("{channels}_{dtype}_{codec:?}.ome.tif"));
                let volume = write(&path, &options, 3);
                assert_eq!(volume.metadata().channels, options.channels);
                assert_eq!(volume.metadata().voxel_size, options.voxel_size);
                assert_eq!(volume.metadata().chunk_shape, [1, 32, 16]);
            }
        }
    }
    peers::run(&python, "tiff_peers.py", &["check", folder.path().to_str().unwrap()]);
}

#[test]
fn large_planes_are_tiled_and_small_ones_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let granule = |shape| {
        let path = folder.path().join("v.tif");
        let options = WriteOptions::new(DataType::U8, shape);
        let writer = VolumeWriter::create(path.to_str().unwrap(), &options).unwrap();
        (writer.granule(), writer.order())
    };
    assert_eq!(granule([2, 1024, 1025]), ([1, 256, 256], WriteOrder::Any));
    assert_eq!(granule([2, 1024, 1024]), ([1, 1024, 1024], WriteOrder::Strict));
    let options = WriteOptions::new(DataType::U16, [2, 1030, 1100]);
    pattern::check_all(&write(&folder.path().join("large.tif"), &options, 5));
}

#[test]
fn wrong_tiles_and_codecs_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |options: &WriteOptions, word: &str| {
        let path = folder.path().join("v.tif");
        let error = VolumeWriter::create(path.to_str().unwrap(), options).unwrap_err();
        assert!(error.to_string().contains(word), "{error}");
        assert_eq!(folder.path().read_dir().unwrap().count(), 0);
    };
    let with = |tile, codec| tiled(DataType::U8, [3, 40, 40], tile, codec);
    refused(&with([16, 20], Codec::Raw), "multiples of 16");
    refused(&with([0, 16], Codec::Raw), "multiples of 16");
    refused(&with([1 << 20, 1 << 20], Codec::Raw), "at most 1073741824 bytes");
    refused(&with([16, 16], Codec::Blosc(5)), "Blosc");
    refused(&with([16, 16], Codec::Zstd(40)), "levels");
    let huge = tiled(DataType::U8, [1 << 40, 1 << 30, 1 << 30], [16, 16], Codec::Raw);
    refused(&huge, "the table of");
    let mut labels = with([16, 16], Codec::Raw).with_channels(vec!["a".into(), "b".into()]);
    labels.dtype = DataType::U64;
    refused(&labels, "several channels of uint64");
}

#[test]
fn unfinished_volume_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("v.tif");
    let options = tiled(DataType::U8, [2, 40, 40], [32, 32], Codec::Zstd(3));
    let writer = VolumeWriter::create(path.to_str().unwrap(), &options).unwrap();
    writer.write(0, [1, 32, 0], &Voxels::zeros(DataType::U8, [1, 8, 32]).unwrap()).unwrap();
    let error = writer.finish().unwrap_err();
    assert!(error.to_string().contains("1 of 8 tiles have been written"), "{error}");
    assert_eq!(folder.path().read_dir().unwrap().count(), 0);
}

#[test]
fn full_disk_is_an_error_and_leaves_nothing() {
    let Some(disk) = Disk::mount("1m") else { return };
    let path = disk.path().join("v.tif");
    let options = tiled(DataType::U8, [20, 512, 512], [256, 256], Codec::Raw);
    let writer = VolumeWriter::create(path.to_str().unwrap(), &options).unwrap();
    let block = |z| BoundingBox::new([z, 0, 0], [z + 1, 512, 512]);
    let failed = (0..20).find_map(|z| {
        writer.write(0, [z, 0, 0], &pattern::region(DataType::U8, 0, &block(z))).err()
    });
    let error = failed.unwrap();
    assert!(matches!(&error, Error::Io { .. }) && error.to_string().contains("v.tif"), "{error:?}");
    assert!(writer.finish().is_err());
    assert_eq!(disk.path().read_dir().unwrap().count(), 0);
}

/// Some 5 GB on the disk: run by hand, `cargo test -p exavox-io -- --ignored above_4_gib`.
#[test]
#[ignore = "writes 5 GB"]
fn volume_above_4_gib_is_bigtiff() {
    let folder = tempfile::tempdir_in(std::env::var("EXAVOX_LARGE").unwrap_or(".".into())).unwrap();
    let path = folder.path().join("v.tif");
    let shape = [70, 8000, 8000];
    let options = tiled(DataType::U8, shape, [256, 256], Codec::Raw);
    let writer = VolumeWriter::create(path.to_str().unwrap(), &options).unwrap();
    for z in 0..shape[0] {
        let plane = BoundingBox::new([z, 0, 0], [z + 1, shape[1], shape[2]]);
        writer
            .write(
                0,
                plane.start,
                &Voxels::from_vec([1, 8000, 8000], vec![z as u8; 64_000_000]).unwrap(),
            )
            .unwrap();
    }
    writer.finish().unwrap();
    let mut head = [0; 4];
    std::io::Read::read_exact(&mut std::fs::File::open(&path).unwrap(), &mut head).unwrap();
    assert!(head.contains(&43), "{head:?}");
    let volume = Volume::open(path.to_str().unwrap()).unwrap();
    let last = volume.read(0, &BoundingBox::new([69, 7999, 7990], [70, 8000, 8000])).unwrap();
    assert_eq!(last.as_slice::<u8>().unwrap(), [69; 10]);
    if let Some(python) = peers::python() {
        peers::run(&python, "tiff_peers.py", &["planes", path.to_str().unwrap()]);
    }
}
