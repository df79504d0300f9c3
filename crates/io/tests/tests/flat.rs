//! NPY and raw: what is written is read back, by us and by NumPy; damage is named.

use std::fs;
use std::path::Path;

use exavox_io::{BoundingBox, DataType, Error, Volume, VolumeWriter, WriteOptions};
use proptest::prelude::*;

use crate::{pattern, peers};

fn options(dtype: DataType, shape: [u64; 3], channels: u64) -> WriteOptions {
    let names = (0..channels).map(|c| c.to_string()).collect();
    WriteOptions::new(dtype, shape).with_channels(names)
}

fn write(path: &Path, options: &WriteOptions, shuffle: u64) {
    let writer = VolumeWriter::create(path.to_str().unwrap(), options).unwrap();
    let channels = options.channels.len() as u64;
    pattern::write(&writer, options.dtype, options.shape, channels, shuffle);
    writer.finish().unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn written_is_read(
        dtype in pattern::any_dtype(),
        shape in pattern::any_shape(),
        channels in 1..=3u64,
        shuffle: u64,
        seeds: [(u64, u64); 3],
    ) {
        let folder = tempfile::tempdir().unwrap();
        let options = options(dtype, shape, channels);
        let npy = folder.path().join("v.npy");
        write(&npy, &options, shuffle);
        let raw = folder.path().join("v.raw");
        write(&raw, &options, shuffle);
        let [z, y, x] = shape;
        let raw = format!("{}:{dtype}:{channels},{z},{y},{x}", raw.display());
        for name in [npy.to_str().unwrap(), &raw] {
            let volume = Volume::open(name).unwrap();
            prop_assert_eq!((volume.metadata().dtype, volume.shape()), (dtype, shape));
            prop_assert_eq!(volume.metadata().channels.len() as u64, channels);
            pattern::check(&volume, &BoundingBox::whole(shape));
            pattern::check(&volume, &pattern::inside(shape, seeds));
        }
    }
}

#[test]
fn ours_reads_numpy() {
    let Some(python) = peers::python() else { return };
    let folder = tempfile::tempdir().unwrap();
    peers::run(&python, "flat_peers.py", &["write", folder.path().to_str().unwrap()]);
    let files = fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().path());
    let files: Vec<_> = files.filter(|path| path.is_file()).collect();
    assert_eq!(files.len(), 16);
    for path in files {
        pattern::check_all(&Volume::open(path.to_str().unwrap()).unwrap());
    }
    for (name, expected) in [("fortran", "Fortran"), ("complex", "<c8"), ("five", "5 axes")] {
        let path = folder.path().join(format!("bad/{name}.npy"));
        let error = Volume::open(path.to_str().unwrap()).map(|_| ()).unwrap_err();
        assert!(matches!(error, Error::Unsupported { .. }), "{error:?}");
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn numpy_reads_ours() {
    let Some(python) = peers::python() else { return };
    let folder = tempfile::tempdir().unwrap();
    for dtype in DataType::ALL {
        write(&folder.path().join(format!("{dtype}_1.npy")), &options(dtype, [9, 21, 33], 1), 5);
        write(&folder.path().join(format!("{dtype}_2.npy")), &options(dtype, [1, 21, 3], 2), 5);
    }
    peers::run(&python, "flat_peers.py", &["check", folder.path().to_str().unwrap()]);
}

/// A file of the pattern, cut to a part of its length.
fn cut(folder: &Path, name: &str, part: f64) -> std::path::PathBuf {
    let path = folder.join(name);
    write(&path, &options(DataType::U16, [9, 21, 33], 1), 0);
    let length = fs::metadata(&path).unwrap().len();
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len((length as f64 * part) as u64).unwrap();
    path
}

#[test]
fn truncated_files_are_refused_with_expected_and_found() {
    let folder = tempfile::tempdir().unwrap();
    let npy = cut(folder.path(), "v.npy", 0.5).display().to_string();
    let raw = format!("{}:uint16:9,21,33", cut(folder.path(), "v.raw", 0.5).display());
    for (name, needed) in [(npy, 9 * 21 * 33 * 2 + 128), (raw, 9 * 21 * 33 * 2)] {
        let error = Volume::open(&name).map(|_| ()).unwrap_err();
        assert!(matches!(error, Error::Format { .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.contains(&needed.to_string()) && text.contains("found"), "{text}");
    }
    let header = cut(folder.path(), "w.npy", 0.004);
    let error = Volume::open(header.to_str().unwrap()).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("w.npy"), "{error}");
}

#[test]
fn file_cut_while_open_gives_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = cut(folder.path(), "v.npy", 1.0);
    let volume = Volume::open(path.to_str().unwrap()).unwrap();
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(500).unwrap();
    let error = volume.read(0, &BoundingBox::whole([9, 21, 33])).unwrap_err();
    assert!(matches!(error, Error::Format { .. }), "{error:?}");
}

/// An NPY file whose header is a given text.
fn npy(folder: &Path, header: &str) -> String {
    let path = folder.join("h.npy");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend([0; 64]);
    fs::write(&path, bytes).unwrap();
    path.display().to_string()
}

#[test]
fn headers_that_lie_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let headers = [
        "{'descr': '|u1', 'fortran_order': False, 'shape': (1000000, 1000000, 1000000), }",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (18446744073709551615, 8, 8), }",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (18446744073709551615, 2, 2, 2), }",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (0, 2, 2), }",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (-1, 2, 2), }",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 2",
        "{'descr': '', 'fortran_order': False, 'shape': (2, 2), }",
        "{'descr': '<', 'fortran_order': False, 'shape': (2, 2), }",
        "{'fortran_order': False, 'shape': (2, 2), }",
        "{}",
        "",
    ];
    for header in headers {
        let error = Volume::open(&npy(folder.path(), header)).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains("h.npy"), "{header}: {error}");
    }
    let right = "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 2), }";
    Volume::open(&npy(folder.path(), right)).unwrap();
}

#[test]
fn header_longer_than_the_limit_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("v.npy");
    let mut bytes = b"\x93NUMPY\x02\x00".to_vec();
    bytes.extend(u32::MAX.to_le_bytes());
    fs::write(&path, bytes).unwrap();
    let error = Volume::open(path.to_str().unwrap()).map(|_| ()).unwrap_err();
    assert!(matches!(error, Error::LimitExceeded { .. }), "{error:?}");
}

#[test]
fn region_outside_names_the_axis() {
    let folder = tempfile::tempdir().unwrap();
    let path = cut(folder.path(), "v.npy", 1.0);
    let volume = Volume::open(path.to_str().unwrap()).unwrap();
    for (axis, end) in [("z", [10, 21, 33]), ("y", [9, 22, 33]), ("x", [9, 21, 34])] {
        let error = volume.read(0, &BoundingBox::whole(end)).unwrap_err().to_string();
        assert!(error.contains(&format!("axis {axis} of")), "{error}");
    }
}
