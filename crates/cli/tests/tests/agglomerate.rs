//! `exavox agglomerate` on small input with a small network.

use std::process::Stdio;

use exavox_pipeline::demo::{demo_network, demo_settings, settings_toml, synthetic};

use crate::harness::{Folder, Run, run};

const SHAPE: [usize; 3] = [72, 112, 48];

/// An image of tubes, labels of which one is cut in two, a network and settings that go with it.
fn folder() -> Folder {
    let folder = Folder::new();
    let made = synthetic(SHAPE, 1).unwrap();
    folder.write("image.npy", SHAPE, made.channels[0].as_slice::<u8>().unwrap().to_vec());
    let labels = made.labels.as_slice::<u32>().unwrap();
    let cut = labels.iter().enumerate().map(|(at, label)| match (*label, at % SHAPE[2]) {
        (8, 23 | 24) => 0,
        (8, 25..) => 99,
        _ => *label,
    });
    folder.write("labels.npy", SHAPE, cut.collect::<Vec<u32>>());
    demo_network().save(&folder.join("network.safetensors")).unwrap();
    let mut settings = demo_settings();
    settings.checkpoint = folder.join("network.safetensors");
    let table = "\n[agglomerate]\nmax_distance = 2.0\nmin_voxels = 100\n";
    std::fs::write(folder.join("a.toml"), settings_toml(&settings) + table).unwrap();
    folder
}

fn agglomerate(folder: &Folder, args: &[&str]) -> Run {
    folder.run(&[&["--device", "cpu", "--quiet", "agglomerate"], args].concat())
}

#[test]
fn labels_are_merged_and_the_folder_of_work_serves_another_rule() {
    let folder = folder();
    let args = ["merge", "labels.npy", "image.npy", "out.npy", "--config", "a.toml", "--json"];
    let report = agglomerate(&folder, &[&args[..], &["--keep-work"]].concat()).json();
    assert_eq!(report["merged_pairs"], 1, "{report}");
    let labels = report["labels"].as_u64().unwrap();
    assert_eq!(report["agglomerated_labels"], labels - 1, "{report}");
    for name in ["out.pairs.csv", "out.equivalences.csv", "out.report.html", ".out.npy.agglomerate"]
    {
        assert!(folder.join(name).exists(), "{name}");
    }
    let strict =
        [&args[..], &["--overwrite", "--min-iou", "1", "--pairs-format", "parquet"]].concat();
    let again = agglomerate(&folder, &strict).json();
    assert_eq!(again["pairs_done_before"], report["pairs"], "{again}");
    assert_eq!(again["agglomerated_labels"], labels, "{again}");
    assert!(again["pairs_table"].as_str().unwrap().ends_with("out.pairs.parquet"), "{again}");
    assert!(!folder.join(".out.npy.agglomerate").exists());
}

/// Starts the program; kills it when a file is there, if it still runs.
fn killed_at(folder: &Folder, args: &[&str], file: &str) -> bool {
    let mut program = folder.program();
    program.args(["--device", "cpu", "--quiet", "agglomerate"]).args(args);
    let mut child = program.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let path = folder.join(file);
    let has_begun = || std::fs::metadata(&path).is_ok_and(|file| file.len() > 0);
    while child.try_wait().unwrap().is_none() && !has_begun() {
        std::thread::yield_now();
    }
    let runs = child.try_wait().unwrap().is_none();
    child.kill().unwrap();
    child.wait().unwrap();
    runs
}

/// Everything of `out.npy`, and what lies beside it.
fn remove_outputs(folder: &Folder) {
    let ours = |name: &String| name.trim_start_matches('.').starts_with("out.");
    for path in folder.entries().iter().filter(|name| ours(name)).map(|name| folder.join(name)) {
        if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) }
            .unwrap();
    }
}

#[test]
fn killed_while_pairs_are_done_and_while_results_are_put_into_place_it_gives_the_same() {
    let folder = folder();
    let args =
        |target: &'static str| ["merge", "labels.npy", "image.npy", target, "--config", "a.toml"];
    agglomerate(&folder, &args("whole.npy")).done();
    let in_the_middle = || {
        let killed = killed_at(&folder, &args("out.npy"), ".out.npy.agglomerate/pairs.jsonl");
        let unfinished = killed && !folder.join("out.npy").exists();
        // It was too fast: begin again.
        if !unfinished {
            remove_outputs(&folder);
        }
        unfinished
    };
    assert!((0..20).any(|_| in_the_middle()), "no kill came in the middle");
    killed_at(&folder, &args("out.npy"), ".out.npy.agglomerate/placing");
    // Killed once more with tables in their places, or whole by then: the same command ends well.
    killed_at(&folder, &args("out.npy"), "out.pairs.csv");
    if !folder.join("out.npy").exists() || folder.join(".out.npy.agglomerate/placing").exists() {
        agglomerate(&folder, &args("out.npy")).done();
    }
    let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
    assert_eq!(read("out.npy"), read("whole.npy"));
    assert_eq!(read("out.equivalences.csv"), read("whole.equivalences.csv"));
    assert!(!folder.join(".out.npy.agglomerate/placing").exists());
}

#[test]
fn an_endpoint_is_followed_into_the_other_half() {
    let folder = folder();
    let point = exavox_pipeline::agglomerate::find_points(
        &exavox_io::Volume::open(&folder.join("labels.npy").display().to_string()).unwrap(),
        None,
        &Default::default(),
        &exavox_pipeline::Silent,
    );
    let cut = point.unwrap().points.into_iter().find(|p| [p.id_a, p.id_b] == [8, 99]).unwrap();
    let [z, y, x] = cut.point_zyx;
    std::fs::write(folder.join("ends.csv"), format!("id,z,y,x\n8,{z},{y},{x}\n")).unwrap();
    let args =
        ["endpoints", "labels.npy", "image.npy", "ends.csv", "out.csv", "--config", "a.toml"];
    let report = agglomerate(&folder, &[&args[..], &["--json"]].concat()).json();
    assert_eq!(
        (&report["recovered"], &report["reach_another"]),
        (&1.into(), &1.into()),
        "{report}"
    );
    let covered = std::fs::read_to_string(folder.join("out.covered.csv")).unwrap();
    assert!(
        covered.lines().nth(1).unwrap().starts_with(&format!("8,{z},{y},{x},99,")),
        "{covered}"
    );
    let error = agglomerate(&folder, &args).stderr;
    assert!(error.starts_with("error: out.covered.csv: exists already"), "{error}");
    let parquet =
        ["endpoints", "labels.npy", "image.npy", "ends.csv", "o.parquet", "--config", "a.toml"];
    agglomerate(&folder, &parquet).done();
    assert!(std::fs::read(folder.join("o.covered.parquet")).unwrap().starts_with(b"PAR1"));
}

#[test]
fn each_step_stands_for_itself() {
    let folder = folder();
    let points = agglomerate(&folder, &["points", "labels.npy", "p.csv", "--json"]).json();
    assert_eq!(points["voxel_size_zyx"][0], 1.0, "{points}");
    let table = std::fs::read_to_string(folder.join("p.csv")).unwrap();
    assert!(table.starts_with("id_a,id_b,z,y,x,distance,voxels_a,voxels_b\n"), "{table}");
    assert_eq!(table.lines().count() as u64, points["pairs"].as_u64().unwrap() + 1);
    assert!(table.lines().any(|line| line.contains(",99,")), "{table}");
    let args =
        ["consensus", "labels.npy", "labels.npy", "c.npy", "--split-min-size", "1", "--json"];
    let report = agglomerate(&folder, &args).json();
    assert_eq!((&report["split"], &report["dropped_parts"]), (&0.into(), &0.into()), "{report}");
    let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
    assert_eq!(read("c.npy"), read("labels.npy"));
}

#[test]
fn help_has_examples_and_bad_input_is_one_line() {
    let help = run(&["agglomerate", "--help"]).done().stdout;
    for word in
        ["consensus", "points", "merge", "all", "endpoints", "Examples:", "--split-min-size"]
    {
        assert!(help.contains(word), "{word}: {help}");
    }
    for step in ["consensus", "points", "merge", "all", "endpoints"] {
        run(&["agglomerate", step, "--help"]).done();
    }
    let folder = folder();
    folder.write("small.npy", [4, 5, 6], vec![1_u32; 120]);
    std::fs::write(folder.join("bad.toml"), "[agglomerate]\nmin_iuo = 1\n").unwrap();
    std::fs::write(folder.join("ends.csv"), "id,z,y,x\n8,1,2,z\n").unwrap();
    let before = folder.entries();
    let cases: [(&[&str], &str); 8] = [
        (&["merge", "labels.npy", "image.npy", "o.npy"], "no checkpoint"),
        (&["merge", "labels.npy", "image.npy", "o.npy", "--config", "bad.toml"], "line 2"),
        (&["merge", "small.npy", "image.npy", "o.npy", "--config", "a.toml"], "axis z"),
        (&["consensus", "labels.npy", "small.npy", "o.npy"], "axis z"),
        (&["points", "labels.npy", "o.csv", "--max-distance", "nan"], "max_distance"),
        (
            &["endpoints", "labels.npy", "image.npy", "ends.csv", "o.csv", "--config", "a.toml"],
            "ends.csv row 1: x",
        ),
        (&["merge", "labels.npy", "image.npy", "o.npy", "--pairs-format", "xml"], "csv or parquet"),
        (&["all", "image.npy", "s3://bucket/o.zarr", "--config", "a.toml"], "s3://bucket/o.zarr"),
    ];
    for (args, expected) in cases {
        let error = agglomerate(&folder, args).stderr;
        assert!(error.starts_with("error: ") && error.contains(expected), "{args:?}: {error}");
        assert_eq!(folder.entries(), before, "{args:?}");
    }
}
