//! Damaged and hostile N5: an error that names the place, never a panic, never memory without bound.

use std::fs;
use std::path::PathBuf;

use exavox_io::volume::Codec;
use exavox_io::{
    BoundingBox, DataType, Error, Limits, OpenOptions, Volume, VolumeWriter, WriteOptions,
};
use serde_json::{Value, json};

use crate::pattern;

const SHAPE: [u64; 3] = [8, 16, 24];
const CODECS: [Codec; 4] = [Codec::Raw, Codec::Zstd(3), Codec::Gzip(3), Codec::Blosc(5)];

/// A volume of blocks of 8^3 in a folder of its own.
struct Case {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

impl Case {
    fn new(codec: Codec) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("v.n5");
        let mut options = WriteOptions::new(DataType::U16, SHAPE);
        options.chunk_shape = Some([8; 3]);
        options.codec = codec;
        let writer = VolumeWriter::create(path.to_str().unwrap(), &options).unwrap();
        pattern::write(&writer, options.dtype, SHAPE, 1, 0);
        writer.finish().unwrap();
        Self { _folder: folder, path }
    }

    fn open(&self) -> Result<Volume, Error> {
        Volume::open(self.path.to_str().unwrap())
    }

    /// Changes the attributes of the dataset; the error of opening it and reading all.
    fn with(&self, change: impl FnOnce(&mut Value)) -> Error {
        let path = self.path.join("s0/attributes.json");
        let before = fs::read(&path).unwrap();
        let mut document = serde_json::from_slice(&before).unwrap();
        change(&mut document);
        fs::write(&path, document.to_string()).unwrap();
        let read = |volume: Volume| volume.read(0, &BoundingBox::whole(volume.shape())).map(|_| ());
        let error = self.open().and_then(read).unwrap_err();
        fs::write(&path, before).unwrap();
        assert!(error.to_string().contains("v.n5"), "{error}");
        error
    }

    /// Changes block (2, 1, 0): the error names store, key and chunk; the rest can be read.
    fn damage(&self, change: impl FnOnce(&mut Vec<u8>)) -> String {
        let path = self.path.join("s0/2/1/0");
        let before = fs::read(&path).unwrap();
        let mut bytes = before.clone();
        change(&mut bytes);
        fs::write(&path, bytes).unwrap();
        let volume = self.open().unwrap();
        let error = volume.read(0, &BoundingBox::whole(SHAPE)).unwrap_err();
        pattern::check(&volume, &BoundingBox::whole([8; 3]));
        fs::write(&path, before).unwrap();
        assert!(matches!(error, Error::Format { .. }), "{error:?}");
        let text = error.to_string();
        let named = ["v.n5", "s0/2/1/0", "chunk [2, 1, 0]"].iter().all(|part| text.contains(part));
        assert!(named && !text.contains('\n'), "{text}");
        text
    }
}

#[test]
fn truncated_blocks_are_named() {
    for codec in CODECS {
        let case = Case::new(codec);
        for keep in [0, 3, 15, 16, 30] {
            case.damage(|bytes| bytes.truncate(keep));
        }
        case.damage(|bytes| bytes.truncate(bytes.len() - 1));
    }
}

#[test]
fn garbage_after_the_header_is_named() {
    for codec in CODECS {
        let case = Case::new(codec);
        case.damage(|bytes| {
            bytes.truncate(16);
            bytes.extend([0x5A; 100]);
        });
    }
}

#[test]
fn wrong_lengths_are_named_with_expected_and_found() {
    let text = Case::new(Codec::Raw).damage(|bytes| bytes.extend([0; 2]));
    assert!(text.contains("1026") && text.contains("1024"), "{text}");
    for codec in CODECS {
        let case = Case::new(codec);
        // The header claims half of the voxels that are there.
        let text = case.damage(|bytes| bytes[15] = 4);
        assert!(text.contains("512"), "{text}");
    }
}

#[test]
fn headers_that_lie_are_refused() {
    let case = Case::new(Codec::Zstd(3));
    let bomb = case.damage(|bytes| bytes[4..16].fill(0xFF));
    assert!(bomb.contains("4294967295"), "{bomb}");
    assert!(case.damage(|bytes| bytes[15] = 0).contains("[8, 8, 0]"));
    assert!(case.damage(|bytes| bytes[3] = 2).contains("2 axes"));
    assert!(case.damage(|bytes| bytes[1] = 2).contains("mode 2"));
    case.damage(|bytes| bytes[1] = 1);
}

#[test]
fn checksums_are_verified() {
    let case = Case::new(Codec::Gzip(3));
    case.damage(|bytes| {
        let crc = bytes.len() - 6;
        bytes[crc] ^= 1;
    });
}

#[test]
fn attributes_that_lie_are_refused() {
    let case = Case::new(Codec::Zstd(3));
    let set = |name: &'static str, value: Value| {
        let error = case.with(|document| document[name] = value);
        assert!(error.to_string().contains("attributes.json"), "{error}");
        error.to_string()
    };
    assert!(set("compression", json!({ "type": "jpeg" })).contains("jpeg"));
    assert!(set("compression", json!("zstd")).contains("compression"));
    assert!(set("dataType", json!("string")).contains("string"));
    assert!(set("blockSize", json!([8, 8])).contains("2 axes, dimensions has 3"));
    assert!(set("blockSize", json!([8, 8, 0])).contains("blockSize 0"));
    assert!(set("blockSize", json!([8, 8, -1])).contains("blockSize"));
    assert!(set("blockSize", json!([8, 8, 8.5])).contains("blockSize"));
    assert!(set("dimensions", json!([8])).contains("dimensions has 1"));
    assert!(set("dimensions", json!("8,8,8")).contains("dimensions"));
    assert!(set("axes", json!(["z", "y", "x"])).contains("axes"));
    let one_axis = case.with(|document| {
        document["dimensions"] = json!([8]);
        document["blockSize"] = json!([8]);
    });
    assert!(one_axis.to_string().contains("1 axes; expected 2 to 5"), "{one_axis}");
    let many = case.with(|document| {
        document["dimensions"] = json!([8, 8, 8, 1_u64 << 40]);
        document["blockSize"] = json!([8, 8, 8, 1]);
        document["axes"] = Value::Null;
    });
    assert!(many.to_string().contains("channels"), "{many}");
}

#[test]
fn sizes_that_no_memory_holds_are_refused_before_they_are_taken() {
    let case = Case::new(Codec::Zstd(3));
    let huge = json!([u64::MAX, u64::MAX, u64::MAX]);
    case.with(|document| document["dimensions"] = huge);
    let error = case.with(|document| document["dimensions"] = json!([1 << 20, 1 << 20, 1 << 20]));
    assert!(matches!(error, Error::LimitExceeded { .. }), "{error:?}");
    let mut limits = Limits::default();
    limits.max_chunk_bytes = 1000;
    let options = OpenOptions::default().with_limits(limits);
    let volume = Volume::open_with(case.path.to_str().unwrap(), &options).unwrap();
    let error = volume.read(0, &BoundingBox::whole([1; 3])).unwrap_err();
    assert!(matches!(error, Error::LimitExceeded { .. }), "{error:?}");
}

#[test]
fn damaged_documents_are_named() {
    let case = Case::new(Codec::Raw);
    for (name, content) in
        [("attributes.json", "{\"n5\": "), ("attributes.json", "[]"), ("s0/attributes.json", "\0")]
    {
        let path = case.path.join(name);
        let before = fs::read(&path).unwrap();
        fs::write(&path, content).unwrap();
        let error = case.open().map(|_| ()).unwrap_err();
        assert!(matches!(error, Error::Format { .. }), "{error:?}");
        assert!(error.to_string().contains(name), "{error}");
        fs::write(&path, before).unwrap();
    }
    case.open().unwrap();
}
