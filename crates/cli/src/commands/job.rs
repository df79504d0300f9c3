//! What the commands on jobs share.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use exavox_compute::ComputeDevice;
use exavox_io::VolumeWriter;
use exavox_pipeline::blocks::{BlockFailure, LocalEngine, StageReport, StopFlag};
use exavox_pipeline::job::{Job, RunReport};
use indicatif::{DecimalBytes, HumanCount, HumanDuration};
use serde::Serialize;

use crate::context::Context;
use crate::exit_status::ExitStatus;

/// Failures that a summary names.
const SHOWN: usize = 10;

/// Opens a job from anywhere: names in its plan are relative to the folder it was made in.
pub(crate) fn open(folder: &Path) -> anyhow::Result<Job> {
    let folder = std::path::absolute(folder).with_context(|| folder.display().to_string())?;
    enter(&Job::base(&folder)?)?;
    Ok(Job::open(&folder)?)
}

/// Makes a folder the working directory.
pub(crate) fn enter(folder: &Path) -> anyhow::Result<()> {
    std::env::set_current_dir(folder).with_context(|| folder.display().to_string())
}

/// An engine that ends with the block at hand when the process is asked to; asked twice, at once.
pub(crate) fn engine(context: &Context) -> anyhow::Result<LocalEngine> {
    let stop = StopFlag::default();
    stop_first(&stop)?;
    let memory_bytes = context.block_bytes().unwrap_or_else(|| context.memory_bytes());
    Ok(LocalEngine { threads: context.threads, memory_bytes, stop })
}

/// The first INT or TERM asks to end, the second one ends at once.
pub(crate) fn stop_first(stop: &StopFlag) -> std::io::Result<()> {
    for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
        signal_hook::flag::register_conditional_default(signal, stop.as_atomic())?;
        signal_hook::flag::register(signal, stop.as_atomic())?;
    }
    Ok(())
}

/// Folder of a job that a command runs by itself: hidden, beside the target, `.NAME.job`.
pub(crate) fn beside(target: &str) -> anyhow::Result<PathBuf> {
    let partial = VolumeWriter::resume_path(target)?;
    let name = partial.file_name().unwrap_or_default().to_string_lossy();
    Ok(partial.with_file_name(name.replace(".resume.partial", ".job")))
}

/// Says that blocks are used, and where the job is.
pub(crate) fn note_blocks(source: &str, needed: u64, folder: &Path, context: &Context) {
    let needed = DecimalBytes(needed);
    context.printer.note(&format!(
        "{source}: needs {needed} of memory, which is too much: done by blocks; if it ends early, run it again to \
         go on ({})",
        folder.display()
    ));
}

/// Tells of a run that left something to do.
pub(crate) fn incomplete(
    folder: &Path,
    report: RunReport,
    context: &Context,
) -> anyhow::Result<ExitStatus> {
    context.printer.summary(&Summary { job: folder.to_owned(), report })?;
    Ok(ExitStatus::Incomplete)
}

/// The device of `--device` where the job has a network to run, else the CPU.
pub(crate) fn device(job: &Job, context: &Context) -> anyhow::Result<ComputeDevice> {
    if job.steps().iter().any(|step| step.kind == "segment") {
        return context.open_device();
    }
    Ok(ComputeDevice::cpu()?)
}

/// Does what is left of a job in this process, and tells how it went.
pub(crate) fn run_all(job: &Job, context: &Context) -> anyhow::Result<ExitStatus> {
    let report = job.run(&engine(context)?, &device(job, context)?, &context.observer)?;
    let complete = report.complete;
    context.printer.summary(&Summary { job: job.folder().to_owned(), report })?;
    Ok(if complete { ExitStatus::Done } else { ExitStatus::Incomplete })
}

/// What `--json` prints of a run.
#[derive(Debug, Serialize)]
struct Summary {
    job: PathBuf,
    #[serde(flatten)]
    report: RunReport,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let job = self.job.display();
        if self.report.stages.is_empty() && self.report.complete {
            return write!(f, "{job}: complete, nothing was left to do");
        }
        for stage in &self.report.stages {
            writeln!(f, "{}", StageLine(stage))?;
        }
        let time = HumanDuration(std::time::Duration::from_secs_f64(self.report.seconds));
        match self.report.complete {
            true => write!(f, "{job}: complete, {time}"),
            false => write!(f, "{job}: not complete; go on with: exavox resume {job}"),
        }
    }
}

/// One stage of a run.
pub(crate) struct StageLine<'a>(pub(crate) &'a StageReport);

impl fmt::Display for StageLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = self.0;
        let (done, blocks) = (report.computed + report.done_before, HumanCount(report.blocks));
        write!(f, "{}: {} of {blocks} blocks", report.name, HumanCount(done))?;
        if report.done_before > 0 {
            write!(f, " ({} were done before)", HumanCount(report.done_before))?;
        }
        write!(f, ", {:.1} s, {} at a time", report.seconds, report.workers)?;
        write!(f, "{}", Failures(&report.failures, report.failed))?;
        match &report.stopped {
            Some(why) => write!(f, "\n  stopped: {why}"),
            None => Ok(()),
        }
    }
}

/// Blocks that failed, and how many there are in all.
pub(crate) struct Failures<'a>(pub(crate) &'a [BlockFailure], pub(crate) u64);

impl fmt::Display for Failures<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for failure in self.0.iter().take(SHOWN) {
            let BlockFailure { block, place, error, .. } = failure;
            write!(f, "\n  block {block} ({place}) failed: {error}")?;
        }
        match self.1.saturating_sub(self.0.len().min(SHOWN) as u64) {
            0 => Ok(()),
            more => write!(f, "\n  and {} more blocks failed", HumanCount(more)),
        }
    }
}
