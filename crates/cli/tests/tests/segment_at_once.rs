//! `exavox segment` with many steps at a time, on several devices, and after a kill: the same labels.

use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use exavox_pipeline::demo::{demo_network, demo_settings, settings_toml, synthetic};
use exavox_pipeline::segment::Seeds;

use crate::harness::Folder;

/// An image of tubes with more seeds than tubes, so that most lie in a segment when their turn comes.
fn folder(shape: [usize; 3]) -> Folder {
    let folder = Folder::new();
    let made = synthetic(shape, 1).unwrap();
    folder.write("image.npy", shape, made.channels[0].as_slice::<u8>().unwrap().to_vec());
    let mut settings = demo_settings();
    settings.checkpoint = folder.join("network.safetensors");
    demo_network().save(&settings.checkpoint).unwrap();
    let along = |step: u64| made.seeds_zyx.iter().map(move |[z, y, x]| [*z, *y, x + step]);
    settings.seeds = Seeds::Points((0..3).flat_map(|n| along(4 * n)).collect());
    std::fs::write(folder.join("s.toml"), settings_toml(&settings)).unwrap();
    folder
}

const RUN: [&str; 9] = [
    "--device",
    "cpu",
    "--threads",
    "2",
    "--no-progress",
    "segment",
    "image.npy",
    "--config",
    "s.toml",
];

fn args<'a>(labels: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&RUN[..], &[labels], more].concat()
}

/// The table of segments without its times.
fn segments(folder: &Folder, stem: &str) -> Vec<String> {
    let table = std::fs::read_to_string(folder.join(&format!("{stem}.segments.csv"))).unwrap();
    table.lines().map(|line| line.rsplit_once(',').unwrap().0.to_owned()).collect()
}

fn same(folder: &Folder, a: &str, b: &str) {
    assert_eq!(segments(folder, a), segments(folder, b));
    let read = |stem: &str| std::fs::read(folder.join(&format!("{stem}.npy"))).unwrap();
    assert!(read(a) == read(b), "labels of {a} and {b} differ");
}

#[test]
fn labels_are_the_same_however_many_steps_are_computed_at_once() {
    let folder = folder([72, 112, 48]);
    let one = folder.run(&args("one.npy", &["--json"])).json();
    assert_eq!(one["wasted_steps"], 0);
    for (stem, batch) in [("two", "2"), ("eight", "8")] {
        let labels = format!("{stem}.npy");
        let many = folder.run(&args(&labels, &["--batch", batch, "--json"])).json();
        for name in ["segments", "fov_steps", "seeds", "skip_invalid_pos", "segment_at_calls"] {
            assert_eq!(many[name], one[name], "{name}");
        }
        same(&folder, stem, "one");
    }
    let error = folder.run(&args("x.npy", &["--batch", "0"]));
    assert_eq!(error.status, Some(2), "{error:?}");
}

#[test]
fn subvolumes_on_two_devices_have_the_labels_that_they_have_on_one() {
    let folder = folder([72, 112, 48]);
    let cut = ["--subvolume", "44,64,32", "--overlap", "16,16,16"];
    let labels = |name: &str, device: &str, more: &[&str]| {
        let mut args = args(name, &[&cut[..], more].concat());
        args[1] = device;
        folder.run(&args).done();
        let volume = exavox_io::Volume::open(folder.join(name).to_str().unwrap()).unwrap();
        let whole = exavox_io::BoundingBox::whole(volume.shape());
        volume.read(0, &whole).unwrap().to_labels().unwrap()
    };
    let one = labels("one.zarr", "cpu", &[]);
    assert!(one.iter().any(|label| *label > 0));
    assert!(labels("two.zarr", "cpu,cpu", &[]) == one);
    assert!(labels("batch.zarr", "cpu,cpu", &["--batch", "5"]) == one);
    let mut alone = args("alone.npy", &[]);
    alone[1] = "cpu,cpu";
    let run = folder.run(&alone).done();
    assert!(run.stderr.contains("one subvolume uses one device: cpu"), "{}", run.stderr);
}

fn start(folder: &Folder) -> Child {
    let mut program = folder.program();
    program.args(args("killed.npy", &["--checkpoint-interval", "0.001"]));
    program.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Kills a run once it has saved something; `false` if it came to its end before.
fn killed(folder: &Folder, more_than: u64) -> bool {
    let length = || {
        let saved = std::fs::metadata(folder.join(".killed.npy.checkpoint"));
        saved.map_or(0, |metadata| metadata.len())
    };
    let (mut child, started) = (start(folder), Instant::now());
    while length() <= more_than && child.try_wait().unwrap().is_none() {
        assert!(started.elapsed() < Duration::from_secs(60), "nothing is saved");
        sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    !folder.join("killed.npy").exists()
}

#[test]
fn killed_in_the_middle_of_objects_it_goes_on_to_the_same_labels() {
    let folder = folder([72, 112, 96]);
    let whole = folder.run(&args("whole.npy", &["--json", "--checkpoint-interval", "0"])).json();
    let path = folder.join(".killed.npy.checkpoint");
    let mut kills = 0;
    for _ in 0..4 {
        let before = std::fs::metadata(&path).map_or(0, |metadata| metadata.len());
        kills += u32::from(killed(&folder, before + 100_000));
    }
    assert!(kills > 1, "few kills came in the middle: {kills}");
    if folder.join("killed.npy").exists() {
        return same(&folder, "killed", "whole");
    }
    // Other settings have other labels.
    let run = folder.run(&args("killed.npy", &["--min-segment-size", "7"]));
    assert!(run.stderr.contains("hint: remove that file"), "{run:?}");
    assert!(
        run.error().contains(".killed.npy.checkpoint: what was begun is not what is asked for")
    );
    // A record that was torn does not count.
    let saved = std::fs::read(&path).unwrap();
    std::fs::write(&path, &saved[..saved.len() - 3]).unwrap();
    let run = folder.run(&args("killed.npy", &["--json"]));
    assert!(run.stderr.contains("goes on after"), "{run:?}");
    let report = run.json();
    for name in ["segments", "fov_steps", "seeds", "skip_invalid_pos", "too_small"] {
        assert_eq!(report[name], whole[name], "{name}");
    }
    same(&folder, "killed", "whole");
    assert!(!path.exists());
}

#[test]
fn a_checkpoint_that_is_damaged_or_in_use_is_refused_and_an_empty_one_is_none() {
    let folder = folder([72, 112, 48]);
    let path = folder.join(".l.npy.checkpoint");
    for (text, expected) in [
        ("hello\n", "no header"),
        ("{\"exavox_checkpoint\":9,\"plan\":{}}\n", "expected version 1, found 9"),
    ] {
        std::fs::write(&path, text).unwrap();
        let error = folder.run(&args("l.npy", &[])).error();
        assert!(error.contains(".l.npy.checkpoint") && error.contains(expected), "{error}");
    }
    std::fs::write(&path, "{\"exavox").unwrap();
    let file = std::fs::File::open(&path).unwrap();
    file.lock().unwrap();
    let error = folder.run(&args("l.npy", &[])).error();
    assert!(error.contains("another process is at work"), "{error}");
    file.unlock().unwrap();
    folder.run(&args("l.npy", &[])).done();
    assert!(!path.exists());
}
