//! Components of volumes in files against the operation in memory.

use exavox_compute::ops::Connectivity;
use exavox_compute::ops::connected_components::{Foreground, label_equal, label_mask};
use exavox_io::{
    BoundingBox, DataType, Element, Volume, VolumeWriter, VoxelSize, Voxels, WriteOptions,
};
use exavox_pipeline::Silent;
use exavox_pipeline::components::{ComponentsOptions, Objects, components, memory_needed};
use tempfile::TempDir;

pub(crate) const SHAPE: [usize; 3] = [11, 23, 71];

/// Values from 0 to 5 in stretches along x.
pub(crate) fn values<T: Element>(channel: usize) -> Vec<T> {
    let value = |i: usize| (i / 3 + channel).wrapping_mul(2_654_435_761) >> 7 & 0xff;
    let count = SHAPE.iter().product();
    (0..count).map(|i| T::from_f64((value(i) % 6) as f64)).collect()
}

/// A volume with some channels; gives its name.
pub(crate) fn write<T: Element>(folder: &TempDir, name: &str, channels: usize) -> String {
    let names = (0..channels).map(|c| format!("stain{c}")).collect();
    let options = WriteOptions::new(T::DTYPE, SHAPE.map(|v| v as u64))
        .with_channels(names)
        .with_voxel_size(VoxelSize::from_nm_zyx([40.0, 4.0, 5.0]));
    let path = folder.path().join(name).display().to_string();
    let writer = VolumeWriter::create(&path, &options).unwrap();
    for channel in 0..channels {
        let voxels = Voxels::from_vec(SHAPE, values::<T>(channel)).unwrap();
        writer.write(channel, [0; 3], &voxels).unwrap();
    }
    writer.finish().unwrap();
    path
}

pub(crate) fn whole(name: &str) -> (Volume, Voxels) {
    let volume = Volume::open(name).unwrap();
    let voxels = volume.read(0, &BoundingBox::whole(volume.shape())).unwrap();
    (volume, voxels)
}

#[test]
fn labels_are_those_of_the_operation_in_every_format() {
    let folder = tempfile::tempdir().unwrap();
    let source = write::<u16>(&folder, "a.zarr", 1);
    let image = Voxels::from_vec(SHAPE, values::<u16>(0)).unwrap();
    for target in ["l.zarr", "l.n5", "l.npy", "l.tif", "l.nrrd", "l.precomputed"] {
        for connectivity in Connectivity::ALL {
            let path = folder.path().join(format!("{connectivity}{target}")).display().to_string();
            let mut options = ComponentsOptions::default();
            options.connectivity = connectivity;
            options.objects = Objects::Equal;
            let volume = Volume::open(&source).unwrap();
            let report = components(&volume, &path, &options, &Silent).unwrap();
            let expected = label_equal(&image, connectivity).unwrap();
            let (volume, labels) = whole(&path);
            assert!(labels == expected.labels, "{path}");
            assert_eq!(report.components, expected.count);
            let nonzero = labels.to_labels().unwrap().iter().filter(|l| **l != 0).count();
            assert_eq!(report.foreground_voxels, nonzero as u64);
            if target != "l.npy" {
                let size = VoxelSize::from_nm_zyx([40.0, 4.0, 5.0]);
                assert_eq!(volume.metadata().voxel_size, size, "{path}");
            }
        }
    }
}

#[test]
fn channel_region_range_and_size_are_taken() {
    let folder = tempfile::tempdir().unwrap();
    let source = Volume::open(&write::<f32>(&folder, "a.zarr", 2)).unwrap();
    let region: BoundingBox = "2:,3:20,:".parse().unwrap();
    let mut options = ComponentsOptions::default();
    let range = Foreground::Range("2:3.5".parse().unwrap());
    options.objects = Objects::Mask(range);
    options.min_voxels = 5;
    options.labelling.region = Some(region);
    let closed: BoundingBox = "2:11,3:20,0:71".parse().unwrap();
    for (channel, index) in [("stain1", 1), ("0", 0)] {
        options.labelling.channel = Some(channel.to_owned());
        let path = folder.path().join(format!("{channel}.npy")).display().to_string();
        let report = components(&source, &path, &options, &Silent).unwrap();
        let image = source.read(index, &closed).unwrap();
        let all = label_mask(&image, range, Connectivity::Six).unwrap();
        let old = all.labels.to_labels().unwrap();
        let size = |label: u64| old.iter().filter(|l| **l == label).count();
        let kept: Vec<u64> = (1..=all.count).filter(|label| size(*label) >= 5).collect();
        assert!(!kept.is_empty() && (kept.len() as u64) < all.count);
        let number = |l: &u64| kept.binary_search(l).map_or(0, |n| n as u64 + 1);
        let expected: Vec<u64> = old.iter().map(number).collect();
        assert!(whole(&path).1.to_labels().unwrap() == expected);
        assert_eq!(
            (report.components, report.dropped),
            (kept.len() as u64, all.count - kept.len() as u64)
        );
        assert_eq!(report.largest_voxels, kept.iter().map(|l| size(*l) as u64).max().unwrap());
        assert_eq!((report.dtype, report.voxels), ("uint32", closed.num_voxels()));
    }
}

#[test]
fn what_cannot_be_is_said_before_anything_is_read_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let source = Volume::open(&write::<f32>(&folder, "a.zarr", 2)).unwrap();
    let target = folder.path().join("l.zarr").display().to_string();
    let mut one = ComponentsOptions::default();
    one.labelling.channel = Some("stain0".to_owned());
    let needed = memory_needed(&source, &one).unwrap();
    assert!(needed > 11 * 23 * 71 * 8, "{needed}");
    let change = |change: fn(&mut ComponentsOptions)| {
        let mut options = one.clone();
        change(&mut options);
        options
    };
    for (options, expected) in [
        (
            change(|o| o.labelling.channel = None),
            "there are 2 channels: stain0, stain1; choose one",
        ),
        (change(|o| o.labelling.channel = Some("2".to_owned())), "no channel '2'"),
        (change(|o| o.labelling.region = Some("0:99,:,:".parse().unwrap())), "axis z"),
        (change(|o| o.objects = Objects::Equal), "labels must be integers, found float32"),
        (change(|o| o.labelling.memory_bytes = Some(1000)), "bytes of memory, 1000 may be used"),
    ] {
        let error = components(&source, &target, &options, &Silent).unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains("a.zarr"), "{error}");
    }
    let bytes = Volume::open(&write::<u8>(&folder, "b.npy", 1)).unwrap();
    let mut range = ComponentsOptions::default();
    range.objects = Objects::Mask(Foreground::Range("300:400".parse().unwrap()));
    let error = components(&bytes, &target, &range, &Silent).unwrap_err().to_string();
    assert!(error.contains("b.npy: range 300:400 holds no value of uint8"), "{error}");
    let error = components(&bytes, bytes.name(), &ComponentsOptions::default(), &Silent);
    assert!(error.unwrap_err().to_string().contains("would replace what is read"));
    let left = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 2);
    assert_eq!(bytes.metadata().dtype, DataType::U8);
}
