//! Scales added to volumes that are there, and chosen when they are opened.

use std::path::Path;

use exavox_io::volume::{OmeVersion, WriteMode};
use exavox_io::{
    BoundingBox, DataType, Error, OpenOptions, Volume, VolumeWriter, VoxelSize, WriteOptions,
};

use crate::{pattern, peers};

const FINE: [u64; 3] = [9, 21, 33];
const COARSE: [u64; 3] = [9, 11, 17];

fn write(writer: VolumeWriter, shape: [u64; 3], channels: u64) {
    pattern::write(&writer, DataType::U16, shape, channels, 3);
    writer.finish().unwrap();
}

/// A volume and a scale of half the resolution in y and x; its name.
fn pyramid(folder: &Path, name: &str, change: impl FnOnce(&mut WriteOptions)) -> String {
    let name = folder.join(name).display().to_string();
    let mut options = WriteOptions::new(DataType::U16, FINE);
    options.voxel_size = VoxelSize::from_nm_zyx([40.0, 8.0, 4.0]);
    options.chunk_shape = Some([4, 8, 16]);
    change(&mut options);
    let channels = options.channels.len() as u64;
    write(VolumeWriter::create(&name, &options).unwrap(), FINE, channels);
    (options.shape, options.chunk_shape) = (COARSE, None);
    write(VolumeWriter::add_scale(&name, [1, 2, 2], &options).unwrap(), COARSE, channels);
    name
}

fn check(name: &str) {
    let volume = Volume::open(name).unwrap();
    let scales = &volume.metadata().scales;
    assert_eq!(scales.iter().map(|s| s.shape).collect::<Vec<_>>(), [FINE, COARSE]);
    let sizes: Vec<_> = scales.iter().map(|s| s.voxel_size.unwrap().nm_zyx).collect();
    assert_eq!(sizes, [[40.0, 8.0, 4.0], [40.0, 16.0, 8.0]]);
    pattern::check_all(&volume);
    let at = |options: OpenOptions| Volume::open_with(name, &options);
    let coarse = at(OpenOptions::default().with_scale(1)).unwrap();
    assert_eq!(coarse.shape(), COARSE);
    pattern::check_all(&coarse);
    for (wanted, shape) in [
        ([40.0, 8.0, 4.0], FINE),
        ([40.0, 15.0, 8.0], FINE),
        ([40.0, 16.0, 8.0], COARSE),
        ([100.0, 100.0, 100.0], COARSE),
        ([1.0, 1.0, 1.0], FINE),
    ] {
        let wanted = VoxelSize::from_nm_zyx(wanted).unwrap();
        assert_eq!(at(OpenOptions::default().with_scale_of(wanted)).unwrap().shape(), shape);
    }
    let error = at(OpenOptions::default().with_scale(2)).unwrap_err().to_string();
    assert!(error.contains("scale 2 does not exist, there are 2"), "{error}");
}

#[test]
fn scales_of_ome_zarr() {
    let folder = tempfile::tempdir().unwrap();
    check(&pyramid(folder.path(), "a.zarr", |_| {}));
    check(&pyramid(folder.path(), "b.zarr", |o| o.ome = OmeVersion::V05));
    check(&pyramid(folder.path(), "c.zarr", |o| {
        (o.ome, o.shard_shape) = (OmeVersion::V05, Some([8, 16, 32]));
    }));
    check(&pyramid(folder.path(), "d.zarr", |o| {
        o.channels = vec!["DAPI".to_owned(), "CD8".to_owned()];
    }));
    let Some(python) = peers::python() else { return };
    peers::run(&python, "zarr_peers.py", &["pyramids", folder.path().to_str().unwrap()]);
}

#[test]
fn a_scale_that_is_not_finished_is_not_listed() {
    let folder = tempfile::tempdir().unwrap();
    let name = pyramid(folder.path(), "a.zarr", |_| {});
    let options = WriteOptions::new(DataType::U16, [9, 6, 9]);
    let writer = VolumeWriter::add_scale(&name, [1, 4, 4], &options).unwrap();
    let block = BoundingBox::whole([4, 6, 9]);
    writer.write(0, [0; 3], &pattern::region(DataType::U16, 0, &block)).unwrap();
    drop(writer);
    check(&name);
    assert!(!Path::new(&name).join("2").exists());
}

#[test]
fn a_scale_that_is_there_is_refused_and_one_that_nobody_lists_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let name = pyramid(folder.path(), "a.zarr", |_| {});
    let mut options = WriteOptions::new(DataType::U16, COARSE);
    let again = VolumeWriter::add_scale(&name, [1, 2, 2], &options).unwrap_err();
    assert!(matches!(again, Error::Exists { .. }), "{again}");
    std::fs::create_dir(Path::new(&name).join("2")).unwrap();
    std::fs::write(Path::new(&name).join("2/left"), "over").unwrap();
    options.shape = [9, 6, 9];
    write(VolumeWriter::add_scale(&name, [1, 4, 4], &options).unwrap(), options.shape, 1);
    let coarse = Volume::open_with(&name, &OpenOptions::default().with_scale(2)).unwrap();
    pattern::check_all(&coarse);
    assert!(!Path::new(&name).join("2/left").exists());
}

#[test]
fn a_scale_whose_run_was_killed_before_it_was_listed_is_listed_by_the_next() {
    let folder = tempfile::tempdir().unwrap();
    for (ome, document) in [(OmeVersion::V04, ".zattrs"), (OmeVersion::V05, "zarr.json")] {
        for mode in [WriteMode::Shared, WriteMode::Resume] {
            let name = pyramid(folder.path(), &format!("{mode:?}{document}.zarr"), |o| o.ome = ome);
            let list = Path::new(&name).join(document);
            let before = std::fs::read(&list).unwrap();
            let options = WriteOptions::new(DataType::U16, [9, 6, 9]).with_mode(mode);
            let add = || VolumeWriter::add_scale(&name, [1, 4, 4], &options).unwrap();
            write(add(), [9, 6, 9], 1);
            let after = std::fs::read(&list).unwrap();
            std::fs::write(&list, before).unwrap();
            // All was written: nothing is left to do but to finish.
            add().finish().unwrap();
            assert_eq!(std::fs::read(&list).unwrap(), after);
            let coarse = Volume::open_with(&name, &OpenOptions::default().with_scale(2)).unwrap();
            pattern::check_all(&coarse);
            let again = VolumeWriter::add_scale(&name, [1, 4, 4], &options).unwrap_err();
            assert!(matches!(again, Error::Exists { .. }), "{again}");
        }
    }
}

#[test]
fn a_scale_of_another_type_or_channels_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a.zarr", "a.n5", "a.precomputed"] {
        let name = folder.path().join(name).display().to_string();
        let options = WriteOptions::new(DataType::U16, FINE);
        write(VolumeWriter::create(&name, &options).unwrap(), FINE, 1);
        let refused = |factor: [u64; 3], change: fn(&mut WriteOptions)| {
            let mut options = WriteOptions::new(DataType::U16, COARSE);
            change(&mut options);
            let error = VolumeWriter::add_scale(&name, factor, &options).unwrap_err();
            assert!(matches!(error, Error::Usage { .. }), "{name}: {error}");
        };
        refused([1, 2, 2], |o| o.dtype = DataType::U8);
        refused([1, 2, 2], |o| o.channels.push("b".to_owned()));
        refused([0, 2, 2], |_| {});
        refused([1, 2, 2], |o| o.shape[0] = 0);
    }
}

#[test]
fn a_pyramid_of_v3_without_ome_keeps_its_attributes() {
    let folder = tempfile::tempdir().unwrap();
    let name = folder.path().join("a.zarr").display().to_string();
    let mut options = WriteOptions::new(DataType::U16, FINE);
    options.ome = OmeVersion::V05;
    write(VolumeWriter::create(&name, &options).unwrap(), FINE, 1);
    let file = Path::new(&name).join("zarr.json");
    let read =
        || -> serde_json::Value { serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap() };
    let mut group = read();
    group["attributes"] = group["attributes"]["ome"].take();
    group["attributes"]["ome"] = "not an object".into();
    group["attributes"]["note"] = "kept".into();
    std::fs::write(&file, group.to_string()).unwrap();
    options.shape = COARSE;
    write(VolumeWriter::add_scale(&name, [1, 2, 2], &options).unwrap(), COARSE, 1);
    let attributes = &read()["attributes"];
    assert_eq!(attributes["note"], "kept");
    assert_eq!(attributes["multiscales"][0]["datasets"].as_array().unwrap().len(), 2);
}

#[test]
fn no_voxel_size_stays_none_at_every_scale() {
    let folder = tempfile::tempdir().unwrap();
    let name = pyramid(folder.path(), "a.zarr", |o| o.voxel_size = None);
    let volume = Volume::open(&name).unwrap();
    assert!(volume.metadata().scales.iter().all(|scale| scale.voxel_size.is_none()));
}

#[test]
fn scales_go_to_pyramids_only() {
    let folder = tempfile::tempdir().unwrap();
    let name = folder.path().join("v.npy").display().to_string();
    let options = WriteOptions::new(DataType::U16, FINE).with_mode(WriteMode::Overwrite);
    write(VolumeWriter::create(&name, &options).unwrap(), FINE, 1);
    let error = VolumeWriter::add_scale(&name, [1, 2, 2], &options).unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }), "{error}");
    let size = VoxelSize::from_nm_zyx([1.0; 3]).unwrap();
    let error = Volume::open_with(&name, &OpenOptions::default().with_scale_of(size)).unwrap_err();
    assert!(error.to_string().contains("voxel size"), "{error}");
}
