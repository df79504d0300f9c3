//! The published weights and settings on real images, against google/ffn's own results. The data is
//! not part of this project: `EXAVOX_DATA` names its directory; without it these tests say so and pass.

use std::path::PathBuf;

use exavox_io::{BoundingBox, Volume};
use serde_json::Value;

use crate::harness::Folder;

fn data() -> Option<PathBuf> {
    let found = std::env::var_os("EXAVOX_DATA").map(PathBuf::from).filter(|d| d.is_dir());
    if found.is_none() {
        eprintln!("skipped: EXAVOX_DATA does not name the reference data");
    }
    found.map(|d| d.join("fib25"))
}

fn labels(name: &str) -> Vec<u64> {
    let volume = Volume::open(name).unwrap();
    volume.read(0, &BoundingBox::whole(volume.shape())).unwrap().to_labels().unwrap()
}

fn close(found: &Value, name: &str, expected: f64) {
    let value = found[name].as_f64().unwrap();
    assert!((value - expected).abs() < 5e-5, "{name}: {value}, expected {expected}");
}

#[test]
fn published_labels_have_the_published_figures() {
    let Some(data) = data() else { return };
    let folder = Folder::new();
    let labels = format!("{}/training_sample2_ffn_reference.h5:labels", data.display());
    let truth = format!("{}/training_sample2_groundtruth.h5:labels", data.display());
    let all = folder.run(&["--json", "evaluate", &labels, &truth]).json();
    close(&all, "voi_split", 0.8987);
    close(&all, "voi_merge", 0.9184);
    close(&all, "adapted_rand_error", 0.1574);
    close(&all, "snemi_adapted_rand_error", 0.0973);
    let both = folder.run(&["--json", "evaluate", &labels, &truth, "--foreground-only"]).json();
    close(&both, "voi_split", 0.6126);
    close(&both, "voi_merge", 0.2632);
    close(&both, "adapted_rand_error", 0.0557);
}

/// google/ffn's request with the published settings.
fn request(data: &std::path::Path) -> String {
    format!(
        r#"image {{ hdf5: "{0}/training_sample2_grayscale.h5:raw" }}
        image_mean: 128
        image_stddev: 33
        checkpoint_interval: 1800
        seed_policy: "PolicyPeaks"
        model_checkpoint_path: "{0}/model.ckpt-27465036"
        model_name: "convstack_3d.ConvStack3DFFNModel"
        model_args: "{{\"depth\": 12, \"fov_size\": [33, 33, 33], \"deltas\": [8, 8, 8]}}"
        segmentation_output_dir: "results"
        inference_options {{
          init_activation: 0.95
          pad_value: 0.05
          move_threshold: 0.9
          min_boundary_dist {{ x: 1 y: 1 z: 1}}
          segment_threshold: 0.6
          min_segment_size: 1000
        }}"#,
        data.display()
    )
}

/// Some minutes: 2 029 steps of the depth-12 network.
#[test]
fn the_crop_is_segmented_as_google_ffn_segments_it() {
    let Some(data) = data() else { return };
    let folder = Folder::new();
    std::fs::write(folder.join("r.pbtxt"), request(&data)).unwrap();
    let region = ["--roi", "60:188,60:188,60:188"];
    let args = ["--device", "cpu", "--json", "--no-progress", "segment", "--request", "r.pbtxt"];
    let report = folder.run(&[&args[..], &region].concat()).json();
    assert_eq!((report["segments"].as_u64(), report["fov_steps"].as_u64()), (Some(42), Some(2029)));

    let reference = format!("{}/training_sample2_crop128_ffn_reference.h5:labels", data.display());
    let found = labels(folder.join("results/labels.zarr").to_str().unwrap());
    let expected = labels(&reference);
    let different = found.iter().zip(&expected).filter(|(f, e)| f != e).count();
    eprintln!("voxels that differ from google/ffn: {different} of {}", expected.len());
    // A sum in another order may flip a voxel at a threshold; a segment must not change.
    assert!(different <= expected.len() / 100_000, "{different} voxels differ");

    let text = std::fs::read_to_string(data.join("training_sample2_crop128_origins.json")).unwrap();
    let origins: Vec<(u64, [u64; 3], u64)> = serde_json::from_str(&text).unwrap();
    let table = std::fs::read_to_string(folder.join("results/labels.segments.csv")).unwrap();
    let rows: Vec<Vec<&str>> = table.lines().skip(1).map(|l| l.split(',').collect()).collect();
    assert_eq!(rows.len(), origins.len());
    for (row, (id, seed, steps)) in rows.iter().zip(origins) {
        let number = |column: usize| row[column].parse::<u64>().unwrap();
        assert_eq!(number(0), id);
        assert_eq!([number(1) - 60, number(2) - 60, number(3) - 60], seed);
        assert_eq!(number(4), steps, "steps of segment {id}");
    }
}
