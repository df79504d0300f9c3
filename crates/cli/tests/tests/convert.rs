//! `exavox convert`.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use exavox_io::{BoundingBox, DataType, Volume};

use crate::harness::{Folder, Run};

/// A folder with a ramp of u16, 12 x 20 x 30, in `a.npy`.
fn folder() -> Folder {
    let folder = Folder::new();
    folder.write_ramp("a.npy", [12, 20, 30], DataType::U16);
    folder
}

#[test]
fn a_part_of_a_volume_goes_from_format_to_format() {
    let folder = folder();
    let region = ["--roi", "2:,5:20,:29", "--threads", "2", "--quiet"];
    folder.run(&[&["convert", "a.npy", "b.zarr", "--chunk", "8,8,8"], &region[..]].concat()).done();
    for (from, to) in [("b.zarr", "c.tif"), ("c.tif", "d_z{z}.tif"), ("d_z{z}.tif", "e.raw")] {
        let run = folder.run(&["convert", from, to, "--quiet"]).done();
        assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("", ""));
    }
    let part = BoundingBox::new([2, 5, 0], [12, 20, 29]);
    let name = |file: &str| folder.join(file).display().to_string();
    let expected = Volume::open(&name("a.npy")).unwrap().read(0, &part).unwrap();
    let end = Volume::open(&name("e.raw:uint16:10,15,29")).unwrap();
    let found = end.read(0, &BoundingBox::whole([10, 15, 29])).unwrap();
    assert!(found == expected);
}

#[test]
fn json_is_one_object_and_the_rest_is_on_stderr() {
    let folder = folder();
    let run = folder.run(&["convert", "a.npy", "b.zarr", "--json"]);
    assert!(run.stderr.contains("convert: 14.40 kB in"), "{run:?}");
    let object = run.json();
    assert_eq!(object["bytes"], 14400);
    assert_eq!((&object["input"], &object["output"]), (&"a.npy".into(), &"b.zarr".into()));
    for name in ["seconds", "bytes_per_second"] {
        assert!(object[name].as_f64().is_some_and(|v| v > 0.0), "{object}");
    }
    assert!(object["blocks"].as_u64().is_some_and(|v| v > 0), "{object}");
    let plain = folder.run(&["convert", "a.npy", "c.npy", "--no-progress"]).done();
    assert_eq!((plain.stdout.as_str(), plain.stderr.lines().count()), ("", 1), "{plain:?}");
}

#[test]
fn what_cannot_be_is_refused_and_leaves_nothing() {
    let folder = folder();
    fs::write(folder.join("file"), "").unwrap();
    for (args, expected) in [
        (&["nope.npy", "b.npy"][..], "nope.npy: No such file"),
        (&["a.npy", "b.xyz"], "b.xyz: not supported: writing '.xyz'"),
        (&["a.npy", "b.h5"], "b.h5"),
        (&["a.npy", "a.npy", "--overwrite"], "would replace what is read"),
        (&["a.npy", "b.npy", "--roi", "0:12,0:21,:"], "axis y of a.npy: region 0:21"),
        (&["a.npy", "b.npy", "--roi", "12:,:,:"], "axis z of a.npy"),
        (&["a.npy", "b.npy", "--channel", "red"], "a.npy: no channel 'red'"),
        (&["a.npy", "b.npy", "--codec", "zstd"], "'.npy' has no codec"),
        (&["a.npy", "b.zarr", "--shard", "64,64,64"], "b.zarr"),
        (&["a.npy", "b.zarr", "--memory", "1kB"], "the limit for blocks is 561"),
        (&["a.npy", "file/b.npy"], "file"),
        (&["a.npy", "/proc/b.npy"], "/proc/b.npy"),
    ] {
        let error = folder.run(&[&["convert"], args].concat()).error();
        assert!(error.contains(expected), "{args:?}: {error}");
        assert_eq!(folder.entries(), ["a.npy", "file"], "{args:?}");
    }
}

#[test]
fn an_output_that_exists_is_replaced_only_on_demand() {
    let folder = folder();
    fs::write(folder.join("b.npy"), "mine").unwrap();
    let error = folder.run(&["convert", "a.npy", "b.npy"]).error();
    assert_eq!(error, "b.npy: exists already (--overwrite replaces it)");
    assert_eq!(fs::read(folder.join("b.npy")).unwrap(), b"mine");
    folder.run(&["convert", "a.npy", "b.npy", "--overwrite"]).done();
    assert_eq!(fs::read(folder.join("b.npy")).unwrap(), fs::read(folder.join("a.npy")).unwrap());
}

#[test]
fn a_cast_that_loses_stops_with_a_hint() {
    let folder = folder();
    let run = folder.run(&["convert", "a.npy", "b.npy", "--dtype", "uint8"]);
    assert!(run.stderr.contains("\nhint: --allow-lossy"), "{run:?}");
    // The ramp reaches 256 at z 0, y 8, x 16.
    assert_eq!(run.error(), "a.npy: voxel c,z,y,x 0,0,8,16: 256 is not a value of uint8");
    assert_eq!(folder.entries(), ["a.npy"]);
    folder.run(&["convert", "a.npy", "b.npy", "--dtype", "u8", "--allow-lossy"]).done();
    let volume = Volume::open(&folder.join("b.npy").display().to_string()).unwrap();
    let voxels = volume.read(0, &BoundingBox::whole([12, 20, 30])).unwrap();
    let values = voxels.as_slice::<u8>().unwrap();
    assert!(values.iter().enumerate().all(|(i, v)| usize::from(*v) == i.min(255)));
}

#[test]
fn a_disk_that_fills_up_stops_the_run_and_leaves_nothing() {
    let folder = folder();
    for target in ["b.npy", "b.zarr", "b.tif"] {
        // A limit on the size of files stands in for a full disk: writes fail the same way.
        let script = "ulimit -f 1; trap '' XFSZ; exec \"$0\" convert a.npy \"$1\" --quiet";
        let output = Command::new("sh")
            .args(["-c", script, env!("CARGO_BIN_EXE_exavox"), target])
            .current_dir(folder.path())
            .output()
            .unwrap();
        let error = Run::of(&output).error();
        assert!(error.contains(target) && error.contains("too large"), "{error}");
        assert_eq!(folder.entries(), ["a.npy"], "{target}");
    }
}

#[test]
fn a_killed_run_leaves_only_a_hidden_partial() {
    let folder = Folder::new();
    // Holes in a file take no space on the disk, but reading them takes time.
    let length = 2048_u64 * 1024 * 1024;
    fs::File::create(folder.join("big.raw")).unwrap().set_len(length).unwrap();
    let mut child = folder
        .program()
        .args(["convert", "big.raw:uint8:2048,1024,1024", "b.zarr", "--codec", "zstd:19"])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let started = Instant::now();
    while folder.entries().len() < 2 {
        assert!(started.elapsed() < Duration::from_secs(60), "nothing is written");
        assert!(child.try_wait().unwrap().is_none(), "ended too soon");
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let entries = folder.entries();
    assert_eq!(entries.len(), 2, "{entries:?}");
    assert!(entries[0].starts_with(".b.zarr.") && entries[0].ends_with(".partial"), "{entries:?}");
    assert_eq!(entries[1], "big.raw");
}
