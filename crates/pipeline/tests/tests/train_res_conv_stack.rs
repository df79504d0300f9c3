//! Whole trainings of a tiny ResConvStack: with and without padding, gone on with, fine-tuned from files of
//! flax, validated.

use std::path::Path;

use exavox_compute::ComputeDevice;
use exavox_compute::ffn::{ArchitectureOptions, TrainedModel};
use exavox_io::Volume;
use exavox_pipeline::Silent;
use exavox_pipeline::segment::{
    FamilyName, Features, PaddingName, SegmentRun, SegmentSettings, segment,
};
use exavox_pipeline::train::{StartMode, TrainConfig, train};

use crate::train::{ADAM, Setup, a_run, begin, losses, refused};

/// One module of two convolutions of four features; without padding it leaves 3 of 11 voxels of the field of
/// view.
fn config(
    setup: &Setup,
    output: &str,
    steps: u64,
    more: &str,
    padding: PaddingName,
) -> TrainConfig {
    let mut config = setup.config(output, steps, more);
    config.model.architecture = Some(FamilyName::ResConvStack);
    config.model.depth = 1;
    if padding == PaddingName::Valid {
        config.model.padding = Some(padding);
        config.model.fov_zyx = [11; 3];
        config.model.deltas_zyx = [1; 3];
    }
    config
}

fn open(path: &str) -> TrainedModel {
    TrainedModel::open(path.as_ref(), &ArchitectureOptions::default()).unwrap()
}

#[test]
fn the_loss_falls_and_segment_takes_the_result() {
    let setup = Setup::new();
    for (name, padding, additive) in
        [("same", PaddingName::Same, false), ("valid", PaddingName::Valid, true)]
    {
        let mut config = config(&setup, name, 240, ADAM, padding);
        config.model.additive = Some(additive);
        config.model.features = Features::All(8);
        let report = begin(&config).unwrap();
        assert!(report.complete && report.steps == 240 && report.bad_steps == 0, "{report:?}");
        let losses = losses(&setup.path(&format!("{name}/training.csv")));
        let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
        assert!(mean(&losses[40..]) < 0.9 * mean(&losses[..8]), "{name}: {losses:?}");

        let trained = open(&report.checkpoint.display().to_string());
        assert_eq!(*trained.architecture(), config.model.architecture());
        let settings = SegmentSettings::from_toml(&report.settings).unwrap();
        assert_eq!(settings.checkpoint, report.checkpoint);
        let image = Volume::open(&setup.path("image.npy")).unwrap();
        let target = setup.path(&format!("{name}.npy"));
        let target = SegmentRun::new(target, ComputeDevice::cpu().unwrap());
        segment(&image, &settings, &target, &Silent).unwrap();
    }
}

#[test]
fn gone_on_with_it_gives_the_same_bits() {
    let setup = Setup::new();
    let own = "average = 0.9\n[moves]\npolicy = 'max_pred_moves'\nthreshold = 0.5\n";
    for (name, more, padding) in [
        ("same", ADAM.to_owned(), PaddingName::Same),
        ("valid", ADAM.to_owned() + own, PaddingName::Valid),
    ] {
        let config = |output: &str, steps| config(&setup, output, steps, &more, padding);
        begin(&config(&format!("{name}-whole"), 21)).unwrap();
        let part = format!("{name}-part");
        begin(&config(&part, 9)).unwrap();
        train(&config(&part, 21), &a_run(StartMode::Resume), &Silent).unwrap();
        for step in [16, 21] {
            let whole = setup.weights(&format!("{name}-whole"), step);
            assert!(whole == setup.weights(&part, step), "{name} at step {step}");
        }
        assert!(setup.weights(&part, 16) != setup.weights(&part, 21), "{name} learns nothing");
    }
}

/// Files that `crates/compute/tests/peers/flax_networks.py` made with flax.
fn golden(name: &str) -> String {
    let package = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    Path::new(&package).join("../compute/tests/golden").join(name).display().to_string()
}

/// At next to no learning rate the weights stay what they were.
const STILL: &str = "[optimizer]\nlearning_rate = 1e-30\n";

#[test]
fn fine_tuning_begins_with_a_file_of_flax_or_safetensors() {
    let setup = Setup::new();
    let mut config = config(&setup, "plain", 1, STILL, PaddingName::Same);
    config.model.depth = 2;
    config.model.checkpoint = Some(golden("plain.msgpack"));
    begin(&config).unwrap();
    let first = setup.path("plain/checkpoint-00000001.safetensors");
    let flax = open(&golden("plain.msgpack"));
    assert_eq!(open(&first).layers(), flax.layers());

    config.model.checkpoint = Some(first.clone());
    config.run.output = setup.path("again");
    begin(&config).unwrap();
    assert_eq!(open(&setup.path("again/checkpoint-00000001.safetensors")), open(&first));

    // What a file of flax does not say is taken from the configuration.
    let mut valid = self::config(&setup, "valid", 1, STILL, PaddingName::Valid);
    valid.model.additive = Some(true);
    valid.model.checkpoint = Some(golden("valid.msgpack"));
    begin(&valid).unwrap();
    let tuned = open(&setup.path("valid/checkpoint-00000001.safetensors"));
    assert_eq!(*tuned.architecture(), valid.model.architecture());
}

#[test]
fn a_checkpoint_of_another_network_is_refused_with_the_first_tensor() {
    let setup = Setup::new();
    let of_plain = || {
        let mut config = config(&setup, "out", 1, STILL, PaddingName::Same);
        config.model.depth = 2;
        config.model.checkpoint = Some(golden("plain.msgpack"));
        config
    };
    let mut wide = of_plain();
    wide.model.features = Features::Each(vec![4, 4, 5, 4, 4, 4]);
    let error = refused(begin(&wide));
    assert!(
        error.contains("plain.msgpack: expected the tensor res0a/kernel [3, 3, 3, 4, 5]"),
        "{error}"
    );
    assert!(error.ends_with("found res0a/kernel [3, 3, 3, 4, 4]"), "{error}");
    let mut bare = of_plain();
    bare.model.layer_norm = Some(false);
    let error = refused(begin(&bare));
    assert!(error.ends_with("expected no more tensors, found LayerNorm_0/scale [4]"), "{error}");
    let mut other = of_plain();
    other.model.architecture = None;
    let error = refused(begin(&other));
    assert!(error.contains("expected a ConvStack, found a ResConvStack"), "{error}");
    let mut absent = of_plain();
    absent.model.parameters = Some("ema_params".to_owned());
    let error = refused(begin(&absent));
    assert!(error.contains("plain.msgpack") && error.contains("ema_params"), "{error}");
}

#[test]
fn a_validation_segments_with_it() {
    let setup = Setup::new();
    let validation = format!(
        "[validation]\nimage = '{}'\nlabels = '{}'\nroi = '0:14,0:16,0:16'\nsteps = 5\n\
         [inference]\nmin_segment_size = 10\n{ADAM}",
        setup.path("image.npy"),
        setup.path("labels.npy")
    );
    let report = begin(&config(&setup, "out", 10, &validation, PaddingName::Valid)).unwrap();
    assert!(report.best.is_some(), "{report:?}");
    let table = std::fs::read_to_string(setup.path("out/validation.csv")).unwrap();
    assert_eq!(table.lines().count(), 3, "{table}");
}
