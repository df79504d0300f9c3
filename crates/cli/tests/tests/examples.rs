//! The plans in the folder `examples`, as a reader would run them: on the demo's volumes.

use std::fs;
use std::path::Path;

use exavox_io::Volume;

use crate::harness::Folder;

/// Plans, and the volumes that they write.
const PLANS: [(&str, &[&str]); 4] = [
    ("images.toml", &["smooth.zarr", "equalised.zarr", "brightest.zarr"]),
    ("labels.toml", &["objects.zarr", "soma.zarr"]),
    ("pyramid.toml", &["raw-half.zarr"]),
    ("segments.toml", &["segments.zarr"]),
];

#[test]
fn every_example_runs_as_it_is() {
    // Asked for when the test runs: a clone may use what another one has compiled.
    let package = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    let examples = Path::new(&package).join("../../examples");
    let mut there: Vec<_> = fs::read_dir(&examples)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    there.sort();
    let mut known: Vec<_> = PLANS.iter().map(|(plan, _)| (*plan).to_owned()).collect();
    known.sort();
    assert_eq!(there, known, "each example is run here");

    let folder = Folder::new();
    folder.run(&["demo", ".", "--quiet", "--overwrite"]).done();
    fs::rename(folder.join("image.zarr"), folder.join("raw.zarr")).unwrap();
    for (plan, targets) in PLANS {
        fs::copy(examples.join(plan), folder.join(plan)).unwrap();
        folder.run(&["run", plan, "--quiet"]).done();
        for target in targets {
            let volume = Volume::open(&folder.join(target).display().to_string()).unwrap();
            assert!(volume.shape().iter().all(|size| *size > 0), "{plan}: {target}");
        }
    }
    let figures = fs::read_to_string(folder.join("segments.evaluation.json")).unwrap();
    let figures: serde_json::Value = serde_json::from_str(&figures).unwrap();
    assert!(figures["adapted_rand_error"].as_f64() < Some(0.5), "{figures}");
    assert!(folder.join("segments.objects.csv").exists());
}
