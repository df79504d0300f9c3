//! `exavox components` and `exavox flood` as a user runs them.

use exavox_io::{BoundingBox, DataType, Volume};
use serde_json::json;

use crate::harness::Folder;

fn labels(folder: &Folder, name: &str) -> Vec<u64> {
    let volume = Volume::open(&folder.join(name).display().to_string()).unwrap();
    volume.read(0, &BoundingBox::whole(volume.shape())).unwrap().to_labels().unwrap()
}

/// Two squares that touch at a corner, and a voxel apart.
fn squares(folder: &Folder) {
    #[rustfmt::skip]
    let values = vec![
        9_u8, 9, 0, 0, 0, 3,
        9, 9, 0, 0, 0, 0,
        0, 0, 5, 5, 0, 0,
        0, 0, 5, 5, 0, 0,
    ];
    folder.write("a.npy", [1, 4, 6], values);
}

#[test]
fn components_are_counted_and_written() {
    let folder = Folder::new();
    squares(&folder);
    let run = folder.run(&["components", "a.npy", "l.zarr", "--json"]);
    assert!(run.stderr.contains("a.npy: needs ") && run.stderr.contains("of memory"), "{run:?}");
    let object = run.json();
    assert_eq!((&object["components"], &object["largest_voxels"]), (&json!(3), &json!(4)));
    assert_eq!((&object["input"], &object["output"]), (&json!("a.npy"), &json!("l.zarr")));
    assert_eq!((&object["connectivity"], &object["dtype"]), (&json!(6), &json!("uint32")));
    for name in ["seconds", "voxels_per_second", "peak_memory_bytes", "memory_needed_bytes"] {
        assert!(object[name].as_f64().is_some_and(|v| v > 0.0), "{object}");
    }
    #[rustfmt::skip]
    assert_eq!(labels(&folder, "l.zarr"), [
        1, 1, 0, 0, 0, 2,
        1, 1, 0, 0, 0, 0,
        0, 0, 3, 3, 0, 0,
        0, 0, 3, 3, 0, 0,
    ]);
    let count = |more: &[&str]| {
        let args = [&["components", "a.npy", "l.zarr", "--json", "--overwrite"], more].concat();
        folder.run(&args).json()["components"].as_u64().unwrap()
    };
    assert_eq!(count(&["--connectivity", "18"]), 2);
    assert_eq!(count(&["--connectivity", "26", "--multi-label"]), 3);
    assert_eq!(count(&["--connectivity", "26", "--range", "4:"]), 1);
    assert_eq!(count(&["--range", "-1:2.5"]), 2);
    assert_eq!(count(&["--min-size", "2"]), 2);
    assert_eq!(count(&["--roi", ":,:,2:"]), 2);
    let summary = folder.run(&["components", "a.npy", "m.npy", "--min-size", "2"]).done().stderr;
    assert!(
        summary.contains("m.npy: 2 components, the largest of 4 voxels; 1 were too small"),
        "{summary}"
    );
    assert_eq!(labels(&folder, "m.npy")[14], 2);
}

#[test]
fn floods_fill_from_seeds() {
    let folder = Folder::new();
    squares(&folder);
    let base = ["flood", "a.npy", "f.npy", "--json", "--overwrite", "--range", "1:"];
    let run = |more: &[&str]| folder.run(&[&base[..], more].concat());
    let object = run(&["--seed", "0,0,0"]).json();
    assert_eq!((&object["filled_voxels"], &object["components"]), (&json!(4), &json!(1)));
    assert_eq!(labels(&folder, "f.npy")[..8], [1, 1, 0, 0, 0, 0, 1, 1]);
    let object = run(&["--seed", "0,0,0", "--connectivity", "26"]).json();
    assert_eq!(object["filled_voxels"], 8);
    let both = run(&["--seed", "0,0,0", "--seed", "0,0,2"]);
    assert!(
        both.stderr.contains("warning: 1 of 2 seeds lie on voxels out of the range"),
        "{both:?}"
    );
    assert_eq!(both.json()["seeds_out_of_range"], 1);

    std::fs::write(folder.join("s.csv"), "z,y,x,label\n0,0,5,7\n0,3,3,300\n").unwrap();
    let object = run(&["--seeds", "s.csv"]).json();
    assert_eq!((&object["dtype"], &object["filled_voxels"]), (&json!("uint32"), &json!(5)));
    assert_eq!(labels(&folder, "f.npy")[5], 7);
    assert_eq!(labels(&folder, "f.npy")[14], 300);

    let nothing = run(&["--seed", "0,0,2"]);
    assert_eq!(nothing.status, Some(1), "{nothing:?}");
    assert!(labels(&folder, "f.npy").iter().all(|l| *l == 0));
}

#[test]
fn what_does_not_fit_into_memory_is_done_by_blocks() {
    let folder = Folder::new();
    let shape = [64, 512, 512];
    let value = |i: usize| {
        let [z, y, x] = [i >> 18, i >> 9 & 511, i & 511];
        u8::from((z / 3 + y / 5 + x / 7) % 4 == 0) * (1 + (z / 32) as u8)
    };
    folder.write("a.npy", shape, (0..64 << 18).map(value).collect::<Vec<u8>>());
    for args in [
        &["components", "a.npy", "--connectivity", "18", "--multi-label", "--min-size", "30"][..],
        &["flood", "a.npy", "--range", "1:1", "--seed", "0,0,0", "--seed", "40,300,0"],
    ] {
        let run = |target: &str, more: &[&str]| {
            folder.run(&[args, &[target, "--json", "--overwrite"], more].concat())
        };
        let by_blocks = run("b.zarr", &["--memory", "70MB", "--codec", "zstd:1"]);
        assert!(by_blocks.stderr.contains("done by blocks; if it ends early"), "{by_blocks:?}");
        let (found, whole) = (by_blocks.json(), run("w.zarr", &[]).json());
        assert!(found["blocks"].as_u64() > Some(8) && whole["blocks"].is_null(), "{found}");
        for name in
            ["components", "dropped", "foreground_voxels", "filled_voxels", "dtype", "voxels"]
        {
            assert_eq!(found[name], whole[name], "{name}");
        }
        assert!(labels(&folder, "b.zarr") == labels(&folder, "w.zarr"), "{args:?}");
        assert_eq!(folder.entries(), ["a.npy", "b.zarr", "w.zarr"]);
        let refused = run("b.npy", &["--memory", "70MB", "--quiet"]).error();
        assert!(
            refused.contains("or a .zarr, .n5 or .precomputed target, which is made by blocks")
        );
    }
    let leak = folder.run(&[
        "flood",
        "a.npy",
        "l.zarr",
        "--range",
        "1:2",
        "--seed",
        "0,0,0",
        "--memory",
        "70MB",
        "--max-voxels",
        "100",
    ]);
    assert_eq!(leak.status, Some(1), "{leak:?}");
    assert!(leak.stderr.contains("a.npy: the flood leaks: "), "{leak:?}");
}

#[test]
fn voxel_sizes_are_carried_over_and_channels_chosen() {
    let folder = Folder::new();
    folder.write_ramp("a.npy", [3, 4, 5], DataType::I32);
    folder.run(&["convert", "a.npy", "b.zarr", "--voxel-size", "40,4,4"]).done();
    folder.run(&["components", "b.zarr", "l.zarr", "--range", "7:9", "--channel", "0"]).done();
    folder.run(&["flood", "b.zarr", "f.tif", "--range", "-9:9", "--seed", "0,0,3"]).done();
    for name in ["l.zarr", "f.tif"] {
        let info = folder.run(&["info", name, "--json"]).json();
        assert_eq!(info["voxel_size_nm"], json!([40.0, 4.0, 4.0]), "{info}");
    }
    assert_eq!(labels(&folder, "f.tif").iter().sum::<u64>(), 10);
}

#[test]
fn what_cannot_be_is_one_line_and_leaves_nothing() {
    let folder = Folder::new();
    squares(&folder);
    folder.write("b.npy", [1, 2, 2], vec![0.5_f32; 4]);
    std::fs::write(folder.join("s.csv"), "1,2\n").unwrap();
    for (args, expected) in [
        (&["components", "a.npy", "a.npy", "--overwrite"][..], "would replace what is read"),
        (&["components", "none.npy", "l.npy"], "none.npy"),
        (&["components", "a.npy", "l.xyz"], "writing '.xyz'"),
        (&["components", "a.npy", "b.npy"], "b.npy: exists already"),
        (&["components", "b.npy", "l.npy", "--multi-label"], "labels must be integers"),
        (&["components", "a.npy", "l.npy", "--channel", "red"], "no channel 'red'"),
        (&["components", "a.npy", "l.npy", "--roi", ":,:,5:9"], "axis x of a.npy"),
        (&["components", "a.npy", "l.npy", "--range", "300:400"], "no value of uint8"),
        (&["components", "a.npy", "l.npy", "--memory", "100B"], "100 may be used"),
        (
            &["flood", "a.npy", "l.npy", "--range", "1:", "--seed", "0,4,0"],
            "seed 0,4,0 lies outside",
        ),
        (
            &["flood", "a.npy", "l.npy", "--range", "1:", "--seeds", "s.csv"],
            "s.csv:1: expected z,y,x",
        ),
        (&["flood", "a.npy", "l.npy", "--range", "1:", "--seeds", "t.csv"], "t.csv"),
        (
            &["flood", "a.npy", "l.npy", "--range", "0:9", "--seed", "0,0,0", "--max-voxels", "5"],
            "the flood leaks: 24 voxels are reached, at most 5 may be",
        ),
    ] {
        let error = folder.run(&[&["--quiet"], args].concat()).error();
        assert!(error.contains(expected), "{args:?}: {error}");
        assert_eq!(folder.entries(), ["a.npy", "b.npy", "s.csv"], "{args:?}");
    }
    for args in [
        &["components", "a.npy", "l.npy", "--connectivity", "8"][..],
        &["components", "a.npy", "l.npy", "--range", "5:4"],
        &["components", "a.npy", "l.npy", "--range", "nan:4"],
        &["components", "a.npy", "l.npy", "--range", "1:2", "--multi-label"],
        &["components", "a.npy", "l.npy", "--min-size", "-1"],
        &["flood", "a.npy", "l.npy", "--range", "1:2"],
        &["flood", "a.npy", "l.npy", "--seed", "0,0,0"],
        &["flood", "a.npy", "l.npy", "--range", "1:2", "--seed", "0,0"],
    ] {
        let run = folder.run(args);
        assert_eq!((run.status, run.stdout.as_str()), (Some(2), ""), "{args:?}: {run:?}");
    }
}

/// With a build that has the CPU's run-time compiler; others skip.
#[test]
fn a_device_gives_the_same_labels_and_the_cpu_steps_in() {
    let folder = Folder::new();
    squares(&folder);
    let jit = ["--device", "cpu-jit", "--quiet"];
    let first = folder.run(&[&["components", "a.npy", "d.npy"][..], &jit].concat());
    if first.stderr.contains("feature") {
        return eprintln!("skipped: {}", first.stderr);
    }
    first.done();
    folder.run(&["components", "a.npy", "c.npy"]).done();
    assert_eq!(labels(&folder, "d.npy"), labels(&folder, "c.npy"));
    let flood = ["flood", "a.npy", "--seed", "0,0,1", "--range", "4:", "--connectivity", "26"];
    folder.run(&[&flood[..], &["f.npy"], &jit].concat()).done();
    folder.run(&[&flood[..], &["g.npy"]].concat()).done();
    assert_eq!(labels(&folder, "f.npy"), labels(&folder, "g.npy"));
    let clahe = ["filter", "a.npy", "e.npy", "--device", "cpu-jit", "clahe"];
    let run = folder.run(&clahe).done();
    assert!(run.stderr.contains("clahe") && run.stderr.contains("the CPU does it"), "{run:?}");
}
