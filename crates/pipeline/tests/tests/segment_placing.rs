//! A segmentation that ends while its results are put into their places.

use std::fs;
use std::path::{Path, PathBuf};

use exavox_io::volume::WriteMode;
use exavox_pipeline::segment::{SegmentReport, SegmentRun, SegmentSettings, segment};
use exavox_pipeline::{Event, Observer, Result, Silent};

use crate::segment::{Setup, labels};

/// Does something when all is segmented and nothing is written.
struct WhenFlooded<F>(F);

impl<F: Fn() + Send + Sync> Observer for WhenFlooded<F> {
    fn notify(&self, event: &Event<'_>) {
        if let Event::Finished { stage: "flood", .. } = event {
            (self.0)();
        }
    }
}

/// Where the labels of before would go while new ones come; what lies there makes that fail.
fn moved_away(labels: &Path) -> PathBuf {
    let start = format!(".{}.", labels.file_name().unwrap().to_str().unwrap());
    let is_written = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.starts_with(&start) && name.ends_with(".partial")
    };
    let mut entries = labels.parent().unwrap().read_dir().unwrap().map(|e| e.unwrap().path());
    entries.find(is_written).unwrap().with_extension("old")
}

fn run_with(
    setup: &Setup,
    settings: &SegmentSettings,
    mode: WriteMode,
    observer: &dyn Observer,
) -> Result<SegmentReport> {
    let mut run: SegmentRun = setup.run("out.zarr");
    run.mode = mode;
    run.probabilities = Some(setup.path("p.npy").display().to_string());
    segment(&setup.image(), settings, &run, observer)
}

#[test]
fn a_run_that_ended_between_its_tables_and_its_labels_goes_on() {
    let setup = Setup::new();
    segment(&setup.image(), &setup.settings, &setup.run("whole.zarr"), &Silent).unwrap();
    let target = setup.path("out.zarr");
    fs::create_dir(&target).unwrap();
    let in_the_way = WhenFlooded(|| fs::create_dir_all(moved_away(&target).join("x")).unwrap());
    run_with(&setup, &setup.settings, WriteMode::Overwrite, &in_the_way).unwrap_err();
    // The tables and the probabilities have got into their places, the labels have not.
    let side = ["out.segments.csv", "out.report.html", "out.counters.txt", "p.npy"];
    assert!(side.iter().all(|name| setup.path(name).exists()));
    assert!(target.read_dir().unwrap().next().is_none());
    fs::remove_dir(&target).unwrap();

    // What something else was made of is not replaced.
    let mut other = setup.settings.clone();
    other.inference.min_segment_size += 1;
    let error = run_with(&setup, &other, WriteMode::CreateNew, &Silent).unwrap_err().to_string();
    assert!(error.contains("out.segments.csv") && error.contains("exists"), "{error}");
    run_with(&setup, &setup.settings, WriteMode::CreateNew, &Silent).unwrap();
    assert_eq!(labels(&target), labels(&setup.path("whole.zarr")));
    assert!(!setup.path(".out.zarr.placing").exists());
    let error = run_with(&setup, &setup.settings, WriteMode::CreateNew, &Silent).unwrap_err();
    assert!(error.to_string().contains("exists"), "{error}");
}

#[test]
fn what_appears_in_the_place_of_the_labels_stays_and_nothing_is_put_beside_it() {
    let setup = Setup::new();
    let target = setup.path("out.zarr");
    let in_the_way = WhenFlooded(|| fs::create_dir(&target).unwrap());
    for _ in 0..2 {
        let ended = run_with(&setup, &setup.settings, WriteMode::CreateNew, &in_the_way);
        let error = ended.unwrap_err().to_string();
        assert!(error.contains("out.zarr") && error.contains("exists"), "{error}");
        assert!(!setup.path("out.segments.csv").exists() && !setup.path("p.npy").exists());
        assert!(!setup.path(".out.zarr.placing").exists());
        assert!(target.read_dir().unwrap().next().is_none());
    }
}
