//! NRRD: what is written is read back, by us and by the peers; damage and lies are named.

use std::fs;
use std::path::Path;

use exavox_io::volume::{Codec, WriteOrder};
use exavox_io::{
    BoundingBox, DataType, Error, Limits, OpenOptions, Volume, VolumeWriter, VoxelSize,
    WriteOptions,
};
use proptest::prelude::*;

use crate::{pattern, peers};

fn options(dtype: DataType, shape: [u64; 3], channels: u64, codec: Codec) -> WriteOptions {
    let names = (0..channels).map(|c| c.to_string()).collect();
    let mut options = WriteOptions::new(dtype, shape).with_channels(names);
    options.voxel_size = VoxelSize::from_nm_zyx([40.0, 8.0, 4.0]);
    options.codec = codec;
    options
}

/// Writes the pattern: compressed data in order, others in any.
fn write(path: &Path, options: &WriteOptions, shuffle: u64) {
    let writer = VolumeWriter::create(path.to_str().unwrap(), options).unwrap();
    let (dtype, shape) = (options.dtype, options.shape);
    let channels = options.channels.len() as u64;
    if writer.order() == WriteOrder::Strict {
        for channel in 0..channels {
            for block in BoundingBox::whole(shape).tiles([4, shape[1], shape[2]]) {
                let voxels = pattern::region(dtype, channel, &block);
                writer.write(channel as usize, block.start, &voxels).unwrap();
            }
        }
    } else {
        pattern::write(&writer, dtype, shape, channels, shuffle);
    }
    writer.finish().unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn written_is_read(
        dtype in pattern::any_dtype(),
        shape in pattern::any_shape(),
        channels in 1..=3u64,
        is_gzip: bool,
        shuffle: u64,
        seeds: [(u64, u64); 3],
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("v.nrrd");
        let codec = if is_gzip { Codec::Gzip(1) } else { Codec::Raw };
        let options = options(dtype, shape, channels, codec);
        write(&path, &options, shuffle);
        let volume = Volume::open(path.to_str().unwrap()).unwrap();
        prop_assert_eq!((volume.metadata().dtype, volume.shape()), (dtype, shape));
        prop_assert_eq!(volume.metadata().voxel_size, options.voxel_size);
        prop_assert_eq!(&volume.metadata().channels, &options.channels);
        pattern::check(&volume, &BoundingBox::whole(shape));
        pattern::check(&volume, &pattern::inside(shape, seeds));
    }

    /// Lines of a header in any order and mixture: read or refused with the name, never a panic.
    #[test]
    fn any_header_is_read_or_refused(
        lines in proptest::collection::vec((0..FIELDS.len(), "[ -~]{0,12}", any::<bool>()), 0..8),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("h.nrrd");
        let mut text = BASE.to_owned();
        for (field, value, known) in lines {
            let value = if known { VALUES[value.len() % VALUES.len()] } else { value.as_str() };
            text += &format!("{}: {value}\n", FIELDS[field]);
        }
        fs::write(&path, text + "\n0123456789abcdef").unwrap();
        let read = |volume: Volume| volume.read(0, &BoundingBox::whole(volume.shape())).map(|_| ());
        if let Err(error) = Volume::open(path.to_str().unwrap()).and_then(read) {
            let text = error.to_string();
            prop_assert!(!text.contains('\n'), "{text}");
        }
    }
}

const BASE: &str = "NRRD0004\ntype: uint8\ndimension: 3\nsizes: 2 2 2\nencoding: raw\n";
const FIELDS: [&str; 14] = [
    "type",
    "dimension",
    "sizes",
    "encoding",
    "endian",
    "data file",
    "byte skip",
    "line skip",
    "kinds",
    "space directions",
    "space units",
    "spacings",
    "units",
    "space",
];
const VALUES: [&str; 13] = [
    "uint16",
    "gzip",
    "4",
    "1 2 2 2",
    "18446744073709551615 2 2",
    "-1",
    "big",
    "(1,0,0) none (0,0,1)",
    "\"nm\" \"nm\"",
    "nan 1 2",
    "domain list domain",
    "9223372036854775807",
    "h.nrrd",
];

#[test]
fn peers_read_ours() {
    let Some(python) = peers::python() else { return };
    let folder = tempfile::tempdir().unwrap();
    for dtype in DataType::ALL {
        for (name, codec) in [("raw", Codec::Raw), ("gzip", Codec::Gzip(6))] {
            for channels in [1, 2] {
                let path = folder.path().join(format!("{dtype}_{name}_{channels}.nrrd"));
                write(&path, &options(dtype, [9, 21, 33], channels, codec), 5);
            }
        }
    }
    peers::run(&python, "nrrd_peers.py", &["check", folder.path().to_str().unwrap()]);
}

#[test]
fn ours_reads_peers() {
    let Some(python) = peers::python() else { return };
    let folder = tempfile::tempdir().unwrap();
    peers::run(&python, "nrrd_peers.py", &["write", folder.path().to_str().unwrap()]);
    let mut count = 0;
    for entry in fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        if !["nrrd", "nhdr"].iter().any(|e| path.extension().is_some_and(|x| x == *e)) {
            continue;
        }
        let volume = Volume::open(path.to_str().unwrap()).unwrap();
        pattern::check_all(&volume);
        let name = path.file_name().unwrap().to_str().unwrap();
        let found = volume.metadata().voxel_size.map(|size| size.nm_zyx);
        match name {
            "plane.nrrd" => assert_eq!(found, None),
            // ITK's unit is the millimetre; without a size of its own it writes 1.
            "itk.nhdr" => assert_eq!(found, Some([1e6; 3])),
            _ => {
                let close =
                    found.unwrap().iter().zip([40.0, 8.0, 4.0]).all(|(f, e)| (f - e).abs() < 1e-6);
                assert!(close, "{name}: {found:?}");
            }
        }
        count += 1;
    }
    assert_eq!(count, 35);
}

/// A file of a header and data.
fn file(folder: &Path, header: &str, data: &[u8]) -> String {
    let path = folder.join("v.nrrd");
    fs::write(&path, [header.as_bytes(), b"\n", data].concat()).unwrap();
    path.display().to_string()
}

fn read(name: &str) -> Result<Vec<u8>, Error> {
    let volume = Volume::open(name)?;
    volume.read(0, &BoundingBox::whole(volume.shape())).map(|v| v.bytes().to_vec())
}

#[test]
fn skips_and_line_ends_are_honoured() {
    let folder = tempfile::tempdir().unwrap();
    let data = b"12345678";
    let name = file(folder.path(), BASE, data);
    assert_eq!(read(&name).unwrap(), data);
    let name =
        file(folder.path(), &format!("{BASE}line skip: 2\nbyte skip: 3\n"), b"a\nb\n...12345678");
    assert_eq!(read(&name).unwrap(), data);
    let name = file(folder.path(), &format!("{BASE}byte skip: -1\n"), b"anything 12345678");
    assert_eq!(read(&name).unwrap(), data);
    let comments = format!("{BASE}# a comment\nkey:=value: with colon\n").replace('\n', "\r\n");
    fs::write(folder.path().join("v.nrrd"), [comments.as_bytes(), b"\r\n", data].concat()).unwrap();
    assert_eq!(read(&name).unwrap(), data);
}

#[test]
fn data_files_are_plain_names_beside_the_header() {
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("inside");
    fs::create_dir(&inside).unwrap();
    fs::write(folder.path().join("secret"), b"12345678").unwrap();
    fs::write(inside.join("data.raw"), b"12345678").unwrap();
    let with = |data: &str| read(&file(&inside, &format!("{BASE}data file: {data}\n"), b""));
    assert_eq!(with("data.raw").unwrap(), b"12345678");
    assert_eq!(with("./data.raw").unwrap(), b"12345678");
    let absolute = folder.path().join("secret").display().to_string();
    for data in ["../secret", &absolute, "sub/../../secret", "..", "a\\b", "/etc/passwd"] {
        let error = with(data).unwrap_err();
        assert!(matches!(error, Error::Format { .. }), "{error:?}");
        assert!(error.to_string().contains("beside the header"), "{error}");
    }
    for data in ["LIST", "slice%03d.raw 1 9 1"] {
        assert!(matches!(with(data).unwrap_err(), Error::Unsupported { .. }));
    }
    assert!(with("absent.raw").unwrap_err().to_string().contains("absent.raw"));
}

#[test]
fn headers_that_lie_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |header: &str, expected: &str| {
        let error = read(&file(folder.path(), header, b"12345678")).unwrap_err().to_string();
        assert!(error.contains("v.nrrd") && error.contains(expected), "{header}: {error}");
    };
    let with = |line: &str| format!("{BASE}{line}\n");
    refused("NRRD0009\n", "NRRD0009");
    refused("NRRD0004\n", "no field");
    refused(&with("what is this"), "what is this");
    refused(&with("type: block"), "block");
    refused(&with("type: int16"), "endian");
    refused(&with("sizes: 2 2"), "dimension 3, but 2 sizes");
    refused(&with("sizes: 2 0 2"), "above 0");
    refused(&with("sizes: 2 -2 2"), "above 0");
    refused(&with("sizes: 1000000 1000000 1000000"), "truncated");
    refused(&with("sizes: 18446744073709551615 18446744073709551615 2"), "truncated");
    refused(&with("encoding: bzip2"), "bzip2");
    refused(&with("kinds: RGB-color domain domain"), "RGB-color");
    refused(&with("line skip: 5"), "line skip 5");
    refused(&with("line skip: -5"), "line skip -5");
    refused(&with("byte skip: -2"), "byte skip -2");
    refused(&with("byte skip: 9223372036854775807"), "truncated");
    refused(&with("byte skip: 1"), "truncated");
    let five = BASE.replace("dimension: 3", "dimension: 5").replace("2 2 2", "2 2 2 1 1");
    refused(&five, "5 axes");
}

#[test]
fn damaged_gzip_is_named_with_expected_and_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("v.nrrd");
    write(&path, &options(DataType::U16, [9, 21, 33], 1, Codec::Gzip(3)), 0);
    let whole = fs::read(&path).unwrap();
    let name = path.to_str().unwrap();
    for keep in [whole.len() - 1, whole.len() / 2] {
        fs::write(&path, &whole[..keep]).unwrap();
        let error = read(name).unwrap_err();
        assert!(
            matches!(error, Error::Format { .. }) && error.to_string().contains("v.nrrd"),
            "{error}"
        );
    }
    let mut damaged = whole.clone();
    let crc = damaged.len() - 6;
    damaged[crc] ^= 1;
    fs::write(&path, damaged).unwrap();
    assert!(read(name).unwrap_err().to_string().contains("gzip"));
    let resized = |from: &str, to: &str| {
        let end = whole.windows(2).position(|w| w == b"\n\n").unwrap();
        let header = String::from_utf8(whole[..end].to_vec()).unwrap().replace(from, to);
        fs::write(&path, [header.as_bytes(), &whole[end..]].concat()).unwrap();
        read(name).unwrap_err().to_string()
    };
    assert!(resized("33 21 9", "33 21 8").contains("more than the expected 11088"));
    assert!(resized("33 21 9", "33 21 10").contains("12474 bytes, expected 13860"));
}

#[test]
fn a_compressed_volume_larger_than_the_limit_is_refused_before_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("v.nrrd");
    write(&path, &options(DataType::U16, [9, 21, 33], 1, Codec::Gzip(3)), 0);
    let mut limits = Limits::default();
    limits.max_region_bytes = 1000;
    let options = OpenOptions::default().with_limits(limits);
    let error = Volume::open_with(path.to_str().unwrap(), &options).map(|_| ()).unwrap_err();
    assert!(matches!(error, Error::LimitExceeded { .. }), "{error:?}");
}

#[test]
fn compressed_planes_out_of_order_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("v.nrrd");
    let options = options(DataType::U8, [3, 4, 5], 1, Codec::Gzip(3));
    let writer = VolumeWriter::create(path.to_str().unwrap(), &options).unwrap();
    let plane = pattern::region(DataType::U8, 0, &BoundingBox::whole([1, 4, 5]));
    assert!(writer.write(0, [1, 0, 0], &plane).unwrap_err().to_string().contains("expected 0"));
    writer.write(0, [0; 3], &plane).unwrap();
    assert!(writer.finish().unwrap_err().to_string().contains("1 planes written, expected 3"));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}
