//! `exavox segment` and `exavox devices` on small input with a small network.

use exavox_pipeline::demo::{demo_network, synthetic};

use crate::harness::{Folder, Run, run};

const SHAPE: [usize; 3] = [72, 112, 40];

/// A folder with an image, a network, and settings that go with it; and a seed as the flag wants it.
fn folder() -> (Folder, String) {
    let folder = Folder::new();
    let made = synthetic(SHAPE, 1).unwrap();
    folder.write("image.npy", SHAPE, made.channels[0].as_slice::<u8>().unwrap().to_vec());
    demo_network().save(&folder.join("network.safetensors")).unwrap();
    std::fs::write(folder.join("settings.toml"), SETTINGS).unwrap();
    let [z, y, x] = made.seeds_zyx[7];
    (folder, format!("{z},{y},{x}"))
}

const SETTINGS: &str = "\
[model]
checkpoint = 'network.safetensors'
depth = 6
fov_zyx = [13, 13, 13]
deltas_zyx = [4, 4, 4]
[inference]
image_mean = 120.0
image_stddev = 55.0
disco_seed_threshold = -1.0
min_segment_size = 100
";

const REQUEST: &str = r#"
image { hdf5: "nothing.h5:raw" }
image_mean: 120.0  image_stddev: 55.0
seed_policy: "PolicyPeaks"
model_checkpoint_path: "network.safetensors"
model_name: "convstack_3d.ConvStack3DFFNModel"
model_args: "{\"depth\": 6, \"fov_size\": [13, 13, 13], \"deltas\": [4, 4, 4]}"
segmentation_output_dir: "results"
inference_options {
  init_activation: 0.95  pad_value: 0.05  move_threshold: 0.9  segment_threshold: 0.6
  disco_seed_threshold: -1  min_segment_size: 100  min_boundary_dist { x: 1 y: 1 z: 1 }
}
"#;

/// What a device has no room for stays on the host.
#[test]
fn device_memory_bounds_a_device_and_changes_no_label() {
    let (folder, seed) = folder();
    let on_device = |target: &str, more: &[&str]| {
        let args = ["--device", "cpu-jit", "--quiet", "segment", "image.npy", target];
        let settings = ["--config", "settings.toml", "--seed", &seed];
        folder.run(&[&args[..], &settings, more].concat())
    };
    let whole = on_device("whole.npy", &[]);
    if whole.stderr.contains("without the feature") {
        return;
    }
    whole.done();
    let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
    // Room for the image and some tiles, and for nothing.
    for room in ["600kB", "1kB"] {
        on_device("bounded.npy", &["--device-memory", room, "--overwrite"]).done();
        assert!(read("whole.npy") == read("bounded.npy"), "{room}");
    }
    let error = on_device("none.npy", &["--device-memory", "0"]);
    assert!(error.status == Some(2) && error.stderr.contains("--device-memory"), "{error:?}");
}

fn segment(folder: &Folder, args: &[&str]) -> Run {
    folder.run(&[&["--device", "cpu", "--quiet", "segment"], args].concat())
}

#[test]
fn settings_from_a_file_and_from_flags_give_the_same_labels() {
    let (folder, seed) = folder();
    let from_file = ["image.npy", "a.npy", "--config", "settings.toml", "--seed", &seed, "--json"];
    let report = segment(&folder, &from_file).json();
    assert_eq!(report["segments"], 1);
    for name in ["fov_steps", "labelled_fraction", "seconds", "voxels_per_second"] {
        assert!(report[name].as_f64().unwrap() > 0.0, "{name}: {report}");
    }
    assert_eq!(report["device"], "cpu");

    let flags = "image.npy b.npy --model network.safetensors --fov 13,13,13 --deltas 4,4,4 \
        --image-mean 120 --image-stddev 55 --disco-seed-threshold -1 --min-segment-size 100 --seed";
    let flags: Vec<&str> = flags.split_whitespace().chain([seed.as_str()]).collect();
    segment(&folder, &flags).done();
    let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
    assert_eq!(read("a.npy"), read("b.npy"));
    assert!(folder.entries().contains(&"a.report.html".to_owned()));
}

#[test]
fn a_request_of_google_ffn_is_taken_as_it_is() {
    let (folder, _) = folder();
    std::fs::write(folder.join("r.pbtxt"), REQUEST).unwrap();
    segment(&folder, &["image.npy", "--request", "r.pbtxt"]).done();
    assert!(folder.join("results/labels.zarr").is_dir());
    assert!(folder.join("results/labels.segments.csv").is_file());

    let wrong = REQUEST.replace("image_mean: 120.0", "image_mean: 120.0 image_maen: 3");
    std::fs::write(folder.join("r.pbtxt"), wrong).unwrap();
    let error = segment(&folder, &["image.npy", "x.npy", "--request", "r.pbtxt"]).error();
    assert!(error.contains("r.pbtxt line 3") && error.contains("image_maen"), "{error}");
}

#[test]
fn masks_and_policies_of_a_request_are_used() {
    let (folder, _) = folder();
    let changed = REQUEST.replace("PolicyPeaks", "PolicyGrid3d").replace(
        "segmentation_output_dir",
        r#"seed_policy_args: "{\"step\": 12, \"offsets\": [8]}"
        masks { coordinate_expression { expression: "(y >= 40) & (z > -1)" } }
        segmentation_output_dir"#,
    );
    std::fs::write(folder.join("r.pbtxt"), &changed).unwrap();
    let report = segment(&folder, &["image.npy", "--request", "r.pbtxt", "--json"]).json();
    // Along z, y and x from 8 on, less than the margin of 6 from the border.
    assert_eq!(report["seeds"], 5 * 9 * 3, "{report}");
    let counters = std::fs::read_to_string(folder.join("results/labels.counters.txt")).unwrap();
    let steps = format!("\npredict-calls: {}\n", report["fov_steps"]);
    assert!(counters.contains(&steps), "{counters}");

    for (from, to, expected) in [
        ("(z > -1)", "__import__('os')", "line 9: mask: expression: column 13"),
        ("PolicyGrid3d", "PolicyMagic", "'PolicyMagic' is not supported"),
        ("image_mean: 120.0", "image_mean: 120.0 self_prediction { }", "self_prediction"),
    ] {
        std::fs::write(folder.join("r.pbtxt"), changed.replace(from, to)).unwrap();
        let error = segment(&folder, &["image.npy", "x.npy", "--request", "r.pbtxt"]).error();
        assert!(error.contains("r.pbtxt") && error.contains(expected), "{error}");
    }
}

#[test]
fn masks_work_by_subvolumes_and_what_is_for_one_only_is_refused() {
    let (folder, _) = folder();
    write_seeds(&folder);
    let seeds = std::fs::read_to_string(folder.join("seeds.toml")).unwrap();
    let masked = format!("{seeds}[[masks]]\nexpression = 'z >= 40'\n");
    std::fs::write(folder.join("seeds.toml"), masked).unwrap();
    let report = segment(&folder, &[SUBVOLUMES, &["--json"]].concat()).json();
    assert!(report["segments"].as_u64().unwrap() > 0, "{report}");
    let labels = exavox_io::Volume::open(folder.join("labels.zarr").to_str().unwrap()).unwrap();
    let found = |z: std::ops::Range<u64>| {
        let area = exavox_io::BoundingBox::new([z.start, 0, 0], [z.end, 112, 40]);
        labels.read(0, &area).unwrap().to_labels().unwrap().iter().any(|label| *label != 0)
    };
    // Centres up to 39, the FOV reaches 6 voxels further.
    assert!(found(0..46) && !found(46..72));

    let refused = |args: &[&str], expected: &str| {
        let before = folder.entries();
        let args = [&["image.npy", "other.zarr"], &SUBVOLUMES[2..], args].concat();
        let error = segment(&folder, &args).error();
        assert!(error.contains(expected), "{error}");
        assert_eq!(folder.entries(), before);
    };
    refused(&["--probabilities", "p.zarr"], "--probabilities is for one subvolume");
    refused(&["--init-segmentation", "labels.zarr"], "init_segmentation: is for one subvolume");
}

/// Settings, subvolumes that cut the image in two along each axis, and seeds in both halves of a tube.
const SUBVOLUMES: &[&str] = &[
    "image.npy",
    "labels.zarr",
    "--config",
    "seeds.toml",
    "--subvolume",
    "44,64,28",
    "--overlap",
    "16,16,16",
];

fn write_seeds(folder: &Folder) {
    let made = synthetic(SHAPE, 1).unwrap();
    let text = format!("{SETTINGS}[seeds]\npoints_zyx = {:?}\n", made.seeds_zyx);
    std::fs::write(folder.join("seeds.toml"), text).unwrap();
}

#[test]
fn subvolumes_are_put_together_and_their_job_is_removed() {
    let (folder, _) = folder();
    write_seeds(&folder);
    let before = folder.entries();
    let report = segment(&folder, &[SUBVOLUMES, &["--json"]].concat()).json();
    assert_eq!(report["subvolumes"], 8, "{report}");
    for name in ["segments", "links", "local_segments", "fov_steps", "seconds"] {
        assert!(report[name].as_f64().unwrap() > 0.0, "{name}: {report}");
    }
    for name in ["too_small", "fraction_too_low", "not_mutual_best", "conflicts"] {
        assert!(report["refusals"][name].is_u64(), "{name}: {report}");
    }
    assert!(report["conflicts"].is_array(), "{report}");
    let made: Vec<String> =
        folder.entries().into_iter().filter(|name| !before.contains(name)).collect();
    let expected = [
        "labels.counters.txt",
        "labels.report.html",
        "labels.report.json",
        "labels.segments.csv",
        "labels.zarr",
    ];
    assert_eq!(made, expected);
    let error = segment(&folder, SUBVOLUMES).error();
    assert!(error.contains("labels.zarr") && error.contains("exists"), "{error}");
}

#[test]
fn a_job_that_is_kept_is_gone_on_with_and_guards_its_settings() {
    let (folder, _) = folder();
    write_seeds(&folder);
    // A target that cannot be written by many, and one that is to be replaced.
    let refused = |args: &[&str], expected: &str| {
        let error = segment(&folder, args).error();
        assert!(error.contains(expected), "{error}");
        assert!(!folder.join(".labels.zarr.job").exists(), "{error}");
    };
    refused(&[SUBVOLUMES, &["--overwrite"]].concat(), "--overwrite");
    refused(&[&["image.npy", "l.npy"], &SUBVOLUMES[2..]].concat(), ".precomputed");
    refused(&[&SUBVOLUMES[..6], &["--overlap", "44,0,0"]].concat(), "overlap below 44 along z");

    let kept = [SUBVOLUMES, &["--keep-job"]].concat();
    let first = segment(&folder, &[&kept[..], &["--json"]].concat()).json();
    assert!(folder.join(".labels.zarr.job/job.json").is_file());
    // The subvolumes are those of the job that is there.
    let again = segment(
        &folder,
        &["image.npy", "labels.zarr", "--config", "seeds.toml", "--json", "--keep-job"],
    )
    .json();
    assert_eq!(again["segments"], first["segments"]);
    let other = [&kept[..], &["--segment-threshold", "0.7"]].concat();
    let error = segment(&folder, &other).error();
    assert!(error.contains("segment_threshold was 0.6"), "{error}");
    segment(&folder, SUBVOLUMES).done();
    assert!(!folder.join(".labels.zarr.job").exists());
}

#[test]
fn an_image_too_large_for_the_memory_is_cut_by_itself() {
    let (folder, _) = folder();
    let shape = [120, 200, 250];
    let made = synthetic(shape, 1).unwrap();
    folder.write("large.npy", shape, made.channels[0].as_slice::<u8>().unwrap().to_vec());
    let seeds = format!("{SETTINGS}[seeds]\npoints_zyx = {:?}\n", &made.seeds_zyx[..2]);
    std::fs::write(folder.join("seeds.toml"), seeds).unwrap();
    let args = ["large.npy", "labels.zarr", "--config", "seeds.toml"];
    let limits = ["--memory", "120MiB", "--threads", "2"];
    let run = folder.run(&[&["--device", "cpu", "segment"], &args[..], &limits].concat()).done();
    assert!(run.stderr.contains("subvolumes of") && run.stderr.contains("links"), "{}", run.stderr);
    assert!(folder.join("labels.zarr").is_dir());
}

#[test]
fn bad_input_is_one_line_and_leaves_nothing() {
    let (folder, _) = folder();
    std::fs::write(folder.join("bad.toml"), SETTINGS.replace("fov_zyx", "fov")).unwrap();
    std::fs::write(folder.join("broken.safetensors"), "not a network").unwrap();
    let before = folder.entries();
    let cases: [(&[&str], &str); 9] = [
        (&["image.npy", "l.npy"], "no checkpoint"),
        (&["image.npy", "l.npy", "--config", "bad.toml"], "bad.toml line 4"),
        (&["image.npy", "l.npy", "--model", "missing"], "found neither"),
        (&["image.npy", "l.npy", "--model", "broken.safetensors"], "broken.safetensors"),
        (&["gone.npy", "l.npy", "--model", "network.safetensors"], "gone.npy"),
        (&["image.npy", "l.npy", "--config", "settings.toml", "--roi", "0:12,:,:"], "along z"),
        (&["image.npy", "l.npy", "--config", "settings.toml", "--roi", "0:99,:,:"], "axis z"),
        (&["image.npy", "settings.toml", "--config", "settings.toml"], "settings.toml"),
        (&["image.npy", "s3://b/l.zarr", "--config", "settings.toml"], "expected a local output"),
    ];
    for (args, expected) in cases {
        let error = segment(&folder, args).error();
        assert!(error.contains(expected), "{args:?}: {error}");
        assert_eq!(folder.entries(), before, "{args:?}");
    }
}

#[test]
fn devices_are_listed_with_a_reason_for_each_that_cannot_be_used() {
    let listed = run(&["--json", "devices"]).json();
    let devices = listed["devices"].as_array().unwrap();
    assert!(devices.iter().any(|d| d["device"] == "cpu" && d["usable"] == true), "{listed}");
    assert!(devices.iter().any(|d| d["device"].as_str().unwrap().starts_with("cuda")), "{listed}");
    for device in devices {
        assert!(!device["detail"].as_str().unwrap().is_empty(), "{listed}");
    }
    // A software adapter is never chosen by itself.
    let auto = listed["auto"].as_str().unwrap();
    let chosen = devices.iter().find(|d| d["device"] == auto).unwrap();
    assert!(!chosen["detail"].as_str().unwrap().contains("software"), "{listed}");
}

#[test]
fn a_device_that_is_not_there_is_refused_with_a_reason() {
    let (folder, _) = folder();
    let args =
        ["--device", "cuda:77", "segment", "image.npy", "l.npy", "--config", "settings.toml"];
    let error = folder.run(&args).error();
    assert!(error.contains("device cuda:77:"), "{error}");
    let run = folder.run(&["--device", "gpu", "devices"]);
    assert_eq!(run.status, Some(2));
    assert!(run.stderr.contains("expected auto, cpu, cpu-jit, wgpu"), "{}", run.stderr);
}
