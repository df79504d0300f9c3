//! HDF5, as h5py writes it and as it is after damage.

use std::fs;
use std::path::Path;

use exavox_io::{BoundingBox, DataType, Error, Limits, OpenOptions, Volume};

use crate::{pattern, peers};

/// Files of the peer in a new folder; `None` where there is no peer.
fn peer_files() -> Option<tempfile::TempDir> {
    let python = peers::python()?;
    let folder = tempfile::tempdir().unwrap();
    peers::run(&python, "hdf5_peers.py", &["write", folder.path().to_str().unwrap()]);
    Some(folder)
}

fn open(folder: &Path, name: &str) -> Result<Volume, Error> {
    Volume::open(folder.join(name).to_str().unwrap())
}

#[test]
fn ours_reads_h5py() {
    let Some(folder) = peer_files() else { return };
    let mut count = 0;
    for entry in fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            continue;
        }
        pattern::check_all(&Volume::open(path.to_str().unwrap()).unwrap());
        count += 1;
    }
    assert_eq!(count, 13);
    let volume = open(folder.path(), "shuffle.h5:volumes/raw").unwrap();
    assert_eq!(volume.metadata().codecs, ["shuffle", "deflate"]);
    assert_eq!(volume.metadata().chunk_shape, [4, 8, 16]);
    assert_eq!(volume.metadata().dtype, DataType::U32);
    let four = open(folder.path(), "four.h5:v").unwrap();
    assert_eq!((four.metadata().channels.len(), four.shape()), (2, [9, 21, 33]));
}

#[test]
fn datasets_are_chosen_by_name() {
    let Some(folder) = peer_files() else { return };
    let folder = &folder.path().join("special");
    let nm = |name: &str| open(folder, name).unwrap().metadata().voxel_size.unwrap().nm_zyx;
    assert_eq!(nm("two.h5:/volumes/raw"), [40.0, 4.0, 4.0]);
    assert_eq!(nm("two.h5:volumes/labels").map(|v| v.round()), [40.0, 8.0, 4.0]);
    let fails = |name: &str, expected: &str| {
        let error = open(folder, name).map(|_| ()).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(expected) && !text.contains('\n'), "{text}");
        error
    };
    let error = fails("two.h5", "found volumes/labels, volumes/raw");
    assert!(matches!(error, Error::Usage { .. }), "{error:?}");
    let error = fails("two.h5:raw", "no such dataset; found volumes/labels, volumes/raw");
    assert!(matches!(error, Error::Usage { .. }), "{error:?}");
    fails("none.h5", "found no dataset");
    fails("types.h5:complex", "HDF5 type");
    fails("types.h5:five", "5 axes");
    fails("absent.h5:raw", "absent.h5");
    let lzf = open(folder, "types.h5:lzf").unwrap();
    assert_eq!(lzf.metadata().codecs, ["lzf"]);
    let error = lzf.read(0, &BoundingBox::whole([1, 2, 3])).unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }), "{error:?}");
}

#[test]
fn damaged_chunk_is_named() {
    let Some(folder) = peer_files() else { return };
    let path = folder.path().join("gzip.h5");
    let mut bytes = fs::read(&path).unwrap();
    // The chunks lie one after the other, each with the two bytes that zlib begins with.
    let chunks: Vec<usize> =
        (0..bytes.len() - 1).filter(|i| bytes[*i..i + 2] == [0x78, 0x5e]).collect();
    assert!(chunks.len() >= 27, "{}", chunks.len());
    let at = chunks[chunks.len() / 2];
    bytes[at + 2..at + 40].fill(0xa5);
    fs::write(&path, bytes).unwrap();
    let volume = open(folder.path(), "gzip.h5").unwrap();
    let error = volume.read(0, &BoundingBox::whole([9, 21, 33])).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, Error::Format { .. }), "{error:?}");
    assert!(text.contains("chunk [") && text.contains("gzip.h5 (volumes/raw)"), "{text}");
}

#[test]
fn chunk_over_the_limit_is_refused_before_decoding() {
    let Some(folder) = peer_files() else { return };
    let mut limits = Limits::default();
    limits.max_chunk_bytes = 4 * 8 * 16 - 1;
    let options = OpenOptions::default().with_limits(limits);
    let path = folder.path().join("gzip.h5");
    let volume = Volume::open_with(path.to_str().unwrap(), &options).unwrap();
    let error = volume.read(0, &BoundingBox::whole([1, 2, 3])).unwrap_err();
    assert!(matches!(error, Error::LimitExceeded { needed: 512, limit: 511, .. }), "{error:?}");
}

#[test]
fn files_cut_or_changed_anywhere_never_panic() {
    let Some(folder) = peer_files() else { return };
    for name in ["gzip.h5", "latest.h5", "contiguous.h5", "unlimited.h5"] {
        let path = folder.path().join(name);
        let bytes = fs::read(&path).unwrap();
        let read = |bytes: &[u8]| {
            fs::write(&path, bytes).unwrap();
            let volume = Volume::open(path.to_str().unwrap())?;
            volume.read(0, &BoundingBox::whole(volume.shape())).map(|_| ())
        };
        for part in 0..60 {
            let error = read(&bytes[..bytes.len() * part / 61]).unwrap_err().to_string();
            assert!(error.contains(name) && !error.contains('\n'), "{error}");
        }
        // The metadata lies in front; in the data a flip may go unnoticed.
        for at in (0..bytes.len()).step_by(7).take(600) {
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x51;
            if let Err(error) = read(&flipped) {
                assert!(!error.to_string().contains('\n'), "{error}");
            }
        }
    }
}

#[test]
fn real_data_agrees_with_h5py() {
    let Some(data) = peers::data() else { return };
    let files = [
        ("training_sample2_grayscale.h5", "raw", DataType::U8),
        ("training_sample2_groundtruth.h5", "labels", DataType::U64),
        ("training_sample2_ffn_reference.h5", "labels", DataType::U32),
    ];
    for (file, dataset, dtype) in files {
        let path = data.join("fib25").join(file);
        let volume = Volume::open(&format!("{}:{dataset}", path.display())).unwrap();
        assert_eq!((volume.shape(), volume.metadata().dtype), ([250; 3], dtype));
        let sum = |region: &BoundingBox| -> u64 {
            volume.read(0, region).unwrap().to_labels().unwrap().iter().sum()
        };
        let all = sum(&BoundingBox::whole([250; 3]));
        let part = sum(&BoundingBox::new([10, 30, 50], [20, 40, 70]));
        let Some(python) = peers::python() else { continue };
        let facts = peers::run(&python, "hdf5_peers.py", &["sum", path.to_str().unwrap(), dataset]);
        let facts: serde_json::Value = serde_json::from_str(&facts).unwrap();
        assert_eq!((facts["sum"].as_u64(), facts["part"].as_u64()), (Some(all), Some(part)));
    }
}
