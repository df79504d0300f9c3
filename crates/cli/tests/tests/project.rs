//! `exavox project` as a user runs it.

use std::fs;

use exavox_io::{BoundingBox, DataType, Volume, VolumeWriter, Voxels, WriteOptions};

use crate::harness::Folder;

/// Planes `mosaic_{channel}_z{z}.tif` of 8 channels and 7 planes.
fn mosaic(folder: &Folder) {
    let names = ["DAPI", "Pcp4", "PolyT", "Prox1", "Snap25", "TAG", "Ttr", "hSETBP1"];
    let options = WriteOptions::new(DataType::U16, [7, 40, 50])
        .with_channels(names.iter().map(|n| (*n).to_owned()).collect());
    let target = folder.join("mosaic_{channel}_z{z}.tif").display().to_string();
    let writer = VolumeWriter::create(&target, &options).unwrap();
    for channel in 0..names.len() {
        let value = |i: usize| ((i * 7919 + channel * 31) % 65536) as u16;
        let voxels = Voxels::from_vec([7, 40, 50], (0..14000).map(value).collect()).unwrap();
        writer.write(channel, [0; 3], &voxels).unwrap();
    }
    writer.finish().unwrap();
}

const SOURCE: &str = "mosaic_{channel}_z{z}.tif";
const TARGET: &str = "mosaic_{channel}_maxproj.tif";

#[test]
fn every_channel_of_a_mosaic_gets_its_maximum() {
    let folder = Folder::new();
    mosaic(&folder);
    let found = folder.run(&["--json", "project", SOURCE, TARGET]).json();
    assert_eq!(found["input_bytes"], 8 * 7 * 40 * 50 * 2);
    assert_eq!((&found["kind"], &found["axis"]), (&"max".into(), &"z".into()));
    for number in ["seconds", "bytes_per_second", "peak_memory_bytes"] {
        assert!(found[number].as_f64().unwrap() > 0.0, "{number} of {found}");
    }
    let channels = found["channels"].as_array().unwrap();
    assert_eq!(channels.len(), 8);
    assert_eq!((&channels[7]["name"], &channels[7]["error"]), (&"hSETBP1".into(), &().into()));
    let name = folder.join("mosaic_TAG_maxproj.tif").display().to_string();
    let volume = Volume::open(&name).unwrap();
    assert_eq!(volume.shape(), [1, 40, 50]);
    let voxels = volume.read(0, &BoundingBox::whole([1, 40, 50])).unwrap();
    let value = |i: usize| ((i * 7919 + 5 * 31) % 65536) as u16;
    let expected: Vec<u16> =
        (0..2000).map(|i| (0..7).map(|z| value(z * 2000 + i)).max().unwrap()).collect();
    assert_eq!(voxels.as_slice::<u16>().unwrap(), expected);
}

#[test]
fn one_damaged_channel_of_eight_ends_with_1_and_seven_projections() {
    let folder = Folder::new();
    mosaic(&folder);
    let plane = folder.join("mosaic_Prox1_z2.tif");
    let bytes = fs::read(&plane).unwrap();
    fs::write(&plane, &bytes[..bytes.len() / 2]).unwrap();
    let run = folder.run(&["--json", "--threads", "3", "project", SOURCE, TARGET]);
    assert_eq!(run.status, Some(1), "{run:?}");
    let failures: Vec<&str> = run.stderr.lines().filter(|l| l.starts_with("warning: ")).collect();
    assert_eq!(failures.len(), 1, "{run:?}");
    assert!(failures[0].contains("Prox1") && failures[0].contains("mosaic_Prox1_z2.tif"));
    let found: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    let error = found["channels"][3]["error"].as_str().unwrap();
    assert!(error.contains("mosaic_Prox1_z2.tif"), "{error}");
    assert_eq!(found["input_bytes"], 7 * 7 * 40 * 50 * 2);
    let entries = folder.entries();
    assert_eq!(entries.iter().filter(|e| e.ends_with("maxproj.tif")).count(), 7, "{entries:?}");
    assert!(!entries.iter().any(|e| e.contains("partial")), "{entries:?}");
}

#[test]
fn ranges_kinds_and_axes_are_taken() {
    let folder = Folder::new();
    folder.write("v.npy", [3, 2, 2], (0..12u8).collect());
    let args = ["project", "v.npy", "o.npy", "--kind", "sum", "--axis", "x", "--z-range", "1:"];
    folder.run(&args).done();
    let volume = Volume::open(&folder.join("o.npy").display().to_string()).unwrap();
    assert_eq!((volume.shape(), volume.metadata().dtype), ([2, 2, 1], DataType::U64));
    let voxels = volume.read(0, &BoundingBox::whole([2, 2, 1])).unwrap();
    assert_eq!(voxels.as_slice::<u64>().unwrap(), [9, 13, 17, 21]);
    let error = folder.run(&args).error();
    assert!(error.contains("o.npy: exists already"), "{error}");
    folder.run(&[&args[..], &["--overwrite"]].concat()).done();
}

#[test]
fn wrong_use_ends_with_2_and_names_the_cause() {
    let folder = Folder::new();
    folder.write("v.npy", [3, 2, 2], (0..12u8).collect());
    for (args, expected) in [
        (&["v.npy", "o.npy", "--z-range", "2:9"][..], "axis z"),
        (&["missing.npy", "o.npy"], "missing.npy"),
        (&["v.npy", "v.npy", "--overwrite"], "would replace"),
        (&["v.npy", "o.h5"], "o.h5"),
    ] {
        let error = folder.run(&[&["--quiet", "project"], args].concat()).error();
        assert!(error.contains(expected), "{error}");
    }
    for args in [["--kind", "maximum"], ["--axis", "c"], ["--z-range", "5:2"]] {
        let run = folder.run(&[&["project", "v.npy", "o.npy"][..], &args].concat());
        assert_eq!(run.status, Some(2), "{run:?}");
        assert!(run.stderr.contains(args[1]), "{run:?}");
    }
    assert_eq!(folder.entries(), ["v.npy"]);
}

#[test]
fn colour_by_depth_and_extended_focus_are_written() {
    let folder = Folder::new();
    mosaic(&folder);
    let colours =
        ["project", SOURCE, "c_{channel}.png", "--kind", "depth-colour", "--range", "0,9000"];
    let found = folder.run(&[&["--json"], &colours[..]].concat()).json();
    assert_eq!((&found["kind"], &found["input_bytes"]), (&"depth-colour".into(), &224_000.into()));
    let name = folder.join("c_TAG.png").display().to_string();
    assert_eq!(Volume::open(&name).unwrap().metadata().channels.len(), 3);

    let focus = ["project", SOURCE, "f.zarr", "--kind", "extended-focus", "--height-map", "h.zarr"];
    let small = ["--focus-radius", "1", "--smooth-radius", "0"];
    folder.run(&[&focus[..], &small].concat()).done();
    let heights = Volume::open(&folder.join("h.zarr").display().to_string()).unwrap();
    assert_eq!((heights.shape(), heights.metadata().dtype), ([1, 40, 50], DataType::U16));
    let voxels = heights.read(3, &BoundingBox::whole([1, 40, 50])).unwrap();
    let values = voxels.as_slice::<u16>().unwrap();
    assert!(values.iter().all(|v| *v < 7) && values.iter().any(|v| *v != values[0]));

    for (args, expected) in [
        (&["--kind", "max", "--height-map", "x.zarr"][..], "--height-map is for"),
        (&["--kind", "extended-focus", "--range", "1,2"], "--range is for"),
        (&["--kind", "extended-focus", "--focus-radius", "99"], "focus radius"),
    ] {
        let error = folder.run(&[&["project", SOURCE, "o.zarr"], args].concat()).error();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn the_trace_of_a_run_names_reading_computing_and_writing() {
    let folder = Folder::new();
    mosaic(&folder);
    folder.run(&["--trace", "t.json", "project", SOURCE, TARGET]).done();
    let trace: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(folder.join("t.json")).unwrap()).unwrap();
    let events = trace["traceEvents"].as_array().unwrap();
    for activity in ["read", "compute", "write"] {
        let own = events.iter().filter(|event| event["name"] == activity);
        assert!(own.count() >= 8, "{activity}");
    }
    folder.run(&["--trace", "t.svg", "project", SOURCE, TARGET, "--overwrite"]).done();
    let svg = fs::read_to_string(folder.join("t.svg")).unwrap();
    assert!(svg.starts_with("<svg") && svg.contains("exavox --trace t.svg project"), "{svg}");
    let error = folder.run(&["--quiet", "--trace", "no/t.json", "info", "mosaic_TAG_z0.tif"]);
    assert_eq!(error.status, Some(2), "{error:?}");
}
