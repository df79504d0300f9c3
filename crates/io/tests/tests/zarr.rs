//! Zarr and OME-Zarr: what is written is read back, by us and by the peers.

use std::path::Path;

use exavox_io::volume::{Codec, OmeVersion, WriteMode};
use exavox_io::{
    BoundingBox, DataType, OpenOptions, Volume, VolumeWriter, VoxelSize, WriteOptions,
};
use proptest::prelude::*;

use crate::{pattern, peers};

/// Writes the pattern and gives the name of the volume.
fn write(folder: &Path, name: &str, options: &WriteOptions, shuffle: u64) -> String {
    let name = folder.join(name).display().to_string();
    let writer = VolumeWriter::create(&name, options).unwrap();
    let channels = options.channels.len() as u64;
    pattern::write(&writer, options.dtype, options.shape, channels, shuffle);
    writer.finish().unwrap();
    name
}

fn names(channels: u64) -> Vec<String> {
    (0..channels).map(|c| format!("stain {c}")).collect()
}

fn any_codec() -> impl Strategy<Value = Codec> {
    prop_oneof![Just(Codec::Raw), Just(Codec::Zstd(1)), Just(Codec::Gzip(1))]
}

/// Version, chunk and shard: 0.4, 0.5 and 0.5 with shards.
fn any_layout() -> impl Strategy<Value = (OmeVersion, Option<[u64; 3]>, Option<[u64; 3]>)> {
    let edge = || 1..=9u64;
    let chunk = || [edge(), edge(), edge()];
    let shards = (chunk(), [1..=3u64, 1..=3, 1..=3]).prop_map(|(chunk, times)| {
        let shard = std::array::from_fn(|a| chunk[a] * times[a]);
        (OmeVersion::V05, Some(chunk), Some(shard))
    });
    prop_oneof![
        Just((OmeVersion::V04, None, None)),
        chunk().prop_map(|c| (OmeVersion::V04, Some(c), None)),
        chunk().prop_map(|c| (OmeVersion::V05, Some(c), None)),
        shards,
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn written_is_read(
        dtype in pattern::any_dtype(),
        shape in pattern::any_shape(),
        channels in 1..=3u64,
        codec in any_codec(),
        (ome, chunk_shape, shard_shape) in any_layout(),
        shuffle: u64,
        seeds: [(u64, u64); 3],
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut options = WriteOptions::new(dtype, shape).with_channels(names(channels));
        options.voxel_size = VoxelSize::from_nm_zyx([40.0, 8.0, 4.0]);
        (options.codec, options.ome) = (codec, ome);
        (options.chunk_shape, options.shard_shape) = (chunk_shape, shard_shape);
        let name = write(folder.path(), "v.zarr", &options, shuffle);
        let volume = Volume::open(&name).unwrap();
        let metadata = volume.metadata();
        prop_assert_eq!((metadata.dtype, metadata.shape), (dtype, shape));
        prop_assert_eq!(metadata.voxel_size, options.voxel_size);
        prop_assert_eq!(&metadata.channels, &options.channels);
        prop_assert_eq!(metadata.shard_shape, shard_shape);
        if let Some(chunk) = chunk_shape {
            prop_assert_eq!(metadata.chunk_shape, chunk);
        }
        pattern::check(&volume, &BoundingBox::whole(shape));
        pattern::check(&volume, &pattern::inside(shape, seeds));
        // The array alone knows the voxel size from the group above it.
        let array = Volume::open(&format!("{name}/0")).unwrap();
        prop_assert_eq!(array.metadata().voxel_size, options.voxel_size);
        pattern::check(&array, &pattern::inside(shape, seeds));
    }
}

#[test]
fn metadata_of_a_plain_volume() {
    let folder = tempfile::tempdir().unwrap();
    let options = WriteOptions::new(DataType::U8, [100, 70, 10]);
    let name = write(folder.path(), "v.zarr", &options, 0);
    let volume = Volume::open(&name).unwrap();
    let metadata = volume.metadata();
    assert_eq!(metadata.format, "ome-zarr 0.4");
    assert_eq!(metadata.stored_axes, "zyx");
    assert_eq!(metadata.chunk_shape, [64, 64, 10]);
    assert_eq!(metadata.codecs, ["zstd"]);
    assert_eq!(metadata.channels, ["0"]);
    // No size was given, so none is read: not 1 micrometre.
    assert_eq!(metadata.voxel_size, None);
    assert_eq!(metadata.scales.len(), 1);
    assert_eq!(metadata.scales[0].shape, [100, 70, 10]);
    let plane = write(folder.path(), "p.zarr", &WriteOptions::new(DataType::U8, [1, 1500, 900]), 0);
    assert_eq!(Volume::open(&plane).unwrap().metadata().chunk_shape, [1, 1024, 900]);
}

#[test]
fn what_is_not_written_is_zero() {
    let folder = tempfile::tempdir().unwrap();
    let name = folder.path().join("v.zarr").display().to_string();
    let mut options = WriteOptions::new(DataType::U16, [8, 8, 8]);
    options.chunk_shape = Some([4; 3]);
    let writer = VolumeWriter::create(&name, &options).unwrap();
    let block = BoundingBox::new([4; 3], [8; 3]);
    writer.write(0, [4; 3], &pattern::region(DataType::U16, 0, &block)).unwrap();
    writer.finish().unwrap();
    let volume = Volume::open(&name).unwrap();
    pattern::check(&volume, &block);
    let first = volume.read(0, &BoundingBox::whole([4; 3])).unwrap();
    assert!(first.bytes().iter().all(|b| *b == 0));
}

#[test]
fn settings_that_cannot_be_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let name = folder.path().join("v.zarr").display().to_string();
    let refused = |change: fn(&mut WriteOptions), expected: &str| {
        let mut options = WriteOptions::new(DataType::U8, [9; 3]);
        change(&mut options);
        let error = VolumeWriter::create(&name, &options).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    };
    refused(|o| o.shard_shape = Some([8; 3]), "0.5");
    refused(|o| o.chunk_shape = Some([0, 1, 1]), "[0, 1, 1]");
    refused(|o| o.codec = Codec::Zstd(23), "23");
    refused(|o| o.codec = Codec::Gzip(10), "10");
    refused(|o| o.chunk_shape = Some([1 << 20; 3]), "limit");
    refused(
        |o| {
            o.ome = OmeVersion::V05;
            (o.chunk_shape, o.shard_shape) = (Some([3; 3]), Some([8; 3]));
        },
        "multiples",
    );
}

#[test]
fn peers_read_ours() {
    let Some(python) = peers::python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut options = WriteOptions::new(DataType::U16, [9, 21, 33]);
    options.chunk_shape = Some([4, 8, 16]);
    options.voxel_size = VoxelSize::from_nm_zyx([40.0, 8.0, 4.0]);
    options.attributes.insert("seed".to_owned(), 42.into());
    for (suffix, codec) in [("raw", Codec::Raw), ("zstd", Codec::Zstd(3)), ("gzip", Codec::Gzip(6))]
    {
        options.codec = codec;
        for (version, ome) in [("04", OmeVersion::V04), ("05", OmeVersion::V05)] {
            options.ome = ome;
            write(folder.path(), &format!("{version}_{suffix}.zarr"), &options, 3);
        }
        options.shard_shape = Some([8, 16, 32]);
        write(folder.path(), &format!("sharded_{suffix}.zarr"), &options, 3);
        options.shard_shape = None;
    }
    options = options.with_channels(vec!["DAPI".into(), "CD8".into(), "CD3".into()]);
    for dtype in DataType::ALL {
        options.dtype = dtype;
        options.ome = OmeVersion::V04;
        write(folder.path(), &format!("channels_{dtype}.zarr"), &options, 3);
    }
    let found = peers::run(&python, "zarr_peers.py", &["check", folder.path().to_str().unwrap()]);
    let found: serde_json::Value = serde_json::from_str(&found).unwrap();
    assert_eq!(found.as_object().unwrap().len(), 19);
    let v04 = &found["channels_uint8"];
    assert_eq!(v04["multiscales"][0]["version"], "0.4");
    assert_eq!(v04["multiscales"][0]["axes"][1]["unit"], "nanometer");
    let scale = &v04["multiscales"][0]["datasets"][0]["coordinateTransformations"][0]["scale"];
    assert_eq!(*scale, serde_json::json!([1.0, 40.0, 8.0, 4.0]));
    assert_eq!(v04["omero"]["channels"][2]["label"], "CD3");
    assert_eq!(v04["exavox"]["seed"], 42);
    assert_eq!(found["05_zstd"]["ome"]["version"], "0.5");
    assert_eq!(found["05_zstd"]["exavox"]["seed"], 42);
}

#[test]
fn ours_read_peers() {
    let Some(python) = peers::python() else { return };
    let folder = tempfile::tempdir().unwrap();
    peers::run(&python, "zarr_peers.py", &["write", folder.path().to_str().unwrap()]);
    let mut count = 0;
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.ends_with("pyramid.zarr") {
            continue;
        }
        let volume = Volume::open(path.to_str().unwrap()).unwrap();
        pattern::check_all(&volume);
        count += 1;
    }
    assert_eq!(count, 26);
    let sharded = Volume::open(folder.path().join("v3_sharded.zarr").to_str().unwrap()).unwrap();
    assert_eq!(sharded.metadata().shard_shape, Some([9, 14, 22]));
    assert_eq!(sharded.metadata().chunk_shape, [3, 7, 11]);
    pyramid(&folder.path().join("pyramid.zarr"));
}

fn pyramid(path: &Path) {
    let name = path.to_str().unwrap();
    let at = |scale, time| {
        Volume::open_with(name, &OpenOptions::default().with_scale(scale).with_time(time))
    };
    let volume = at(0, 1).unwrap();
    pattern::check_all(&volume);
    assert_eq!(volume.metadata().stored_axes, "tczyx");
    assert_eq!(volume.metadata().channels, ["DAPI", "CD8"]);
    let shapes: Vec<_> = volume.metadata().scales.iter().map(|s| s.shape).collect();
    assert_eq!(shapes, [[9, 21, 33], [9, 11, 17]]);
    let nm = volume.metadata().voxel_size.unwrap().nm_zyx;
    assert_eq!(nm.map(f64::round), [40.0, 8.0, 4.0]);
    let first = at(0, 0).unwrap().read(0, &BoundingBox::whole([9, 21, 33])).unwrap();
    assert!(first.bytes().iter().all(|b| *b == 0));
    let coarse = at(1, 1).unwrap();
    assert_eq!(coarse.metadata().voxel_size.unwrap().nm_zyx.map(f64::round), [40.0, 16.0, 8.0]);
    let error = at(2, 0).unwrap_err().to_string();
    assert!(error.contains("scale 2 does not exist, there are 2"), "{error}");
    let error = at(0, 2).unwrap_err().to_string();
    assert!(error.contains("axis t") && error.contains("there are 2"), "{error}");
}

#[test]
fn overwriting_replaces_the_whole_directory() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = WriteOptions::new(DataType::U8, [9, 21, 33]);
    options.chunk_shape = Some([4; 3]);
    let name = write(folder.path(), "v.zarr", &options, 0);
    let options = WriteOptions::new(DataType::U16, [5; 3]).with_mode(WriteMode::Overwrite);
    write(folder.path(), "v.zarr", &options, 0);
    let volume = Volume::open(&name).unwrap();
    assert_eq!(volume.shape(), [5; 3]);
    pattern::check_all(&volume);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}
