//! Folders and patterns of planes: which files are taken, in which order, and what damage does.

use std::fs;
use std::path::{Path, PathBuf};

use exavox_io::volume::{WriteMode, WriteOrder};
use exavox_io::{
    BoundingBox, DataType, Error, OpenOptions, Volume, VolumeWriter, VoxelSize, Voxels,
    WriteOptions,
};
use proptest::prelude::*;

use crate::pattern;
use crate::tiff::{noise, part};

pub(crate) const SHAPE: [u64; 3] = [7, 12, 15];
const CHANNELS: [&str; 8] = ["DAPI", "Pcp4", "PolyT", "Prox1", "Snap25", "TAG", "Ttr", "hSETBP1"];

pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn open(&self, pattern: &str) -> Result<Volume, Error> {
        Volume::open(self.path(pattern).to_str().unwrap())
    }

    fn create(&self, pattern: &str, options: &WriteOptions) -> Result<VolumeWriter, Error> {
        VolumeWriter::create(self.path(pattern).to_str().unwrap(), options)
    }

    fn names(&self) -> Vec<String> {
        let entries = self.0.path().read_dir().unwrap();
        let mut names: Vec<String> =
            entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

/// Writes one volume that the pattern's names hold no channel of.
fn file(path: &Path, voxels: &Voxels) {
    let shape = voxels.shape().map(|v| v as u64);
    let options = WriteOptions::new(voxels.dtype(), shape).with_mode(WriteMode::Overwrite);
    let writer = VolumeWriter::create(path.to_str().unwrap(), &options).unwrap();
    writer.write(0, [0; 3], voxels).unwrap();
    writer.finish().unwrap();
}

/// MERSCOPE's layout: a file for each channel and plane; the whole volume of each channel.
pub(crate) fn mosaics(folder: &Folder, channels: &[&str]) -> Vec<Voxels> {
    let volumes: Vec<Voxels> =
        (0..channels.len() as u64).map(|c| noise(DataType::U16, SHAPE, 5 + c)).collect();
    for (name, volume) in channels.iter().zip(&volumes) {
        for z in 0..SHAPE[0] {
            plane(&folder.path(&format!("mosaic_{name}_z{z}.tif")), volume, z);
        }
    }
    volumes
}

pub(crate) fn plane(path: &Path, volume: &Voxels, z: u64) {
    let [_, y, x] = volume.shape();
    let mut voxels = Voxels::zeros(volume.dtype(), [1, y, x]).unwrap();
    let slice = BoundingBox::new([z, 0, 0], [z + 1, y as u64, x as u64]);
    voxels.copy_box([0; 3], volume, &slice).unwrap();
    file(path, &voxels);
}

pub(crate) fn check(volume: &Volume, volumes: &[Voxels]) {
    assert_eq!(volume.metadata().channels.len(), volumes.len());
    for (channel, whole) in volumes.iter().enumerate() {
        check_channel(volume, channel, whole);
    }
}

fn check_channel(volume: &Volume, channel: usize, whole: &Voxels) {
    assert_eq!(volume.shape(), whole.shape().map(|v| v as u64));
    let [z, y, x] = volume.shape();
    for region in [
        BoundingBox::whole([z, y, x]),
        BoundingBox::new([z / 2, y / 4, x / 4], [z, y - 1, x]),
        BoundingBox::new([0, y - 1, 0], [z, y, x]),
    ] {
        let found = volume.read(channel, &region).unwrap();
        assert_eq!(found.bytes(), part(whole, &region), "channel {channel} at {region}");
    }
}

const PATTERN: &str = "mosaic_{channel}_z{z}.tif";

#[test]
fn mosaics_are_read_by_pattern_and_by_folder() {
    let folder = Folder::new();
    let volumes = mosaics(&folder, &CHANNELS);
    fs::write(folder.path("micron_to_mosaic_pixel_transform.csv"), "1 0 0").unwrap();
    for name in [PATTERN, ""] {
        let volume = folder.open(name).unwrap();
        assert_eq!(volume.metadata().channels, CHANNELS);
        assert_eq!(volume.metadata().stored_axes, "czyx");
        check(&volume, &volumes);
    }
}

#[test]
fn more_files_than_may_stay_open() {
    let folder = Folder::new();
    let whole = noise(DataType::U8, [300, 3, 4], 1);
    (0..300).for_each(|z| plane(&folder.path(&format!("a_{z}.tif")), &whole, z));
    check(&folder.open("a_{z}.tif").unwrap(), std::slice::from_ref(&whole));
    check(&folder.open("").unwrap(), &[whole]);
}

#[test]
fn folder_of_planes_is_sorted_by_the_numbers_in_names() {
    for extension in ["tif", "png"] {
        let folder = Folder::new();
        let whole = noise(DataType::U16, [12, 5, 6], 9);
        (0..12).for_each(|z| plane(&folder.path(&format!("p{}.{extension}", z + 1)), &whole, z));
        fs::write(folder.path(".hidden.tif"), "x").unwrap();
        fs::write(folder.path("notes.txt"), "x").unwrap();
        let volume = folder.open("").unwrap();
        check(&volume, &[whole]);
        assert_eq!(volume.metadata().format.split(' ').next_back(), Some("planes"));
    }
}

#[test]
fn folders_that_cannot_be_read_say_why() {
    let message = |names: &[&str]| {
        let folder = Folder::new();
        let one = noise(DataType::U8, [1, 5, 6], 1);
        names.iter().for_each(|name| file(&folder.path(name), &one));
        folder.open("").unwrap_err().to_string()
    };
    assert!(message(&[]).contains("without TIFF or PNG"));
    assert!(message(&["a.tif", "b.png"]).contains("a.tif and b.png"));
    assert!(message(&["mosaic_A_z0.tif", "mosaic_A_maxproj.tif"]).contains("give the pattern"));
    let folder = Folder::new();
    file(&folder.path("a.tif"), &noise(DataType::U8, [2, 5, 6], 1));
    assert!(folder.open("").unwrap_err().to_string().contains("2 planes in one file"));
}

#[test]
fn channel_files_of_many_pages() {
    let folder = Folder::new();
    let volumes = [1, 2].map(|s| noise(DataType::F32, SHAPE, s));
    file(&folder.path("s_c10.tif"), &volumes[1]);
    file(&folder.path("s_c9.tif"), &volumes[0]);
    let volume = folder.open("s_{channel}.tif").unwrap();
    assert_eq!(volume.metadata().channels, ["c9", "c10"]);
    check(&volume, &volumes);
}

#[test]
fn fields_in_directories_and_time() {
    let folder = Folder::new();
    let times = [3, 4].map(|s| noise(DataType::U8, SHAPE, s));
    for (t, whole) in times.iter().enumerate() {
        for z in 0..SHAPE[0] {
            let directory = folder.path(&format!("t{t:03}/red"));
            fs::create_dir_all(&directory).unwrap();
            plane(&directory.join(format!("x_{:02}.tif", z + 8)), whole, z);
        }
    }
    let name = folder.path("t{t}/{channel}/x_{z}.tif");
    for (t, whole) in times.iter().enumerate() {
        let options = OpenOptions::default().with_time(t);
        let volume = Volume::open_with(name.to_str().unwrap(), &options).unwrap();
        check(&volume, std::slice::from_ref(whole));
    }
    let options = OpenOptions::default().with_time(2);
    let error = Volume::open_with(name.to_str().unwrap(), &options).unwrap_err();
    assert!(error.to_string().contains("time point 2 does not exist, there are 2"), "{error}");
    fs::remove_file(folder.path("t000/red/x_10.tif")).unwrap();
    let error = folder.open("t{t}/{channel}/x_{z}.tif").unwrap_err().to_string();
    assert!(error.contains("t000/red/x_10.tif: missing plane") && error.contains("z 8-9,11-14"));
}

/// Opens eight channels of which PolyT is damaged: the others are read, PolyT tells why.
fn damaged(folder: &Folder, volumes: &[Voxels], expected: &[&str]) {
    let volume = folder.open(PATTERN).unwrap();
    assert_eq!(volume.metadata().channels, CHANNELS);
    for (channel, whole) in volumes.iter().enumerate().filter(|(c, _)| *c != 2) {
        check_channel(&volume, channel, whole);
    }
    for _ in 0..2 {
        let error = volume.read(2, &BoundingBox::whole(SHAPE)).unwrap_err();
        assert!(matches!(error, Error::Format { .. }), "{error:?}");
        let text = error.to_string();
        assert!(expected.iter().all(|e| text.contains(e)) && !text.contains('\n'), "{text}");
    }
}

#[test]
fn one_damaged_channel_does_not_spoil_the_others() {
    let folder = Folder::new();
    let volumes = mosaics(&folder, &CHANNELS);
    let third = folder.path("mosaic_PolyT_z3.tif");
    let whole = fs::read(&third).unwrap();
    fs::remove_file(&third).unwrap();
    let missing = "mosaic_PolyT_z3.tif: missing plane: channel PolyT has z 0-2,4-6";
    damaged(&folder, &volumes, &[missing]);
    fs::write(&third, &whole[..whole.len() - 400]).unwrap();
    damaged(&folder, &volumes, &["mosaic_PolyT_z3.tif", "truncated"]);
    fs::write(&third, "not an image").unwrap();
    damaged(&folder, &volumes, &["mosaic_PolyT_z3.tif", "neither TIFF nor PNG"]);
    file(&third, &noise(DataType::U16, [1, 12, 16], 1));
    damaged(&folder, &volumes, &["z3.tif", "expected uint16 of shape [1, 12, 15]", "[1, 12, 16]"]);
    file(&third, &noise(DataType::U8, [1, 12, 15], 1));
    damaged(&folder, &volumes, &["mosaic_PolyT_z3.tif", "found uint8"]);
    file(&third, &noise(DataType::U16, [2, 12, 15], 1));
    damaged(&folder, &volumes, &["mosaic_PolyT_z3.tif", "2 planes in one file"]);
    fs::write(&third, &whole).unwrap();
    fs::remove_file(folder.path("mosaic_PolyT_z6.tif")).unwrap();
    damaged(&folder, &volumes, &["z6.tif: missing plane", "has z 0-5, expected 0-6"]);
    fs::write(folder.path("mosaic_PolyT_z6.tif"), &whole).unwrap();
    fs::write(folder.path("mosaic_PolyT_z7.tif"), &whole).unwrap();
    damaged(&folder, &volumes, &["z7.tif: plane too many", "has z 0-7, expected 0-6"]);
    fs::remove_file(folder.path("mosaic_PolyT_z7.tif")).unwrap();
    fs::write(folder.path("mosaic_PolyT_z06.tif"), &whole).unwrap();
    damaged(&folder, &volumes, &["same channel and plane"]);
}

#[test]
fn damage_of_all_channels_is_told_on_opening() {
    let folder = Folder::new();
    mosaics(&folder, &["A", "B"]);
    for name in ["A", "B"] {
        fs::remove_file(folder.path(&format!("mosaic_{name}_z2.tif"))).unwrap();
    }
    let error = folder.open(PATTERN).unwrap_err();
    assert!(matches!(error, Error::Format { .. }), "{error:?}");
    assert!(error.to_string().contains("mosaic_A_z2.tif: missing plane"), "{error}");
    fs::write(folder.path("mosaic_A_z18446744073709551615.tif"), "x").unwrap();
    assert!(folder.open(PATTERN).unwrap_err().to_string().contains("missing plane"));
    fs::write(folder.path("mosaic_A_z18446744073709551616.tif"), "x").unwrap();
    assert!(folder.open(PATTERN).unwrap_err().to_string().contains("above 2^64"));
}

#[test]
fn wrong_patterns_are_usage_errors() {
    let folder = Folder::new();
    for (name, word) in [("a_{stain}.tif", "{stain}"), ("a_{z}.tif", "no file fits")] {
        let error = folder.open(name).unwrap_err();
        assert!(matches!(error, Error::Usage { .. }), "{error:?}");
        assert!(error.to_string().contains(word), "{error}");
    }
    let error = folder.open("absent/a_{z}.tif").unwrap_err();
    assert!(matches!(error, Error::Io { .. }) && error.to_string().contains("absent"), "{error:?}");
}

fn options(dtype: DataType, shape: [u64; 3], channels: &[&str]) -> WriteOptions {
    let names = channels.iter().map(|c| (*c).to_owned()).collect();
    WriteOptions::new(dtype, shape).with_channels(names)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn patterns_come_back(
        name in prop_oneof![
            Just("o_{channel}_z{z}.tif"), Just("o_{channel}.tif"), Just("{channel}/{z}.tif"),
        ],
        dtype in pattern::any_dtype(),
        shape in pattern::any_shape(),
        count in 1..=4usize,
        seeds in any::<[(u64, u64); 3]>(),
    ) {
        let folder = Folder::new();
        let volumes: Vec<Voxels> =
            (0..count as u64).map(|c| noise(dtype, shape, c + seeds[0].0)).collect();
        let size = VoxelSize::from_nm_zyx([300.0, 108.0, 108.0]);
        let options = options(dtype, shape, &CHANNELS[..count]).with_voxel_size(size);
        let writer = folder.create(name, &options).unwrap();
        // All channels at once, each from a thread of its own.
        std::thread::scope(|scope| {
            for (channel, volume) in volumes.iter().enumerate() {
                let (writer, block) = (&writer, BoundingBox::whole(shape));
                scope.spawn(move || {
                    for block in block.tiles([2, u64::MAX, u64::MAX]) {
                        let size = block.shape().map(|v| v as usize);
                        let mut voxels = Voxels::zeros(dtype, size).unwrap();
                        voxels.copy_box([0; 3], volume, &block).unwrap();
                        writer.write(channel, block.start, &voxels).unwrap();
                    }
                });
            }
        });
        prop_assert!(folder.open(name).is_err());
        writer.finish().unwrap();
        let volume = folder.open(name).unwrap();
        prop_assert_eq!(&volume.metadata().channels, &options.channels);
        // OME-XML, which holds the voxel size, has no 64-bit integers.
        let wide = matches!(dtype, DataType::U64 | DataType::I64);
        prop_assert_eq!(volume.metadata().voxel_size, size.filter(|_| !wide));
        let region = pattern::inside(shape, seeds);
        for (channel, whole) in volumes.iter().enumerate() {
            let found = volume.read(channel, &region).unwrap();
            prop_assert_eq!(found.bytes(), &part(whole, &region)[..]);
        }
    }
}

#[test]
fn order_of_planes_that_a_pattern_wants() {
    let folder = Folder::new();
    let order = |name: &str, z: u64| {
        folder.create(name, &options(DataType::U8, [z, 2, 2], &["a", "b"])).unwrap().order()
    };
    assert_eq!(order("x_{channel}.tif", 3), WriteOrder::WithinChannel);
    assert_eq!(order("x_{channel}.tif", 1), WriteOrder::Any);
    assert_eq!(order("x_{channel}_{z}.png", 3), WriteOrder::Any);
    let writer =
        folder.create("x_{channel}.tif", &options(DataType::U8, [3, 2, 2], &["a", "b"])).unwrap();
    let plane = Voxels::zeros(DataType::U8, [1, 2, 2]).unwrap();
    let error = writer.write(1, [1, 0, 0], &plane).unwrap_err();
    assert!(error.to_string().contains("expected page 0, found 1"), "{error}");
}

#[test]
fn outputs_that_cannot_be_are_refused_at_once() {
    let folder = Folder::new();
    let refused = |name: &str, channels: &[&str], dtype, word: &str| {
        let error = folder.create(name, &options(dtype, [2, 3, 3], channels)).unwrap_err();
        let known = matches!(error, Error::Usage { .. } | Error::Unsupported { .. });
        assert!(known && error.to_string().contains(word), "{error:?}");
    };
    refused("x_{z}.tif", &["a", "b"], DataType::U8, "need {channel}");
    refused("x_{channel}.tif", &["a", "a/b"], DataType::U8, "a/b");
    refused("{channel}/x.tif", &[".."], DataType::U8, "'..'");
    refused("x_{channel}.tif", &["a", "a"], DataType::U8, "two channels");
    refused("x_{channel}_{t}.tif", &["a"], DataType::U8, "{t}");
    refused("x_{channel}.jpg", &["a"], DataType::U8, ".tif");
    refused("x_{channel}.png", &["a"], DataType::U8, "one plane");
    refused("x_{channel}_{z}.png", &["a"], DataType::F32, "float32");
    assert_eq!(folder.names(), [""; 0]);
}

#[test]
fn existing_target_refuses_all_and_is_kept() {
    let folder = Folder::new();
    fs::write(folder.path("x_b.tif"), "old").unwrap();
    let options = options(DataType::U8, [1, 3, 3], &["a", "b"]);
    let error = folder.create("x_{channel}.tif", &options).unwrap_err();
    assert!(matches!(&error, Error::Exists { place } if place.location.ends_with("x_b.tif")));
    assert_eq!(folder.names(), ["x_b.tif"]);
    let writer =
        folder.create("x_{channel}.tif", &options.with_mode(WriteMode::Overwrite)).unwrap();
    let plane = noise(DataType::U8, [1, 3, 3], 1);
    (0..2).for_each(|c| writer.write(c, [0; 3], &plane).unwrap());
    writer.finish().unwrap();
    assert_eq!(folder.names(), ["x_a.tif", "x_b.tif"]);
    check(&folder.open("x_{channel}.tif").unwrap(), &[plane.clone(), plane]);
}

#[test]
fn unfinished_output_leaves_nothing() {
    let folder = Folder::new();
    let plane = Voxels::zeros(DataType::U8, [1, 3, 3]).unwrap();
    for name in ["x_{channel}.tif", "x_{channel}_{z}.tif", "x_{channel}_{z}.png"] {
        let options = options(DataType::U8, [2, 3, 3], &["a", "b"]);
        let begin = || {
            let writer = folder.create(name, &options).unwrap();
            (0..2).for_each(|z| writer.write(0, [z, 0, 0], &plane).unwrap());
            writer.write(1, [0; 3], &plane).unwrap();
            assert!(folder.names().len() >= 2);
            writer
        };
        drop(begin());
        assert_eq!(folder.names(), [""; 0]);
        let error = begin().finish().unwrap_err();
        assert!(matches!(error, Error::Usage { .. }) && error.to_string().contains("x_b"));
        assert_eq!(folder.names(), [""; 0]);
        let twice = begin().write(0, [0; 3], &plane).unwrap_err();
        assert!(matches!(twice, Error::Usage { .. }), "{twice:?}");
    }
}

#[test]
fn output_below_a_file_is_an_error() {
    let folder = Folder::new();
    fs::write(folder.path("file"), "x").unwrap();
    let error = folder
        .create("file/x_{channel}.tif", &options(DataType::U8, [1, 3, 3], &["a"]))
        .unwrap_err();
    assert!(matches!(error, Error::Io { .. }) && error.to_string().contains("file"), "{error:?}");
}
