//! MRC: what is written is read back, by us and by mrcfile; damage and lies are named.

use std::fs;
use std::path::{Path, PathBuf};

use exavox_io::{BoundingBox, DataType, Error, Volume, VolumeWriter, VoxelSize, WriteOptions};
use proptest::prelude::*;

use crate::{pattern, peers};

const DTYPES: [DataType; 4] = [DataType::I8, DataType::I16, DataType::U16, DataType::F32];
const VOXEL: [f64; 3] = [40.0, 8.0, 4.0];

fn write(path: &Path, dtype: DataType, shape: [u64; 3], channels: u64, shuffle: u64) {
    let names = (0..channels).map(|c| c.to_string()).collect();
    let options = WriteOptions::new(dtype, shape)
        .with_channels(names)
        .with_voxel_size(VoxelSize::from_nm_zyx(VOXEL));
    let writer = VolumeWriter::create(path.to_str().unwrap(), &options).unwrap();
    pattern::write(&writer, dtype, shape, channels, shuffle);
    writer.finish().unwrap();
}

fn is_voxel(volume: &Volume) -> bool {
    let found = volume.metadata().voxel_size.map(|size| size.nm_zyx).unwrap_or_default();
    found.iter().zip(VOXEL).all(|(f, e)| (f - e).abs() < 1e-4)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn written_is_read(
        dtype in prop::sample::select(DTYPES.to_vec()),
        shape in pattern::any_shape(),
        channels in 1..=3u64,
        shuffle: u64,
        seeds: [(u64, u64); 3],
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("v.mrc");
        write(&path, dtype, shape, channels, shuffle);
        let volume = Volume::open(path.to_str().unwrap()).unwrap();
        prop_assert_eq!((volume.metadata().dtype, volume.shape()), (dtype, shape));
        prop_assert_eq!(volume.metadata().channels.len() as u64, channels);
        prop_assert!(is_voxel(&volume));
        pattern::check(&volume, &BoundingBox::whole(shape));
        pattern::check(&volume, &pattern::inside(shape, seeds));
    }
}

#[test]
fn mrcfile_reads_ours() {
    let Some(python) = peers::python() else { return };
    let folder = tempfile::tempdir().unwrap();
    for dtype in DTYPES {
        for channels in [1, 3] {
            let path = folder.path().join(format!("{dtype}_{channels}.mrc"));
            write(&path, dtype, [9, 21, 33], channels, 5);
        }
    }
    peers::run(&python, "mrc_peers.py", &["check", folder.path().to_str().unwrap()]);
}

#[test]
fn ours_reads_mrcfile() {
    let Some(python) = peers::python() else { return };
    let folder = tempfile::tempdir().unwrap();
    peers::run(&python, "mrc_peers.py", &["write", folder.path().to_str().unwrap()]);
    let files: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().path()).collect();
    assert_eq!(files.len(), 14);
    for path in files {
        let volume = Volume::open(path.to_str().unwrap()).unwrap();
        pattern::check_all(&volume);
        assert!(is_voxel(&volume), "{path:?}: {:?}", volume.metadata().voxel_size);
        let expected = match path.file_stem().unwrap().to_str().unwrap() {
            "imod" => DataType::U8,
            "i1_le" => DataType::I8,
            "u2_le" | "u2_be" => DataType::U16,
            "f4_le" | "f4_be" | "f2_le" | "f2_be" | "volumes" => DataType::F32,
            _ => DataType::I16,
        };
        assert_eq!(volume.metadata().dtype, expected, "{path:?}");
    }
}

/// A file whose header has other words at some offsets.
fn changed(folder: &Path, words: &[(usize, i32)]) -> PathBuf {
    let whole = folder.join("whole.mrc");
    write(&whole, DataType::I16, [3, 4, 5], 1, 0);
    let mut bytes = fs::read(&whole).unwrap();
    for (at, word) in words {
        bytes[*at..*at + 4].copy_from_slice(&word.to_le_bytes());
    }
    fs::remove_file(&whole).unwrap();
    let path = folder.join("v.mrc");
    fs::write(&path, bytes).unwrap();
    path
}

fn open(path: &Path) -> Result<Volume, Error> {
    Volume::open(path.to_str().unwrap())
}

#[test]
fn headers_that_lie_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |words: &[(usize, i32)], expected: &str| {
        let error = open(&changed(folder.path(), words)).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("v.mrc") && error.contains(expected), "{error}");
    };
    refused(&[(0, 0)], "0 voxels along x");
    refused(&[(8, -1)], "-1 voxels along z");
    refused(&[(0, i32::MAX), (4, i32::MAX), (8, i32::MAX)], "truncated");
    refused(&[(12, 4)], "mode 4");
    refused(&[(12, 101)], "mode 101");
    refused(&[(64, 3), (72, 1)], "[3, 2, 1]");
    refused(&[(92, -1)], "extended header of -1");
    refused(&[(92, i32::MAX)], "truncated");
    refused(&[(212, 0x2222)], "machine stamp");
    refused(&[(88, 401), (36, 2)], "3 sections in volumes of 2");
    refused(&[(88, 401), (36, 0)], "volumes of 0");
    assert!(open(&changed(folder.path(), &[])).is_ok());
    // Nothing is known of the size without samples.
    let unknown = open(&changed(folder.path(), &[(28, 0)])).unwrap();
    assert_eq!(unknown.metadata().voxel_size, None);
    // Old files have neither stamp nor order of axes.
    let old = open(&changed(folder.path(), &[(212, 0), (64, 0), (68, 0), (72, 0)])).unwrap();
    pattern::check_all(&old);
}

#[test]
fn truncated_files_are_refused_with_expected_and_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = changed(folder.path(), &[]);
    let length = fs::metadata(&path).unwrap().len();
    for (keep, expected) in [(length - 1, "1144"), (1023, "header"), (212, "header")] {
        fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(keep).unwrap();
        let error = open(&path).map(|_| ()).unwrap_err();
        assert!(matches!(error, Error::Format { .. }), "{error:?}");
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn what_mrc_does_not_hold_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("v.mrc").display().to_string();
    for dtype in DataType::ALL.into_iter().filter(|dtype| !DTYPES.contains(dtype)) {
        let error = VolumeWriter::create(&path, &WriteOptions::new(dtype, [3; 3])).unwrap_err();
        assert!(matches!(error, Error::Unsupported { .. }), "{error:?}");
    }
    let huge = WriteOptions::new(DataType::I8, [1, 1, 1 << 31]);
    assert!(matches!(VolumeWriter::create(&path, &huge).unwrap_err(), Error::Unsupported { .. }));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}
