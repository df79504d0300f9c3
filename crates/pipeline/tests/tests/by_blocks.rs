//! Components and floods by blocks against those of the whole volume.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use exavox_compute::ComputeDevice;
use exavox_compute::ops::Connectivity;
use exavox_compute::ops::connected_components::Foreground;
use exavox_io::{BoundingBox, Element, Volume, VolumeWriter, Voxels, WriteOptions};
use exavox_pipeline::blocks::{LocalEngine, StopFlag};
use exavox_pipeline::components::{ComponentsOptions, Objects, components};
use exavox_pipeline::flood::{FloodOptions, FloodSeed, flood};
use exavox_pipeline::job::steps::{ComponentTotals, FloodTotals};
use exavox_pipeline::job::{Job, Plan, RunReport};
use exavox_pipeline::{Event, Observer, Silent};
use proptest::prelude::*;

use crate::components::whole;

fn engine(threads: usize) -> LocalEngine {
    let threads = NonZeroUsize::new(threads).unwrap();
    LocalEngine { threads, memory_bytes: 1 << 30, stop: StopFlag::default() }
}

fn run(folder: &Path, text: &str, engine: &LocalEngine, observer: &dyn Observer) -> RunReport {
    let job = Job::create(&folder.join("job"), &Plan::parse(text, "plan").unwrap()).unwrap();
    job.run(engine, &ComputeDevice::cpu().unwrap(), observer).unwrap()
}

fn write<T: Element>(name: &str, shape: [usize; 3], chunk: Option<[u64; 3]>, values: Vec<T>) {
    let mut options = WriteOptions::new(T::DTYPE, shape.map(|v| v as u64));
    options.chunk_shape = chunk;
    let writer = VolumeWriter::create(name, &options).unwrap();
    writer.write(0, [0; 3], &Voxels::from_vec(shape, values).unwrap()).unwrap();
    writer.finish().unwrap();
}

/// Values 0 to 3 of a kind that is hard for blocks.
fn values(kind: u8, shape: [usize; 3], random: u64) -> Vec<i16> {
    let noise = |i: usize| {
        let mut n = (i as u64 ^ random).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        n ^= n >> 29;
        (n.wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40) as usize
    };
    let [_, ny, nx] = shape;
    let value = |i: usize| {
        let [z, y, x] = [i / (ny * nx), i / nx % ny, i % nx];
        match kind {
            0 => usize::from(noise(i) % 100 < 30) * (1 + noise(i) / 128 % 3),
            1 => usize::from(noise(i) % 100 < 60),
            2 => (z + y + x) % 2,
            3 => 0,
            4 => 2,
            5 => usize::from(i == random as usize % (shape[0] * ny * nx)),
            6 => serpent([z, y, x], shape),
            7 => usize::from((z + y + x) % 4 < 2) * (1 + (z / 3 + x / 5) % 3),
            _ => usize::from(z % 2 == 0 && y % 2 == 0 && x % 2 == 0) + usize::from(z % 5 == 0),
        }
    };
    (0..shape.iter().product()).map(|i| value(i) as i16).collect()
}

/// One line that goes to and fro through all rows of all planes.
fn serpent([z, y, x]: [usize; 3], [_, ny, nx]: [usize; 3]) -> usize {
    let end = |n: usize, forth: bool| if forth { n - 1 } else { 0 };
    let rows = ny.div_ceil(2);
    let corner = |row: usize| end(nx, row % 2 == 0);
    let on = match (z % 2, y % 2) {
        (0, 0) => true,
        (0, _) => x == corner(y / 2 + z / 2 * rows),
        (_, _) => {
            let last = (rows - 1) * 2;
            let level = z / 2;
            y == if level % 2 == 0 { last } else { 0 } && x == corner(level * rows + y / 2)
        }
    };
    usize::from(on)
}

fn triple(most: u64) -> impl Strategy<Value = [u64; 3]> {
    prop::array::uniform3(1..=most)
}

/// A layout of small blocks.
fn layouts() -> impl Strategy<Value = String> {
    (triple(7), triple(3)).prop_map(|(chunk, times)| {
        let block: [u64; 3] = std::array::from_fn(|a| chunk[a] * times[a]);
        format!("layout = {{ chunk = {chunk:?}, block = {block:?} }}")
    })
}

fn regions(shape: [u64; 3]) -> impl Strategy<Value = BoundingBox> {
    let end = shape.map(|s| s + 1);
    (triple(4), Just(end)).prop_map(|(start, end)| {
        BoundingBox::new(
            std::array::from_fn(|a| (start[a] - 1).min(end[a] - 2)),
            end.map(|e| e - 1),
        )
    })
}

#[derive(Debug, Clone)]
struct Case {
    shape: [u64; 3],
    region: BoundingBox,
    layout: String,
    kind: u8,
    random: u64,
    connectivity: usize,
    threads: usize,
    number: u64,
}

fn cases() -> impl Strategy<Value = Case> {
    let shape = (3_u64..14, 3_u64..18, 3_u64..22).prop_map(|(z, y, x)| [z, y, x]);
    let rest = (layouts(), 0_u8..9, any::<u64>(), 0_usize..3, 0_usize..3, any::<u64>());
    (shape.prop_flat_map(|shape| (Just(shape), regions(shape))), rest).prop_map(
        |((shape, region), (layout, kind, random, connectivity, threads, number))| Case {
            shape,
            region,
            layout,
            kind,
            random,
            connectivity,
            threads: [1, 2, 5][threads],
            number,
        },
    )
}

impl Case {
    /// Writes the source and gives its name and values.
    fn source(&self, folder: &Path) -> String {
        let name = folder.join("a.npy").display().to_string();
        let shape = self.shape.map(|v| v as usize);
        write(&name, shape, None, values(self.kind, shape, self.random));
        name
    }

    fn plan(&self, folder: &Path, run: &str) -> String {
        format!(
            "[[step]]\nrun = '{run}'\nsource = '{}'\ntarget = '{}'\npart = {{ region = '{}' }}\n\
             connectivity = {}\n{}\n",
            folder.join("a.npy").display(),
            folder.join("b.zarr").display(),
            self.region,
            Connectivity::ALL[self.connectivity],
            self.layout
        )
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn components_by_blocks_are_those_of_the_whole(case in cases(), objects in 0_u8..3) {
        let folder = tempfile::tempdir().unwrap();
        let source = case.source(folder.path());
        let mut options = ComponentsOptions::default();
        options.connectivity = Connectivity::ALL[case.connectivity];
        options.min_voxels = case.number % 5;
        options.labelling.region = Some(case.region);
        let objects = match objects {
            0 => "",
            1 => {
                options.objects = Objects::Equal;
                "multi_label = true\n"
            }
            _ => {
                options.objects = Objects::Mask(Foreground::Range("0:2".parse().unwrap()));
                "range = '0:2'\n"
            }
        };
        let expected = folder.path().join("whole.npy").display().to_string();
        let volume = Volume::open(&source).unwrap();
        let report = components(&volume, &expected, &options, &Silent).unwrap();
        let plan = case.plan(folder.path(), "components");
        let text = format!("{plan}min_size = {}\n{objects}", case.number % 5);
        prop_assert!(run(folder.path(), &text, &engine(case.threads), &Silent).complete);
        let found = folder.path().join("b.zarr").display().to_string();
        prop_assert!(whole(&found).1 == whole(&expected).1);
        let totals = ComponentTotals::read(&folder.path().join("job/data/1")).unwrap();
        prop_assert_eq!(
            (totals.components, totals.dropped, totals.foreground_voxels, totals.largest_voxels),
            (report.components, report.dropped, report.foreground_voxels, report.largest_voxels)
        );
    }

    #[test]
    fn floods_by_blocks_are_those_of_the_whole(case in cases(), count in 1_usize..6, wide in any::<bool>()) {
        let folder = tempfile::tempdir().unwrap();
        let source = case.source(folder.path());
        let seeds: Vec<FloodSeed> = (0..count as u64).map(|n| {
            let random = case.number.rotate_left(n as u32 * 11);
            let shape = case.region.shape();
            let position_zyx =
                std::array::from_fn(|a| case.region.start[a] + (random >> (16 * a)) % shape[a]);
            FloodSeed { position_zyx, label: 1 + n as u32 % 3 + u32::from(wide) * 300 }
        }).collect();
        let mut options = FloodOptions::new("1:2".parse().unwrap(), seeds.clone());
        options.spread.connectivity = Connectivity::ALL[case.connectivity];
        options.labelling.region = Some(case.region);
        let expected = folder.path().join("whole.npy").display().to_string();
        let report = flood(&Volume::open(&source).unwrap(), &expected, &options, &Silent).unwrap();
        let listed: Vec<String> = seeds.iter().map(|seed| {
            format!("{{ position_zyx = {:?}, label = {} }}", seed.position_zyx, seed.label)
        }).collect();
        let plan = case.plan(folder.path(), "flood");
        let text = format!("{plan}range = '1:2'\nseeds = [{}]\n", listed.join(", "));
        prop_assert!(run(folder.path(), &text, &engine(case.threads), &Silent).complete);
        let found = folder.path().join("b.zarr").display().to_string();
        prop_assert!(whole(&found).1 == whole(&expected).1);
        let totals = FloodTotals::read(&folder.path().join("job/data/1")).unwrap();
        prop_assert_eq!(
            (totals.filled_voxels, totals.components, totals.seeds),
            (report.filled_voxels, report.components, report.seeds)
        );
        prop_assert_eq!(
            (totals.seeds_out_of_range, totals.seeds_taken),
            (report.seeds_out_of_range, report.seeds_taken)
        );
    }
}

/// Asks the run to end after some blocks.
struct StopAfter(AtomicUsize, StopFlag);

impl Observer for StopAfter {
    fn notify(&self, event: &Event<'_>) {
        if matches!(event, Event::Advanced { .. }) && self.0.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.1.stop();
        }
    }
}

/// Runs a plan that is stopped again and again; gives the number of runs.
fn run_in_pieces(folder: &Path, text: &str) -> usize {
    for runs in 1..100 {
        let engine = engine(2);
        let observer = StopAfter(AtomicUsize::new(1 + runs * 5 % 7), engine.stop.clone());
        if run(folder, text, &engine, &observer).complete {
            return runs;
        }
    }
    panic!("never complete");
}

#[test]
fn runs_that_are_stopped_and_begun_again_give_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let shape = [12, 20, 24];
    let at = |name: &str| folder.path().join(name).display().to_string();
    write(&at("a.npy"), shape, None, values(0, shape, 5));
    for (step, more) in [
        ("components", "multi_label = true\nconnectivity = 18\nmin_size = 2\n"),
        (
            "flood",
            "range = '1:'\nseeds = [{ position_zyx = [0, 0, 0] }, { position_zyx = [6, 9, 9] }]\n\
                   connectivity = 26\n",
        ),
    ] {
        let text = |target: &str| {
            format!(
                "[[step]]\nrun = '{step}'\nsource = '{}'\ntarget = '{target}'\n{more}\
                 layout = {{ chunk = [5, 8, 8], block = [5, 8, 8] }}\n",
                at("a.npy")
            )
        };
        let (once, pieces) = (at(&format!("{step}1.zarr")), at(&format!("{step}2.zarr")));
        let jobs = [folder.path().join("1").join(step), folder.path().join("2").join(step)];
        assert!(run(&jobs[0], &text(&once), &engine(1), &Silent).complete);
        assert!(run_in_pieces(&jobs[1], &text(&pieces)) > 5);
        assert!(whole(&once).1 == whole(&pieces).1, "{step}");
        for job in jobs.map(|folder| Job::open(&folder.join("job")).unwrap()) {
            for id in job.stages() {
                let device = ComputeDevice::cpu().unwrap();
                let verified = job.verify(id, &device, 1 << 30, &Silent).unwrap();
                assert!(verified.is_good(), "{verified:?}");
            }
        }
    }
}

/// Damages a chunk of a Zarr volume so that reading it is an error.
fn damage(name: &str, chunk: [usize; 3]) {
    let [z, y, x] = chunk;
    let path = Path::new(name).join("0").join(format!("0/{z}/{y}/{x}"));
    let path = [path, Path::new(name).join("0").join(format!("{z}/{y}/{x}"))]
        .into_iter()
        .find(|path| path.exists())
        .expect("a chunk of the source");
    std::fs::write(path, b"damaged").unwrap();
}

#[test]
fn a_flood_reads_the_blocks_it_comes_to_and_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    // A line along x in the blocks of the first row; noise that it never touches elsewhere.
    let shape = [16, 16, 32];
    let value = |i: usize| {
        let [z, y, x] = [i / 512, i / 32 % 16, i % 32];
        if z == 2 && y == 3 && x < 20 { 9_u8 } else { (i % 5) as u8 + u8::from(z > 8) * 5 }
    };
    write(&at("a.zarr"), shape, Some([8; 3]), (0..16 * 16 * 32).map(value).collect());
    let source = Volume::open(&at("a.zarr")).unwrap();
    let seeds = vec![FloodSeed { position_zyx: [2, 3, 5], label: 4 }];
    let options = FloodOptions::new("9:".parse().unwrap(), seeds);
    flood(&source, &at("whole.zarr"), &options, &Silent).unwrap();
    // Blocks 0 to 2 of the first row are entered, the last is not; nor is any other row.
    for chunk in
        (0..16).map(|n| [n / 8, n / 4 % 2, n % 4]).filter(|c| c[..2] != [0, 0] || c[2] == 3)
    {
        damage(&at("a.zarr"), chunk);
    }
    let text = format!(
        "[[step]]\nrun = 'flood'\nsource = '{}'\ntarget = '{}'\nrange = '9:'\n\
         seeds = [{{ position_zyx = [2, 3, 5], label = 4 }}]\nlayout = {{ chunk = [8, 8, 8], block = [8, 8, 8] }}\n",
        at("a.zarr"),
        at("b.zarr")
    );
    let job = Job::create(&folder.path().join("job"), &Plan::parse(&text, "").unwrap()).unwrap();
    let (engine, device) = (engine(2), ComputeDevice::cpu().unwrap());
    let reach = job.stage_by_name("reach").unwrap();
    assert!(job.run_stage(reach, 0..1, &engine, &device, &Silent).unwrap().is_complete());
    // Begun anew, the stage reads nothing, but what was kept and is damaged.
    job.ledger(reach).clear().unwrap();
    let chunk = Path::new(&at("a.zarr")).join("0");
    let hidden = chunk.with_extension("hidden");
    std::fs::rename(&chunk, &hidden).unwrap();
    std::fs::create_dir(&chunk).unwrap();
    for name in [".zarray", ".zattrs"] {
        if hidden.join(name).exists() {
            std::fs::copy(hidden.join(name), chunk.join(name)).unwrap();
        }
    }
    assert!(job.run_stage(reach, 0..1, &engine, &device, &Silent).unwrap().is_complete());
    let totals = FloodTotals::read(&folder.path().join("job/data/1")).unwrap();
    assert_eq!((totals.filled_voxels, totals.components), (20, 1));
    std::fs::remove_dir_all(&chunk).unwrap();
    std::fs::rename(&hidden, &chunk).unwrap();
    job.ledger(reach).clear().unwrap();
    let kept = folder.path().join("job/data/1/surfaces/0/1.surface");
    std::fs::write(&kept, b"damaged").unwrap();
    assert!(job.run(&engine, &device, &Silent).unwrap().complete);
    assert!(whole(&at("b.zarr")).1 == whole(&at("whole.zarr")).1);
}

#[test]
fn a_leak_ends_the_flood_with_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    write(&at("a.npy"), [8, 8, 8], None, vec![1_u8; 512]);
    let text = format!(
        "[[step]]\nrun = 'flood'\nsource = '{}'\ntarget = '{}'\nrange = '1:'\nmax_voxels = 200\n\
         seeds = [{{ position_zyx = [2, 3, 5] }}]\nlayout = {{ chunk = [4, 4, 4], block = [4, 4, 4] }}\n",
        at("a.npy"),
        at("b.zarr")
    );
    let report = run(folder.path(), &text, &engine(1), &Silent);
    let error = &report.stages[0].failures[0].error;
    assert!(!report.complete && error.contains("a.npy: the flood leaks: "), "{error}");
    assert!(error.ends_with("at most 200 may be") && !Path::new(&at("b.zarr")).exists(), "{error}");
}

#[test]
fn a_source_that_changes_between_stages_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    write(&at("a.zarr"), [8, 8, 8], Some([4; 3]), vec![1_u8; 512]);
    let text = format!(
        "[[step]]\nrun = 'components'\nsource = '{}'\ntarget = '{}'\nlayout = {{ chunk = [4, 4, 4], block = [4, 4, 4] }}\n",
        at("a.zarr"),
        at("b.zarr")
    );
    let job = Job::create(&folder.path().join("job"), &Plan::parse(&text, "").unwrap()).unwrap();
    let (engine, device) = (engine(1), ComputeDevice::cpu().unwrap());
    for id in job.stages().take(4) {
        let blocks = job.stage_plan(id).blocks;
        assert!(job.run_stage(id, 0..blocks, &engine, &device, &Silent).unwrap().is_complete());
    }
    let values = (0..512).map(|i| u8::from(i != 100) * u8::from(i % 3 == 0)).collect();
    write(&at("c.zarr"), [8, 8, 8], Some([4; 3]), values);
    std::fs::remove_dir_all(at("a.zarr")).unwrap();
    std::fs::rename(at("c.zarr"), at("a.zarr")).unwrap();
    let relabel = job.stage_by_name("relabel").unwrap();
    let report = job.run_stage(relabel, 0..8, &engine, &device, &Silent).unwrap();
    let error = &report.failures[0].error;
    assert!(
        error.contains("a.zarr: has changed since stage label: block 0 (0:4,0:4,0:4)"),
        "{error}"
    );
}

#[test]
fn what_cannot_be_is_refused_before_anything_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    write(&at("a.npy"), [8, 8, 8], None, vec![1_f32; 512]);
    let error = |run: &str, more: &str| {
        let text = format!(
            "[[step]]\nrun = '{run}'\nsource = '{}'\ntarget = '{}'\n{more}\n",
            at("a.npy"),
            at("b.zarr")
        );
        let plan = Plan::parse(&text, "plan");
        plan.and_then(|plan| Job::create(&folder.path().join("job"), &plan)).map(drop).unwrap_err()
    };
    let seed = "seeds = [{ position_zyx = [1, 1, 1] }]";
    for (found, expected) in [
        (error("components", "multi_label = true"), "labels must be integers, found float32"),
        (error("components", "multi_label = true\nrange = '1:2'"), "either a range or multi_label"),
        (error("components", "connectivity = 7"), "connectivity: expected 6, 18 or 26, found '7'"),
        (error("components", "part = { channel = 'x' }"), "no channel 'x', there are 1: 0"),
        (error("components", "part = { region = '0:9,:,:' }"), "region 0:9 is empty or outside"),
        (error("components", "layout = { block = [9, 9, 9] }"), "expected a multiple of the 64"),
        (
            error("components", "layout = { block = [1600, 1600, 1728] }"),
            "expected fewer than 2^32 voxels",
        ),
        (error("flood", "range = '1:'"), "no seed to flood from"),
        (error("flood", &format!("range = '5:4'\n{seed}")), "range 5:4 is empty"),
        (
            error("flood", "range = '1:'\nseeds = [{ position_zyx = [8, 0, 0] }]"),
            "seed 8,0,0 lies outside of 0:8,0:8,0:8",
        ),
        (
            error("flood", "range = '1:'\nseeds = [{ position_zyx = [1, 0, 0], label = 0 }]"),
            "label 0 is background",
        ),
    ] {
        let found = found.to_string();
        assert!(found.contains(expected) && !found.contains('\n'), "{found}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}
