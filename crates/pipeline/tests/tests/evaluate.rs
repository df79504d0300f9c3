//! Labels against a truth and along skeletons: the same figures in blocks, in a job, and by definition.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use exavox_compute::ComputeDevice;
use exavox_compute::metrics::{ScoreOptions, reference};
use exavox_io::{Volume, VolumeWriter, VoxelSize, Voxels, WriteOptions};
use exavox_pipeline::blocks::{LocalEngine, StopFlag};
use exavox_pipeline::evaluate::skeletons::{
    OutsideNodes, SkeletonOptions, SkeletonUnit, evaluate_skeletons,
};
use exavox_pipeline::evaluate::{
    BorderDistance, EvaluateOptions, EvaluationPage, Judged, evaluate,
};
use exavox_pipeline::job::steps::{EvaluateSpec, PartSpec, StepSpec};
use exavox_pipeline::job::{Job, Plan, RunReport};
use exavox_pipeline::{Result, Silent};
use proptest::prelude::*;
use tempfile::TempDir;

/// A truth and labels that mostly agree, in a folder of their own.
struct Scene {
    folder: TempDir,
}

impl Scene {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn random(shape: [usize; 3], seed: u64) -> Self {
        let scene = Self::new();
        let count = shape.iter().product::<usize>() as u64;
        let hash = |i: u64| (i ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56;
        // Runs of a few voxels along x, so that there are borders and insides.
        let truth: Vec<u64> = (0..count).map(|i| hash(i / 5) % 4).collect();
        let labels = (0..count)
            .map(|i| if hash(i / 3) > 200 { 0 } else { truth[i as usize] * 7 + i / 40 % 2 });
        let labels: Vec<u32> = labels.map(|label| label as u32).collect();
        scene.write("truth.zarr", shape, truth);
        scene.write("labels.zarr", shape, labels);
        scene
    }

    fn write<T: exavox_io::Element>(&self, name: &str, shape: [usize; 3], values: Vec<T>) {
        let mut options = WriteOptions::new(T::DTYPE, shape.map(|v| v as u64))
            .with_voxel_size(VoxelSize::from_nm_zyx([40.0, 8.0, 4.0]));
        options.chunk_shape = Some([3, 5, 7]);
        let writer = VolumeWriter::create(&self.path(name), &options).unwrap();
        writer.write(0, [0; 3], &Voxels::from_vec(shape, values).unwrap()).unwrap();
        writer.finish().unwrap();
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn open(&self, name: &str) -> Volume {
        Volume::open(&self.path(name)).unwrap()
    }

    fn labels(&self, name: &str) -> Vec<u64> {
        let volume = self.open(name);
        let whole = exavox_io::BoundingBox::whole(volume.shape());
        volume.read(0, &whole).unwrap().to_labels().unwrap()
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    fn spec(&self) -> EvaluateSpec {
        EvaluateSpec {
            source: self.path("labels.zarr"),
            part: PartSpec::default(),
            truth: self.path("truth.zarr"),
            truth_part: PartSpec::default(),
            target: self.path("evaluation.json").into(),
            objects: Some(self.path("objects.csv").into()),
            ignore_truth: 0,
            foreground_only: false,
            ignore_border: None,
            voxel_size: None,
            min_share: 0.1,
            worst: 3,
            block: None,
        }
    }

    fn run(&self, spec: EvaluateSpec, threads: usize) -> Result<RunReport> {
        let plan = Plan::of_step(StepSpec::Evaluate(Box::new(spec)));
        let job = Job::create(&self.folder.path().join("job"), &plan)?;
        let threads = NonZeroUsize::new(threads).unwrap();
        let engine = LocalEngine { threads, memory_bytes: 1 << 30, stop: StopFlag::default() };
        job.run(&engine, &ComputeDevice::cpu().unwrap(), &Silent)
    }

    fn swc(&self, name: &str, text: &str) {
        let path = self.folder.path().join("skeletons").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn skeletons(&self) -> SkeletonOptions {
        let mut options = SkeletonOptions::default();
        options.paths = vec![self.folder.path().join("skeletons")];
        options.unit = SkeletonUnit::Voxels;
        options
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10))]

    #[test]
    fn a_job_gives_the_bytes_of_the_whole_whatever_the_blocks(
        shape in [1..7usize, 1..24usize, 1..24usize],
        blocks in prop::collection::vec([1..5u64, 1..9u64, 1..9u64], 5),
        border in prop::sample::select(vec![None, Some("0"), Some("1.5"), Some("3"), Some("9nm")]),
        ignored in -1..3i64, foreground_only in any::<bool>(), seed in any::<u64>(),
    ) {
        let scene = Scene::random(shape, seed);
        let options = EvaluateOptions {
            scores: ScoreOptions::default()
                .with_ignore_truth(u64::try_from(ignored).ok())
                .with_foreground_only(foreground_only),
            ignore_border: border.map(|b| b.parse().unwrap()),
            min_share: 0.1,
            worst: 3,
            objects: Some(scene.path("whole.csv").into()),
            ..EvaluateOptions::default()
        };
        let whole = evaluate(&scene.open("labels.zarr"), &scene.open("truth.zarr"), &options, &Silent);
        for (block, threads) in blocks.into_iter().zip([1, 2, 5, 2, 1]) {
            let mut spec = scene.spec();
            (spec.block, spec.ignore_border) = (Some(block), border.map(str::to_owned));
            (spec.ignore_truth, spec.foreground_only) = (ignored, foreground_only);
            let run = scene.run(spec, threads).unwrap();
            prop_assert_eq!(run.complete, whole.is_ok(), "{:?}", whole);
            if let Ok(whole) = &whole {
                let expected = serde_json::to_vec_pretty(whole).unwrap();
                prop_assert!(scene.bytes("evaluation.json") == expected);
                prop_assert!(scene.bytes("objects.csv") == scene.bytes("whole.csv"));
                std::fs::remove_file(scene.path("evaluation.json")).unwrap();
                std::fs::remove_file(scene.path("objects.csv")).unwrap();
            }
            std::fs::remove_dir_all(scene.folder.path().join("job")).unwrap();
        }
    }

    #[test]
    fn voxels_near_borders_are_as_if_they_had_no_truth(
        shape in [1..5usize, 1..24usize, 1..24usize], quarters in 0..20u32, seed in any::<u64>(),
    ) {
        let scene = Scene::random(shape, seed);
        let distance = f64::from(quarters);
        let options = EvaluateOptions {
            ignore_border: Some(BorderDistance::Nm(distance)),
            ..EvaluateOptions::default()
        };
        let (labels, mut truth) = (scene.labels("labels.zarr"), scene.labels("truth.zarr"));
        let masked = reference::border_mask(&truth, shape, distance, [8.0, 4.0]);
        truth.iter_mut().zip(&masked).filter(|(_, m)| **m).for_each(|(t, _)| *t = 0);
        let found = evaluate(&scene.open("labels.zarr"), &scene.open("truth.zarr"), &options, &Silent);
        match reference::scores(&labels, &truth, &ScoreOptions::default()) {
            None => prop_assert!(found.is_err()),
            Some(expected) => {
                let found = found.unwrap();
                prop_assert_eq!(found.voxels, expected.voxels);
                prop_assert_eq!(found.border_voxels, masked.iter().filter(|m| **m).count() as u64);
                prop_assert!((found.voi_split - expected.voi_split).abs() < 1e-9);
                prop_assert!((found.voi_merge - expected.voi_merge).abs() < 1e-9);
                let snemi = [found.snemi_adapted_rand_error, expected.snemi_adapted_rand_error];
                let [a, b] = snemi.map(|error| error.unwrap_or(-1.0));
                prop_assert!((a - b).abs() < 1e-9, "{} {}", a, b);
            }
        }
    }

    #[test]
    fn nodes_find_their_labels_whatever_the_chunks(
        shape in [1..9usize, 1..20usize, 1..20usize],
        nodes in prop::collection::vec([0.0..1.0f64, 0.0..1.0f64, 0.0..1.0f64], 2..60),
        seed in any::<u64>(),
    ) {
        let scene = Scene::random(shape, seed);
        let all = scene.labels("labels.zarr");
        let at: Vec<[f64; 3]> = nodes
            .iter()
            .map(|n| std::array::from_fn(|a| n[a] * shape[a] as f64))
            .collect();
        let line = |(i, [z, y, x]): (usize, &[f64; 3])| {
            let parent = i as i64 - 1;
            format!("{i} 0 {x} {y} {z} 1 {parent}\n")
        };
        scene.swc("1.swc", &at.iter().enumerate().map(line).collect::<String>());
        let found = evaluate_skeletons(&scene.open("labels.zarr"), &scene.skeletons(), &Silent).unwrap();
        let labels: Vec<u64> = at
            .iter()
            .map(|p| p.map(|v| v as usize))
            .map(|[z, y, x]| all[(z * shape[1] + y) * shape[2] + x])
            .collect();
        let edges = |test: &dyn Fn(u64, u64) -> bool| {
            labels.windows(2).filter(|pair| test(pair[0], pair[1])).count() as u64
        };
        prop_assert_eq!(found.omitted.edges, edges(&|a, b| a == 0 || b == 0));
        prop_assert_eq!(found.split.edges, edges(&|a, b| a != 0 && b != 0 && a != b));
        prop_assert_eq!(found.correct.edges, edges(&|a, b| a != 0 && a == b));
        prop_assert_eq!((found.merged.edges, found.skeleton_nodes), (0, nodes.len() as u64));
    }
}

/// Two rows of eight voxels: labels 5 5 5 6 6 0 6 6 and 9 9 7 7 8 8 9 9.
fn rows() -> Scene {
    let scene = Scene::new();
    let labels = vec![5u8, 5, 5, 6, 6, 0, 6, 6, 9, 9, 7, 7, 8, 8, 9, 9];
    scene.write("labels.zarr", [1, 2, 8], labels);
    let chain = |xs: &[f64], y: f64| -> String {
        let line = |(i, x): (usize, &f64)| {
            format!("{} 2 {x} {y} 0.5 1 {}\n", i + 1, if i == 0 { -1 } else { i as i64 })
        };
        xs.iter().enumerate().map(line).collect()
    };
    let middles = |xs: std::ops::Range<u32>| xs.map(|x| f64::from(x) + 0.5).collect::<Vec<_>>();
    scene.swc("10.swc", &chain(&middles(0..8), 0.5));
    scene.swc("9.swc", &chain(&middles(0..6), 1.5));
    scene.swc("11.SWC", &chain(&[6.5, 7.5], 1.5));
    scene.swc("notes.txt", "no skeleton");
    scene
}

#[test]
fn skeletons_of_a_folder_are_judged_by_every_rule() {
    let scene = rows();
    let labels = scene.open("labels.zarr");
    let found = evaluate_skeletons(&labels, &scene.skeletons(), &Silent).unwrap();
    let names: Vec<&str> = found.each.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(names, ["9", "10", "11"]);
    let kinds = [found.correct, found.split, found.merged, found.omitted];
    // 10: 5 5 5 6 6 0 6 6. 9: 9 9 7 7 8 8. 11: 9 9. Edges of 4 nm.
    assert_eq!(
        kinds.map(|kind| (kind.edges, kind.length)),
        [(6, 24.0), (3, 12.0), (2, 8.0), (2, 8.0)]
    );
    assert_eq!((found.length_unit, found.merging_labels), ("nm", 1));
    // Runs of 4 and 4 on skeleton 9, of 8 and 4 + 4 (one label) on 10.
    let squares = [4.0 * 4.0 * 2.0, 8.0 * 8.0 * 2.0];
    assert!((found.erl - (squares[0] + squares[1]) / 52.0).abs() < 1e-12);
    let lengths = [20.0f64, 28.0, 4.0];
    let best = lengths.iter().map(|l| l * l).sum::<f64>() / 52.0;
    assert!((found.nerl - found.erl / best).abs() < 1e-12);
    let table = String::from_utf8(found.table().unwrap()).unwrap();
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 4);
    assert!(lines[1].starts_with("9,6,20,1.6,3,1,0,0,2,8,1,4,2,8"), "{table}");
}

#[test]
fn units_patterns_and_regions_of_skeletons() {
    let scene = rows();
    let labels = scene.open("labels.zarr");
    let expected = evaluate_skeletons(&labels, &scene.skeletons(), &Silent).unwrap();

    // The same skeletons in nanometres and micrometres: voxels of 40 x 8 x 4 nm.
    for (folder, unit, nm) in [("nm", SkeletonUnit::Nm, 1.0), ("um", SkeletonUnit::Um, 1e-3)] {
        let to = scene.folder.path().join(folder);
        std::fs::create_dir(&to).unwrap();
        for name in ["9.swc", "10.swc", "11.SWC"] {
            let text = std::fs::read_to_string(scene.folder.path().join("skeletons").join(name));
            let scaled = |line: &str| {
                let c: Vec<&str> = line.split(' ').collect();
                let [x, y, z] = [(2, 4.0), (3, 8.0), (4, 40.0)]
                    .map(|(i, size)| c[i].parse::<f64>().unwrap() * size * nm);
                format!("{} {} {x} {y} {z} {} {}\n", c[0], c[1], c[5], c[6])
            };
            std::fs::write(to.join(name), text.unwrap().lines().map(scaled).collect::<String>())
                .unwrap();
        }
        let mut options = scene.skeletons();
        (options.unit, options.paths) = (unit, vec![to]);
        let found = evaluate_skeletons(&labels, &options, &Silent).unwrap();
        assert!((found.erl - expected.erl).abs() < 1e-9, "{folder}");
        assert_eq!(found.split.edges, expected.split.edges);
    }

    let mut options = scene.skeletons();
    options.paths = vec![scene.folder.path().join("skeletons/1*.swc")];
    let found = evaluate_skeletons(&labels, &options, &Silent).unwrap();
    assert_eq!((found.skeletons, found.merged.edges), (2, 0));

    // x below 6: what lies beyond is an error, or left out.
    let mut options = scene.skeletons();
    options.roi = Some("0:1,0:2,0:6".parse().unwrap());
    let error = evaluate_skeletons(&labels, &options, &Silent).unwrap_err().to_string();
    assert!(error.contains("10.swc line 7") && error.contains("0.5,0.5,6.5"), "{error}");
    options.outside = OutsideNodes::Clipped;
    let found = evaluate_skeletons(&labels, &options, &Silent).unwrap();
    assert_eq!((found.clipped_nodes, found.skeleton_nodes), (4, 12));
    assert_eq!((found.merged.edges, found.correct.edges), (0, 6));
}

#[test]
fn skeletons_that_cannot_be_are_refused() {
    let scene = rows();
    let labels = scene.open("labels.zarr");
    let error = |paths: &[&str]| {
        let mut options = scene.skeletons();
        options.paths = paths.iter().map(|path| PathBuf::from(scene.path(path))).collect();
        evaluate_skeletons(&labels, &options, &Silent).unwrap_err().to_string()
    };
    scene.swc("bad/1.swc", "1 0 1 0 0 1 -1\n2 0 nan 0 0 1 1\n");
    scene.swc("one/1.swc", "1 0 1 0 0 1 -1\n");
    std::fs::create_dir(scene.folder.path().join("empty")).unwrap();
    assert!(error(&["skeletons/bad"]).contains("1.swc line 2: x: expected a finite number"));
    assert!(error(&["skeletons/one"]).contains("no edge"));
    assert!(error(&["empty"]).contains("expected files like *.swc, found none"));
    assert!(error(&["skeletons/z*.swc"]).contains("expected files like z*.swc"));
    assert!(error(&["nowhere.swc"]).contains("nowhere.swc"));

    // Neither size nor unit.
    scene.swc("good/1.swc", "1 0 1 0 0 1 -1\n2 0 2 0 0 1 1\n");
    let options = WriteOptions::new(exavox_io::DataType::U8, [1, 2, 8]);
    let writer = VolumeWriter::create(&scene.path("bare.zarr"), &options).unwrap();
    writer.write(0, [0; 3], &Voxels::from_vec([1, 2, 8], vec![1u8; 16]).unwrap()).unwrap();
    writer.finish().unwrap();
    let mut options = scene.skeletons();
    options.paths = vec![scene.folder.path().join("skeletons/good")];
    let bare = scene.open("bare.zarr");
    let found = evaluate_skeletons(&bare, &options, &Silent).unwrap();
    assert_eq!((found.length_unit, found.erl), ("voxels", 1.0));
    options.unit = SkeletonUnit::Nm;
    let error = evaluate_skeletons(&bare, &options, &Silent).unwrap_err().to_string();
    assert!(error.contains("bare.zarr") && error.contains("--voxel-size"), "{error}");
}

/// Two true bars along x; the prediction cuts the first in two and joins half of it with the second.
fn bars() -> Scene {
    let scene = Scene::new();
    let shape = [4, 40, 60];
    let at = |i: usize| [i / (40 * 60), i / 60 % 40, i % 60];
    let voxels = 4 * 40 * 60;
    let bar = |y: usize| match y {
        10..=15 => 1u64,
        22..=27 => 2,
        _ => 0,
    };
    scene.write("truth.zarr", shape, (0..voxels).map(|i| bar(at(i)[1])).collect());
    let label = |i: usize| match (bar(at(i)[1]), at(i)[2]) {
        (1, 0..30) => 11u64,
        (0, _) => 0,
        _ => 12,
    };
    scene.write("labels.zarr", shape, (0..voxels).map(label).collect());
    scene.write("image.zarr", shape, (0..voxels).map(|i| (i % 251) as u8).collect());
    scene
}

#[test]
fn the_page_pictures_what_is_split_and_what_is_merged() {
    let scene = bars();
    let [labels, truth, image] =
        ["labels.zarr", "truth.zarr", "image.zarr"].map(|name| scene.open(name));
    let options = EvaluateOptions::default();
    let report = evaluate(&labels, &truth, &options, &Silent).unwrap();
    assert_eq!((report.worst_splits.len(), report.worst_merges.len()), (1, 1));
    let split = &report.worst_splits[0];
    assert_eq!((split.label, split.parts, split.largest_share), (1, 2, 0.5));
    assert_eq!((report.worst_merges[0].label, report.worst_merges[0].largest), (12, Some(2)));
    let page = |image: Option<&Volume>| {
        let judged = Judged { truth: &truth, image, options: &options, report: &report };
        let page = EvaluationPage { labels: &labels, judged: Some(judged), skeletons: None };
        page.render(&Silent)
    };
    let (plain, over_image) = (page(None).unwrap(), page(Some(&image)).unwrap());
    for html in [&plain, &over_image] {
        assert_eq!(html.matches("data:image/png;base64,").count(), 6, "three slices of each");
        assert!(html.contains("True object 1: 2 labels") && html.contains("Label 12: 2 true"));
        assert!(!html.contains("http:") && !html.contains("https:"), "needs nothing else");
    }
    assert_ne!(plain, over_image);
    // The place is where the halves meet: y is within the bar, x near 30.
    let place = plain.split("at z,y,x ").nth(1).unwrap().split('<').next().unwrap();
    let place: Vec<u64> = place.split(',').map(|v| v.parse().unwrap()).collect();
    assert!((10..=15).contains(&place[1]) && (20..40).contains(&place[2]), "{place:?}");
    let other = rows();
    let error = page(Some(&other.open("labels.zarr"))).unwrap_err().to_string();
    assert!(error.contains("axis z: expected 4 voxels"), "{error}");
}

#[test]
fn a_job_that_cannot_be_is_refused_and_a_damaged_one_named() {
    let scene = bars();
    let planned = |change: &dyn Fn(&mut EvaluateSpec)| {
        let mut spec = scene.spec();
        change(&mut spec);
        scene.run(spec, 1).unwrap_err().to_string()
    };
    scene.write("flat.zarr", [1, 40, 60], vec![1u8; 2400]);
    scene.write("grey.zarr", [4, 40, 60], vec![1f32; 9600]);
    std::fs::write(scene.path("taken"), b"x").unwrap();
    let flat = scene.path("flat.zarr");
    assert!(planned(&|s| s.truth.clone_from(&flat)).contains("axis z: expected 1 voxels"));
    let grey = scene.path("grey.zarr");
    assert!(planned(&|s| s.source.clone_from(&grey)).contains("labels must be integers"));
    assert!(planned(&|s| s.target = scene.path("taken").into()).contains("taken"));
    assert!(planned(&|s| s.objects = Some(scene.path("taken").into())).contains("taken"));
    assert!(planned(&|s| s.objects = Some(s.target.clone())).contains("another file"));
    assert!(planned(&|s| s.ignore_border = Some("far".to_owned())).contains("found 'far'"));
    assert!(planned(&|s| s.min_share = 1.5).contains("found 1.5"));
    assert!(planned(&|s| s.block = Some([0, 1, 1])).contains("expected voxels on each axis"));

    // Nothing to compare fails the stage of scores, with pairs in place; then one of them is damaged.
    let mut spec = scene.spec();
    (spec.block, spec.ignore_border) = (Some([2, 20, 30]), Some("500".to_owned()));
    let run = scene.run(spec.clone(), 2).unwrap();
    assert!(!run.complete && run.stages[1].failures[0].error.contains("no voxel to compare"));
    let path = scene.folder.path().join("job/data/1/pairs/0/3.pairs");
    std::fs::write(&path, b"torn").unwrap();
    let run = scene.run(spec, 2).unwrap();
    // Of the stages those are listed that had something left to do.
    let error = &run.stages.last().unwrap().failures[0].error;
    assert!(error.contains("3.pairs"), "{error}");
}
