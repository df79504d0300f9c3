//! Jobs: planned, run, killed in the middle, run again.

use std::num::NonZeroUsize;

use exavox_compute::ComputeDevice;
use exavox_io::{BoundingBox, DataType, Volume, VolumeWriter, Voxels, WriteOptions};
use exavox_pipeline::blocks::{LocalEngine, StopFlag};
use exavox_pipeline::job::{Job, Plan};
use exavox_pipeline::{Silent, downsample};

fn engine(threads: usize) -> LocalEngine {
    let threads = NonZeroUsize::new(threads).unwrap();
    LocalEngine { threads, memory_bytes: 1 << 30, stop: StopFlag::default() }
}

fn write_source(name: &str, shape: [usize; 3]) {
    let options = WriteOptions::new(DataType::U16, shape.map(|s| s as u64));
    let writer = VolumeWriter::create(name, &options).unwrap();
    let values = (0..shape.iter().product::<usize>()).map(|i| (i * 37 % 4099) as u16).collect();
    writer.write(0, [0; 3], &Voxels::from_vec(shape, values).unwrap()).unwrap();
    writer.finish().unwrap();
}

fn whole(name: &str) -> Voxels {
    let volume = Volume::open(name).unwrap();
    volume.read(0, &BoundingBox::whole(volume.shape())).unwrap()
}

fn run(folder: &std::path::Path, text: &str, threads: usize) -> exavox_pipeline::Result<bool> {
    let plan = Plan::parse(text, "plan")?;
    let job = Job::create(&folder.join("job"), &plan)?;
    let report = job.run(&engine(threads), &ComputeDevice::cpu().unwrap(), &Silent)?;
    Ok(report.complete)
}

#[test]
fn a_coarser_volume_by_blocks_is_that_of_the_whole() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    write_source(&at("a.npy"), [37, 70, 65]);
    let mut options = downsample::DownsampleOptions::default();
    options.factor = [2, 3, 1];
    let source = Volume::open(&at("a.npy")).unwrap();
    downsample::downsample(&source, &at("whole.npy"), &options, &Silent).unwrap();
    for (n, (threads, block)) in
        [(1, "[16, 8, 8]"), (2, "[8, 24, 16]"), (5, "[8, 8, 64]")].into_iter().enumerate()
    {
        let target = at(&format!("{n}.zarr"));
        let text = format!(
            "[[step]]\nrun = 'downsample'\nsource = '{}'\ntarget = '{target}'\nfactor = [2, 3, 1]\n\
             layout = {{ chunk = [8, 8, 8], block = {block} }}\n",
            at("a.npy")
        );
        let folder = tempfile::tempdir().unwrap();
        assert!(run(folder.path(), &text, threads).unwrap());
        assert!(whole(&target) == whole(&at("whole.npy")), "{n}");
        // Again: nothing to do, and no harm.
        assert!(run(folder.path(), &text, threads).unwrap());
        let job = Job::open(&folder.path().join("job")).unwrap();
        for id in job.stages() {
            let device = ComputeDevice::cpu().unwrap();
            assert!(job.verify(id, &device, 1 << 30, &Silent).unwrap().is_good());
        }
    }
}

#[test]
fn a_changed_plan_or_input_is_refused_with_what_changed() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    write_source(&at("a.npy"), [10, 10, 10]);
    let text = format!(
        "[[step]]\nrun = 'downsample'\nsource = '{}'\ntarget = '{}'\n",
        at("a.npy"),
        at("b.zarr")
    );
    assert!(run(folder.path(), &text, 1).unwrap());
    let changed = format!("{text}factor = [1, 2, 2]\n");
    let error = run(folder.path(), &changed, 1).unwrap_err().to_string();
    assert!(error.contains("plan/step/1/factor was [2,2,2] and is [1,2,2]"), "{error}");
    write_source(&at("c.npy"), [10, 10, 11]);
    std::fs::rename(at("c.npy"), at("a.npy")).unwrap();
    let error = run(folder.path(), &text, 1).unwrap_err().to_string();
    assert!(error.contains("shape was [10,10,10] and is [10,10,11]"), "{error}");
}
