//! Where objects may start and grow: seed policies, masks, labels of an earlier run; and probabilities.

use std::time::Duration;

use exavox_compute::ComputeDevice;
use exavox_compute::ffn::BurnNetwork;
use exavox_compute::ffn::seed::SeedPolicy;
use exavox_io::{VolumeWriter, Voxels, WriteOptions};
use exavox_pipeline::Silent;
use exavox_pipeline::demo::demo_network;
use exavox_pipeline::segment::{
    MaskChannelTable, MaskTable, SeedTable, Seeds, ShiftMaskTable, segment, segment_with,
};

use crate::segment::{FailsAt, SHAPE, Setup, Warnings, labels};

impl Setup {
    /// Writes a volume of channels and gives its name.
    fn volume(&self, name: &str, channels: &[Voxels]) -> String {
        let name = self.path(name).display().to_string();
        let shape = channels[0].shape().map(|s| s as u64);
        let mut options = WriteOptions::new(channels[0].dtype(), shape);
        options.channels = (0..channels.len()).map(|c| format!("c{c}")).collect();
        let writer = VolumeWriter::create(&name, &options).unwrap();
        for (c, voxels) in channels.iter().enumerate() {
            writer.write(c, [0; 3], voxels).unwrap();
        }
        writer.finish().unwrap();
        name
    }
}

/// A volume of the image's shape.
fn made<T: exavox_io::Element>(value: impl Fn([usize; 3]) -> T) -> Voxels {
    let at = |i: usize| [i / (SHAPE[1] * SHAPE[2]), i / SHAPE[2] % SHAPE[1], i % SHAPE[2]];
    Voxels::from_vec(SHAPE, (0..SHAPE.iter().product()).map(|i| value(at(i))).collect()).unwrap()
}

fn expression(text: &str) -> MaskTable {
    MaskTable { expression: Some(text.to_owned()), ..MaskTable::default() }
}

#[test]
fn masks_of_every_source_mean_the_same() {
    let mut setup = Setup::new();
    let in_mask = |[z, y, x]: [usize; 3]| x >= 24 && y != 13 && z < 70;
    let wanted = expression("(x >= 24) & (y != 13) & (z < 70)");
    let one = |channel: usize, values: &[u64]| MaskChannelTable {
        channel,
        values: values.to_vec(),
        ..MaskChannelTable::default()
    };
    let volume = |name: String, channels: Option<Vec<MaskChannelTable>>| MaskTable {
        volume: Some(name),
        channels,
        ..MaskTable::default()
    };
    let plain = setup.volume("plain.zarr", &[made(|p| u8::from(in_mask(p)) * 9)]);
    let large = (1u64 << 60) + 1;
    let ids = setup.volume("ids.zarr", &[made(|p| if in_mask(p) { large } else { large - 1 })]);
    let halves = [
        made(|p| f32::from(u8::from(in_mask(p) && p[0] < 12))),
        made(|p| if in_mask(p) && p[0] >= 12 { -2.5f32 } else { 7.0 }),
    ];
    let halves = setup.volume("halves.zarr", &halves);
    let between = MaskChannelTable {
        channel: 1,
        min_value: Some(-3.0),
        max_value: Some(-1.0),
        ..MaskChannelTable::default()
    };
    let not_masked = setup.volume("inverse.zarr", &[made(|p| u16::from(!in_mask(p)))]);
    let inverted = MaskChannelTable { invert: true, ..one(0, &[0]) };

    let mut expected = None;
    let masks = [
        vec![wanted],
        vec![volume(plain.clone(), None)],
        vec![volume(plain, Some(vec![one(0, &[9, 700])]))],
        vec![volume(ids, Some(vec![one(0, &[large])]))],
        vec![volume(halves, Some(vec![one(0, &[1]), between]))],
        vec![MaskTable { invert: true, ..volume(not_masked.clone(), Some(vec![inverted])) }],
        vec![
            expression("(x >= 24) & (y < 13) & (z < 70)"),
            expression("(x >= 24) & (13 < y < 112) & (z < 70)"),
        ],
    ];
    setup.settings.seeds = Seeds::Points(setup.made.seeds_zyx[..3].to_vec());
    for (i, masks) in masks.into_iter().enumerate() {
        setup.settings.masks = masks;
        let name = format!("labels{i}.npy");
        segment(&setup.image(), &setup.settings, &setup.run(&name), &Silent).unwrap();
        let found = labels(&setup.path(&name));
        assert_eq!(found, *expected.get_or_insert_with(|| found.clone()), "mask {i}");
    }
    let whole = expected.unwrap();
    assert!(whole.iter().any(|l| *l != 0));
    setup.settings.masks.clear();
    segment(&setup.image(), &setup.settings, &setup.run("free.npy"), &Silent).unwrap();
    assert_ne!(labels(&setup.path("free.npy")), whole);
}

#[test]
fn a_mask_of_everything_and_shifts_everywhere_leave_nothing_to_segment() {
    let mut setup = Setup::new();
    setup.settings.masks = vec![expression("z >= 0")];
    let warnings = Warnings::default();
    let report = segment(&setup.image(), &setup.settings, &setup.run("a.npy"), &warnings).unwrap();
    assert_eq!((report.segments, report.seeds, report.fov_steps), (0, 0, 0));
    let said = warnings.0.into_inner().unwrap();
    assert!(said.len() == 1 && said[0].contains("the masks cover all"), "{said:?}");
    assert!(labels(&setup.path("a.npy")).iter().all(|l| *l == 0));

    setup.settings.masks.clear();
    let cells = [SHAPE[0], SHAPE[1] / 4, SHAPE[2] / 4];
    let shifts = |value: i8| Voxels::from_vec(cells, vec![value; cells.iter().product()]).unwrap();
    let volume = setup.volume("shifts.zarr", &[shifts(1), shifts(-4)]);
    let table = ShiftMaskTable {
        volume,
        threshold: 4.0,
        scale: 4,
        fov_start_zyx: None,
        fov_size_zyx: None,
    };
    setup.settings.shift_mask = Some(table.clone());
    let report = segment(&setup.image(), &setup.settings, &setup.run("b.npy"), &Silent).unwrap();
    assert_eq!((report.segments, report.fov_steps), (0, 0));
    setup.settings.shift_mask = Some(ShiftMaskTable { threshold: 4.5, ..table.clone() });
    let report = segment(&setup.image(), &setup.settings, &setup.run("c.npy"), &Silent).unwrap();
    assert_eq!(report.segments, setup.made.seeds_zyx.len());
    setup.settings.shift_mask = Some(ShiftMaskTable { scale: 3, ..table });
    let error = setup.refused(&setup.run("d.npy"));
    assert!(error.contains("expected 38 cells along y, found 28"), "{error}");
}

#[test]
fn masks_that_do_not_fit_are_refused() {
    let mut setup = Setup::new();
    let short = Voxels::from_vec([5, 112, 40], vec![0u8; 5 * 112 * 40]).unwrap();
    let volume = Some(setup.volume("short.zarr", &[short]));
    setup.settings.masks = vec![MaskTable { volume, ..MaskTable::default() }];
    let error = setup.refused(&setup.run("a.npy"));
    assert!(
        error.contains("short.zarr: axis z: expected 72 voxels as in") && error.contains("found 5"),
        "{error}"
    );
    let channels =
        Some(vec![MaskChannelTable { channel: 3, values: vec![1], ..MaskChannelTable::default() }]);
    setup.settings.masks = vec![MaskTable { image: true, channels, ..MaskTable::default() }];
    assert!(setup.refused(&setup.run("a.npy")).contains("channel 3: expected one of 1"));
    setup.settings.masks = vec![expression("z <")];
    assert!(setup.refused(&setup.run("a.npy")).contains("column 4"));
    setup.settings.masks.clear();
    setup.settings.seeds = Seeds::Policy(SeedPolicy::FillEmptySpace);
    assert!(setup.refused(&setup.run("a.npy")).contains("expected an init_segmentation"));
}

#[test]
fn labels_of_an_earlier_run_stay_with_their_ids() {
    let mut setup = Setup::new();
    let seeds = setup.made.seeds_zyx.clone();
    setup.settings.seeds = Seeds::Points(seeds[..2].to_vec());
    segment(&setup.image(), &setup.settings, &setup.run("first.npy"), &Silent).unwrap();
    let first = labels(&setup.path("first.npy"));
    // Ids with holes, beyond 32 bits.
    let id = |label: u64| [0, 70, 5_000_000_000][label as usize];
    let before: Vec<u64> = first.iter().map(|label| id(*label)).collect();
    let before_volume =
        setup.volume("before.zarr", &[Voxels::from_vec(SHAPE, before.clone()).unwrap()]);

    setup.settings.seeds = Seeds::Points(seeds.clone());
    segment(&setup.image(), &setup.settings, &setup.run("whole.npy"), &Silent).unwrap();
    setup.settings.init_segmentation = Some(before_volume.clone());
    let report =
        segment(&setup.image(), &setup.settings, &setup.run("second.npy"), &Silent).unwrap();
    // The first two seeds lie in labels that are there.
    assert_eq!(report.segments, seeds.len() - 2);
    let (whole, second) = (labels(&setup.path("whole.npy")), labels(&setup.path("second.npy")));
    for ((before, whole), second) in before.iter().zip(&whole).zip(&second) {
        let expected = match *whole {
            0..=2 => *before,
            label => 5_000_000_000 + label - 2,
        };
        assert_eq!(*second, expected);
    }
    let table = std::fs::read_to_string(setup.path("second.segments.csv")).unwrap();
    assert!(table.lines().nth(1).unwrap().starts_with("5000000001,"), "{table}");

    // Seeds in the gaps between all of them, and labels that are refused.
    setup.settings.init_segmentation = Some(setup.path("whole.npy").display().to_string());
    setup.settings.seeds = Seeds::Policy(SeedPolicy::FillEmptySpace);
    let report =
        segment(&setup.image(), &setup.settings, &setup.run("filled.npy"), &Silent).unwrap();
    assert!(report.seeds > 0, "{report:?}");
    setup.settings.init_segmentation = Some(setup.volume("float.zarr", &[made(|_| 0.5f32)]));
    let error = setup.refused(&setup.run("x.npy"));
    assert!(error.contains("float.zarr") && error.contains("must be integers"), "{error}");
    let narrow = [SHAPE[0], SHAPE[1], SHAPE[2] - 1];
    let narrow = Voxels::zeros(exavox_io::DataType::U8, narrow).unwrap();
    setup.settings.init_segmentation = Some(setup.volume("narrow.zarr", &[narrow]));
    let error = setup.refused(&setup.run("x.npy"));
    assert!(error.contains("narrow.zarr: axis x: expected"), "{error}");
}

#[test]
fn origins_of_a_run_are_seeds_of_the_next_the_last_first() {
    let mut setup = Setup::new();
    segment(&setup.image(), &setup.settings, &setup.run("first.npy"), &Silent).unwrap();
    let table = SeedTable {
        policy: Some("invert-origins".to_owned()),
        origins: Some("first.segments.csv".into()),
        ..SeedTable::default()
    };
    let directory = setup.path("");
    table.apply(&mut setup.settings, &directory, "s.toml").unwrap();
    segment(&setup.image(), &setup.settings, &setup.run("second.npy"), &Silent).unwrap();
    let seeds = |name: &str| -> Vec<String> {
        let table = std::fs::read_to_string(setup.path(name)).unwrap();
        let seed = |line: &str| line.split(',').skip(1).take(3).collect::<Vec<_>>().join(",");
        table.lines().skip(1).map(seed).collect()
    };
    let reversed: Vec<String> = seeds("first.segments.csv").into_iter().rev().collect();
    assert_eq!(seeds("second.segments.csv"), reversed);
}

#[test]
fn probabilities_stand_where_labels_do_and_appear_with_them() {
    let mut setup = Setup::new();
    setup.settings.seeds = Seeds::Points(setup.made.seeds_zyx[..2].to_vec());
    let mut run = setup.run("labels.npy");
    run.probabilities = Some(setup.path("p.zarr").display().to_string());
    let report = segment(&setup.image(), &setup.settings, &run, &Silent).unwrap();
    assert_eq!(report.probabilities, run.probabilities);
    let found = labels(&setup.path("labels.npy"));
    let probabilities = labels(&setup.path("p.zarr"));
    // The threshold of segments is 0.6: floor(254 * 0.6) + 1.
    for (label, p) in found.iter().zip(&probabilities) {
        assert!(if *label == 0 { *p == 0 } else { *p >= 153 }, "{label} {p}");
    }
    run.target = setup.path("other.npy").display().to_string();
    let error = setup.refused(&run);
    assert!(error.contains("p.zarr") && error.contains("exists"), "{error}");
    run.probabilities = Some(run.target.clone());
    assert!(setup.refused(&run).contains("choose another name"));
}

#[test]
fn a_run_that_died_goes_on_with_masks_labels_and_probabilities() {
    let mut setup = Setup::new();
    let seeds = setup.made.seeds_zyx.clone();
    setup.settings.seeds = Seeds::Points(seeds[..1].to_vec());
    segment(&setup.image(), &setup.settings, &setup.run("first.npy"), &Silent).unwrap();
    setup.settings.seeds = Seeds::Points(seeds);
    setup.settings.masks = vec![expression("z % 16 == 9")];
    setup.settings.init_segmentation = Some(setup.path("first.npy").display().to_string());
    let run = |name: &str, probabilities: &str| {
        let mut run = setup.run(name);
        run.probabilities = Some(setup.path(probabilities).display().to_string());
        run.checkpoint_interval = Some(Duration::from_nanos(1));
        run
    };
    segment(&setup.image(), &setup.settings, &run("whole.npy", "whole-p.npy"), &Silent).unwrap();

    let (weights, cpu) = (demo_network(), ComputeDevice::cpu().unwrap());
    let inner = || BurnNetwork::new(&weights, &setup.settings.model, &cpu).unwrap();
    let parts = run("parts.npy", "parts-p.npy");
    for step in [60, 25] {
        let mut network = FailsAt { inner: inner(), step };
        segment_with(&mut network, &setup.image(), &setup.settings, &parts, &Silent).unwrap_err();
    }
    let refused = |settings: &_, run: &_| {
        segment(&setup.image(), settings, run, &Silent).unwrap_err().to_string()
    };
    let mut other = setup.settings.clone();
    other.masks = vec![expression("z % 16 == 8")];
    let error = refused(&other, &parts);
    assert!(error.contains(".parts.npy.checkpoint") && error.contains("masks was"), "{error}");
    let mut without = parts.clone();
    without.probabilities = None;
    assert!(refused(&setup.settings, &without).contains("probabilities was true and is false"));

    let warnings = Warnings::default();
    let report = segment(&setup.image(), &setup.settings, &parts, &warnings).unwrap();
    let warnings = warnings.0.into_inner().unwrap();
    assert!(report.segments > 2 && warnings[0].contains("goes on after"), "{warnings:?}");
    for (part, whole) in [("parts.npy", "whole.npy"), ("parts-p.npy", "whole-p.npy")] {
        assert!(labels(&setup.path(part)) == labels(&setup.path(whole)), "{part}");
    }
    let counters = |name: &str| -> Vec<String> {
        let text = std::fs::read_to_string(setup.path(name)).unwrap();
        text.lines().filter(|line| !line.contains("-time-ms")).map(str::to_owned).collect()
    };
    let whole = counters("whole.counters.txt");
    assert_eq!(counters("parts.counters.txt"), whole);
    assert!(!whole.contains(&"skip_restriced_pos: 0".to_owned()), "{whole:?}");
}
