//! Outputs appear whole or not at all: overwriting, dropping, full and read-only disks.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use exavox_io::volume::WriteMode;
use exavox_io::{BoundingBox, DataType, Error, Volume, VolumeWriter, Voxels, WriteOptions};

use crate::pattern;

const NAMES: [&str; 3] = ["v.zarr", "v.npy", "v.raw"];
const SHAPE: [u64; 3] = [20, 70, 70];

fn options() -> WriteOptions {
    let mut options = WriteOptions::new(DataType::U8, SHAPE);
    options.chunk_shape = Some([8, 32, 32]);
    options
}

fn write(path: &Path, options: &WriteOptions) -> Result<(), Error> {
    let writer = VolumeWriter::create(path.to_str().unwrap(), options)?;
    pattern::write(&writer, options.dtype, options.shape, 1, 0);
    writer.finish()
}

fn entries(folder: &Path) -> usize {
    fs::read_dir(folder).unwrap().count()
}

/// Volume names of the three outputs for opening.
fn open(path: &Path, options: &WriteOptions) -> Volume {
    let [z, y, x] = options.shape;
    let name = path.display();
    match path.extension().unwrap().to_str().unwrap() {
        "raw" => Volume::open(&format!("{name}:{}:{z},{y},{x}", options.dtype)).unwrap(),
        _ => Volume::open(&name.to_string()).unwrap(),
    }
}

#[test]
fn output_that_exists_is_kept_unless_overwriting() {
    for name in NAMES {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        write(&path, &options()).unwrap();
        let error = write(&path, &WriteOptions::new(DataType::U16, [3; 3])).unwrap_err();
        assert!(matches!(error, Error::Exists { .. }), "{error:?}");
        pattern::check_all(&open(&path, &options()));
        let other = WriteOptions::new(DataType::U16, [3; 3]).with_mode(WriteMode::Overwrite);
        write(&path, &other).unwrap();
        pattern::check_all(&open(&path, &other));
        assert_eq!(entries(folder.path()), 1, "{name}");
    }
}

#[test]
fn dropped_writer_leaves_nothing_and_keeps_the_old() {
    for name in NAMES {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        let begin = |options: &WriteOptions| {
            let writer = VolumeWriter::create(path.to_str().unwrap(), options).unwrap();
            let block = BoundingBox::whole(writer.granule());
            writer.write(0, [0; 3], &pattern::region(DataType::U8, 0, &block)).unwrap();
            assert!(entries(folder.path()) > 0);
            drop(writer);
        };
        begin(&options());
        assert_eq!(entries(folder.path()), 0, "{name}");
        write(&path, &options()).unwrap();
        begin(&options().with_mode(WriteMode::Overwrite));
        assert_eq!(entries(folder.path()), 1, "{name}");
        pattern::check_all(&open(&path, &options()));
    }
}

#[test]
fn blocks_that_do_not_fit_are_refused() {
    for name in NAMES {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        let writer = VolumeWriter::create(path.to_str().unwrap(), &options()).unwrap();
        let block = |dtype, shape| Voxels::zeros(dtype, shape).unwrap();
        let refused = |channel, start, voxels: &Voxels, expected: &str| {
            let error = writer.write(channel, start, voxels).unwrap_err();
            assert!(matches!(error, Error::Usage { .. }), "{error:?}");
            assert!(error.to_string().contains(expected), "{error}");
        };
        refused(0, [0; 3], &block(DataType::U16, [8, 32, 32]), "uint16");
        refused(1, [0; 3], &block(DataType::U8, [8, 32, 32]), "channel 1");
        refused(0, [16, 64, 64], &block(DataType::U8, [8, 6, 6]), "axis z");
        if name == "v.zarr" {
            refused(0, [0, 0, 4], &block(DataType::U8, [8, 32, 32]), "aligned");
            refused(0, [0; 3], &block(DataType::U8, [8, 32, 31]), "aligned");
        }
    }
}

/// A small file system of its own; unmounted when dropped.
pub(crate) struct Disk(tempfile::TempDir);

impl Disk {
    /// `None`, with a message, where mounting is not permitted.
    pub(crate) fn mount(size: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(folder.path())
            .output()
            .is_ok_and(|output| output.status.success());
        if !mounted {
            eprintln!("skipped: mounting a tmpfs is not permitted");
        }
        mounted.then_some(Self(folder))
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.0.path().to_owned()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).output();
    }
}

#[test]
fn full_disk_is_an_error_that_leaves_nothing() {
    let Some(disk) = Disk::mount("64k") else { return };
    let noise: Vec<u8> =
        (0..20 * 70 * 70u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let voxels = Voxels::from_vec([20, 70, 70], noise).unwrap();
    for name in NAMES {
        let path = disk.path().join(name);
        let writer = VolumeWriter::create(path.to_str().unwrap(), &options()).unwrap();
        let error = writer.write(0, [0; 3], &voxels).unwrap_err();
        assert!(matches!(error, Error::Io { .. }), "{name}: {error:?}");
        let text = error.to_string();
        assert!(text.contains(name) && text.contains("space"), "{text}");
        if name == "v.zarr" {
            assert!(text.contains("chunk ["), "{text}");
        }
        drop(writer);
        assert_eq!(entries(&disk.path()), 0, "{name}");
    }
}

#[test]
fn read_only_target_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "x").unwrap();
    for name in NAMES {
        let error = write(&folder.path().join("file").join(name), &options()).unwrap_err();
        assert!(matches!(error, Error::Io { .. }), "{error:?}");
    }
    let Some(disk) = Disk::mount("64k") else { return };
    let remount =
        Command::new("mount").args(["-o", "remount,ro"]).arg(disk.path()).output().unwrap();
    assert!(remount.status.success());
    for name in NAMES {
        let error = write(&disk.path().join(name), &options()).unwrap_err();
        assert!(matches!(error, Error::Io { .. }), "{error:?}");
        assert!(error.to_string().to_lowercase().contains("read-only"), "{error}");
    }
}
