//! Planes found by a regular expression of the user's, and the fields of patterns that it shares.

use std::fs;

use exavox_io::{DataType, Error, OpenOptions, Volume, VolumeWriter, WriteOptions};

use crate::planes::{Folder, SHAPE, check, mosaics, plane};
use crate::tiff::noise;

fn open(folder: &Folder, expression: &str, time: usize) -> Result<Volume, Error> {
    let name = format!("regex:{}", folder.path(expression).display());
    Volume::open_with(&name, &OpenOptions::default().with_time(time))
}

fn usage(folder: &Folder, expression: &str) -> String {
    let error = open(folder, expression, 0).unwrap_err();
    assert!(matches!(error, Error::Usage { .. }), "{error:?}");
    let text = error.to_string();
    assert!(!text.contains('\n'), "{text}");
    text
}

#[test]
fn groups_are_channels_and_planes() {
    let folder = Folder::new();
    let volumes = mosaics(&folder, &["Cy5", "DAPI"]);
    fs::write(folder.path("mosaic_Cy5_z9.csv"), "").unwrap();
    let expression = r"mosaic_(?P<channel>[^_/]+)_z(?P<z>\d+)\.tif";
    let volume = open(&folder, expression, 0).unwrap();
    assert_eq!(volume.metadata().channels, ["Cy5", "DAPI"]);
    check(&volume, &volumes);
    let volume = open(&folder, r"mosaic_DAPI_z(?<z>[0-9]+)[.]tiff?", 0).unwrap();
    check(&volume, &volumes[1..]);
}

#[test]
fn group_t_is_the_time_point() {
    let folder = Folder::new();
    let frames = [1, 2].map(|seed| noise(DataType::U8, SHAPE, seed));
    for (t, frame) in [3, 11].into_iter().zip(&frames) {
        (0..SHAPE[0])
            .for_each(|z| plane(&folder.path(&format!("a_t{t:02}_z{z:03}.tif")), frame, z));
    }
    for (time, frame) in frames.iter().enumerate() {
        for expression in [r"a_t(?P<t>\d+)_z(?P<z>\d+)\.tif", r"a_t(?P<time>\d+)_z(?P<z>\d+)\.tif"]
        {
            check(&open(&folder, expression, time).unwrap(), std::slice::from_ref(frame));
        }
        let options = OpenOptions::default().with_time(time);
        let pattern = folder.path("a_t{time}_z{z}.tif");
        let volume = Volume::open_with(pattern.to_str().unwrap(), &options).unwrap();
        check(&volume, std::slice::from_ref(frame));
    }
    let error = open(&folder, r"a_t(?P<t>\d+)_z(?P<z>\d+)\.tif", 2).unwrap_err();
    assert!(error.to_string().contains("time point 2 does not exist, there are 2"), "{error}");
}

#[test]
fn without_z_a_file_is_a_channel() {
    let folder = Folder::new();
    let volumes = ["a", "b"].map(|name| {
        let volume = noise(DataType::U16, [1, 12, 15], name.len() as u64);
        plane(&folder.path(&format!("{name}.tif")), &volume, 0);
        volume
    });
    check(&open(&folder, r"(?P<channel>\w)\.tif", 0).unwrap(), &volumes);
}

#[test]
fn what_is_wrong_with_an_expression_is_named() {
    let folder = Folder::new();
    mosaics(&folder, &["Cy5"]);
    assert!(usage(&folder, r"m_(?P<stain>.+)_z(?P<z>\d+)\.tif").contains("unknown group 'stain'"));
    assert!(usage(&folder, r"mosaic_.*\.tif").contains("no named group"));
    assert!(usage(&folder, r"m_(?P<z>\d+").contains("not a regular expression"));
    assert!(usage(&folder, r"m_(?P<z>(\w{900}){900})").contains("size limit"));
    assert!(usage(&folder, r"x_(?P<z>\d+)\.tif").contains("no file fits"));
    let text = usage(&folder, r"mosaic_Cy5_z(?P<z>\d+)?(?P<channel>x)?\.?\d*\.tif");
    assert!(text.contains("group channel is empty") && text.contains("mosaic_Cy5"), "{text}");
    let error = open(&folder, r"mosaic_(?P<channel>\w+)_(?P<z>z\d+)\.tif", 0).unwrap_err();
    assert!(error.to_string().contains("'z0' is no number"), "{error}");
    let name = format!("regex:{}", folder.path(r"a_(?P<z>\d+)\.tif").display());
    let error =
        VolumeWriter::create(&name, &WriteOptions::new(DataType::U8, [1, 2, 3])).unwrap_err();
    assert!(error.to_string().contains("finds files"), "{error}");
}

#[test]
fn holes_and_doubles_are_named() {
    let folder = Folder::new();
    mosaics(&folder, &["Cy5"]);
    fs::copy(folder.path("mosaic_Cy5_z2.tif"), folder.path("mosaic_Cy5_z02.tif")).unwrap();
    let expression = r"mosaic_(?P<channel>\w+)_z(?P<z>\d+)\.tif";
    let text = open(&folder, expression, 0).unwrap_err().to_string();
    assert!(
        text.contains("the same channel and plane as") && text.contains("mosaic_Cy5_z2.tif"),
        "{text}"
    );
    fs::remove_file(folder.path("mosaic_Cy5_z2.tif")).unwrap();
    fs::remove_file(folder.path("mosaic_Cy5_z02.tif")).unwrap();
    let text = open(&folder, expression, 0).unwrap_err().to_string();
    assert!(text.contains("missing plane: channel Cy5 has z 0-1,3-6, expected 0-6"), "{text}");
    assert!(text.starts_with("regex:"), "{text}");
}
