//! `exavox filter` as a user runs it.

use exavox_io::{BoundingBox, DataType, Volume};
use serde_json::json;

use crate::harness::Folder;

fn values(folder: &Folder, name: &str) -> (DataType, Vec<f32>) {
    let volume = Volume::open(&folder.join(name).display().to_string()).unwrap();
    let voxels = volume.read(0, &BoundingBox::whole(volume.shape())).unwrap();
    (voxels.dtype(), voxels.to_f32())
}

#[test]
fn every_filter_runs_and_tells_what_it_did() {
    let folder = Folder::new();
    folder.write_ramp("v.npy", [6, 20, 30], DataType::U8);
    for (n, args) in [
        &["gaussian", "--sigma", "0.5,1,1"][..],
        &["median", "--radius", "0,1,1"],
        &["sobel", "--gradient", "x"],
        &["clahe", "--tile", "3,8,8", "--3d", "--clip-limit", "0.02", "--range", "0,300"],
        &["normalize", "--method", "percentiles", "--percentiles", "2,98"],
        &["normalize", "--range", "-5,5"],
        &["distance", "--border", "background"],
    ]
    .into_iter()
    .enumerate()
    {
        let target = format!("{n}.npy");
        let all = [&["--json", "filter", "v.npy", &target], args].concat();
        let found = folder.run(&all).json();
        let dtype = if args[0] == "median" { "uint8" } else { "float32" };
        assert_eq!((&found["filter"], &found["dtype"]), (&json!(args[0]), &json!(dtype)));
        assert_eq!((&found["shape"], &found["voxels"]), (&json!([6, 20, 30]), &json!(3600)));
        for number in ["seconds", "voxels_per_second", "expected_memory_bytes", "peak_memory_bytes"]
        {
            assert!(found[number].as_f64().unwrap() > 0.0, "{number} of {found}");
        }
        assert_eq!(found["channels"][0]["error"], json!(null));
        assert_eq!(values(&folder, &target).0.name(), dtype);
    }
}

#[test]
fn distances_are_in_nanometres_where_the_voxel_size_is_known() {
    let folder = Folder::new();
    folder.write("m.npy", [1, 1, 4], vec![0_u16, 7, 7, 7]);
    folder.run(&["convert", "m.npy", "m.zarr", "--voxel-size", "40,4,5"]).done();
    let unit =
        |args: &[&str]| folder.run(&[&["--json", "filter"], args].concat()).json()["unit"].clone();
    assert_eq!(unit(&["m.npy", "a.npy", "distance"]), "voxel");
    assert_eq!(values(&folder, "a.npy").1, [0.0, 1.0, 2.0, 3.0]);
    assert_eq!(unit(&["m.zarr", "b.npy", "distance", "--squared"]), "nm");
    assert_eq!(values(&folder, "b.npy").1, [0.0, 25.0, 100.0, 225.0]);
    assert_eq!(unit(&["m.zarr", "c.npy", "distance", "--voxel-size", "1,1,2"]), json!(null));
    assert_eq!(values(&folder, "c.npy").1, [0.0, 2.0, 4.0, 6.0]);
    folder.run(&["filter", "m.zarr", "d.zarr", "distance", "--border", "background"]).done();
    // One plane, one row: the border is nearest along y.
    assert_eq!(values(&folder, "d.zarr").1, [0.0, 4.0, 4.0, 4.0]);
    let info = folder.run(&["--json", "info", "d.zarr"]).json();
    assert_eq!(info["voxel_size_nm"], json!([40.0, 4.0, 5.0]));
}

#[test]
fn flags_go_before_and_after_the_filter() {
    let folder = Folder::new();
    folder.write("v.npy", [1, 2, 4], vec![10_u16, 20, 30, 40, 50, 60, 70, 90]);
    let args = ["--roi", "0:1,0:2,1:4", "--dtype", "uint8", "--overwrite"];
    let before = [&["filter"], &args[..], &["v.npy", "a.npy", "normalize", "--method", "min-max"]];
    folder.run(&before.concat()).done();
    let after = [&["filter", "v.npy", "b.npy", "normalize", "--method", "min-max"], &args[..]];
    folder.run(&after.concat()).done();
    let expected = [0.0, 36.0, 73.0, 146.0, 182.0, 255.0];
    assert_eq!(values(&folder, "a.npy"), (DataType::U8, expected.to_vec()));
    assert_eq!(values(&folder, "b.npy"), values(&folder, "a.npy"));
}

#[test]
fn memory_is_told_before_and_refused() {
    let folder = Folder::new();
    folder.write_ramp("v.npy", [10, 100, 100], DataType::U8);
    let run = folder.run(&["filter", "v.npy", "o.npy", "sobel"]).done();
    assert!(run.stderr.contains("takes about 34.10 MB of memory"), "{run:?}");
    let args = ["--memory", "34MB", "filter", "v.npy", "p.npy", "sobel"];
    let run = folder.run(&args);
    assert!(run.stderr.contains("hint: --roi chooses a part"), "{run:?}");
    let error = run.error();
    assert!(error.contains("takes 34104432 bytes of memory, 34000000 are allowed"), "{error}");
    folder.run(&[&args[..], &["--roi", ":1,:,:"]].concat()).done();
}

#[test]
fn what_does_not_fit_into_memory_is_filtered_by_blocks() {
    let folder = Folder::new();
    folder.write_ramp("v.npy", [40, 160, 160], DataType::U8);
    folder.run(&["convert", "v.npy", "v.zarr", "--chunk", "32,32,32"]).done();
    let gaussian = ["gaussian", "--sigma", "1,2,2"];
    folder.run(&[&["filter", "v.zarr", "whole.npy"], &gaussian[..]].concat()).done();
    let little = ["--memory", "37MB", "--threads", "2", "--json"];
    let by_blocks = [&little[..], &["filter", "v.zarr", "o.zarr"], &gaussian].concat();
    let chunk = largest_file(&folder.join("v.zarr/0"));
    let good = std::fs::read(&chunk).unwrap();
    std::fs::write(&chunk, &good[..good.len() / 2]).unwrap();
    let run = folder.run(&by_blocks);
    assert_eq!(run.status, Some(1), "{run:?}");
    assert!(run.stderr.contains("done by blocks"), "{run:?}");
    let report: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert!(report["stages"][0]["failed"].as_u64().unwrap() > 0, "{report}");
    assert!(folder.join(".o.zarr.job").is_dir() && !folder.join("o.zarr").exists());
    std::fs::write(&chunk, good).unwrap();
    let report = folder.run(&by_blocks).json();
    assert_eq!((&report["filter"], &report["voxels"]), (&json!("gaussian"), &json!(1_024_000)));
    assert!(!folder.join(".o.zarr.job").exists());
    assert!(values(&folder, "o.zarr") == values(&folder, "whole.npy"));
    let sobel = [&little[..], &["filter", "v.zarr", "o.zarr", "sobel"]].concat();
    let refused = folder.run(&sobel);
    assert!(refused.status == Some(2) && refused.stderr.contains("o.zarr: exists"), "{refused:?}");
    folder.run(&[&sobel[..], &["--overwrite"]].concat()).done();
    folder.run(&["filter", "v.zarr", "sobel.npy", "sobel"]).done();
    assert!(values(&folder, "o.zarr") == values(&folder, "sobel.npy"));
    let distance = ["distance", "--voxel-size", "4,1,1", "--border", "background"];
    let by_blocks = [&little[..], &["filter", "v.zarr", "d.zarr"], &distance].concat();
    assert!(folder.run(&by_blocks).done().stderr.contains("done by blocks"));
    folder.run(&[&["filter", "v.zarr", "d.npy"], &distance[..]].concat()).done();
    assert!(values(&folder, "d.zarr") == values(&folder, "d.npy"));
}

/// The largest chunk; documents begin with a point.
fn largest_file(folder: &std::path::Path) -> std::path::PathBuf {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = entries.map(|path| if path.is_dir() { largest_file(&path) } else { path });
    let chunks = files.filter(|path| !path.file_name().unwrap().to_string_lossy().starts_with('.'));
    chunks.max_by_key(|path| path.metadata().map_or(0, |m| m.len())).unwrap()
}

#[test]
fn wrong_use_ends_with_2_and_leaves_nothing() {
    let folder = Folder::new();
    folder.write_ramp("v.npy", [3, 4, 5], DataType::F32);
    for (args, expected) in [
        (&["v.npy", "o.npy", "distance"][..], "mask of integers, found float32"),
        (&["missing.npy", "o.npy", "sobel"], "missing.npy"),
        (&["v.npy", "v.npy", "sobel", "--overwrite"], "would replace"),
        (&["v.npy", "o.xyz", "sobel"], "o.xyz"),
        (&["v.npy", "o.npy", "sobel", "--roi", "0:9,:,:"], "v.npy"),
        (&["v.npy", "o.npy", "clahe", "--clip-limit", "2"], "clip limit"),
        (&["v.npy", "o.npy", "clahe", "--tile", "0,1,1"], "tiles of [0, 1, 1]"),
        (&["v.npy", "o.npy", "median", "--radius", "99999,99999,99999"], "too large"),
        (
            &["v.npy", "o.npy", "normalize", "--method", "percentiles", "--percentiles", "5,101"],
            "101",
        ),
    ] {
        let error = folder.run(&[&["--quiet", "filter"], args].concat()).error();
        assert!(error.contains(expected), "{args:?}: {error}");
    }
    for args in [
        &["gaussian"][..],
        &["gaussian", "--sigma", "1,-1,1"],
        &["gaussian", "--sigma", "1,1,1", "--boundary", "wrap"],
        &["median", "--radius", "1,1"],
        &["sobel", "--gradient", "c"],
        &["normalize", "--percentiles", "9,3"],
        &["normalize", "--method", "min-max", "--range", "1,2"],
        &["distance", "--voxel-size", "0,1,1"],
        &["sharpen"],
        &[],
    ] {
        let run = folder.run(&[&["filter", "v.npy", "o.npy"], args].concat());
        assert_eq!((run.status, run.stdout.as_str()), (Some(2), ""), "{args:?}: {run:?}");
    }
    assert_eq!(folder.entries(), ["v.npy"]);
}
