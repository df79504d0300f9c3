//! `exavox train` with several channels of an image: killed and gone on with, and what `segment` makes of it.

use exavox_io::{DataType, VolumeWriter, Voxels, WriteOptions};

use crate::harness::Folder;
use crate::train::{SHAPE, configure_lines, folder, killed_and_gone_on_with, train};

const IMAGE: (&str, &str) = ("image = 'image.npy'", "image = 'two.zarr'\nchannels = [1, 0]");
const MEAN: (&str, &str) = ("mean = 100", "mean = [100, 60]");
const NETWORK: (&str, &str) = ("depth = 2", "image_channels = 2\ndepth = 2");

/// With an image whose second channel shows the objects.
fn of_two_channels() -> Folder {
    let folder = folder();
    let options = WriteOptions::new(DataType::U8, SHAPE.map(|s| s as u64))
        .with_channels(vec!["noise".to_owned(), "cells".to_owned()]);
    let path = folder.join("two.zarr");
    let writer = VolumeWriter::create(path.to_str().unwrap(), &options).unwrap();
    let image = exavox_io::Volume::open(folder.join("image.npy").to_str().unwrap()).unwrap();
    let region = exavox_io::BoundingBox::new([0; 3], SHAPE.map(|s| s as u64));
    let noise = (0..SHAPE.iter().product::<usize>()).map(|n| (n * 37 % 119) as u8).collect();
    writer.write(0, [0; 3], &Voxels::from_vec(SHAPE, noise).unwrap()).unwrap();
    writer.write(1, [0; 3], &image.read(0, &region).unwrap()).unwrap();
    writer.finish().unwrap();
    folder
}

#[test]
fn killed_and_gone_on_with_channels_give_the_same_weights_and_segment() {
    let folder = of_two_channels();
    killed_and_gone_on_with(&folder, &[IMAGE, MEAN, NETWORK]);
    let info = folder.run(&["info", "part/checkpoint-00000300.safetensors", "--json"]).json();
    assert_eq!(info["image_channels"], 2);
    let settings = std::fs::read_to_string(folder.join("part/segment.toml")).unwrap();
    for line in ["channels = [1, 0]", "image_mean = [100.0, 60.0]", "image_stddev = 60.0"] {
        assert!(settings.contains(line), "{line} in\n{settings}");
    }
    let segment = ["segment", "two.zarr", "segments.npy", "--config", "part/segment.toml"];
    folder.run(&[&["--device", "cpu", "--quiet"], &segment[..]].concat()).done();
}

#[test]
fn channels_that_do_not_fit_are_one_line() {
    let folder = of_two_channels();
    let error = |lines: &[(&str, &str)]| {
        configure_lines(&folder, "out", 3, lines);
        train(&folder, &["out.toml"]).error()
    };
    let found = error(&[IMAGE]);
    assert!(found.contains("expected 1 for 'two.zarr'") && found.contains("found 2"), "{found}");
    let found = error(&[NETWORK]);
    assert!(found.contains("expected 2 for 'image.npy'") && found.contains("found 1"), "{found}");
    let found = error(&[IMAGE, ("mean = 100", "mean = [1, 2, 3]"), NETWORK]);
    assert!(found.contains("volumes.mean: expected one number or 2"), "{found}");
    let image = (IMAGE.0, "image = 'two.zarr'\nchannels = [0, 2]");
    let found = error(&[image, MEAN, NETWORK]);
    assert!(found.contains("two.zarr: channel: expected below 2, found 2"), "{found}");
}
