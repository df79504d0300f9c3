//! An image that is cut into subvolumes: a job of one step in a folder beside the labels.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use exavox_compute::ComputeDevice;
use exavox_io::Volume;
use exavox_pipeline::blocks::{LocalEngine, StopFlag};
use exavox_pipeline::job::steps::{SegmentSpec, StepSpec};
use exavox_pipeline::job::{Job, Plan, RunReport};
use exavox_pipeline::segment::{fits_one_subvolume, region_of};

use super::{Args, Inputs, Summary};
use crate::context::Context;
use crate::exit_status::ExitStatus;
use crate::values;

/// How an image is cut.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Subvolumes")]
pub(super) struct SubvolumeArgs {
    /// Shape of the subvolumes [default: one, if it fits into memory, else as large as memory allows].
    #[arg(long, value_name = "Z,Y,X", value_parser = values::shape_zyx)]
    subvolume: Option<[u64; 3]>,
    /// Voxels that neighbouring subvolumes share [default: twice the margin of the field of view].
    #[arg(long, value_name = "Z,Y,X", value_parser = values::position_zyx)]
    overlap: Option<[u64; 3]>,
    /// Segments of two subvolumes are linked from this many common voxels on [default: 100].
    #[arg(long, value_name = "VOXELS")]
    link_voxels: Option<u64>,
    /// ... and this share of the smaller one, where they overlap [default: 0.5].
    #[arg(long, value_name = "SHARE")]
    link_fraction: Option<f64>,
    /// Link every pair that passes, not only those that are each other's best match: fewer splits, a few
    /// more mergers.
    #[arg(long)]
    link_all: bool,
    /// Coarser scales of the labels [default: until at most 128 voxels are left].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=32))]
    levels: Option<u8>,
    /// Folder for what is done so far [default: .LABELS.job beside LABELS].
    #[arg(long, value_name = "DIR")]
    job: Option<PathBuf>,
    /// Keep that folder at the end.
    #[arg(long)]
    keep_job: bool,
}

/// A job that is ready to run.
pub(super) struct Planned {
    spec: SegmentSpec,
    folder: PathBuf,
    keep: bool,
}

/// The job, unless the image is segmented as one subvolume.
pub(super) fn planned(
    args: &Args,
    inputs: &Inputs,
    image: &Volume,
    device: &ComputeDevice,
    context: &Context,
) -> anyhow::Result<Option<Planned>> {
    let (settings, flags) = (&inputs.settings, &args.subvolumes);
    let region = region_of(image.name(), image.shape(), settings)?;
    let folder = flags.job.clone().unwrap_or_else(|| beside(&inputs.labels));
    let begun = begun(&folder)?;
    let memory = context.memory_bytes();
    let is_cut = flags.subvolume.is_some() || begun.is_some();
    if !is_cut && fits_one_subvolume(&region, settings, device, memory) {
        return Ok(None);
    }
    refuse_flags(args, inputs)?;
    let mut spec = spec(args, inputs);
    match (flags.subvolume, begun) {
        (Some(size), _) => spec.subvolume = size,
        // Memory that is free changes from run to run; the subvolumes must not.
        (None, Some(before)) => {
            spec.subvolume = before.subvolume;
            spec.overlap = flags.overlap.or(before.overlap);
        }
        (None, None) => {
            let at_once = context.threads.get() as u64;
            spec.choose_subvolume(region.shape(), settings, device, memory, at_once)?;
        }
    }
    let overlap = *spec.overlap.get_or_insert(SegmentSpec::default_overlap(settings));
    let cut = spec.subvolumes(region, settings)?;
    context.printer.note(&format!(
        "{} subvolumes of {} voxels with {} in common; what is done is kept in {}",
        cut.len(),
        text(cut.size()),
        text(overlap),
        folder.display()
    ));
    Ok(Some(Planned { spec, folder, keep: flags.keep_job }))
}

/// Refuses what is for one subvolume.
fn refuse_flags(args: &Args, inputs: &Inputs) -> anyhow::Result<()> {
    if args.probabilities.is_some() {
        bail!(
            "--probabilities is for one subvolume: those of several are not put together; choose a smaller --roi"
        );
    }
    if args.overwrite {
        bail!("--overwrite: LABELS of subvolumes replace nothing; remove {} first", inputs.labels);
    }
    Ok(())
}

/// The step, without the shape of its subvolumes.
fn spec(args: &Args, inputs: &Inputs) -> SegmentSpec {
    let flags = &args.subvolumes;
    let mut spec = SegmentSpec::new(&inputs.image, &inputs.labels, &inputs.settings);
    spec.scale = args.flags.scale;
    spec.overlap = flags.overlap;
    spec.levels = flags.levels.map(usize::from);
    spec.link.min_voxels = flags.link_voxels.unwrap_or(spec.link.min_voxels);
    spec.link.min_fraction = flags.link_fraction.unwrap_or(spec.link.min_fraction);
    spec.link.mutual_best = !flags.link_all;
    spec
}

fn text([z, y, x]: [u64; 3]) -> String {
    format!("{z} x {y} x {x}")
}

/// `a/labels.zarr` -> `a/.labels.zarr.job`.
fn beside(labels: &str) -> PathBuf {
    let path = Path::new(labels.trim_end_matches('/'));
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    path.with_file_name(format!(".{name}.job"))
}

/// What an earlier run in this folder was asked for.
fn begun(folder: &Path) -> anyhow::Result<Option<SegmentSpec>> {
    if !folder.join("job.json").exists() {
        return Ok(None);
    }
    let job = Job::open(folder)?;
    match &job.plan().steps[..] {
        [StepSpec::Segment(spec)] => Ok(Some((**spec).clone())),
        _ => bail!("{}: holds another job", folder.display()),
    }
}

impl Planned {
    /// Does what is left.
    pub(super) fn run(
        self,
        device: &ComputeDevice,
        context: &Context,
    ) -> anyhow::Result<ExitStatus> {
        let step = StepSpec::Segment(Box::new(self.spec.clone()));
        let job = Job::create(&self.folder, &Plan::of_step(step))?;
        let engine = LocalEngine {
            threads: context.threads,
            memory_bytes: context.memory_bytes(),
            stop: StopFlag::default(),
        };
        let run = job.run(&engine, device, &context.observer)?;
        if !run.complete {
            tell_failures(&run, context);
            context.printer.note("the same command goes on with what is missing");
            return Ok(ExitStatus::Incomplete);
        }
        let mut report = self.spec.report()?;
        // Of this run, which may have gone on with an earlier one; the files have the time of all blocks.
        report.voxels_per_second *= report.seconds / run.seconds.max(1e-9);
        report.seconds = run.seconds;
        context.printer.summary(&Summary(report))?;
        if !self.keep {
            remove(&self.folder)?;
        }
        Ok(ExitStatus::Done)
    }
}

fn tell_failures(run: &RunReport, context: &Context) {
    for stage in &run.stages {
        for failure in &stage.failures {
            let (block, place) = (failure.block, &failure.place);
            let text = format!("{}: block {block} ({place}): {}", stage.name, failure.error);
            context.printer.warning(&text);
        }
        if let Some(why) = &stage.stopped {
            context.printer.warning(&format!("{} was stopped: {why}", stage.name));
        }
    }
}

/// The document first: half a folder is no job.
fn remove(folder: &Path) -> anyhow::Result<()> {
    std::fs::remove_file(folder.join("job.json"))
        .and_then(|()| std::fs::remove_dir_all(folder))
        .with_context(|| format!("{}: could not be removed", folder.display()))
}
