//! Damaged and hostile Zarr: an error that names the place, never a panic, never memory without bound.

use std::fs;
use std::path::{Path, PathBuf};

use exavox_io::volume::{Codec, OmeVersion};
use exavox_io::{
    BoundingBox, DataType, Error, Limits, OpenOptions, Volume, VolumeWriter, WriteOptions,
};
use serde_json::{Value, json};

use crate::pattern;

const SHAPE: [u64; 3] = [8, 16, 24];

/// A volume of chunks of 8^3 in a folder of its own.
struct Case {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

impl Case {
    fn new(change: impl FnOnce(&mut WriteOptions)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("v.zarr");
        let mut options = WriteOptions::new(DataType::U16, SHAPE);
        options.chunk_shape = Some([8; 3]);
        change(&mut options);
        let writer = VolumeWriter::create(path.to_str().unwrap(), &options).unwrap();
        pattern::write(&writer, options.dtype, SHAPE, options.channels.len() as u64, 0);
        writer.finish().unwrap();
        Self { _folder: folder, path }
    }

    fn open(&self) -> Result<Volume, Error> {
        Volume::open(self.path.to_str().unwrap())
    }

    fn read_all(&self) -> Result<(), Error> {
        self.open()?.read(0, &BoundingBox::whole(SHAPE)).map(|_| ())
    }

    fn edit(&self, file: &str, change: impl FnOnce(&mut Value)) {
        edit(&self.path.join(file), change);
    }
}

fn edit(path: &Path, change: impl FnOnce(&mut Value)) {
    let mut document = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    change(&mut document);
    fs::write(path, serde_json::to_vec(&document).unwrap()).unwrap();
}

/// The error names the chunk and its key, in one line; the rest of the volume can still be read.
fn assert_names_chunk(case: &Case, key: &str, chunk: &str) {
    let error = case.read_all().unwrap_err();
    assert!(matches!(error, Error::Format { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains(key) && text.contains(chunk) && !text.contains('\n'), "{text}");
    let volume = case.open().unwrap();
    pattern::check(&volume, &BoundingBox::whole([8; 3]));
}

#[test]
fn truncated_chunk_is_named() {
    for codec in [Codec::Raw, Codec::Zstd(3), Codec::Gzip(3)] {
        let case = Case::new(|o| o.codec = codec);
        let chunk = case.path.join("0/0/1/2");
        let bytes = fs::read(&chunk).unwrap();
        fs::write(&chunk, &bytes[..bytes.len() / 2]).unwrap();
        assert_names_chunk(&case, "0/0/1/2", "chunk [0, 1, 2]");
        fs::write(&chunk, []).unwrap();
        assert_names_chunk(&case, "0/0/1/2", "chunk [0, 1, 2]");
    }
}

#[test]
fn garbage_chunk_is_named() {
    for codec in [Codec::Raw, Codec::Zstd(3), Codec::Gzip(3)] {
        let case = Case::new(|o| (o.codec, o.ome) = (codec, OmeVersion::V05));
        fs::write(case.path.join("0/c/0/1/2"), b"not a chunk at all").unwrap();
        assert_names_chunk(&case, "0/c/0/1/2", "chunk [0, 1, 2]");
    }
}

#[test]
fn damaged_shard_is_named() {
    let sharded = |o: &mut WriteOptions| {
        (o.ome, o.shard_shape) = (OmeVersion::V05, Some([8, 8, 16]));
    };
    let case = Case::new(sharded);
    let shard = case.path.join("0/c/0/1/1");
    let bytes = fs::read(&shard).unwrap();
    fs::write(&shard, &bytes[..bytes.len() - 5]).unwrap();
    assert_names_chunk(&case, "0/c/0/1/1", "chunk [0, 1, 2]");
    let mut flipped = bytes.clone();
    flipped[..20].fill(0xff);
    fs::write(&shard, &flipped).unwrap();
    assert_names_chunk(&case, "0/c/0/1/1", "chunk [0, 1, 2]");
}

#[test]
fn chunk_that_decodes_to_another_size_is_named() {
    for (values, codec) in [(3, Codec::Zstd(1)), (1 << 20, Codec::Zstd(1)), (2048, Codec::Raw)] {
        let case = Case::new(|o| o.codec = codec);
        let bytes = vec![7u8; values];
        let encoded = match codec {
            Codec::Raw => bytes,
            _ => zstd::bulk::compress(&bytes, 1).unwrap(),
        };
        fs::write(case.path.join("0/0/1/2"), encoded).unwrap();
        assert_names_chunk(&case, "0/0/1/2", "chunk [0, 1, 2]");
    }
}

#[test]
fn zstd_frame_that_claims_exbibytes_is_named() {
    let case = Case::new(|_| {});
    let bomb = [0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 0, 0, 0, 0x10, 1, 0, 0];
    fs::write(case.path.join("0/0/1/2"), bomb).unwrap();
    assert_names_chunk(&case, "0/0/1/2", "chunk [0, 1, 2]");
}

#[test]
fn unreadable_chunk_is_an_io_error() {
    let case = Case::new(|_| {});
    fs::remove_file(case.path.join("0/0/1/2")).unwrap();
    // A link to itself: what the system says is neither "not there" nor bytes.
    std::os::unix::fs::symlink("2", case.path.join("0/0/1/2")).unwrap();
    let error = case.read_all().unwrap_err();
    assert!(error.to_string().contains("0/0/1/2"), "{error}");
}

#[test]
fn array_of_10_to_the_18_voxels_reads_small_regions_only() {
    let case = Case::new(|_| {});
    case.edit("0/.zarray", |a| a["shape"] = json!([1_000_000, 1_000_000, 1_000_000]));
    let volume = case.open().unwrap();
    pattern::check(&volume, &BoundingBox::whole([8, 8, 8]));
    let error = volume.read(0, &BoundingBox::whole([1_000_000; 3])).unwrap_err();
    assert!(matches!(error, Error::LimitExceeded { .. }), "{error}");
    case.edit("0/.zarray", |a| a["shape"] = json!([u64::MAX, u64::MAX, u64::MAX]));
    if let Ok(volume) = case.open() {
        let error = volume.read(0, &BoundingBox::whole([u64::MAX; 3])).unwrap_err();
        assert!(matches!(error, Error::LimitExceeded { .. }), "{error}");
    }
}

#[test]
fn chunk_of_10_to_the_18_voxels_is_refused_before_decoding() {
    let case = Case::new(|_| {});
    case.edit("0/.zarray", |a| a["chunks"] = json!([1_000_000, 1_000_000, 1_000_000]));
    let error = case.read_all().unwrap_err();
    assert!(matches!(error, Error::LimitExceeded { .. }), "{error}");
    case.edit("0/.zarray", |a| a["chunks"] = json!([u64::MAX, 1, 1]));
    assert!(case.read_all().is_err());
    let sharded = Case::new(|o| o.ome = OmeVersion::V05);
    sharded.edit("0/zarr.json", |a| {
        a["chunk_grid"]["configuration"]["chunk_shape"] =
            json!([1u64 << 20, 1u64 << 20, 1u64 << 20]);
        let inner = a["codecs"].take();
        a["codecs"] = json!([{"name": "sharding_indexed", "configuration": {
            "chunk_shape": [1, 1, 1], "codecs": inner,
            "index_codecs": [{"name": "bytes", "configuration": {"endian": "little"}}]}}]);
    });
    let error = sharded.read_all().unwrap_err();
    assert!(matches!(error, Error::LimitExceeded { .. }), "{error}");
}

#[test]
fn metadata_over_the_limit_is_refused() {
    let case = Case::new(|_| {});
    case.edit(".zattrs", |a| a["note"] = "x".repeat(5000).into());
    let mut limits = Limits::default();
    limits.max_metadata_bytes = 4096;
    let options = OpenOptions::default().with_limits(limits);
    let error = Volume::open_with(case.path.to_str().unwrap(), &options).unwrap_err();
    assert!(matches!(error, Error::LimitExceeded { .. }), "{error}");
    assert!(error.to_string().contains(".zattrs"), "{error}");
}

#[test]
fn metadata_that_cannot_be_is_refused_with_the_place() {
    type Edit = fn(&mut Value);
    let refused = |file: &str, change: Edit, expected: &str| {
        let case = Case::new(|_| {});
        case.edit(file, change);
        let error = case.open().map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains("v.zarr"), "{expected}: {error}");
        assert!(!error.contains('\n'), "{error}");
    };
    refused("0/.zarray", |a| a["dtype"] = json!("<c8"), "<c8");
    refused("0/.zarray", |a| a["dtype"] = json!([["a", "<u2"]]), "known are");
    refused("0/.zarray", |a| a["chunks"] = json!([8, 8]), "[8, 8]");
    refused("0/.zarray", |a| a["chunks"] = json!([8, 0, 8]), "[8, 0, 8]");
    refused("0/.zarray", |a| a["shape"] = json!("large"), "shape");
    refused("0/.zarray", |a| a["shape"] = json!([8, 0, 24]), "no voxels");
    refused("0/.zarray", |a| a["compressor"] = json!({"id": "quantum"}), "quantum");
    refused("0/.zarray", |a| a["filters"] = json!([{"id": "quantum"}]), "quantum");
    let axes = |a: &mut Value| a["multiscales"][0]["axes"].as_array_mut().unwrap().reverse();
    refused(".zattrs", axes, "x, y, z");
    let fewer = |a: &mut Value| _ = a["multiscales"][0]["axes"].as_array_mut().unwrap().pop();
    refused(".zattrs", fewer, "zy");
    refused(".zattrs", |a| a["multiscales"][0]["datasets"][0]["path"] = json!("9"), "(9)");
    refused(".zattrs", |a| a["multiscales"][0]["datasets"][0]["path"] = json!("../0"), "(../0)");
    refused(".zattrs", |a| a["multiscales"][0]["datasets"] = json!(3), "multiscales");
    refused(".zattrs", |a| _ = a.as_object_mut().unwrap().remove("multiscales"), "found: 0");
}

#[test]
fn text_that_is_not_json_is_refused_with_the_file() {
    let case = Case::new(|o| o.ome = OmeVersion::V05);
    for text in ["", "{\"node_type\": ", "[1, 2]", "{\"node_type\": \"tree\"}"] {
        fs::write(case.path.join("zarr.json"), text).unwrap();
        let error = case.open().map(|_| ()).unwrap_err();
        assert!(matches!(error, Error::Format { .. }), "{error:?}");
        assert!(error.to_string().contains("zarr.json"), "{error}");
    }
}

#[test]
fn region_outside_names_the_axis() {
    let case = Case::new(|_| {});
    let error = case.open().unwrap().read(0, &BoundingBox::whole([8, 17, 24])).unwrap_err();
    assert!(
        matches!(error, Error::Usage { .. }) && error.to_string().contains("axis y"),
        "{error}"
    );
    let error = case.open().unwrap().read(1, &BoundingBox::whole([8; 3])).unwrap_err();
    assert!(error.to_string().contains("channel 1"), "{error}");
}

#[test]
fn flipped_bytes_anywhere_never_panic() {
    for (codec, shard) in [(Codec::Zstd(1), None), (Codec::Gzip(1), Some([8, 8, 16]))] {
        let case = Case::new(|o| {
            (o.codec, o.ome, o.shard_shape) = (codec, OmeVersion::V05, shard);
        });
        for file in ["zarr.json", "0/zarr.json", "0/c/0/0/0"] {
            let path = case.path.join(file);
            let bytes = fs::read(&path).unwrap();
            let step = (bytes.len() / 150).max(1);
            for at in (0..bytes.len()).step_by(step) {
                let mut flipped = bytes.clone();
                flipped[at] ^= 0x15;
                fs::write(&path, &flipped).unwrap();
                // Many flips do no harm; those that do must give an error, not a panic.
                let _ = case.read_all();
            }
            fs::write(&path, &bytes).unwrap();
        }
        case.read_all().unwrap();
    }
}
