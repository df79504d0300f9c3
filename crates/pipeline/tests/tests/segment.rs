//! Whole segmentations with the built-in network, and what happens to bad input.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use exavox_compute::ffn::{BurnNetwork, FallbackNetwork, Network};
use exavox_compute::{ComputeDevice, Error as ComputeError};
use exavox_io::volume::WriteMode;
use exavox_io::{BoundingBox, DataType, Volume, VolumeWriter, WriteOptions};
use exavox_pipeline::demo::{Synthetic, demo_network, demo_settings, synthetic};
use exavox_pipeline::segment::{Seeds, SegmentRun, SegmentSettings, segment, segment_with};
use exavox_pipeline::{Event, Observer, Silent};

pub(crate) const SHAPE: [usize; 3] = [72, 112, 40];

pub(crate) struct Setup {
    directory: tempfile::TempDir,
    pub(crate) made: Synthetic,
    pub(crate) settings: SegmentSettings,
}

impl Setup {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let made = synthetic(SHAPE, 1).unwrap();
        let options = WriteOptions::new(DataType::U8, SHAPE.map(|s| s as u64))
            .with_voxel_size(Some(made.voxel_size));
        let path = directory.path().join("image.zarr");
        let writer = VolumeWriter::create(path.to_str().unwrap(), &options).unwrap();
        writer.write(0, [0; 3], &made.channels[0]).unwrap();
        writer.finish().unwrap();
        let mut settings = demo_settings();
        settings.checkpoint = directory.path().join("network.safetensors");
        demo_network().save(&settings.checkpoint).unwrap();
        settings.seeds = Seeds::Points(made.seeds_zyx.clone());
        Self { directory, made, settings }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn image(&self) -> Volume {
        Volume::open(self.path("image.zarr").to_str().unwrap()).unwrap()
    }

    pub(crate) fn run(&self, name: &str) -> SegmentRun {
        SegmentRun::new(self.path(name).display().to_string(), ComputeDevice::cpu().unwrap())
    }

    fn names(&self) -> Vec<String> {
        let entries = self.directory.path().read_dir().unwrap();
        let mut names: Vec<String> =
            entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Runs, expects an error of one line, and that nothing was left.
    pub(crate) fn refused(&self, run: &SegmentRun) -> String {
        let before = self.names();
        let error = segment(&self.image(), &self.settings, run, &Silent).unwrap_err().to_string();
        assert!(!error.contains('\n'), "{error}");
        assert_eq!(self.names(), before, "{error}");
        error
    }
}

pub(crate) fn labels(path: &Path) -> Vec<u64> {
    let volume = Volume::open(path.to_str().unwrap()).unwrap();
    volume.read(0, &BoundingBox::whole(volume.shape())).unwrap().to_labels().unwrap()
}

#[test]
fn tubes_are_found_and_labels_table_and_report_agree() {
    let setup = Setup::new();
    let report =
        segment(&setup.image(), &setup.settings, &setup.run("labels.zarr"), &Silent).unwrap();
    assert_eq!(report.segments, setup.made.seeds_zyx.len());
    let truth = setup.made.labels.to_labels().unwrap();
    let found = labels(&setup.path("labels.zarr"));
    let inside = || truth.iter().zip(&found).filter(|(t, _)| **t != 0);
    assert_eq!(inside().filter(|(t, f)| **f != 0 && t != f).count(), 0, "tubes are merged");
    // The ends of the tubes are out of the FOV's reach.
    let reached = inside().filter(|(t, f)| t == f).count();
    assert!(reached as f64 > 0.85 * inside().count() as f64, "{reached} of {}", inside().count());
    let spilt = truth.iter().zip(&found).filter(|(t, f)| **t == 0 && **f != 0).count();
    assert!(spilt as f64 <= 0.01 * truth.len() as f64, "{spilt} voxels of membrane");

    let table = std::fs::read_to_string(setup.path("labels.segments.csv")).unwrap();
    let mut lines = table.lines();
    assert_eq!(lines.next(), Some("id,seed_z,seed_y,seed_x,steps,voxels,seconds"));
    let mut steps = 0;
    for (line, seed) in lines.zip(&setup.made.seeds_zyx) {
        let cells: Vec<&str> = line.split(',').collect();
        let id: u64 = cells[0].parse().unwrap();
        assert_eq!(cells[1..4].join(","), format!("{},{},{}", seed[0], seed[1], seed[2]));
        steps += cells[4].parse::<u64>().unwrap();
        let voxels = found.iter().filter(|l| **l == id).count();
        assert_eq!(cells[5], voxels.to_string());
    }
    assert_eq!(steps, report.fov_steps);

    let html = std::fs::read_to_string(setup.path("labels.report.html")).unwrap();
    assert_eq!(html.matches("data:image/png;base64,").count(), 3);
    let written = Volume::open(setup.path("labels.zarr").to_str().unwrap()).unwrap();
    assert_eq!(written.metadata().voxel_size, Some(setup.made.voxel_size));
}

#[test]
fn a_region_gives_labels_of_its_own_shape_and_seeds_of_the_volume() {
    let mut setup = Setup::new();
    setup.settings.roi = Some(BoundingBox::new([0, 0, 10], [72, 112, 36]));
    let report = segment(&setup.image(), &setup.settings, &setup.run("part.npy"), &Silent).unwrap();
    assert_eq!(report.segments, setup.made.seeds_zyx.len());
    let table = std::fs::read_to_string(setup.path("part.segments.csv")).unwrap();
    assert!(table.lines().nth(1).unwrap().split(',').nth(3) == Some("20"), "{table}");
    assert_eq!(labels(&setup.path("part.npy")).len(), 72 * 112 * 26);
}

/// Keeps warnings.
#[derive(Default)]
pub(crate) struct Warnings(pub(crate) Mutex<Vec<String>>);

impl Observer for Warnings {
    fn notify(&self, event: &Event<'_>) {
        if let Event::Warning(text) = event {
            self.0.lock().unwrap().push((*text).to_owned());
        }
    }
}

/// A device that fails at a step.
pub(crate) struct FailsAt<N> {
    pub(crate) inner: N,
    pub(crate) step: usize,
}

impl<N: Network> Network for FailsAt<N> {
    fn step(
        &mut self,
        image: &[f32],
        seed: &[f32],
        logits: &mut [f32],
    ) -> Result<(), ComputeError> {
        if self.step == 0 {
            logits.fill(f32::NAN);
            let reason = "lost".to_owned();
            return Err(ComputeError::DeviceFailed { device: "gpu".into(), reason });
        }
        self.step -= 1;
        self.inner.step(image, seed, logits)
    }

    fn device_name(&self) -> String {
        "gpu".into()
    }
}

#[test]
fn a_device_that_fails_in_the_middle_does_not_change_the_labels() {
    let setup = Setup::new();
    segment(&setup.image(), &setup.settings, &setup.run("whole.npy"), &Silent).unwrap();
    let weights = demo_network();
    let on_cpu =
        || BurnNetwork::new(&weights, &setup.settings.model, &ComputeDevice::cpu().unwrap());
    let warnings = Warnings::default();
    let mut network = FallbackNetwork::new(
        Box::new(FailsAt { inner: on_cpu().unwrap(), step: 25 }),
        Some(Box::new(|| Ok(Box::new(on_cpu()?) as Box<dyn Network>))),
        |text| warnings.notify(&Event::Warning(text)),
    );
    let run = setup.run("failed.npy");
    let report =
        segment_with(&mut network, &setup.image(), &setup.settings, &run, &warnings).unwrap();
    assert_eq!(report.device, "cpu");
    assert_eq!(labels(&setup.path("failed.npy")), labels(&setup.path("whole.npy")));
    drop(network);
    let warnings = warnings.0.into_inner().unwrap();
    assert!(warnings.len() == 1 && warnings[0].contains("gpu failed: lost"), "{warnings:?}");
}

#[test]
fn a_network_that_fails_for_good_leaves_nothing() {
    let setup = Setup::new();
    let before = setup.names();
    let weights = demo_network();
    let cpu = ComputeDevice::cpu().unwrap();
    let inner = BurnNetwork::new(&weights, &setup.settings.model, &cpu).unwrap();
    let mut network = FailsAt { inner, step: 3 };
    let run = setup.run("labels.zarr");
    segment_with(&mut network, &setup.image(), &setup.settings, &run, &Silent).unwrap_err();
    assert_eq!(setup.names(), before);
}

#[test]
fn regions_outside_or_smaller_than_the_fov_are_refused_with_the_axis() {
    let mut setup = Setup::new();
    setup.settings.roi = Some(BoundingBox::new([0, 0, 0], [72, 113, 40]));
    let error = setup.refused(&setup.run("labels.zarr"));
    assert!(error.contains("axis y") && error.contains("0:112"), "{error}");
    setup.settings.roi = Some(BoundingBox::new([0, 0, 0], [12, 112, 40]));
    let error = setup.refused(&setup.run("labels.zarr"));
    assert!(error.contains("along z: expected 13, found 12"), "{error}");
}

#[test]
fn too_little_memory_a_wrong_depth_and_a_seed_outside_are_refused() {
    let mut setup = Setup::new();
    let mut run = setup.run("labels.zarr");
    run.memory_bytes = 1 << 20;
    assert!(setup.refused(&run).contains("needs 6 MiB"));
    setup.settings.architecture.depth = Some(12);
    assert!(setup.refused(&setup.run("labels.zarr")).contains("depth 12, found 6"));
    setup.settings.architecture.depth = None;
    setup.settings.seeds = Seeds::Points(vec![[1, 2, 400]]);
    assert!(setup.refused(&setup.run("labels.zarr")).contains("lies outside"));
}

#[test]
fn results_that_exist_are_refused_and_replaced_only_on_demand() {
    let setup = Setup::new();
    for name in ["labels.zarr", "labels.segments.csv", "labels.report.html", "labels.counters.txt"]
    {
        let path = setup.path(name);
        std::fs::write(&path, "precious").unwrap();
        let error = setup.refused(&setup.run("labels.zarr"));
        assert!(error.contains(name) && error.contains("exists already"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
        std::fs::remove_file(&path).unwrap();
    }
    let mut run = setup.run("labels.zarr");
    run.mode = WriteMode::Overwrite;
    segment(&setup.image(), &setup.settings, &run, &Silent).unwrap();
    segment(&setup.image(), &setup.settings, &run, &Silent).unwrap();
    let names = setup.names();
    assert!(!names.iter().any(|n| n.starts_with('.')), "{names:?}");
}
