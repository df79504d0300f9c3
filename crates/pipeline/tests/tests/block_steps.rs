//! Filters, projections and conversions by blocks: the bits of the same commands of the whole, whatever the
//! blocks, the threads, and however often they are stopped.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};

use exavox_compute::ComputeDevice;
use exavox_compute::ops::distance_transform::{Border, DistanceKind, DistanceOptions};
use exavox_compute::ops::filter::{
    Boundary, ClaheOptions, Dimensions, Filter, Gradient, Normalization,
};
use exavox_compute::ops::projection::ProjectionKind;
use exavox_io::volume::WriteMode;
use exavox_io::{
    Axis, BoundingBox, DataType, Volume, VolumeWriter, VoxelSize, Voxels, WriteOptions, match_dtype,
};
use exavox_pipeline::blocks::{LocalEngine, StopFlag};
use exavox_pipeline::convert::Precision;
use exavox_pipeline::job::steps::{
    ConvertSpec, FilterSettings, FilterSpec, Layout, ProjectSpec, SourceSpec, StepSpec,
};
use exavox_pipeline::job::{Job, Plan, RunReport};
use exavox_pipeline::{
    ConvertOptions, Event, FilterOptions, Observer, ProjectOptions, Result, Silent, convert,
    filter, project,
};
use proptest::prelude::*;
use tempfile::TempDir;

/// A volume of two channels in a folder of its own.
struct Scene {
    folder: TempDir,
}

impl Scene {
    fn new(dtype: DataType, shape: [usize; 3], seed: u64) -> Self {
        let scene = Self { folder: tempfile::tempdir().unwrap() };
        let mut options = WriteOptions::new(dtype, shape.map(|v| v as u64))
            .with_channels(vec!["a".to_owned(), "b".to_owned()])
            .with_voxel_size(VoxelSize::from_nm_zyx([40.0, 4.0, 5.0]));
        options.chunk_shape = Some([3, 5, 7]);
        let writer = VolumeWriter::create(&scene.path("a.zarr"), &options).unwrap();
        for channel in 0..2_u64 {
            let hash =
                |i: u64| (i ^ seed ^ channel << 40).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 57;
            let count = shape.iter().product::<usize>() as u64;
            let voxels = match_dtype!(dtype, T => {
                let scale = if dtype.kind() == 'f' { 0.37 } else { 1.0 };
                let values = (0..count).map(|i| (hash(i) as f64 * scale) as T).collect::<Vec<T>>();
                Voxels::from_vec(shape, values).unwrap()
            });
            writer.write(channel as usize, [0; 3], &voxels).unwrap();
        }
        writer.finish().unwrap();
        scene
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn source(&self) -> Volume {
        Volume::open(&self.path("a.zarr")).unwrap()
    }

    /// Runs a job of one step, in the folder `job`.
    fn run(&self, step: StepSpec, threads: usize, observer: &Stopping) -> Result<RunReport> {
        let plan = Plan::of_step(step);
        let job = Job::create(&self.folder.path().join("job"), &plan)?;
        let threads = NonZeroUsize::new(threads).unwrap();
        let engine = LocalEngine { threads, memory_bytes: 1 << 30, stop: observer.stop.clone() };
        job.run(&engine, &ComputeDevice::cpu().unwrap(), observer)
    }

    /// Runs a job, stopped after every `every` blocks, until it is complete; gives the number of runs.
    fn run_in_parts(&self, step: &StepSpec, threads: usize, every: u64) -> usize {
        for run in 1.. {
            if self.run(step.clone(), threads, &Stopping::after(every)).unwrap().complete {
                return run;
            }
        }
        0
    }

    fn assert_same(&self, expected: &str, found: &str) {
        let [expected, found] = [expected, found].map(|n| Volume::open(&self.path(n)).unwrap());
        assert_eq!(found.metadata().dtype, expected.metadata().dtype);
        assert_eq!(found.metadata().channels, expected.metadata().channels);
        assert_eq!(found.metadata().voxel_size, expected.metadata().voxel_size);
        assert_eq!(found.shape(), expected.shape());
        for channel in 0..expected.metadata().channels.len() {
            let whole = BoundingBox::whole(expected.shape());
            let [e, f] = [&expected, &found].map(|v| v.read(channel, &whole).unwrap());
            assert!(e.bytes() == f.bytes(), "channel {channel} differs");
        }
    }
}

/// Asks the run to end after some blocks.
struct Stopping {
    stop: StopFlag,
    left: AtomicU64,
}

impl Stopping {
    fn after(blocks: u64) -> Self {
        Self { stop: StopFlag::default(), left: AtomicU64::new(blocks) }
    }

    fn never() -> Self {
        Self::after(u64::MAX)
    }
}

impl Observer for Stopping {
    fn notify(&self, event: &Event<'_>) {
        if matches!(event, Event::Advanced { .. }) && self.left.fetch_sub(1, Ordering::Relaxed) == 1
        {
            self.stop.stop();
        }
    }
}

fn clahe(tile: Option<[usize; 3]>, dimensions: Dimensions, range: Option<[f64; 2]>) -> Filter {
    let mut options = ClaheOptions::default();
    (options.tile_zyx, options.dimensions, options.range) = (tile, dimensions, range);
    Filter::Clahe(options)
}

fn filters() -> Vec<Filter> {
    let (reflect, nearest) = (Boundary::Reflect, Boundary::Nearest);
    vec![
        Filter::Gaussian { sigma_zyx: [1.0, 2.0, 0.5], boundary: reflect },
        // Reaches over several blocks, and past small volumes.
        Filter::Gaussian { sigma_zyx: [2.5, 0.0, 5.0], boundary: nearest },
        Filter::Gaussian { sigma_zyx: [0.3, 4.0, 3.0], boundary: reflect },
        Filter::Median { radius_zyx: [1, 0, 2], boundary: nearest },
        Filter::Median { radius_zyx: [2, 9, 1], boundary: reflect },
        Filter::Sobel(Gradient::Magnitude),
        Filter::Sobel(Gradient::Along(Axis::Y)),
        clahe(None, Dimensions::Two, None),
        clahe(Some([1, 5, 6]), Dimensions::Two, Some([3.0, 90.0])),
        clahe(Some([3, 4, 30]), Dimensions::Three, None),
        clahe(Some([2, 3, 3]), Dimensions::Three, None),
        Filter::Normalize(Normalization::MeanStd),
        Filter::Normalize(Normalization::MinMax),
        Filter::Normalize(Normalization::Range { low: 3.0, high: 40.5 }),
        Filter::Normalize(Normalization::Percentiles { low: 2.0, high: 90.0 }),
    ]
}

fn filter_step(
    scene: &Scene,
    filter: &Filter,
    region: &str,
    dtype: Option<DataType>,
) -> FilterSpec {
    FilterSpec {
        source: scene.path("a.zarr"),
        part: SourceSpec { region: Some(region.to_owned()), ..SourceSpec::default() },
        target: scene.path("blocks.zarr"),
        filter: FilterSettings::of(filter).unwrap(),
        dtype: dtype.map(|d| d.name().to_owned()),
        codec: None,
        layout: Layout::default(),
    }
}

/// A chunk, and a block of so many of them.
fn layout(chunk: [u64; 3], times: [u64; 3]) -> Layout {
    let block = std::array::from_fn(|a| chunk[a] * times[a]);
    Layout { chunk: Some(chunk), shard: None, block: Some(block) }
}

/// Regions that begin anywhere, of which some have one voxel along an axis.
fn part(shape: [usize; 3], from: [usize; 3], flat: usize) -> (BoundingBox, String) {
    let mut region = BoundingBox::whole(shape.map(|v| v as u64));
    for a in 0..3 {
        region.start[a] = (from[a] % shape[a]) as u64;
        if a == flat {
            region.end[a] = region.start[a] + 1;
        }
    }
    (region, region.to_string())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn a_filter_by_blocks_is_that_of_the_whole(
        filter_of in prop::sample::select(filters()), shape in [1..20usize, 1..30usize, 1..40usize],
        from in [0..4usize, 0..4usize, 0..4usize], flat in 0..6usize,
        chunk in [1..6u64, 1..9u64, 1..9u64], times in [1..4u64, 1..4u64, 1..5u64],
        dtype in prop::sample::select(vec![DataType::U8, DataType::I16, DataType::U32, DataType::F32, DataType::F64]),
        result in prop::sample::select(vec![None, None, Some(DataType::U8), Some(DataType::U16)]),
        threads in prop::sample::select(vec![1, 2, 5]), seed in any::<u64>(),
    ) {
        let scene = Scene::new(dtype, shape, seed);
        let (region, text) = part(shape, from, flat);
        let mut options = FilterOptions::new(filter_of.clone());
        (options.region, options.dtype) = (Some(region), result);
        filter(&scene.source(), &scene.path("whole.zarr"), &options, &Silent).unwrap();
        let mut step = filter_step(&scene, &filter_of, &text, result);
        step.layout = layout(chunk, times);
        let report = scene.run(StepSpec::Filter(step), threads, &Stopping::never()).unwrap();
        prop_assert!(report.complete);
        scene.assert_same("whole.zarr", "blocks.zarr");
    }

    #[test]
    fn distances_by_blocks_are_those_of_the_whole(
        shape in [1..20usize, 1..30usize, 1..40usize], from in [0..4usize, 0..4usize, 0..4usize],
        flat in 0..6usize, chunk in [1..6u64, 1..9u64, 1..9u64], times in [1..4u64, 1..4u64, 1..5u64],
        dtype in prop::sample::select(vec![DataType::U8, DataType::I16, DataType::U64]),
        result in prop::sample::select(vec![None, None, Some(DataType::U8)]), squared in any::<bool>(),
        border in prop::sample::select(vec![Border::Open, Border::Background]),
        size in prop::sample::select(vec![[1.0; 3], [40.0, 4.0, 4.0], [2.5, 0.3, 1.1]]),
        stop_after in 1..9_u64, threads in prop::sample::select(vec![1, 2, 5]), seed in any::<u64>(),
    ) {
        let scene = Scene::new(dtype, shape, seed);
        let (region, text) = part(shape, from, flat);
        let mut distance = DistanceOptions::default();
        (distance.voxel_size_zyx, distance.border) = (size, border);
        distance.kind = if squared { DistanceKind::Squared } else { DistanceKind::Euclidean };
        let mut options = FilterOptions::new(Filter::Distance(distance));
        (options.region, options.dtype) = (Some(region), result);
        filter(&scene.source(), &scene.path("whole.zarr"), &options, &Silent).unwrap();
        let mut step = filter_step(&scene, &options.filter, &text, result);
        step.layout = layout(chunk, times);
        scene.run_in_parts(&StepSpec::Filter(step), threads, stop_after);
        scene.assert_same("whole.zarr", "blocks.zarr");
    }

    #[test]
    fn a_projection_by_blocks_is_that_of_the_whole(
        kind in prop::sample::select(ProjectionKind::ALL.to_vec()), axis in 0..3usize,
        shape in [1..20usize, 1..30usize, 1..40usize], from in 0..9usize,
        chunk in [1..6u64, 1..9u64, 1..9u64], times in [1..4u64, 1..4u64, 1..5u64],
        dtype in prop::sample::select(DataType::ALL.to_vec()),
        threads in prop::sample::select(vec![1, 2, 5]), seed in any::<u64>(),
    ) {
        let scene = Scene::new(dtype, shape, seed);
        let planes = (from % shape[0]) as u64..shape[0] as u64;
        let mut options = ProjectOptions::default();
        (options.kind, options.axis) = (kind, Axis::ZYX[axis]);
        options.z_range = Some(planes.clone());
        project(&scene.source(), &scene.path("whole.zarr"), &options, &Silent).unwrap();
        let region = Some(format!("{}:,:,:", planes.start));
        let mut chunk = chunk;
        chunk[axis] = 1;
        let step = ProjectSpec {
            source: scene.path("a.zarr"),
            part: SourceSpec { region, ..SourceSpec::default() },
            target: scene.path("blocks.zarr"),
            kind: kind.name().to_owned(),
            axis: options.axis.to_string(),
            codec: None,
            layout: layout(chunk, times),
        };
        prop_assert!(scene.run(StepSpec::Project(step), threads, &Stopping::never()).unwrap().complete);
        scene.assert_same("whole.zarr", "blocks.zarr");
    }

    #[test]
    fn a_conversion_by_blocks_is_that_of_the_whole(
        shape in [1..20usize, 1..30usize, 1..40usize], from in [0..4usize, 0..4usize, 0..4usize], flat in 0..6usize,
        chunk in [1..6u64, 1..9u64, 1..9u64], times in [1..4u64, 1..4u64, 1..5u64], sharded in any::<bool>(),
        dtype in prop::sample::select(vec![DataType::U8, DataType::I16, DataType::F32]),
        to in prop::sample::select(vec![DataType::U8, DataType::U64, DataType::F32]),
        only_b in any::<bool>(), threads in prop::sample::select(vec![1, 2, 5]), seed in any::<u64>(),
    ) {
        let scene = Scene::new(dtype, shape, seed);
        let (region, text) = part(shape, from, flat);
        let channels = if only_b { vec!["b".to_owned()] } else { Vec::new() };
        let mut options = ConvertOptions::default();
        (options.region, options.dtype) = (Some(region), Some(to));
        (options.channels, options.precision) = (channels.clone(), Precision::Lossy);
        convert(&scene.source(), &scene.path("whole.zarr"), &options, &Silent).unwrap();
        let mut layout = layout(chunk, times);
        if sharded {
            (layout.shard, layout.block) = (layout.block, None);
        }
        let step = ConvertSpec {
            source: scene.path("a.zarr"),
            part: SourceSpec { region: Some(text), channels, ..SourceSpec::default() },
            target: scene.path("blocks.zarr"),
            dtype: Some(to.name().to_owned()),
            lossy: true,
            voxel_size: None,
            codec: None,
            layout,
        };
        prop_assert!(scene.run(StepSpec::Convert(step), threads, &Stopping::never()).unwrap().complete);
        scene.assert_same("whole.zarr", "blocks.zarr");
    }
}

#[test]
fn a_filter_that_is_stopped_goes_on_to_the_same_bits() {
    for (n, filter_of) in filters().iter().enumerate().step_by(3) {
        let scene = Scene::new(DataType::F32, [13, 17, 20], n as u64);
        let options = FilterOptions::new(filter_of.clone());
        filter(&scene.source(), &scene.path("whole.zarr"), &options, &Silent).unwrap();
        let mut step = filter_step(&scene, filter_of, ":,:,:", None);
        step.layout = layout([4, 4, 4], [1, 2, 3]);
        let runs = scene.run_in_parts(&StepSpec::Filter(step), 2, 5);
        assert!(runs > 3, "{runs}");
        scene.assert_same("whole.zarr", "blocks.zarr");
        let job = Job::open(&scene.folder.path().join("job")).unwrap();
        for id in job.stages() {
            let device = ComputeDevice::cpu().unwrap();
            let report = job.verify(id, &device, 1 << 30, &Silent).unwrap();
            assert!(report.is_good(), "{report:?}");
        }
    }
}

#[test]
fn statistics_that_are_damaged_are_named() {
    let scene = Scene::new(DataType::F32, [9, 9, 9], 1);
    let filter = Filter::Normalize(Normalization::MeanStd);
    let mut step = filter_step(&scene, &filter, ":,:,:", None);
    step.layout = layout([3, 9, 9], [1, 1, 1]);
    let step = StepSpec::Filter(step);
    // Five blocks: twice counted and merged, and one of three filtered.
    assert!(!scene.run(step.clone(), 1, &Stopping::after(5)).unwrap().complete);
    let path = scene.folder.path().join("job/data/1/merge-2/0/0.part");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[20] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let error = scene.run(step, 1, &Stopping::never()).unwrap_err().to_string();
    assert!(error.contains("merge-2/0/0.part") && error.contains("damaged"), "{error}");
}

#[test]
fn a_value_that_is_lost_fails_its_block_and_no_other() {
    let scene = Scene::new(DataType::U16, [6, 8, 8], 1);
    let mut voxels = Voxels::zeros(DataType::U16, [6, 8, 8]).unwrap();
    voxels.as_mut_slice::<u16>().unwrap()[2 * 64 + 3 * 8 + 5] = 300;
    let options = WriteOptions::new(DataType::U16, [6, 8, 8]).with_mode(WriteMode::Overwrite);
    let writer = VolumeWriter::create(&scene.path("a.zarr"), &options).unwrap();
    writer.write(0, [0; 3], &voxels).unwrap();
    writer.finish().unwrap();
    let step = ConvertSpec {
        source: scene.path("a.zarr"),
        part: SourceSpec { region: Some("1:,:,:".to_owned()), ..SourceSpec::default() },
        target: scene.path("blocks.zarr"),
        dtype: Some("uint8".to_owned()),
        lossy: false,
        voxel_size: None,
        codec: None,
        layout: layout([4, 4, 4], [1, 1, 1]),
    };
    let report = scene.run(StepSpec::Convert(step), 2, &Stopping::never()).unwrap();
    assert!(!report.complete);
    let stage = &report.stages[0];
    assert_eq!((stage.computed, stage.failed), (7, 1));
    let error = &stage.failures[0].error;
    assert!(error.contains("voxel c,z,y,x 0,2,3,5: 300 is not a value of uint8"), "{error}");
}

#[test]
fn what_cannot_be_is_refused_when_it_is_planned() {
    let scene = Scene::new(DataType::U8, [4, 5, 6], 1);
    let text = |rest: &str| {
        format!(
            "[[step]]\nrun = 'filter'\nsource = '{}'\ntarget = '{}'\n{rest}\n",
            scene.path("a.zarr"),
            scene.path("b.zarr")
        )
    };
    for (rest, expected) in [
        ("filter = { kind = 'distance', border = 'wrap' }", "open or background"),
        ("filter = { kind = 'distance', voxel_size = [1, 0, 1] }", "finite and above 0"),
        ("filter = { kind = 'gaussian', sigma = [1, -1, 1] }", "sigma"),
        ("filter = { kind = 'gaussian', sigma = [1, 1, 1], bondary = 'x' }", "bondary"),
        (
            "filter = { kind = 'median', radius = [1, 1, 1], boundary = 'wrap' }",
            "reflect or nearest",
        ),
        ("filter = { kind = 'clahe', dimensions = 4 }", "2 or 3"),
        ("filter = { kind = 'clahe', tile = [0, 1, 1] }", "tiles of [0, 1, 1]"),
        ("filter = { kind = 'normalize-percentiles', percentiles = [9, 101] }", "percentiles"),
        ("filter = { kind = 'sobel' }\npart = { region = '0:9,:,:' }", "0:9"),
        ("filter = { kind = 'sobel' }\npart = { channels = ['c'] }", "no channel 'c'"),
        ("filter = { kind = 'sobel' }\ndtype = 'u7'", "u7"),
        ("filter = { kind = 'sobel' }\ncodec = 'zstd:99'", "1 to 22"),
    ] {
        let planned = Plan::parse(&text(rest), "plan")
            .and_then(|plan| Job::create(&scene.folder.path().join("job"), &plan).map(drop));
        let error = planned.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn a_plan_as_people_write_it_runs_steps_after_each_other() {
    let scene = Scene::new(DataType::U8, [9, 40, 40], 3);
    let text = format!(
        "[[step]]\nrun = 'filter'\nsource = '{a}'\ntarget = '{b}'\n\
         filter = {{ kind = 'gaussian', sigma = [1, 2, 2] }}\ndtype = 'uint8'\ncodec = 'raw'\n\
         layout = {{ chunk = [4, 16, 16] }}\n\
         [[step]]\nrun = 'convert'\nsource = '{b}'\ntarget = '{c}'\npart = {{ channels = ['b'] }}\n\
         [[step]]\nrun = 'project'\nsource = '{c}'\ntarget = '{d}'\nkind = 'mean'\n",
        a = scene.path("a.zarr"),
        b = scene.path("b.zarr"),
        c = scene.path("c.n5"),
        d = scene.path("d.zarr"),
    );
    let plan = Plan::parse(&text, "plan").unwrap();
    let job = Job::create(&scene.folder.path().join("job"), &plan).unwrap();
    let engine = LocalEngine {
        threads: NonZeroUsize::new(2).unwrap(),
        memory_bytes: 1 << 30,
        stop: StopFlag::default(),
    };
    assert!(job.run(&engine, &ComputeDevice::cpu().unwrap(), &Silent).unwrap().complete);
    let boundary = Boundary::Reflect;
    let mut options = FilterOptions::new(Filter::Gaussian { sigma_zyx: [1.0, 2.0, 2.0], boundary });
    options.dtype = Some(DataType::U8);
    filter(&scene.source(), &scene.path("whole.zarr"), &options, &Silent).unwrap();
    let whole = Volume::open(&scene.path("whole.zarr")).unwrap();
    let mut options = ProjectOptions::default();
    options.kind = ProjectionKind::Mean;
    project(&whole, &scene.path("mean.zarr"), &options, &Silent).unwrap();
    let read = |name: &str, channel| {
        let volume = Volume::open(&scene.path(name)).unwrap();
        volume.read(channel, &BoundingBox::whole(volume.shape())).unwrap()
    };
    assert!(read("mean.zarr", 1) == read("d.zarr", 0));
}
