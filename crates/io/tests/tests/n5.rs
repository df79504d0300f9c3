//! N5: what is written is read back, by us and by the peers; pyramids, containers, voxel sizes.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use exavox_io::location::ArrayFormat;
use exavox_io::store::{Directory, MemoryStore, Request, Store};
use exavox_io::volume::Codec;
use exavox_io::{
    BoundingBox, DataType, Error, OpenOptions, Result, Volume, VolumeWriter, VoxelSize,
    WriteOptions,
};
use proptest::prelude::*;
use serde_json::json;

use crate::{pattern, peers};

const CODECS: [Codec; 4] = [Codec::Raw, Codec::Zstd(1), Codec::Gzip(1), Codec::Blosc(5)];

fn names(channels: u64) -> Vec<String> {
    (0..channels).map(|c| format!("stain {c}")).collect()
}

fn fill(writer: VolumeWriter, options: &WriteOptions, shuffle: u64) {
    let channels = options.channels.len() as u64;
    pattern::write(&writer, options.dtype, options.shape, channels, shuffle);
    writer.finish().unwrap();
}

/// Writes the pattern and gives the name of the volume.
fn write(folder: &Path, name: &str, options: &WriteOptions, shuffle: u64) -> String {
    let name = folder.join(name).display().to_string();
    fill(VolumeWriter::create(&name, options).unwrap(), options, shuffle);
    name
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn written_is_read(
        dtype in pattern::any_dtype(),
        shape in pattern::any_shape(),
        chunk in prop::option::of([1..=9u64, 1..=9u64, 1..=9u64]),
        channels in 1..=3u64,
        codec in prop::sample::select(CODECS.to_vec()),
        shuffle: u64,
        seeds: [(u64, u64); 3],
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut options = WriteOptions::new(dtype, shape).with_channels(names(channels));
        options.voxel_size = VoxelSize::from_nm_zyx([40.0, 8.0, 4.0]);
        (options.codec, options.chunk_shape) = (codec, chunk);
        let name = write(folder.path(), "v.n5", &options, shuffle);
        for name in [name.clone(), format!("{name}/s0"), format!("n5://{name}")] {
            let volume = Volume::open(&name).unwrap();
            let metadata = volume.metadata();
            prop_assert_eq!((metadata.dtype, metadata.shape), (dtype, shape));
            prop_assert_eq!(metadata.voxel_size, options.voxel_size);
            prop_assert_eq!(&metadata.channels, &options.channels);
            pattern::check(&volume, &BoundingBox::whole(shape));
            pattern::check(&volume, &pattern::inside(shape, seeds));
        }
    }
}

#[test]
fn metadata_of_a_plain_volume() {
    let folder = tempfile::tempdir().unwrap();
    let name = write(folder.path(), "v.n5", &WriteOptions::new(DataType::U8, [100, 70, 10]), 0);
    let volume = Volume::open(&name).unwrap();
    let metadata = volume.metadata();
    assert_eq!((&*metadata.format, &*metadata.stored_axes), ("n5", "zyx"));
    assert_eq!(
        (metadata.chunk_shape, &metadata.codecs[..]),
        ([64, 64, 10], &["zstd".to_owned()][..])
    );
    assert_eq!((&metadata.channels[..], metadata.voxel_size), (&["0".to_owned()][..], None));
    let names: Vec<String> = fs::read_dir(&name)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    assert_eq!(names.len(), 2, "{names:?}");
}

#[test]
fn zeros_are_not_stored_and_read_as_zeros() {
    let folder = tempfile::tempdir().unwrap();
    let name = folder.path().join("v.n5").display().to_string();
    let mut options = WriteOptions::new(DataType::U16, [8, 8, 8]);
    options.chunk_shape = Some([4; 3]);
    let writer = VolumeWriter::create(&name, &options).unwrap();
    let zeros = exavox_io::Voxels::zeros(DataType::U16, [8, 8, 4]).unwrap();
    writer.write(0, [0; 3], &zeros).unwrap();
    let block = BoundingBox::new([4; 3], [8; 3]);
    writer.write(0, [4; 3], &pattern::region(DataType::U16, 0, &block)).unwrap();
    writer.finish().unwrap();
    let volume = Volume::open(&name).unwrap();
    pattern::check(&volume, &block);
    let first = volume.read(0, &BoundingBox::whole([8, 8, 4])).unwrap();
    assert!(first.bytes().iter().all(|b| *b == 0));
    assert!(!Path::new(&name).join("s0/0").exists());
}

#[test]
fn pyramids_grow_and_are_listed() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = WriteOptions::new(DataType::U8, [9, 21, 33]).with_channels(names(2));
    options.voxel_size = VoxelSize::from_nm_zyx([40.0, 8.0, 4.0]);
    options.chunk_shape = Some([4, 8, 8]);
    let name = write(folder.path(), "v.n5", &options, 3);
    options.shape = [9, 11, 17];
    let writer = VolumeWriter::add_scale(&name, [1, 2, 2], &options).unwrap();
    // Not listed before it is whole.
    assert_eq!(Volume::open(&name).unwrap().metadata().scales.len(), 1);
    fill(writer, &options, 5);
    options.shape = [5, 6, 9];
    fill(VolumeWriter::add_scale(&name, [2, 4, 4], &options).unwrap(), &options, 5);
    let again = VolumeWriter::add_scale(&name, [1, 2, 2], &options).unwrap_err();
    assert!(matches!(again, Error::Exists { .. }), "{again:?}");
    let volume = Volume::open(&name).unwrap();
    let found: Vec<_> = volume.metadata().scales.iter().map(|s| (s.shape, s.voxel_size)).collect();
    let size = |zyx| VoxelSize::from_nm_zyx(zyx);
    let expected = [
        ([9, 21, 33], size([40.0, 8.0, 4.0])),
        ([9, 11, 17], size([40.0, 16.0, 8.0])),
        ([5, 6, 9], size([80.0, 32.0, 16.0])),
    ];
    assert_eq!(found, expected);
    for (index, (shape, voxel_size)) in expected.into_iter().enumerate() {
        let by_size = OpenOptions::default().with_scale_of(voxel_size.unwrap());
        for options in [OpenOptions::default().with_scale(index), by_size] {
            let volume = Volume::open_with(&name, &options).unwrap();
            assert_eq!((volume.shape(), volume.metadata().voxel_size), (shape, voxel_size));
            pattern::check_all(&volume);
        }
        let alone = Volume::open(&format!("{name}/s{index}")).unwrap();
        assert_eq!((alone.shape(), alone.metadata().voxel_size), (shape, voxel_size));
        assert_eq!(alone.metadata().channels, names(2));
    }
    let missing = Volume::open_with(&name, &OpenOptions::default().with_scale(3)).unwrap_err();
    assert!(missing.to_string().contains("scale 3"), "{missing}");
}

#[test]
fn blocks_of_an_unfinished_scale_do_not_show_through() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = WriteOptions::new(DataType::U8, [4, 4, 8]);
    options.chunk_shape = Some([4; 3]);
    let name = write(folder.path(), "v.n5", &options, 0);
    options.shape = [2, 2, 4];
    let unfinished = VolumeWriter::add_scale(&name, [2, 2, 2], &options).unwrap();
    let block = pattern::region(DataType::U8, 0, &BoundingBox::whole([2, 2, 4]));
    unfinished.write(0, [0; 3], &block).unwrap();
    drop(unfinished);
    let writer = VolumeWriter::add_scale(&name, [2, 2, 2], &options).unwrap();
    writer.write(0, [0; 3], &exavox_io::Voxels::zeros(DataType::U8, [2, 2, 4]).unwrap()).unwrap();
    writer.finish().unwrap();
    let volume = Volume::open_with(&name, &OpenOptions::default().with_scale(1)).unwrap();
    let found = volume.read(0, &BoundingBox::whole([2, 2, 4])).unwrap();
    assert!(found.bytes().iter().all(|b| *b == 0));
}

#[test]
fn containers_open_their_only_volume_or_list_what_they_hold() {
    let folder = tempfile::tempdir().unwrap();
    let options = WriteOptions::new(DataType::U8, [5, 6, 7]);
    let root = folder.path().join("c.n5");
    write(folder.path(), "c.n5/em/v.n5", &options, 0);
    fs::write(root.join("attributes.json"), r#"{"n5": "4.0.0"}"#).unwrap();
    let name = root.display().to_string();
    pattern::check_all(&Volume::open(&name).unwrap());
    write(folder.path(), "c.n5/labels.n5", &options, 0);
    let error = Volume::open(&name).unwrap_err();
    assert!(matches!(error, Error::Usage { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("em/v.n5") && text.contains("labels.n5"), "{text}");
    // A group without attributes is one as well.
    fs::remove_file(root.join("labels.n5/attributes.json")).unwrap();
    pattern::check_all(&Volume::open(&format!("{name}/labels.n5")).unwrap());
    fs::remove_file(root.join("attributes.json")).unwrap();
    fs::remove_dir_all(root.join("em")).unwrap();
    pattern::check_all(&Volume::open(&name).unwrap());
    let empty = folder.path().join("e.n5");
    fs::create_dir(&empty).unwrap();
    fs::write(empty.join("attributes.json"), "{}").unwrap();
    let error = Volume::open(empty.to_str().unwrap()).unwrap_err();
    assert!(error.to_string().contains("without datasets"), "{error}");
}

/// A store that cannot list, as HTTP.
#[derive(Debug)]
struct Unlisted(Arc<MemoryStore>);

impl Store for Unlisted {
    fn location(&self) -> &str {
        "unlisted"
    }
    fn get(&self, request: Request<'_>, out: &mut Vec<u8>) -> Result<bool> {
        self.0.get(request, out)
    }
    fn size(&self, key: &str) -> Result<Option<u64>> {
        self.0.size(key)
    }
    fn put(&self, key: &str, bytes: &[u8]) -> Result<()> {
        self.0.put(key, bytes)
    }
    fn delete(&self, key: &str) -> Result<()> {
        self.0.delete(key)
    }
    fn list(&self, prefix: &str) -> Result<Vec<String>> {
        Err(Error::unsupported(self.place(prefix), "listing"))
    }
}

#[test]
fn stores_without_listing_need_the_path_of_a_dataset() {
    let store = Arc::new(MemoryStore::new());
    let options = WriteOptions::new(DataType::I16, [5, 6, 7]);
    let listed = Directory::new(store.clone(), "c.n5/em/raw");
    fill(VolumeWriter::create_in(&listed, ArrayFormat::N5, &options).unwrap(), &options, 9);
    let directory = Directory::new(Arc::new(Unlisted(store)), "c.n5");
    let inside = directory.join("em/raw");
    pattern::check_all(&Volume::open_in(&inside, &OpenOptions::default()).unwrap());
    directory.put("attributes.json", br#"{"n5": "2.0.0"}"#).unwrap();
    let error = Volume::open_in(&directory, &OpenOptions::default()).unwrap_err().to_string();
    assert!(error.contains("give the path of a dataset"), "{error}");
}

#[test]
fn resolution_of_bigdataviewer_has_no_unit_and_is_not_taken() {
    let folder = tempfile::tempdir().unwrap();
    let group = |name: &str| {
        let name = write(folder.path(), name, &WriteOptions::new(DataType::U8, [5, 6, 7]), 0);
        let attributes = json!({ "multiScale": true, "resolution": [4, 8, 40] }).to_string();
        fs::write(Path::new(&name).join("attributes.json"), attributes).unwrap();
        let scale = Volume::open(&format!("{name}/s0")).unwrap().metadata().voxel_size;
        assert_eq!(Volume::open(&name).unwrap().metadata().voxel_size, scale);
        scale
    };
    // Create by a name that tells the format, then as BigDataViewer names it.
    assert_eq!(group("paintera.n5"), VoxelSize::from_nm_zyx([40.0, 8.0, 4.0]));
    assert_eq!(group("timepoint0.n5"), None);
}

#[test]
fn settings_that_cannot_be_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let name = folder.path().join("v.n5").display().to_string();
    let refused = |change: fn(&mut WriteOptions), expected: &str| {
        let mut options = WriteOptions::new(DataType::U8, [9; 3]);
        change(&mut options);
        let error = VolumeWriter::create(&name, &options).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    };
    refused(|o| o.shard_shape = Some([8; 3]), "shards");
    refused(|o| o.chunk_shape = Some([0, 1, 1]), "[0, 1, 1]");
    refused(|o| o.codec = Codec::Zstd(23), "23");
    refused(|o| o.codec = Codec::Gzip(10), "10");
    refused(|o| o.codec = Codec::Blosc(10), "10");
    refused(|o| (o.shape, o.chunk_shape) = ([1 << 12; 3], Some([1 << 11; 3])), "limit");
    let error = VolumeWriter::add_scale(&name, [2; 3], &WriteOptions::new(DataType::U8, [9; 3]));
    assert!(error.unwrap_err().to_string().contains("v.n5"));
}

#[test]
fn peers_read_ours() {
    let Some(python) = peers::python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut options = WriteOptions::new(DataType::U16, [9, 21, 33]);
    options.chunk_shape = Some([4, 8, 16]);
    options.voxel_size = VoxelSize::from_nm_zyx([40.0, 8.0, 4.0]);
    for dtype in DataType::ALL {
        options.dtype = dtype;
        write(folder.path(), &format!("{dtype}.n5"), &options, 1);
    }
    for (n, codec) in CODECS.into_iter().enumerate() {
        (options.dtype, options.codec) = (DataType::U16, codec);
        for channels in [1, 3] {
            options.channels = names(channels);
            write(folder.path(), &format!("uint16_{n}_{channels}.n5"), &options, 1);
        }
    }
    peers::run(&python, "n5_peers.py", &["check", folder.path().to_str().unwrap()]);
}

#[test]
fn ours_reads_peers() {
    let Some(python) = peers::python() else { return };
    let folder = tempfile::tempdir().unwrap();
    peers::run(&python, "n5_peers.py", &["write", folder.path().to_str().unwrap()]);
    let mut count = 0;
    for container in fs::read_dir(folder.path()).unwrap() {
        for dataset in fs::read_dir(container.unwrap().path()).unwrap() {
            let path = dataset.unwrap().path();
            if !path.is_dir() {
                continue;
            }
            let options = match path.ends_with("xyzct") {
                true => OpenOptions::default().with_time(1),
                false => OpenOptions::default(),
            };
            pattern::check_all(&Volume::open_with(path.to_str().unwrap(), &options).unwrap());
            count += 1;
        }
    }
    assert_eq!(count, 37);
    let times = Volume::open(folder.path().join("axes.n5/xyzct").to_str().unwrap()).unwrap();
    assert_eq!(times.metadata().voxel_size, VoxelSize::from_nm_zyx([40.0, 8.0, 4.0]));
    assert_eq!(times.metadata().stored_axes, "tczyx");
}
