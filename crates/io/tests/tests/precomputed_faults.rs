//! Damaged and hostile precomputed volumes: an error that names the place, never a panic, never memory
//! without bound.

use std::fs;
use std::path::{Path, PathBuf};

use exavox_io::volume::{Codec, Encoding};
use exavox_io::{BoundingBox, DataType, Error, Volume, VolumeWriter, WriteOptions};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::pattern;

const SHAPE: [u64; 3] = [8, 16, 24];
/// The chunk that is damaged: index and name.
const CHUNK: &str = "chunk [0, 1, 2]";
const OBJECT: &str = "1_1_1/16-24_8-16_0-8";

/// A volume of chunks of 8^3 in a folder of its own.
struct Case {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

impl Case {
    fn new(change: impl FnOnce(&mut WriteOptions)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("v.precomputed");
        let mut options = WriteOptions::new(DataType::U32, SHAPE);
        options.chunk_shape = Some([8; 3]);
        change(&mut options);
        let writer = VolumeWriter::create(path.to_str().unwrap(), &options).unwrap();
        pattern::write(&writer, options.dtype, SHAPE, 1, 0);
        writer.finish().unwrap();
        Self { _folder: folder, path }
    }

    fn sharded(codec: Codec) -> Self {
        // Chunk [0, 1, 2] has number 5 of 0 to 5: one of the two in the second shard.
        Self::new(|o| (o.codec, o.shard_shape) = (codec, Some([8, 16, 16])))
    }

    fn open(&self) -> Result<Volume, Error> {
        Volume::open(self.path.to_str().unwrap())
    }

    fn read_all(&self) -> Result<(), Error> {
        self.open()?.read(0, &BoundingBox::whole(SHAPE)).map(|_| ())
    }

    fn edit(&self, change: impl FnOnce(&mut Value)) {
        let path = self.path.join("info");
        let mut document = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        change(&mut document);
        fs::write(path, serde_json::to_vec(&document).unwrap()).unwrap();
    }

    fn edit_scale(&self, change: impl FnOnce(&mut Value)) {
        self.edit(|info| change(&mut info["scales"][0]));
    }

    /// Changes the bytes of an object.
    fn damage(&self, object: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let path = self.path.join(object);
        let mut bytes = fs::read(&path).unwrap();
        change(&mut bytes);
        fs::write(path, bytes).unwrap();
    }
}

/// The error names the object and the words, in one line; the rest of the volume can still be read.
fn assert_names(case: &Case, object: &str, words: &[&str]) {
    let region = BoundingBox::new([0, 8, 16], SHAPE);
    let error = case.open().unwrap().read(0, &region).unwrap_err();
    let text = error.to_string();
    let named = [CHUNK, object, "v.precomputed"].iter().chain(words).all(|w| text.contains(w));
    assert!(named && !text.contains('\n'), "{text}");
    pattern::check(&case.open().unwrap(), &BoundingBox::whole([8; 3]));
}

#[test]
fn chunk_of_the_wrong_length_is_named() {
    let case = Case::new(|_| {});
    case.damage(OBJECT, |bytes| bytes.truncate(1000));
    assert_names(&case, OBJECT, &["expected 2048 bytes, found 1000"]);
    case.damage(OBJECT, |bytes| bytes.resize(3000, 0));
    assert_names(&case, OBJECT, &["expected 2048 bytes, found 3000"]);
    case.damage(OBJECT, |bytes| bytes.resize(10 << 20, 0));
    assert_names(&case, OBJECT, &["limit"]);
}

#[test]
fn damaged_gzip_is_named() {
    let case = Case::new(|o| o.codec = Codec::Gzip(6));
    let object = format!("{OBJECT}.gz");
    let original = fs::read(case.path.join(&object)).unwrap();
    for at in [20, original.len() - 6, original.len() - 2] {
        case.damage(&object, |bytes| bytes[at] ^= 0x55);
        assert_names(&case, &object, &["gzip"]);
        fs::write(case.path.join(&object), &original).unwrap();
    }
    case.damage(&object, |bytes| bytes.truncate(bytes.len() - 4));
    assert_names(&case, &object, &["gzip"]);
    let bomb = {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut encoder, &vec![0; 1 << 24]).unwrap();
        encoder.finish().unwrap()
    };
    fs::write(case.path.join(&object), bomb).unwrap();
    assert_names(&case, &object, &["more than 2048 bytes"]);
}

#[test]
fn damaged_labels_and_images_are_named() {
    let labels = Case::new(|o| o.encoding = Encoding::CompressedSegmentation);
    labels.damage(OBJECT, |bytes| bytes.truncate(100));
    assert_names(&labels, OBJECT, &["block at [0, 0, 0]: leads out of the data"]);
    let image = Case::new(|o| (o.dtype, o.encoding) = (DataType::U8, Encoding::Png));
    image.damage(OBJECT, |bytes| bytes.truncate(100));
    assert_names(&image, OBJECT, &["PNG"]);
    let wider = Case::new(|o| (o.dtype, o.encoding) = (DataType::U16, Encoding::Png));
    fs::copy(
        Case::new(|o| (o.dtype, o.encoding) = (DataType::U8, Encoding::Png)).path.join(OBJECT),
        wider.path.join(OBJECT),
    )
    .unwrap();
    assert_names(&wider, OBJECT, &["Eight bits, expected uint16"]);
    let flatter = Case::new(|o| (o.dtype, o.encoding) = (DataType::U8, Encoding::Png));
    flatter.edit(|info| info["num_channels"] = json!(3));
    let error = flatter.read_all().unwrap_err().to_string();
    assert!(
        error.contains("8 x 64 pixels with 1 samples") && error.contains("3 channels"),
        "{error}"
    );
}

#[test]
fn names_of_codecs_that_are_not_read_are_not_zeros() {
    let case = Case::new(|_| {});
    let other = format!("{OBJECT}.br");
    fs::rename(case.path.join(OBJECT), case.path.join(&other)).unwrap();
    assert_names(&case, &other, &["not supported", ".br"]);
}

#[test]
fn truncated_shard_is_named() {
    for codec in [Codec::Raw, Codec::Gzip(6)] {
        for length in [0, 10] {
            let case = Case::sharded(codec);
            case.damage("1_1_1/1.shard", |bytes| bytes.truncate(length));
            let words = ["shard index: ", &format!("found {length}")];
            assert_names(&case, "1_1_1/1.shard", &words);
        }
        let case = Case::sharded(codec);
        case.damage("1_1_1/1.shard", |bytes| bytes.truncate(bytes.len() - 1));
        assert_names(&case, "1_1_1/1.shard", &["index of minishard 0: truncated"]);
        let case = Case::sharded(codec);
        case.damage("1_1_1/1.shard", |bytes| bytes[0..16].fill(0xff));
        // An index of no bytes anywhere: there are no chunks in the minishard.
        assert!(case.read_all().is_ok());
        case.damage("1_1_1/1.shard", |bytes| bytes[0..8].fill(0));
        assert_names(&case, "1_1_1/1.shard", &["index of minishard 0", "limit"]);
        case.damage("1_1_1/1.shard", |bytes| bytes[8..16].fill(0));
        case.damage("1_1_1/1.shard", |bytes| bytes[0] = 9);
        assert_names(&case, "1_1_1/1.shard", &["ends at 0 before 9"]);
    }
}

#[test]
fn minishard_index_beyond_the_file_is_named() {
    for codec in [Codec::Raw, Codec::Gzip(6)] {
        let case = Case::sharded(codec);
        case.damage("1_1_1/1.shard", |bytes| {
            bytes[0..8].copy_from_slice(&1_000_000_u64.to_le_bytes());
            bytes[8..16].copy_from_slice(&1_000_048_u64.to_le_bytes());
        });
        assert_names(&case, "1_1_1/1.shard", &["index of minishard 0: truncated", "1000064"]);
        case.damage("1_1_1/1.shard", |bytes| {
            bytes[0..8].copy_from_slice(&(u64::MAX - 8).to_le_bytes());
            bytes[8..16].copy_from_slice(&u64::MAX.to_le_bytes());
        });
        assert_names(&case, "1_1_1/1.shard", &["index of minishard 0: offset", "beyond"]);
    }
}

#[test]
fn chunk_beyond_the_shard_is_named() {
    for (word, value) in [(2, 1_000_000_u64), (4, 1_000_000), (4, u64::MAX), (2, u64::MAX - 9)] {
        let case = Case::sharded(Codec::Raw);
        case.damage("1_1_1/1.shard", |bytes| {
            let at = bytes.len() - 48 + 8 * word;
            bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
        });
        let error = case.read_all().unwrap_err().to_string();
        assert!(error.contains("1_1_1/1.shard") && error.contains("chunk [0, "), "{error}");
    }
}

#[test]
fn damaged_chunk_in_a_shard_is_named() {
    let case = Case::sharded(Codec::Gzip(6));
    case.damage("1_1_1/1.shard", |bytes| {
        let last = bytes.windows(3).rposition(|w| w == [0x1f, 0x8b, 8]).unwrap();
        let at = bytes[..last].windows(3).rposition(|w| w == [0x1f, 0x8b, 8]).unwrap();
        bytes[at + 40] ^= 0xff;
    });
    assert_names(&case, "1_1_1/1.shard", &["gzip"]);
}

#[test]
fn keys_that_lead_out_are_refused() {
    for key in ["../..", "../other", "/etc", "a/../../b"] {
        let case = Case::new(|_| {});
        case.edit_scale(|scale| scale["key"] = json!(key));
        let error = case.open().unwrap_err().to_string();
        assert!(error.contains("info") && error.contains(key) && error.contains("out"), "{error}");
    }
    let case = Case::new(|_| {});
    case.edit_scale(|scale| scale["key"] = json!("other/../1_1_1"));
    pattern::check_all(&case.open().unwrap());
}

#[test]
fn info_of_absurd_sizes_is_refused() {
    let max = json!([u64::MAX, u64::MAX, u64::MAX]);
    let edits: [(&str, Value); 12] = [
        ("size", max.clone()),
        ("size", json!([1, 0, 1])),
        ("size", json!([-1, 2, 3])),
        ("size", json!([1, 2])),
        ("chunk_sizes", json!([max])),
        ("chunk_sizes", json!([])),
        ("chunk_sizes", json!([[0, 1, 1]])),
        ("voxel_offset", json!([i64::MAX, 0, 0])),
        ("resolution", json!([0, 1, 1])),
        ("resolution", json!([1, -1, 1])),
        ("key", json!(7)),
        ("encoding", json!("compressed_segmentation")),
    ];
    for (field, value) in edits {
        let case = Case::new(|_| {});
        case.edit_scale(|scale| scale[field] = value.clone());
        let error = case.open().unwrap_err().to_string();
        let named = error.contains("v.precomputed") && error.contains("info");
        assert!(named && !error.contains('\n'), "{field} {value}: {error}");
    }
    let case = Case::new(|_| {});
    case.edit_scale(|scale| scale["chunk_sizes"] = json!([[1 << 20, 1 << 20, 1 << 20]]));
    let error = case.read_all().unwrap_err();
    assert!(!error.to_string().is_empty());
    case.edit_scale(|scale| {
        scale["size"] = json!([1 << 20, 1 << 20, 1 << 20]);
    });
    let error = case.open().unwrap().read(0, &BoundingBox::whole([1; 3])).unwrap_err();
    assert!(matches!(error, Error::LimitExceeded { .. }), "{error}");
}

#[test]
fn info_that_is_none_is_refused() {
    let edits: [(&str, Value, &str); 8] = [
        ("@type", json!("neuroglancer_skeletons"), "neuroglancer_skeletons"),
        ("data_type", json!("complex64"), "complex64"),
        ("num_channels", json!(0), "0 channels"),
        ("num_channels", json!(u64::MAX), "channels"),
        ("scales", json!([]), "0 scales"),
        ("scales", json!(vec![json!({}); 65]), "65 scales"),
        ("scales", json!([7]), "scale 0"),
        ("scales", json!({}), "info"),
    ];
    for (field, value, word) in edits {
        let case = Case::new(|_| {});
        case.edit(|info| info[field] = value);
        let error = case.open().unwrap_err().to_string();
        assert!(error.contains(word) && error.contains("info"), "{field}: {error}");
    }
    let case = Case::new(|_| {});
    fs::write(case.path.join("info"), "{").unwrap();
    assert!(case.open().unwrap_err().to_string().contains("not valid JSON"));
    fs::remove_file(case.path.join("info")).unwrap();
    let error = Volume::open(&format!("precomputed://{}", case.path.display())).unwrap_err();
    assert!(error.to_string().contains("no such document"), "{error}");
}

#[test]
fn sharding_that_cannot_be_is_refused() {
    let edits: [(&str, Value); 6] = [
        ("@type", json!("other")),
        ("hash", json!("md5")),
        ("minishard_bits", json!(40)),
        ("shard_bits", json!(65)),
        ("preshift_bits", json!(-1)),
        ("data_encoding", json!("zstd")),
    ];
    for (field, value) in edits {
        let case = Case::sharded(Codec::Raw);
        case.edit_scale(|scale| scale["sharding"][field] = value.clone());
        let error = case.open().unwrap_err().to_string();
        assert!(error.contains("sharding") && error.contains("info"), "{field} {value}: {error}");
    }
    let case = Case::sharded(Codec::Raw);
    case.edit_scale(|scale| {
        let edge = 1_u64 << 22;
        (scale["size"], scale["chunk_sizes"]) =
            (json!([edge, edge / 2, edge / 4]), json!([[1, 1, 1]]));
    });
    case.edit_scale(|scale| scale["sharding"]["minishard_bits"] = json!(32));
    let volume = case.open().unwrap();
    // An index of 64 GiB is not read whole.
    let error = volume.read(0, &BoundingBox::whole([1; 3])).unwrap_err();
    assert!(error.to_string().contains("shard index"), "{error}");
}

#[test]
fn encodings_that_are_not_read_are_named() {
    let case = Case::new(|_| {});
    for encoding in ["jxl", "compresso", "png\n", "jpeg"] {
        case.edit_scale(|scale| scale["encoding"] = json!(encoding));
        let error = case.open().unwrap_err();
        assert!(matches!(error, Error::Unsupported { .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.contains(encoding.trim()) && !text.contains('\n'), "{text}");
    }
}

/// Reads all that can be read of an object with other bytes.
fn read_damaged(case: &Case, object: &Path, bytes: &[u8]) {
    fs::write(object, bytes).unwrap();
    if let Err(error) = case.read_all() {
        let text = error.to_string();
        assert!(text.contains("v.precomputed") && !text.contains('\n'), "{text}");
    }
}

#[test]
fn no_damage_panics() {
    let cases = [
        (Case::sharded(Codec::Raw), "1_1_1/1.shard"),
        (Case::sharded(Codec::Gzip(6)), "1_1_1/1.shard"),
        (Case::new(|o| o.encoding = Encoding::CompressedSegmentation), OBJECT),
        (Case::new(|o| (o.dtype, o.encoding) = (DataType::U8, Encoding::Png)), OBJECT),
    ];
    for (case, object) in &cases {
        let path = case.path.join(object);
        let original = fs::read(&path).unwrap();
        let changes = proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6);
        let config = ProptestConfig::with_cases(40);
        proptest!(config, |(changes in changes, keep in any::<prop::sample::Index>(), cut: bool)| {
            let mut bytes = original.clone();
            for (at, value) in changes {
                let at = at.index(bytes.len().min(120));
                bytes[at] = value;
            }
            if cut {
                bytes.truncate(keep.index(bytes.len()));
            }
            read_damaged(case, &path, &bytes);
        });
    }
}
