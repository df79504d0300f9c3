//! `exavox agglomerate` on small input with a small network.

use exavox_pipeline::demo::{demo_network, demo_settings, settings_toml, synthetic};

use crate::harness::{Folder, Run, run};

const SHAPE: [usize; 3] = [48, 70, 48];

/// An image of tubes, labels of which one is cut in two, a network and settings that go with it.
fn folder() -> Folder {
    let folder = Folder::new();
    let made = synthetic(SHAPE, 1).unwrap();
    folder.write("image.npy", SHAPE, made.channels[0].as_slice::<u8>().unwrap().to_vec());
    let labels = made.labels.as_slice::<u32>().unwrap();
    let middle = labels[(24 * SHAPE[1] + 35) * SHAPE[2] + 24];
    let cut = labels.iter().enumerate().map(|(at, label)| match at % SHAPE[2] {
        23 | 24 if *label == middle => 0,
        25.. if *label == middle => 99,
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
    let strict = [&args[..], &["--overwrite", "--min-iou", "1"]].concat();
    let again = agglomerate(&folder, &strict).json();
    assert_eq!(again["pairs_done_before"], report["pairs"], "{again}");
    assert_eq!(again["agglomerated_labels"], labels, "{again}");
    assert!(!folder.join(".out.npy.agglomerate").exists());
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
    for word in ["consensus", "points", "merge", "all", "Examples:", "--split-min-size"] {
        assert!(help.contains(word), "{word}: {help}");
    }
    for step in ["consensus", "points", "merge", "all"] {
        run(&["agglomerate", step, "--help"]).done();
    }
    let folder = folder();
    folder.write("small.npy", [4, 5, 6], vec![1_u32; 120]);
    std::fs::write(folder.join("bad.toml"), "[agglomerate]\nmin_iuo = 1\n").unwrap();
    let before = folder.entries();
    let cases: [(&[&str], &str); 6] = [
        (&["merge", "labels.npy", "image.npy", "o.npy"], "no checkpoint"),
        (&["merge", "labels.npy", "image.npy", "o.npy", "--config", "bad.toml"], "line 2"),
        (&["merge", "small.npy", "image.npy", "o.npy", "--config", "a.toml"], "axis z"),
        (&["consensus", "labels.npy", "small.npy", "o.npy"], "axis z"),
        (&["points", "labels.npy", "o.csv", "--max-distance", "nan"], "max_distance"),
        (&["all", "image.npy", "s3://bucket/o.zarr", "--config", "a.toml"], "s3://bucket/o.zarr"),
    ];
    for (args, expected) in cases {
        let error = agglomerate(&folder, args).stderr;
        assert!(error.starts_with("error: ") && error.contains(expected), "{args:?}: {error}");
        assert_eq!(folder.entries(), before, "{args:?}");
    }
}
