//! `exavox downsample`.

use exavox_io::{BoundingBox, DataType, Volume};
use serde_json::json;

use crate::harness::Folder;

#[test]
fn a_pyramid_is_added_and_info_lists_it() {
    let folder = Folder::new();
    folder.write_ramp("a.npy", [6, 40, 50], DataType::U16);
    folder.run(&["convert", "a.npy", "b.zarr", "--voxel-size", "40,4,4"]).done();
    let run = folder.run(&["downsample", "b.zarr", "--factor", "1,2,2", "--levels", "2", "--json"]);
    assert!(run.stderr.contains("scale 1: 24.00 kB in"), "{run:?}");
    let object = run.json();
    assert_eq!(object["shapes"], json!([[6, 20, 25], [6, 10, 13]]));
    assert_eq!((&object["method"], &object["factor"]), (&json!("mean"), &json!([1, 2, 2])));
    assert_eq!((&object["input"], &object["output"]), (&json!("b.zarr"), &json!("b.zarr")));
    assert_eq!(object["bytes"], 24_000 + 6_000);
    for name in ["seconds", "bytes_per_second"] {
        assert!(object[name].as_f64().is_some_and(|v| v > 0.0), "{object}");
    }

    let scales = folder.run(&["info", "b.zarr", "--json"]).json();
    let expected = json!([
        {"shape": [6, 40, 50], "voxel_size_nm": [40.0, 4.0, 4.0]},
        {"shape": [6, 20, 25], "voxel_size_nm": [40.0, 8.0, 8.0]},
        {"shape": [6, 10, 13], "voxel_size_nm": [40.0, 16.0, 16.0]},
    ]);
    assert_eq!(scales["scales"], expected);
    let again = folder.run(&["downsample", "b.zarr", "--factor", "1,2,2", "--levels", "2"]).done();
    assert!(again.stderr.contains("nothing to do"), "{again:?}");

    // Scales are chosen by number or by the size of their voxels.
    let by_size = ["--scale-voxel-size", "50,10,10"];
    folder.run(&[&["convert", "b.zarr", "c.npy"], &by_size[..]].concat()).done();
    folder.run(&["convert", "b.zarr", "d.npy", "--scale", "1"]).done();
    let bytes = |name: &str| std::fs::read(folder.join(name)).unwrap();
    assert_eq!(bytes("c.npy"), bytes("d.npy"));
    let info = folder.run(&[&["info", "b.zarr", "--json"], &by_size[..]].concat()).json();
    assert_eq!(info["shape"], json!([6, 20, 25]));
}

#[test]
fn a_new_volume_has_the_mode_of_labels_and_the_mean_of_images() {
    let folder = Folder::new();
    folder.write("labels.npy", [1, 2, 4], vec![7_u64, 7, 0, 3, 9, 9, 3, 0]);
    folder.write("image.npy", [1, 2, 4], vec![7_u8, 7, 0, 3, 9, 9, 3, 0]);
    folder.run(&["downsample", "labels.npy", "l.npy"]).done();
    folder.run(&["downsample", "image.npy", "i.npy"]).done();
    let read = |name: &str| {
        let volume = Volume::open(&folder.join(name).display().to_string()).unwrap();
        volume.read(0, &BoundingBox::whole([1, 1, 2])).unwrap()
    };
    // Of 7, 7, 9, 9 the smallest; 0 counts: 0, 3, 3, 0.
    assert_eq!(read("l.npy").as_slice::<u64>().unwrap(), [7, 0]);
    // 1.5 goes to the even neighbour.
    assert_eq!(read("i.npy").as_slice::<u8>().unwrap(), [8, 2]);
}

#[test]
fn what_cannot_be_is_one_line_and_leaves_nothing() {
    let folder = Folder::new();
    folder.write_ramp("a.npy", [4, 5, 6], DataType::F32);
    folder.run(&["convert", "a.npy", "b.tif"]).done();
    folder.run(&["convert", "a.npy", "c.zarr"]).done();
    for (args, expected) in [
        (&["b.tif", "--levels", "1"][..], "b.tif: not supported"),
        (&["a.npy", "--levels", "1"], "a.npy: not supported"),
        (&["a.npy", "d.npy", "--method", "mode"], "the mode is for labels"),
        (&["a.npy", "d.xyz"], "writing '.xyz'"),
        (&["a.npy", "a.npy", "--overwrite"], "would replace what is read"),
        (&["a.npy", "b.tif"], "b.tif: exists already"),
        (&["a.npy", "d.tif", "--resume"], "can be resumed"),
        (&["c.zarr", "--levels", "1", "--scale", "1"], "--scale and --time need DST"),
        (&["c.zarr", "d.npy", "--scale", "1"], "scale 1 does not exist"),
        (&["a.npy", "d.npy", "--time", "3"], "a.npy"),
    ] {
        let error = folder.run(&[&["downsample"], args].concat()).error();
        assert!(error.contains(expected), "{args:?}: {error}");
        assert_eq!(folder.entries(), ["a.npy", "b.tif", "c.zarr"], "{args:?}");
    }
    for args in [
        &["a.npy", "d.npy", "--factor", "0,2,2"][..],
        &["a.npy", "d.npy", "--factor", "1,1,1"],
        &["a.npy", "d.npy", "--factor", "2"],
        &["a.npy", "d.npy", "--method", "median"],
        &["a.npy", "d.npy", "--levels", "2"],
        &["c.zarr", "--levels", "0"],
        &["c.zarr", "--resume"],
    ] {
        let run = folder.run(&[&["downsample"], args].concat());
        assert_eq!((run.status, run.stdout.as_str()), (Some(2), ""), "{args:?}: {run:?}");
    }
}
