//! Neuroglancer precomputed: what is written is read back.

use std::path::Path;

use exavox_io::location::ArrayFormat;
use exavox_io::store::{MemoryStore, Store};
use exavox_io::volume::{Codec, Encoding, WriteMode};
use exavox_io::{
    BoundingBox, DataType, Directory, Error, OpenOptions, Volume, VolumeWriter, VoxelSize,
    WriteOptions,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::pattern;

pub(crate) const TYPES: [DataType; 8] = [
    DataType::U8,
    DataType::U16,
    DataType::U32,
    DataType::U64,
    DataType::I8,
    DataType::I16,
    DataType::I32,
    DataType::F32,
];

/// Writes the pattern and gives the name of the volume.
pub(crate) fn write(folder: &Path, name: &str, options: &WriteOptions) -> String {
    let name = folder.join(name).display().to_string();
    let writer = VolumeWriter::create(&name, options).unwrap();
    pattern::write(&writer, options.dtype, options.shape, 1, 7);
    writer.finish().unwrap();
    name
}

pub(crate) fn info(name: &str) -> Value {
    let text = std::fs::read(Path::new(name).join("info")).unwrap();
    serde_json::from_slice(&text).unwrap()
}

/// Types with the encodings that can hold them.
fn any_encoding() -> impl Strategy<Value = (DataType, Encoding)> {
    let labels = vec![DataType::U32, DataType::U64];
    let grey = vec![DataType::U8, DataType::U16];
    prop_oneof![
        proptest::sample::select(TYPES.to_vec()).prop_map(|d| (d, Encoding::Raw)),
        proptest::sample::select(labels).prop_map(|d| (d, Encoding::CompressedSegmentation)),
        proptest::sample::select(grey).prop_map(|d| (d, Encoding::Png)),
    ]
}

fn any_codec() -> impl Strategy<Value = Codec> {
    prop_oneof![Just(Codec::Raw), Just(Codec::Zstd(3)), Just(Codec::Gzip(1))]
}

/// The shards that a message proposes: `… are [a, b, c] and [d, e, f]`.
fn proposed(error: &Error) -> Vec<[u64; 3]> {
    let text = error.to_string();
    let (_, list) = text.rsplit_once("the nearest are ").unwrap_or_else(|| panic!("{text}"));
    let shapes = list.split(" and ").map(|shape| serde_json::from_str(shape).unwrap());
    shapes.collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn written_is_read(
        (dtype, encoding) in any_encoding(),
        codec in any_codec(),
        shape in pattern::any_shape(),
        chunk in [1..=9u64, 1..=9u64, 1..=9u64],
        shard in proptest::option::of([1..=40u64, 1..=40u64, 1..=40u64]),
        seeds: [(u64, u64); 3],
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut options = WriteOptions::new(dtype, shape);
        options.voxel_size = VoxelSize::from_nm_zyx([40.0, 8.0, 4.5]);
        (options.codec, options.encoding) = (codec, encoding);
        (options.chunk_shape, options.shard_shape) = (Some(chunk), shard);
        let path = folder.path().join("v.precomputed").display().to_string();
        if let Err(error) = VolumeWriter::create(&path, &options) {
            options.shard_shape = proposed(&error).last().copied();
        }
        let name = write(folder.path(), "v.precomputed", &options);
        let volume = Volume::open(&name).unwrap();
        let metadata = volume.metadata();
        prop_assert_eq!((metadata.dtype, metadata.shape), (dtype, shape));
        prop_assert_eq!(metadata.voxel_size, options.voxel_size);
        prop_assert_eq!(metadata.chunk_shape, chunk);
        prop_assert_eq!(metadata.shard_shape.is_some(), shard.is_some());
        pattern::check(&volume, &BoundingBox::whole(shape));
        pattern::check(&volume, &pattern::inside(shape, seeds));
        let uncached = OpenOptions::default().with_cache_bytes(0);
        let volume = Volume::open_with(&name, &uncached).unwrap();
        pattern::check(&volume, &pattern::inside(shape, seeds));
    }
}

#[test]
fn info_is_what_others_expect() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = WriteOptions::new(DataType::U64, [70, 80, 90]);
    options.voxel_size = VoxelSize::from_nm_zyx([40.0, 8.0, 4.5]);
    options.encoding = Encoding::CompressedSegmentation;
    options.chunk_shape = Some([16, 32, 32]);
    options.shard_shape = Some([32, 64, 64]);
    let name = write(folder.path(), "labels.precomputed", &options);
    let expected = json!({
        "@type": "neuroglancer_multiscale_volume",
        "type": "segmentation",
        "data_type": "uint64",
        "num_channels": 1,
        "scales": [{
            "key": "4.5_8_40",
            "size": [90, 80, 70],
            "resolution": [4.5, 8, 40],
            "voxel_offset": [0, 0, 0],
            "chunk_sizes": [[32, 32, 16]],
            "encoding": "compressed_segmentation",
            "compressed_segmentation_block_size": [8, 8, 8],
            "sharding": {
                "@type": "neuroglancer_uint64_sharded_v1",
                "preshift_bits": 3,
                "hash": "identity",
                "minishard_bits": 0,
                "shard_bits": 4,
                "minishard_index_encoding": "gzip",
                "data_encoding": "gzip",
            },
        }],
    });
    assert_eq!(info(&name), expected);
    let volume = Volume::open(&name).unwrap();
    assert_eq!(volume.metadata().shard_shape, Some([32, 64, 64]));
    assert_eq!(volume.metadata().codecs, ["compressed_segmentation", "gzip"]);
    let shards = std::fs::read_dir(Path::new(&name).join("4.5_8_40")).unwrap().count();
    assert_eq!(shards, 3 * 2 * 2);
}

#[test]
fn many_minishards_are_written_and_read() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = WriteOptions::new(DataType::U8, [21, 22, 23]);
    options.chunk_shape = Some([1, 2, 1]);
    options.shard_shape = Some([16, 32, 16]);
    let name = write(folder.path(), "v.precomputed", &options);
    assert_eq!(info(&name)["scales"][0]["sharding"]["minishard_bits"], 3);
    pattern::check_all(&Volume::open(&name).unwrap());
}

#[test]
fn shards_that_are_no_box_of_the_order_are_refused_with_those_that_are() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("v.precomputed").display().to_string();
    let mut options = WriteOptions::new(DataType::U8, [1000, 1000, 1000]);
    options.chunk_shape = Some([64; 3]);
    for (shape, nearest) in [
        ([512, 64, 64], [[64, 128, 128], [128, 128, 128]]),
        ([100, 128, 128], [[64, 128, 128], [128, 128, 128]]),
        ([192, 192, 192], [[128, 128, 256], [128, 256, 256]]),
    ] {
        options.shard_shape = Some(shape);
        let error = VolumeWriter::create(&path, &options).unwrap_err();
        assert!(matches!(error, Error::Unsupported { .. }), "{error:?}");
        assert_eq!(proposed(&error), nearest);
        options.shard_shape = Some(nearest[1]);
        let writer = VolumeWriter::create(&path, &options).unwrap();
        assert_eq!(writer.granule(), nearest[1]);
    }
}

#[test]
fn zeros_are_left_out_and_read() {
    for shard_shape in [None, Some([16; 3])] {
        let folder = tempfile::tempdir().unwrap();
        let name = folder.path().join("v.precomputed").display().to_string();
        let mut options = WriteOptions::new(DataType::U16, [16, 16, 32]);
        (options.chunk_shape, options.shard_shape) = (Some([8; 3]), shard_shape);
        let writer = VolumeWriter::create(&name, &options).unwrap();
        let zeros = exavox_io::Voxels::zeros(DataType::U16, [16, 16, 16]).unwrap();
        writer.write(0, [0, 0, 16], &zeros).unwrap();
        let half = BoundingBox::new([0; 3], [16; 3]);
        writer.write(0, [0; 3], &pattern::region(DataType::U16, 0, &half)).unwrap();
        writer.finish().unwrap();
        let objects = std::fs::read_dir(Path::new(&name).join("1_1_1")).unwrap().count();
        assert_eq!(objects, if shard_shape.is_some() { 1 } else { 8 });
        let volume = Volume::open(&name).unwrap();
        pattern::check(&volume, &half);
        assert_eq!(volume.read(0, &BoundingBox::new([0, 0, 16], [16, 16, 32])).unwrap(), zeros);
    }
}

#[test]
fn what_cannot_be_written_is_refused_with_what_can() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("v.precomputed").display().to_string();
    let error = |change: &dyn Fn(&mut WriteOptions)| {
        let mut options = WriteOptions::new(DataType::U16, [20; 3]);
        change(&mut options);
        VolumeWriter::create(&path, &options).unwrap_err().to_string()
    };
    for (text, word) in [
        (error(&|o| o.channels = vec!["a".into(), "b".into()]), "2 channels"),
        (error(&|o| o.dtype = DataType::F64), "float64"),
        (error(&|o| o.dtype = DataType::I64), "int64"),
        (error(&|o| o.encoding = Encoding::CompressedSegmentation), "compressed_segmentation"),
        (error(&|o| (o.dtype, o.encoding) = (DataType::I8, Encoding::Png)), "png"),
        (error(&|o| o.codec = Codec::Blosc(5)), "blosc"),
        (error(&|o| o.codec = Codec::Gzip(10)), "level 10"),
        (error(&|o| o.chunk_shape = Some([0, 1, 1])), "[0, 1, 1]"),
    ] {
        assert!(text.contains(word) && text.contains("v.precomputed"), "{text}");
    }
    assert!(!Path::new(&path).exists());
}

/// A volume of 16 x 16 x 16 and one of half its size in a store.
fn pyramid(directory: &Directory, shard_shape: Option<[u64; 3]>) {
    let mut options = WriteOptions::new(DataType::U8, [16, 17, 18]);
    options.voxel_size = VoxelSize::from_nm_zyx([40.0, 8.0, 8.0]);
    (options.chunk_shape, options.shard_shape) = (Some([8; 3]), shard_shape);
    let writer = VolumeWriter::create_in(directory, ArrayFormat::Precomputed, &options).unwrap();
    pattern::write(&writer, options.dtype, options.shape, 1, 0);
    writer.finish().unwrap();
}

fn half() -> WriteOptions {
    let mut options = WriteOptions::new(DataType::U8, [16, 9, 9]);
    options.chunk_shape = Some([4; 3]);
    options
}

#[test]
fn a_scale_is_added_when_it_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let name = folder.path().join("v.precomputed").display().to_string();
    pyramid(&Directory::local(Path::new(&name)), None);
    let mut document = info(&name);
    document["mesh"] = json!("mesh");
    document["scales"][0]["voxel_offset"] = json!([3, -5, 7]);
    document["scales"][0]["jpeg_quality"] = json!(80);
    document["scales"][0]["chunk_sizes"] = json!([[8.0, 8.0, 8.0]]);
    let path = Path::new(&name).join("info");
    std::fs::write(&path, serde_json::to_vec(&document).unwrap()).unwrap();
    let writer = VolumeWriter::add_scale(&name, [1, 2, 2], &half()).unwrap();
    pattern::write(&writer, DataType::U8, [16, 9, 9], 1, 0);
    assert_eq!(info(&name), document);
    writer.finish().unwrap();
    let found = info(&name);
    assert_eq!((&found["mesh"], &found["scales"][0]["jpeg_quality"]), (&json!("mesh"), &json!(80)));
    assert_eq!(found["scales"][1]["resolution"], json!([16, 16, 40]));
    assert_eq!(found["scales"][1]["voxel_offset"], json!([1, -3, 7]));
    let size = VoxelSize::from_nm_zyx([40.0, 20.0, 20.0]).unwrap();
    let volume = Volume::open_with(&name, &OpenOptions::default().with_scale_of(size)).unwrap();
    assert_eq!((volume.shape(), volume.metadata().scales.len()), ([16, 9, 9], 2));
    pattern::check_all(&volume);
    let error = VolumeWriter::add_scale(&name, [1, 2, 2], &half()).unwrap_err();
    assert!(matches!(error, Error::Exists { .. }), "{error}");
    for (factor, dtype) in [([1, 0, 2], DataType::U8), ([2, 2, 2], DataType::U16)] {
        let options = WriteOptions::new(dtype, [8; 3]);
        let error = VolumeWriter::add_scale(&name, factor, &options).unwrap_err();
        assert!(matches!(error, Error::Usage { .. }), "{error}");
    }
}

#[test]
fn objects_left_of_another_run_are_replaced_by_zeros() {
    let folder = tempfile::tempdir().unwrap();
    let name = folder.path().join("v.precomputed").display().to_string();
    pyramid(&Directory::local(Path::new(&name)), None);
    let writer = VolumeWriter::add_scale(&name, [1, 2, 2], &half()).unwrap();
    pattern::write(&writer, DataType::U8, [16, 9, 9], 1, 0);
    drop(writer);
    let writer = VolumeWriter::add_scale(&name, [1, 2, 2], &half()).unwrap();
    let zeros = exavox_io::Voxels::zeros(DataType::U8, [16, 9, 9]).unwrap();
    writer.write(0, [0; 3], &zeros).unwrap();
    writer.finish().unwrap();
    let volume = Volume::open_with(&name, &OpenOptions::default().with_scale(1)).unwrap();
    assert_eq!(volume.read(0, &BoundingBox::whole([16, 9, 9])).unwrap(), zeros);
}

#[test]
fn a_store_in_memory_holds_a_volume() {
    for shard_shape in [None, Some([16; 3])] {
        let store = std::sync::Arc::new(MemoryStore::new());
        let directory = Directory::new(store.clone(), "a/v");
        pyramid(&directory, shard_shape);
        pattern::check_all(&Volume::open_in(&directory, &OpenOptions::default()).unwrap());
        assert_eq!(store.list("a/v").unwrap(), ["8_8_40/", "info"]);
    }
}

#[test]
fn a_volume_is_replaced_only_if_asked() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = WriteOptions::new(DataType::U8, [9; 3]);
    let name = write(folder.path(), "v.precomputed", &options);
    let error = VolumeWriter::create(&name, &options).unwrap_err();
    assert!(matches!(error, Error::Exists { .. }), "{error}");
    options.mode = WriteMode::Overwrite;
    write(folder.path(), "v.precomputed", &options);
    pattern::check_all(&Volume::open(&format!("precomputed://{name}")).unwrap());
}
