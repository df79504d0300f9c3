//! Segmentation by overlapping subvolumes, put together.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use exavox_compute::ComputeDevice;
use exavox_io::{BoundingBox, DataType, Volume, VolumeWriter, WriteOptions};
use exavox_pipeline::blocks::{LocalEngine, StopFlag};
use exavox_pipeline::demo::{Synthetic, demo_network, demo_settings, synthetic};
use exavox_pipeline::evaluate::{EvaluateOptions, evaluate};
use exavox_pipeline::job::steps::{SegmentSpec, StepSpec};
use exavox_pipeline::job::{Job, Plan};
use exavox_pipeline::segment::{Seeds, SegmentRun, SegmentSettings, Subvolumes, segment};
use exavox_pipeline::{Event, Observer, Silent};

const SHAPE: [usize; 3] = [72, 112, 56];
const SUBVOLUME: [u64; 3] = [44, 64, 36];
const OVERLAP: [u64; 3] = [16; 3];
/// Tubes that get seeds: two rows, so that there are some on both sides of each seam.
const TUBES: usize = 9;

struct Setup {
    directory: tempfile::TempDir,
    settings: SegmentSettings,
}

impl Setup {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let made = synthetic(SHAPE, 1).unwrap();
        let options = WriteOptions::new(DataType::U8, SHAPE.map(|s| s as u64))
            .with_voxel_size(Some(made.voxel_size));
        let at = |name: &str| directory.path().join(name).display().to_string();
        let writer = VolumeWriter::create(&at("image.zarr"), &options).unwrap();
        writer.write(0, [0; 3], &made.channels[0]).unwrap();
        writer.finish().unwrap();
        let mut settings = demo_settings();
        settings.checkpoint = at("network.safetensors").into();
        demo_network().save(&settings.checkpoint).unwrap();
        settings.seeds = Seeds::Points(along_the_tubes(&made));
        Self { settings, directory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn name(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    fn spec(&self, target: &str) -> SegmentSpec {
        let mut spec = SegmentSpec::new(self.name("image.zarr"), self.name(target), &self.settings);
        spec.subvolume = SUBVOLUME;
        spec.overlap = Some(OVERLAP);
        spec.layout.chunk = Some([32; 3]);
        spec.layout.block = Some([64, 32, 64]);
        spec.levels = Some(1);
        spec
    }

    fn job(&self, name: &str) -> Job {
        let step = StepSpec::Segment(Box::new(self.spec(&format!("{name}.zarr"))));
        Job::create(&self.path(&format!("{name}.job")), &Plan::of_step(step)).unwrap()
    }

    /// Runs a job to its end, or until it is stopped.
    fn run(&self, job: &Job, threads: usize, observer: &Stopping) -> bool {
        let threads = NonZeroUsize::new(threads).unwrap();
        let stop = observer.stop.clone();
        let engine = LocalEngine { threads, memory_bytes: 1 << 30, stop };
        job.run(&engine, &ComputeDevice::cpu().unwrap(), observer).unwrap().complete
    }

    /// Segments a region as one subvolume; gives the number of segments.
    fn one_subvolume(
        &self,
        name: &str,
        settings: &SegmentSettings,
        roi: Option<BoundingBox>,
    ) -> usize {
        let settings = SegmentSettings { roi, ..settings.clone() };
        let run = SegmentRun::new(self.name(name), ComputeDevice::cpu().unwrap());
        let image = Volume::open(&self.name("image.zarr")).unwrap();
        segment(&image, &settings, &run, &Silent).unwrap().segments
    }

    fn labels(&self, name: &str) -> Vec<u64> {
        labels(&Volume::open(&self.name(name)).unwrap(), None)
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }
}

/// The middle of each tube in every eighth plane.
fn along_the_tubes(made: &Synthetic) -> Vec<[u64; 3]> {
    let [depth, height, width] = SHAPE;
    let labels = made.labels.to_labels().unwrap();
    let planes = (4..width).step_by(8);
    let middle = |tube: u64, x: usize| {
        let (mut sum, mut count) = ([0, 0], 0);
        for (z, y) in (0..depth).flat_map(|z| (0..height).map(move |y| (z, y))) {
            if labels[(z * height + y) * width + x] == tube {
                sum = [sum[0] + z, sum[1] + y];
                count += 1;
            }
        }
        [(sum[0] / count) as u64, (sum[1] / count) as u64, x as u64]
    };
    planes
        .flat_map(|x| (1..=TUBES as u64).map(move |t| (t, x)))
        .map(|(tube, x)| middle(tube, x))
        .collect()
}

fn labels(volume: &Volume, area: Option<BoundingBox>) -> Vec<u64> {
    let area = area.unwrap_or(BoundingBox::whole(volume.shape()));
    volume.read(0, &area).unwrap().to_labels().unwrap()
}

/// Asks the run to end after a number of blocks.
#[derive(Default)]
struct Stopping {
    stop: StopFlag,
    after: Option<usize>,
    blocks: AtomicUsize,
}

impl Stopping {
    fn after(blocks: usize) -> Self {
        Self { after: Some(blocks), ..Self::default() }
    }
}

impl Observer for Stopping {
    fn notify(&self, event: &Event<'_>) {
        if let Event::Advanced { by: 1, .. } = event {
            let done = self.blocks.fetch_add(1, Ordering::Relaxed) + 1;
            if self.after.is_some_and(|after| done >= after) {
                self.stop.stop();
            }
        }
    }
}

#[test]
fn tubes_cut_into_eight_subvolumes_are_whole_again() {
    let setup = Setup::new();
    assert_eq!(setup.one_subvolume("one.zarr", &setup.settings, None), TUBES);
    let job = setup.job("many");
    assert!(setup.run(&job, 2, &Stopping::default()));

    let report = setup.spec("many.zarr").report().unwrap();
    assert_eq!(report.segments, TUBES);
    let joined = report.joined.unwrap();
    assert_eq!(joined.subvolumes, 8);
    assert!(joined.links as usize >= TUBES, "{joined:?}");
    assert_eq!(joined.refusals.conflicts, 0, "{joined:?}");

    let [one, many] = ["one.zarr", "many.zarr"].map(|n| Volume::open(&setup.name(n)).unwrap());
    assert_eq!(many.metadata().dtype, DataType::U64);
    assert_eq!(many.metadata().scales.len(), 2);
    // Where both have a segment they agree; the network does not reach as far into corners of a tube from
    // all subvolumes, so that a few voxels less are labelled.
    let mut options = EvaluateOptions::default();
    options.scores = options.scores.with_foreground_only(true);
    let scores = evaluate(&many, &one, &options, &Silent).unwrap();
    assert!(scores.voi_split < 0.01 && scores.voi_merge < 0.01, "{scores:?}");
    let found = labels(&many, None);
    let labelled = |labels: &[u64]| labels.iter().filter(|label| **label != 0).count() as f64;
    let ratio = labelled(&found) / labelled(&labels(&one, None));
    assert!(ratio > 0.85, "{ratio}");

    // The table agrees with the volume.
    let table = setup.text("many.segments.csv");
    assert_eq!(table.lines().next(), Some("id,seed_z,seed_y,seed_x,steps,voxels,parts"));
    let mut counted = 0;
    for line in table.lines().skip(1) {
        let cells: Vec<usize> = line.split(',').map(|cell| cell.parse().unwrap()).collect();
        let voxels = found.iter().filter(|label| **label == cells[0] as u64).count();
        assert_eq!(cells[5], voxels, "{line}");
        let seed = (cells[1] * SHAPE[1] + cells[2]) * SHAPE[2] + cells[3];
        let near = found[seed] == 0 || found[seed] == cells[0] as u64;
        assert!(near, "{line}: {}", found[seed]);
        counted += voxels;
    }
    assert_eq!(counted, found.iter().filter(|label| **label != 0).count());
    assert!(setup.text("many.report.html").contains("contradict each other"));
}

#[test]
fn a_subvolume_is_what_its_region_alone_gives() {
    let setup = Setup::new();
    let job = setup.job("many");
    assert!(setup.run(&job, 1, &Stopping::default()));
    let all =
        Subvolumes::new(BoundingBox::whole(SHAPE.map(|s| s as u64)), SUBVOLUME, OVERLAP).unwrap();
    let slots = Volume::open(&setup.name("many.job/data/1/subvolumes.zarr")).unwrap();
    let slot: [u64; 3] = std::array::from_fn(|a| slots.shape()[a] / all.counts()[a]);
    for number in [0, 3, 7] {
        let area = all.area(number);
        let mut settings = setup.settings.clone();
        if let Seeds::Points(points) = &mut settings.seeds {
            points.retain(|p| (0..3).all(|a| (area.start[a]..area.end[a]).contains(&p[a])));
        }
        let alone = format!("alone{number}.zarr");
        setup.one_subvolume(&alone, &settings, Some(area));
        let at = all.coordinate(number);
        let start = std::array::from_fn(|a| at[a] * slot[a]);
        let stored = labels(&slots, Some(BoundingBox::from_start_shape(start, all.size())));
        assert!(stored.iter().any(|label| *label != 0));
        assert!(stored == setup.labels(&alone), "{area}");
    }
}

#[test]
fn neither_workers_nor_stops_change_labels_or_table() {
    let setup = Setup::new();
    let whole = setup.job("whole");
    assert!(setup.run(&whole, 1, &Stopping::default()));
    let expected = (setup.labels("whole.zarr"), setup.text("whole.segments.csv"));
    for (threads, stops) in [(2, vec![]), (5, vec![3, 6, 1])] {
        let name = format!("stopped{threads}");
        let job = setup.job(&name);
        for after in &stops {
            assert!(!setup.run(&job, threads, &Stopping::after(*after)));
        }
        assert!(setup.run(&job, threads, &Stopping::default()));
        assert!(setup.labels(&format!("{name}.zarr")) == expected.0, "{threads} threads");
        assert_eq!(setup.text(&format!("{name}.segments.csv")), expected.1);
        let again = setup.job(&name);
        for id in again.stages() {
            let device = ComputeDevice::cpu().unwrap();
            let found = again.verify(id, &device, 1 << 30, &Silent).unwrap();
            assert!(found.is_good(), "{found:?}");
        }
    }
}

#[test]
fn a_plan_in_toml_says_all_of_it_and_what_cannot_be_is_refused_before_anything_is_made() {
    let setup = Setup::new();
    let text = format!(
        "[[step]]\nrun = 'segment'\nsource = '{}'\ntarget = '{}'\nsubvolume = [44, 64, 36]\n\
         [step.model]\ncheckpoint = '{}'\nfov_zyx = [13, 13, 13]\ndeltas_zyx = [4, 4, 4]\n\
         [step.inference]\nimage_mean = 120.0\ndisco_seed_threshold = -1.0\n\
         [step.link]\nmin_voxels = 50\nmin_fraction = 0.4\n",
        setup.name("image.zarr"),
        setup.name("t.zarr"),
        setup.name("network.safetensors"),
    );
    let create = |text: &str| {
        let plan = Plan::parse(text, "plan")?;
        Job::create(&setup.path("t.job"), &plan).map(|job| job.stages().count())
    };
    let error = |change: [&str; 2]| {
        let error = create(&text.replace(change[0], change[1])).unwrap_err().to_string();
        assert!(!setup.path("t.job").exists(), "{error}");
        error
    };
    assert!(error(["min_fraction", "fraction"]).contains("fraction"));
    assert!(error(["[44, 64, 36]", "[44, 64, 12]"]).contains("overlap below 12 along x"));
    assert!(error(["t.zarr", "t.npy"]).contains(".zarr, .n5 or .precomputed"));
    assert!(error(["[step.inf", "channel = 3\n[step.inf"]).contains("channel"));
    assert!(error(["image_mean", "channel = 3\nimage_mean"]).contains("channel 3 of 1"));
    assert!(error(["network.safe", "gone.safe"]).contains("gone.safetensors"));
    std::fs::write(setup.path("t.report.html"), "precious").unwrap();
    assert!(error(["", ""]).contains("t.report.html"));
    std::fs::remove_file(setup.path("t.report.html")).unwrap();
    // Infer, faces, union, relabel, finish, report: the labels are too small for a pyramid.
    assert_eq!(create(&text).unwrap(), 6);
}
