//! Trainings of networks that see several channels of an image.

use exavox_compute::ComputeDevice;
use exavox_compute::ffn::{ArchitectureOptions, TrainedModel};
use exavox_io::{DataType, Volume, VolumeWriter, Voxels, WriteOptions};
use exavox_pipeline::Silent;
use exavox_pipeline::segment::{PerChannel, SegmentRun, SegmentSettings, segment};
use exavox_pipeline::train::config::{GreyChannels, ValidationTable};
use exavox_pipeline::train::{Select, StartMode, TrainConfig, train};

use crate::train::{ADAM, SHAPE, Setup, a_run, bars, begin, losses, refused};

/// The image of the bars, whose objects only the second channel shows; the first and the third are noise.
fn setup() -> Setup {
    let setup = Setup::new();
    let names = ["noise", "bars", "more noise"].map(str::to_owned).to_vec();
    let options = WriteOptions::new(DataType::U8, SHAPE.map(|s| s as u64)).with_channels(names);
    let writer = VolumeWriter::create(&setup.path("three.zarr"), &options).unwrap();
    let image = bars().0;
    for channel in 0..3 {
        let noise = |n: usize| (n as u64 + channel).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 57;
        let values = image.iter().enumerate();
        let values = values.map(|(n, v)| if channel == 1 { *v } else { noise(n) as u8 });
        let voxels = Voxels::from_vec(SHAPE, values.collect()).unwrap();
        writer.write(channel as usize, [0; 3], &voxels).unwrap();
    }
    writer.finish().unwrap();
    setup
}

/// A training on some channels of that image.
fn config(setup: &Setup, output: &str, steps: u64, channels: &[usize]) -> TrainConfig {
    let mut config = setup.config(output, steps, ADAM);
    let each = |bars: f32, noise: f32| {
        channels.iter().map(|c| if *c == 1 { bars } else { noise }).collect::<Vec<_>>()
    };
    let volume = &mut config.volumes[0];
    volume.image = setup.path("three.zarr");
    volume.channels = Some(channels.to_vec());
    volume.mean = PerChannel::Each(each(120.0, 64.0));
    volume.stddev = PerChannel::Each(each(60.0, 37.0));
    config.model.image_channels = Some(channels.len());
    config
}

fn validated(setup: &Setup, config: TrainConfig) -> TrainConfig {
    let validation = ValidationTable {
        image: setup.path("three.zarr"),
        labels: setup.path("labels.npy"),
        roi: Some("0:14,0:16,0:16".to_owned()),
        steps: 15,
    };
    TrainConfig { validation: Some(validation), ..config }
}

/// Mean of the last losses, and of the first.
fn last_and_first(setup: &Setup, output: &str) -> [f64; 2] {
    let losses = losses(&setup.path(&format!("{output}/training.csv")));
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
    [mean(&losses[losses.len() - 6..]), mean(&losses[..4])]
}

#[test]
fn what_only_the_second_channel_shows_is_learnt() {
    let setup = setup();
    let config = validated(&setup, config(&setup, "both", 120, &[0, 1]));
    let mut run = a_run(StartMode::CreateNew);
    run.select = Select::Best;
    let report = train(&config, &run, &Silent).unwrap();
    assert!(report.best.is_some_and(|best| best.step > 0), "{report:?}");
    let [last, first] = last_and_first(&setup, "both");
    assert!(last < 0.75 * first, "{last} after {first}");
    begin(&self::config(&setup, "blind", 120, &[0, 2])).unwrap();
    let [blind, _] = last_and_first(&setup, "blind");
    assert!(last < 0.85 * blind, "{last}, without the channel {blind}");

    let settings = SegmentSettings::from_toml(&report.settings).unwrap();
    assert_eq!((settings.channel, settings.inference.image_mean), (0, 64.0));
    let more = settings.more_channels().unwrap();
    assert_eq!((more.len(), more[0].number, more[0].mean, more[0].stddev), (1, 1, 120.0, 60.0));
    let image = Volume::open(&setup.path("three.zarr")).unwrap();
    let target = SegmentRun::new(setup.path("l.npy"), ComputeDevice::cpu().unwrap());
    segment(&image, &settings, &target, &Silent).unwrap();
}

#[test]
fn gone_on_with_it_gives_the_same_bits_with_everything_that_augments() {
    let setup = setup();
    let config = |output: &str, steps| {
        let mut config = config(&setup, output, steps, &[2, 1, 0]);
        let augment = &mut config.augment;
        augment.grey.channels = Some(GreyChannels::Each);
        augment.misalignment.max_shift = 2;
        for probability in [
            &mut augment.grey.probability,
            &mut augment.missing_section.probability,
            &mut augment.misalignment.probability,
            &mut augment.elastic.probability,
        ] {
            *probability = 0.5;
        }
        config
    };
    begin(&config("whole", 21)).unwrap();
    begin(&config("part", 9)).unwrap();
    train(&config("part", 21), &a_run(StartMode::Resume), &Silent).unwrap();
    for step in [16, 21] {
        assert!(setup.weights("whole", step) == setup.weights("part", step), "step {step}");
    }
}

#[test]
fn a_network_of_several_channels_is_tuned_and_others_are_refused() {
    let setup = setup();
    begin(&config(&setup, "first", 8, &[0, 1])).unwrap();
    let from = setup.path("first/checkpoint-00000008.safetensors");
    let tuned = |output: &str, channels: &[usize]| {
        let mut config = config(&setup, output, 1, channels);
        config.optimizer.learning_rate = 1e-30;
        config.model.checkpoint = Some(from.clone());
        config
    };
    begin(&tuned("tuned", &[1, 2])).unwrap();
    let open =
        |path: &str| TrainedModel::open(path.as_ref(), &ArchitectureOptions::default()).unwrap();
    assert_eq!(open(&setup.path("tuned/checkpoint-00000001.safetensors")), open(&from));
    let error = refused(begin(&tuned("wider", &[0, 1, 2])));
    assert!(error.contains("checkpoint-00000008.safetensors"), "{error}");
    assert!(error.contains("conv0_a") && error.contains("3") && error.contains("2"), "{error}");
}

#[test]
fn channels_that_are_not_there_are_refused() {
    let setup = setup();
    let error = refused(begin(&config(&setup, "out", 1, &[0, 3])));
    assert!(error.ends_with("three.zarr: channel: expected below 3, found 3"), "{error}");
    let mut config = validated(&setup, config(&setup, "other", 1, &[0, 1]));
    config.inference.channels = Some(vec![1, 4]);
    let error = refused(begin(&config));
    assert!(error.ends_with("three.zarr: channel: expected below 3, found 4"), "{error}");
}
