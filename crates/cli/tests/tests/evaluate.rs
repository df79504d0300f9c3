//! `exavox evaluate` on small labels.

use crate::harness::Folder;

#[test]
fn figures_of_a_split_object_are_known() {
    let folder = Folder::new();
    folder.write("truth.npy", [1, 2, 4], vec![1u8, 1, 1, 1, 1, 1, 1, 1]);
    folder.write("labels.npy", [1, 2, 4], vec![1u32, 1, 1, 1, 2, 2, 2, 2]);
    let found = folder.run(&["--json", "evaluate", "labels.npy", "truth.npy"]).json();
    assert_eq!(found["voi_split"], 1.0);
    assert_eq!(found["voi_merge"], 0.0);
    assert_eq!(found["rand_split"], 0.5);
    assert_eq!(found["rand_merge"], 1.0);
    let error = found["adapted_rand_error"].as_f64().unwrap();
    assert!((error - 1.0 / 3.0).abs() < 1e-12);
    let args = ["--json", "evaluate", "labels.npy", "truth.npy", "--roi", "0:1,0:1,:"];
    assert_eq!(folder.run(&args).json()["voi_split"], 0.0);
}

#[test]
fn shapes_that_differ_and_labels_that_are_no_integers_are_refused() {
    let folder = Folder::new();
    folder.write("a.npy", [2, 2, 4], vec![1u8; 16]);
    folder.write("b.npy", [2, 2, 5], vec![1u8; 20]);
    folder.write("c.npy", [2, 2, 4], vec![1f32; 16]);
    folder.write("d.npy", [2, 2, 4], vec![-1i32; 16]);
    folder.write("e.npy", [2, 2, 4], vec![0u8; 16]);
    for (labels, truth, expected) in [
        ("a.npy", "b.npy", "axis x: expected 5 voxels as in b.npy, found 4"),
        ("c.npy", "a.npy", "c.npy"),
        ("a.npy", "d.npy", "d.npy"),
        ("a.npy", "e.npy", "no voxel to compare"),
    ] {
        let error = folder.run(&["--quiet", "evaluate", labels, truth]).error();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn objects_are_listed_in_a_file_and_the_worst_in_the_answer() {
    let folder = Folder::new();
    folder.write("truth.npy", [1, 1, 8], vec![1u8, 1, 1, 1, 2, 2, 2, 2]);
    folder.write("labels.npy", [1, 1, 8], vec![5u32, 5, 5, 6, 6, 6, 6, 6]);
    let args = ["--json", "evaluate", "labels.npy", "truth.npy", "--objects", "objects.csv"];
    let found = folder.run(&args).json();
    assert_eq!(found["worst_splits"][0]["label"], 1);
    assert_eq!(found["worst_splits"][0]["largest_share"], 0.75);
    assert_eq!(found["worst_merges"][0]["label"], 6);
    assert_eq!(found["worst_merges"][0]["parts"], 2);
    let table = std::fs::read_to_string(folder.join("objects.csv")).unwrap();
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 5, "{table}");
    assert!(
        lines[1].starts_with("truth,1,4,2,2,5,0.750000,6,0.250000,0.000000,0.40563"),
        "{table}"
    );
    assert_eq!(lines[2], "truth,2,4,1,1,6,1.000000,,0.000000,0.000000,0");
    assert!(lines[4].starts_with("labels,6,5,2,2,2,0.800000,1,0.200000"), "{table}");
    // A file that is there is refused before anything is read.
    let error =
        folder.run(&["--quiet", "evaluate", "labels.npy", "truth.npy", "--objects", "objects.csv"]);
    assert!(error.error().contains("objects.csv"));
    let again = [&args[..], &["--overwrite", "--min-share", "0.3"]].concat();
    assert_eq!(folder.run(&again).json()["worst_splits"][0]["parts"], 1);
    let text = folder.run(&["evaluate", "labels.npy", "truth.npy", "--no-progress"]).done().stdout;
    assert!(text.contains("worst splits        1: 0.4056 bits, 2 parts, 75.0 %"), "{text}");
}

#[test]
fn borders_are_ignored_in_voxels_or_nanometres() {
    let folder = Folder::new();
    folder.write("truth.npy", [1, 1, 8], vec![1u8, 1, 1, 1, 2, 2, 2, 2]);
    folder.write("labels.npy", [1, 1, 8], vec![5u32, 5, 5, 6, 6, 6, 6, 6]);
    let run = |more: &[&str]| {
        folder.run(&[&["--json", "--quiet", "evaluate", "labels.npy", "truth.npy"], more].concat())
    };
    let found = run(&["--ignore-border", "0"]).json();
    assert_eq!((&found["border_voxels"], &found["voi_split"]), (&2.into(), &0.0.into()));
    let found = run(&["--cremi", "--voxel-size", "40,13,13"]).json();
    assert_eq!((&found["border_voxels"], &found["cremi_score"]), (&4.into(), &0.0.into()));
    assert!(run(&["--cremi"]).error().contains("truth.npy: 25 nm to a border are unknown"));
    assert!(run(&["--ignore-border", "99"]).error().contains("no voxel to compare"));
}

#[test]
fn skeletons_need_no_truth_and_are_on_the_page() {
    let folder = Folder::new();
    folder.write("truth.npy", [1, 2, 4], vec![1u8, 1, 1, 1, 2, 2, 2, 2]);
    folder.write("labels.npy", [1, 2, 4], vec![5u32, 5, 6, 6, 7, 7, 7, 0]);
    let chain = |y: u32| -> String {
        (0..4_i32).map(|x| format!("{x} 0 {x} {y} 0 1 {}\n", x - 1)).collect()
    };
    std::fs::write(folder.join("a.swc"), chain(0)).unwrap();
    std::fs::write(folder.join("b.swc"), chain(1)).unwrap();
    let skeletons = ["--skeletons", "*.swc", "--skeleton-unit", "voxels"];
    let run = |args: &[&str], more: &[&str]| folder.run(&[args, &skeletons[..], more].concat());
    let found = run(&["--json", "evaluate", "labels.npy"], &["--skeleton-table", "t.csv"]).json();
    assert_eq!((&found["correct"]["edges"], &found["split"]["edges"]), (&4.into(), &1.into()));
    assert_eq!(
        (&found["omitted"]["length"], &found["length_unit"]),
        (&1.0.into(), &"voxels".into())
    );
    assert_eq!((&found["erl"], &found["nerl"]), (&1.0.into(), &(1.0 / 3.0).into()));
    assert!(found.get("voi_split").is_none());
    let table = std::fs::read_to_string(folder.join("t.csv")).unwrap();
    assert!(table.lines().nth(2).unwrap().starts_with("b,4,3,"), "{table}");

    let both = run(&["--json", "evaluate", "labels.npy", "truth.npy"], &["--report", "page.html"]);
    let both = both.json();
    assert!(both["voi_split"].as_f64() > Some(0.0) && both["nerl"] == found["nerl"]);
    let page = std::fs::read_to_string(folder.join("page.html")).unwrap();
    assert!(page.contains("data:image/png") && page.contains("NERL") && page.contains("CREMI"));

    let none = folder.run(&["evaluate", "labels.npy"]);
    assert!(none.status == Some(2) && none.stderr.contains("TRUTH"), "{none:?}");
    std::fs::write(folder.join("c.swc"), "1 0 9 0 0 1 -1\n").unwrap();
    let error = run(&["--quiet", "evaluate", "labels.npy"], &[]).error();
    assert!(error.starts_with("c.swc line 1: ") || error.contains("/c.swc line 1: "), "{error}");
}
