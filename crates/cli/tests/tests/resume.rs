//! `exavox convert --resume`: killed anywhere, and gone on with.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use exavox_io::DataType;

use crate::harness::Folder;

/// Edge of the volume in voxels: 134 MB.
const EDGE: usize = 512;
/// What is written, and how often its run is killed: ten times in all.
const KILLS: [(&str, usize); 4] = [("b.n5", 2), ("b.npy", 3), ("b.precomputed", 2), ("b.zarr", 3)];

/// A cube whose chunks neither are empty nor compress to nothing.
fn write_source(folder: &Folder) {
    let mut state = 1_u64;
    let mut noise = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 60) as u8
    };
    let values: Vec<u8> = (0..EDGE.pow(3)).map(|i| (i / 4096) as u8 ^ noise()).collect();
    folder.write("a.npy", [EDGE; 3], values);
}

/// Paths and contents of all files of an output.
fn tree(path: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut open = vec![path.to_owned()];
    while let Some(next) = open.pop() {
        if next.is_dir() {
            open.extend(fs::read_dir(&next).unwrap().map(|e| e.unwrap().path()));
        } else {
            let bytes = fs::read(&next).unwrap();
            found.push((next.strip_prefix(path).unwrap().to_owned(), bytes));
        }
    }
    found.sort();
    found
}

fn start(folder: &Folder, args: &[&str]) -> Child {
    let mut program = folder.program();
    program.args(["convert", "--quiet", "--threads", "2", "--memory", "64MiB"]).args(args);
    program.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Starts the program and kills it with SIGKILL after a while; whether it was still at work.
fn killed(folder: &Folder, args: &[&str], after: Duration) -> bool {
    let mut child = start(folder, args);
    sleep(after);
    let at_work = child.try_wait().unwrap().is_none();
    if at_work {
        child.kill().unwrap();
    }
    child.wait().unwrap();
    at_work
}

fn blocks_recorded(folder: &Folder, target: &str) -> usize {
    let ledger = folder.join(&format!(".{target}.resume.ledger"));
    fs::read(ledger).map_or(0, |bytes| bytes.iter().filter(|b| **b == b'\n').count())
}

#[test]
fn killed_ten_times_it_writes_the_same_bytes() {
    let folder = Folder::new();
    write_source(&folder);
    let seed = Instant::now();
    let mut random = std::process::id() as u64;
    let mut useful = 0;
    for (target, wanted) in KILLS {
        // The name is part of the metadata: it must be the same.
        let whole = &format!("whole/{target}");
        let started = Instant::now();
        let options = ["--quiet", "--threads", "2", "--memory", "64MiB"];
        folder.run(&[&["convert", "a.npy", whole], &options[..]].concat()).done();
        let takes = started.elapsed();
        let args = ["a.npy", target, "--resume"];
        let mut kills = 0;
        while kills < wanted {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(seed.elapsed().as_nanos() as u64);
            let share = 0.08 + (random >> 40) as f64 / (1_u64 << 24) as f64 / 3.0;
            let before = blocks_recorded(&folder, target);
            let at_work = killed(&folder, &args, takes.mul_f64(share));
            if folder.join(target).exists() {
                // It was whole before the kill came: the next run says so, and it begins again.
                let same = tree(&folder.join(target)) == tree(&folder.join(whole));
                assert!(same, "an unfinished output has its final name");
                folder.run(&[&["convert"], &args[..]].concat()).done();
                remove(&folder.join(target));
            } else {
                assert!(at_work, "{target}: it ended without an output");
                kills += 1;
                useful += usize::from(blocks_recorded(&folder, target) > before);
            }
        }
        folder.run(&[&["convert"], &args[..], &options[..]].concat()).done();
        assert!(tree(&folder.join(target)) == tree(&folder.join(whole)), "{target}");
        let again = folder.run(&[&["convert"], &args[..]].concat()).done();
        assert!(again.stderr.contains("is whole already, nothing to do"), "{again:?}");
    }
    assert!(useful > 0, "few kills came in the middle: {useful}");
    let entries = ["a.npy", "b.n5", "b.npy", "b.precomputed", "b.zarr", "whole"];
    assert_eq!(folder.entries(), entries);
}

fn remove(path: &Path) {
    if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.unwrap();
}

#[test]
fn two_at_once_and_another_plan_are_refused() {
    let folder = Folder::new();
    // Holes in a file take no space on the disk, but reading them takes time.
    let length = 2048_u64 * 1024 * 1024;
    fs::File::create(folder.join("big.raw")).unwrap().set_len(length).unwrap();
    let source = "big.raw:uint8:2048,1024,1024";
    let mut first = start(&folder, &[source, "b.npy", "--resume", "--sync"]);
    let started = Instant::now();
    while blocks_recorded(&folder, "b.npy") < 2 {
        assert!(started.elapsed() < Duration::from_secs(60), "nothing is written");
        assert!(first.try_wait().unwrap().is_none(), "ended too soon");
        sleep(Duration::from_millis(1));
    }
    let error = folder.run(&["convert", source, "b.npy", "--resume", "--sync"]).error();
    assert_eq!(error, "./.b.npy.resume.ledger: another process is at work on this output");
    first.kill().unwrap();
    first.wait().unwrap();

    let run = folder.run(&["convert", source, "b.npy", "--resume"]);
    assert!(run.stderr.contains("\nhint: remove that file, and .partial beside it"), "{run:?}");
    assert!(run.error().ends_with("asked for: durability was Synced and is Buffered"));
    let entries = [".b.npy.resume.ledger", ".b.npy.resume.partial", "big.raw"];
    assert_eq!(folder.entries(), entries);
}

#[test]
fn formats_that_must_be_written_in_order_cannot_be_resumed() {
    let folder = Folder::new();
    folder.write_ramp("a.npy", [4, 5, 6], DataType::U8);
    for target in ["b.tif", "b_{z}.png", "s3://bucket/b.zarr"] {
        let error = folder.run(&["convert", "a.npy", target, "--resume"]).error();
        assert!(error.contains(target) && error.contains("not supported"), "{error}");
        assert_eq!(folder.entries(), ["a.npy"]);
    }
}
