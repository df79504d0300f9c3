//! Whole trainings of a tiny network, goes on after an end, and what happens to bad input.

use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;

use exavox_compute::ComputeDevice;
use exavox_compute::ffn::Weights;
use exavox_io::{Element, VolumeWriter, VoxelSize, Voxels, WriteOptions};
use exavox_pipeline::blocks::StopFlag;
use exavox_pipeline::segment::{Features, SegmentRun, SegmentSettings, segment};
use exavox_pipeline::train::{Select, StartMode, TrainConfig, TrainReport, TrainRun, train};
use exavox_pipeline::{Event, Observer, Result, Silent};

pub(crate) const SHAPE: [usize; 3] = [20, 24, 28];

/// Bars along x, each with its own label, in a bright image with dark gaps between them.
pub(crate) fn bars() -> (Vec<u8>, Vec<u32>) {
    let mut image = Vec::new();
    let mut labels = Vec::new();
    for n in 0..SHAPE.iter().product::<usize>() {
        let (z, y) = (n / (SHAPE[1] * SHAPE[2]), n / SHAPE[2] % SHAPE[1]);
        let inside = z % 7 != 0 && y % 8 != 0;
        labels.push(if inside { (1 + z / 7 * 4 + y / 8) as u32 } else { 0 });
        let noise = (n as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 59;
        image.push(if inside { 180 } else { 40 } + noise as u8);
    }
    (image, labels)
}

pub(crate) struct Setup {
    directory: tempfile::TempDir,
}

impl Setup {
    pub(crate) fn new() -> Self {
        let setup = Self { directory: tempfile::tempdir().unwrap() };
        let (image, labels) = bars();
        setup.write("image.npy", SHAPE, image, None);
        setup.write("labels.npy", SHAPE, labels, None);
        setup
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
    }

    pub(crate) fn write<T: Element>(
        &self,
        name: &str,
        shape: [usize; 3],
        values: Vec<T>,
        size: Option<[f64; 3]>,
    ) {
        let size = size.and_then(VoxelSize::from_nm_zyx);
        let options = WriteOptions::new(T::DTYPE, shape.map(|s| s as u64)).with_voxel_size(size);
        let writer = VolumeWriter::create(&self.path(name), &options).unwrap();
        writer.write(0, [0; 3], &Voxels::from_vec(shape, values).unwrap()).unwrap();
        writer.finish().unwrap();
    }

    /// A configuration of a tiny network; `more` are further lines, of tables that are not there yet.
    pub(crate) fn config(&self, output: &str, steps: u64, more: &str) -> TrainConfig {
        self.config_of("image.npy", "labels.npy", output, steps, more)
    }

    fn config_of(
        &self,
        image: &str,
        labels: &str,
        output: &str,
        steps: u64,
        more: &str,
    ) -> TrainConfig {
        let (image, labels) = (self.path(image), self.path(labels));
        let text = format!(
            "[[volumes]]\nimage = '{image}'\nlabels = '{labels}'\nmean = 120\nstddev = 60\n\
             [model]\ndepth = 2\nfeatures = 4\nfov_zyx = [7, 7, 7]\ndeltas_zyx = [2, 2, 2]\n\
             [run]\noutput = '{}'\nsteps = {steps}\nlog_steps = 5\nmax_bad_steps = 4\n\
             checkpoint_steps = 8\n{more}",
            self.path(output)
        );
        let mut config = TrainConfig::parse(&text, "c.toml").unwrap();
        config.sampling.min_size = config.sampling.min_size.min(50);
        config
    }

    pub(crate) fn weights(&self, output: &str, step: u64) -> Vec<u8> {
        fs::read(self.path(&format!("{output}/checkpoint-{step:08}.safetensors"))).unwrap()
    }
}

pub(crate) const ADAM: &str = "[optimizer]\nkind = 'adam'\nlearning_rate = 0.01\nbatch = 3\n";

pub(crate) fn a_run(start: StartMode) -> TrainRun {
    TrainRun {
        devices: vec![ComputeDevice::cpu().unwrap()],
        start,
        memory_bytes: 1 << 30,
        select: Select::Last,
        stop: StopFlag::default(),
    }
}

pub(crate) fn begin(config: &TrainConfig) -> Result<TrainReport> {
    train(config, &a_run(StartMode::CreateNew), &Silent)
}

/// The one line of an error.
#[track_caller]
pub(crate) fn refused(result: Result<TrainReport>) -> String {
    let error = result.unwrap_err().to_string();
    assert!(!error.contains('\n'), "{error}");
    error
}

pub(crate) fn losses(table: &str) -> Vec<f64> {
    let text = fs::read_to_string(table).unwrap();
    text.lines().skip(1).map(|line| line.split(',').nth(3).unwrap().parse().unwrap()).collect()
}

#[test]
fn the_loss_falls_and_segment_takes_the_result() {
    let setup = Setup::new();
    let config = setup.config("out", 120, ADAM);
    let report = begin(&config).unwrap();
    assert!(report.complete && report.steps == 120 && report.fovs == 360, "{report:?}");
    let labelled = bars().1.iter().filter(|l| **l > 0).count() as u64;
    assert_eq!(report.labelled_voxels, Some(labelled));
    let losses = losses(&setup.path("out/training.csv"));
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
    assert_eq!(losses.len(), 24);
    assert!(mean(&losses[18..]) < 0.75 * mean(&losses[..4]), "{losses:?}");
    assert!(fs::read_to_string(&report.curves).unwrap().contains("loss of a step"));

    let settings = SegmentSettings::from_toml(&report.settings).unwrap();
    assert_eq!(settings.checkpoint, report.checkpoint);
    assert_eq!((settings.inference.image_mean, settings.inference.pad_value), (120.0, 0.05));
    assert_eq!(settings.model.fov_zyx, [7; 3]);
    let image = exavox_io::Volume::open(&setup.path("image.npy")).unwrap();
    let target = SegmentRun::new(setup.path("l.npy"), ComputeDevice::cpu().unwrap());
    segment(&image, &settings, &target, &Silent).unwrap();
}

#[test]
fn gone_on_with_it_gives_the_same_bits_whatever_the_policy() {
    let setup = Setup::new();
    for (name, more) in [
        ("fixed", ADAM.to_owned() + "average = 0.9\n"),
        ("own", "[moves]\npolicy = 'max_pred_moves'\nthreshold = 0.5\n".to_owned()),
        ("one", "[moves]\npolicy = 'no_step'\n[optimizer]\nkind = 'nesterov'\n".to_owned()),
    ] {
        let config = |output: &str, steps| setup.config(output, steps, &more);
        begin(&config(&format!("{name}-whole"), 21)).unwrap();
        let part = format!("{name}-part");
        begin(&config(&part, 9)).unwrap();
        let resumed = train(&config(&part, 21), &a_run(StartMode::Resume), &Silent).unwrap();
        assert!(resumed.complete);
        for step in [16, 21] {
            let whole = setup.weights(&format!("{name}-whole"), step);
            assert!(whole == setup.weights(&part, step), "{name} at step {step}");
        }
        assert!(setup.weights(&part, 16) != setup.weights(&part, 21), "{name} learns nothing");
    }
}

#[test]
fn a_torn_checkpoint_is_passed_over() {
    let setup = Setup::new();
    begin(&setup.config("whole", 20, ADAM)).unwrap();
    begin(&setup.config("part", 20, ADAM)).unwrap();
    for (step, name) in [(20, "safetensors"), (16, "state.safetensors")] {
        let path = setup.path(&format!("part/checkpoint-{step:08}.{name}"));
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() - 7]).unwrap();
    }
    let warnings = Warnings::default();
    let config = setup.config("part", 20, ADAM);
    train(&config, &a_run(StartMode::Resume), &warnings).unwrap();
    let warnings = warnings.0.into_inner().unwrap();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].contains("checkpoint-00000020.safetensors"), "{warnings:?}");
    assert!(setup.weights("whole", 20) == setup.weights("part", 20));
    let table = |name: &str| losses(&setup.path(&format!("{name}/training.csv")));
    assert_eq!(table("part").len(), table("whole").len());
}

#[derive(Default)]
struct Warnings(Mutex<Vec<String>>);

impl Observer for Warnings {
    fn notify(&self, event: &Event<'_>) {
        if let Event::Warning(text) = event {
            self.0.lock().unwrap().push((*text).to_owned());
        }
    }
}

/// Asks for an end once the training is on its way.
struct Impatient(StopFlag);

impl Observer for Impatient {
    fn notify(&self, event: &Event<'_>) {
        if matches!(event, Event::Advanced { note, .. } if note.starts_with("step 3,")) {
            self.0.stop();
        }
    }
}

#[test]
fn asked_to_stop_it_writes_a_checkpoint_and_goes_on_later() {
    let setup = Setup::new();
    begin(&setup.config("whole", 12, ADAM)).unwrap();
    let config = setup.config("part", 12, ADAM);
    let run = a_run(StartMode::CreateNew);
    let stopped = train(&config, &run, &Impatient(run.stop.clone())).unwrap();
    assert!(!stopped.complete && stopped.steps == 3, "{stopped:?}");
    assert!(stopped.checkpoint.ends_with("checkpoint-00000003.safetensors"));
    train(&config, &a_run(StartMode::Resume), &Silent).unwrap();
    assert!(setup.weights("whole", 12) == setup.weights("part", 12));
}

#[test]
fn a_folder_with_checkpoints_is_not_begun_again_by_mistake() {
    let setup = Setup::new();
    let config = setup.config("out", 2, ADAM);
    begin(&config).unwrap();
    assert!(refused(begin(&config)).contains("there are 1 checkpoints already"));
    let mut other = setup.config("out", 4, ADAM);
    other.optimizer.learning_rate = 0.5;
    other.model.depth = 3;
    let changed = refused(train(&other, &a_run(StartMode::Resume), &Silent));
    for difference in ["model.depth was 2 and is 3", "optimizer.learning_rate was 0.0"] {
        assert!(changed.contains(difference), "{changed}");
    }
    train(&other, &a_run(StartMode::Overwrite), &Silent).unwrap();
    assert!(!PathBuf::from(setup.path("out/checkpoint-00000002.toml")).exists());
}

#[test]
fn old_checkpoints_go_and_the_best_stays() {
    let setup = Setup::new();
    let validation = format!(
        "keep = 2\n[validation]\nimage = '{}'\nlabels = '{}'\nroi = '0:14,0:16,0:16'\nsteps = 5\n\
         [inference]\nmin_segment_size = 10\n{ADAM}",
        setup.path("image.npy"),
        setup.path("labels.npy")
    );
    let config = setup.config("out", 30, &validation);
    let mut run = a_run(StartMode::CreateNew);
    run.select = Select::Best;
    let report = train(&config, &run, &Silent).unwrap();
    let best = report.best.unwrap();
    let table = fs::read_to_string(setup.path("out/validation.csv")).unwrap();
    assert_eq!(table.lines().count(), 7, "{table}");
    let least = table.lines().skip(1).map(|line| line.split(',').nth(1).unwrap());
    let least = least.map(|voi| voi.parse::<f64>().unwrap()).fold(f64::INFINITY, f64::min);
    assert!((best.voi - least).abs() < 1e-6);
    let name = format!("checkpoint-{:08}.safetensors", best.step);
    assert!(report.checkpoint.ends_with(&name) && report.checkpoint.exists());
    let kept = fs::read_dir(setup.path("out")).unwrap();
    let kept = kept.filter(|e| e.as_ref().unwrap().path().extension().is_some_and(|e| e == "toml"));
    // Two, perhaps the best beside them, and segment.toml.
    assert!((3..=4).contains(&kept.count()));

    run.start = StartMode::CreateNew;
    let without = setup.config("other", 1, ADAM);
    assert!(refused(train(&without, &run, &Silent)).contains("expected [validation]"));
}

#[test]
fn fine_tuning_begins_with_a_checkpoint_of_the_same_network() {
    let setup = Setup::new();
    begin(&setup.config("first", 8, ADAM)).unwrap();
    let from = setup.path("first/checkpoint-00000008.safetensors");
    let mut config = setup.config("tuned", 1, "[optimizer]\nlearning_rate = 1e-30\n");
    config.model.checkpoint = Some(from.clone());
    begin(&config).unwrap();
    let open = |path: &str| Weights::open(path.as_ref(), None).unwrap();
    // At next to no learning rate the weights stay what they were.
    assert_eq!(open(&setup.path("tuned/checkpoint-00000001.safetensors")), open(&from));
    config.model.features = Features::All(5);
    config.run.output = setup.path("wider");
    let error = refused(begin(&config));
    assert!(
        error.contains("conv0_a/weights [3, 3, 3, 2, 5]") && error.contains("[3, 3, 3, 2, 4]"),
        "{error}"
    );
}

#[test]
fn labels_that_do_not_go_with_the_image_are_refused() {
    let setup = Setup::new();
    let (image, labels) = bars();
    let count = labels.len();
    setup.write("short.npy", [19, 24, 28], labels[..19 * 24 * 28].to_vec(), None);
    setup.write("empty.npy", SHAPE, vec![0_u8; count], None);
    setup.write("float.npy", SHAPE, vec![1_f32; count], None);
    setup.write("negative.npy", SHAPE, vec![-1_i32; count], None);
    setup.write("sized.nrrd", SHAPE, image, Some([4.0, 4.0, 4.0]));
    setup.write("other.nrrd", SHAPE, labels, Some([4.0, 8.0, 4.0]));
    let error =
        |image: &str, labels: &str| refused(begin(&setup.config_of(image, labels, "out", 1, "")));
    let short = error("image.npy", "short.npy");
    assert!(short.contains("short.npy: axis z: expected 20 voxels"), "{short}");
    assert!(error("image.npy", "empty.npy").contains("empty.npy: no voxel above 0"));
    assert!(error("image.npy", "float.npy").contains("must be integers, found float32"));
    assert!(error("image.npy", "negative.npy").contains("must not be negative"));
    let sized = error("sized.nrrd", "other.nrrd");
    assert!(sized.contains("voxel size along y: expected 4 nm"), "{sized}");

    let mut small = setup.config("out", 1, "");
    small.sampling.min_size = 1_000_000;
    assert!(
        refused(begin(&small)).contains("sampling.min_size: expected labels of at least 1000000")
    );
    let mut narrow = setup.config("out", 1, "");
    narrow.volumes[0].roi = Some("0:20,0:24,0:9".to_owned());
    assert!(refused(begin(&narrow)).contains("along x: expected at least 11, found 9"));
}

#[test]
fn values_that_are_not_finite_are_skipped_counted_and_then_refused() {
    let setup = Setup::new();
    let (image, _) = bars();
    let mut image: Vec<f32> = image.into_iter().map(f32::from).collect();
    image[(10 * SHAPE[1] + 12) * SHAPE[2] + 14] = f32::NAN;
    setup.write("one.npy", SHAPE, image.clone(), None);
    let report = begin(&setup.config_of("one.npy", "labels.npy", "one", 30, ADAM));
    let report = report.unwrap();
    assert!(report.complete && report.bad_steps > 0 && report.bad_steps < 30, "{report:?}");

    setup.write("all.npy", SHAPE, vec![f32::NAN; image.len()], None);
    let error = refused(begin(&setup.config_of("all.npy", "labels.npy", "all", 30, ADAM)));
    assert!(
        error.contains("step 4: loss or gradients were not finite for 4 steps in a row"),
        "{error}"
    );
}

#[test]
fn several_volumes_and_a_mask_are_taken() {
    let setup = Setup::new();
    let count = SHAPE.iter().product::<usize>();
    let mask: Vec<u8> = (0..count).map(|n| u8::from(n % SHAPE[2] > 20)).collect();
    setup.write("mask.npy", SHAPE, mask, None);
    let mut config = setup.config("out", 6, ADAM);
    let mut second = config.volumes[0].clone();
    second.weight = 3.0;
    second.mask = Some(setup.path("mask.npy"));
    config.volumes.push(second);
    assert_eq!(begin(&config).unwrap().steps, 6);
}

/// A file as google/ffn's `build_coordinates.py` writes it, but for the compression.
fn coordinates(centres_xyz: &[[u8; 3]], volume: &str) -> Vec<u8> {
    let field = |number: u8, body: &[u8]| [&[number << 3 | 2, body.len() as u8], body].concat();
    let entry = |key: &str, feature: Vec<u8>| {
        field(1, &[field(1, key.as_bytes()), field(2, &feature)].concat())
    };
    let check = |bytes: &[u8]| {
        crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
    };
    let mut file = Vec::new();
    for centre in centres_xyz {
        let centre = entry("center", field(3, &field(1, centre)));
        let name = entry("label_volume_name", field(1, &field(1, volume.as_bytes())));
        let body = field(1, &[centre, name].concat());
        let length = (body.len() as u64).to_le_bytes();
        file.extend([&length[..], &check(&length), &body, &check(&body)].concat());
    }
    file
}

/// A configuration whose centres come from a file.
fn listed(setup: &Setup, output: &str, centres_xyz: &[[u8; 3]]) -> TrainConfig {
    let path = setup.path("c.tfrecord");
    fs::write(&path, coordinates(centres_xyz, "bars")).unwrap();
    let mut config = setup.config(output, 10, ADAM);
    config.sampling.coordinates = Some(path);
    config.volumes[0].name = Some("bars".to_owned());
    config
}

#[test]
fn coordinates_of_google_ffn_are_taken() {
    let setup = Setup::new();
    let mut config = listed(&setup, "out", &[[12, 11, 10], [13, 12, 9], [0, 0, 0]]);
    let warnings = Warnings::default();
    let report = train(&config, &a_run(StartMode::CreateNew), &warnings).unwrap();
    assert!(report.complete && report.labelled_voxels.is_none());
    let told = "1 of 3 coordinates are left out: 1 too near to the border, 0 masked";
    assert!(warnings.0.into_inner().unwrap()[0].ends_with(told));
    config.run.output = setup.path("other");
    config.volumes[0].name = Some("tubes".to_owned());
    assert!(refused(begin(&config)).contains("c.tfrecord record 0: label_volume_name: expected"));
}

#[test]
fn coordinates_in_masked_voxels_are_left_out() {
    let setup = Setup::new();
    let count = SHAPE.iter().product::<usize>();
    let masked = |x: usize| (0..count).map(|n| u8::from(n % SHAPE[2] >= x)).collect::<Vec<_>>();
    setup.write("half.npy", SHAPE, masked(14), None);
    setup.write("all.npy", SHAPE, masked(0), None);
    let inside = [[10, 11, 10], [12, 10, 9]];
    let all = [inside[0], [14, 11, 10], inside[1], [20, 12, 9], [15, 9, 9]];
    begin(&listed(&setup, "without", &inside)).unwrap();
    let mut config = listed(&setup, "with", &all);
    config.volumes[0].mask = Some(setup.path("half.npy"));
    let warnings = Warnings::default();
    train(&config, &a_run(StartMode::CreateNew), &warnings).unwrap();
    let told = "3 of 5 coordinates are left out: 0 too near to the border, 3 masked";
    assert!(warnings.0.into_inner().unwrap()[0].ends_with(told));
    // The examples are those of the rest, though some of their voxels do not count.
    let table = |name: &str| {
        let text = fs::read_to_string(setup.path(&format!("{name}/training.csv"))).unwrap();
        text.lines().map(|line| line.split(',').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(table("with"), table("without"));
    config.volumes[0].mask = Some(setup.path("all.npy"));
    config.run.output = setup.path("none");
    let error = refused(begin(&config));
    assert!(error.contains("none of 5 coordinates lies where") && error.contains("5 masked"));
}

#[test]
fn the_last_steps_are_in_the_table() {
    let setup = Setup::new();
    let steps = |name: &str| {
        let text = fs::read_to_string(setup.path(&format!("{name}/training.csv"))).unwrap();
        let step = |line: &str| line.split(',').next().unwrap().parse::<u64>().unwrap();
        text.lines().skip(1).map(step).collect::<Vec<_>>()
    };
    begin(&setup.config("out", 12, ADAM)).unwrap();
    assert_eq!(steps("out"), [5, 10, 12]);
    train(&setup.config("out", 16, ADAM), &a_run(StartMode::Resume), &Silent).unwrap();
    assert_eq!(steps("out"), [5, 10, 12, 15, 16]);
}
