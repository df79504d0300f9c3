//! Calls Slurm's programs.

use std::fmt;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, bail, ensure};
use exavox_pipeline::engines::slurm::{SlurmChain, SlurmPlaces, SlurmSettings};
use exavox_pipeline::engines::{Submission, SubmittedJob, keep_settings};
use exavox_pipeline::job::Job;
use indicatif::HumanCount;
use serde::Serialize;

use super::{ClusterArgs, chain};
use crate::context::Context;
use crate::exit_status::ExitStatus;

/// Name of the engine in the folder of a job.
pub(super) const NAME: &str = "slurm";

/// Slurm's own default, for a dry run where there is no Slurm.
const MAX_ARRAY_SIZE: u64 = 1001;

/// Submits what is left of a job, or shows it.
pub(super) fn submit(
    job: &Job,
    mut settings: SlurmSettings,
    args: &ClusterArgs,
    context: &Context,
) -> anyhow::Result<ExitStatus> {
    args.apply(&mut settings.slots, &mut settings.shards_per_slot);
    settings.check(&job.stages().map(|id| job.stage_name(id)).collect::<Vec<_>>())?;
    let Some(chain) = chain(job, &settings.deal(), context)? else { return Ok(ExitStatus::Done) };
    let submission = Submission::next(job.folder())?;
    let places = places(job, &settings, &submission)?;
    let made = |largest| with_options(SlurmChain::new(&chain, &places, &settings, largest), args);
    if args.dry_run {
        let made = made(largest_array().unwrap_or(MAX_ARRAY_SIZE));
        context.printer.answer(&Preview { folder: places.submission, made })?;
        return Ok(ExitStatus::Done);
    }
    refuse_queued(&format!("{}-", chain.tag), context)?;
    let made = made(largest_array()?);
    submission.create(&made.scripts)?;
    keep_settings(job.folder(), NAME, &settings)?;
    let jobs = send(&made, &submission)?;
    let tasks = chain.stages.iter().map(|stage| stage.count()).sum();
    context.printer.summary(&Summary { job: job.folder().to_owned(), tasks, jobs })?;
    Ok(ExitStatus::Done)
}

fn places(
    job: &Job,
    settings: &SlurmSettings,
    submission: &Submission,
) -> anyhow::Result<SlurmPlaces> {
    let program = match &settings.program {
        Some(program) => program.clone(),
        None => std::env::current_exe().context("this program")?,
    };
    let submission = submission.folder().to_owned();
    // sbatch replaces what begins with a percent sign in the name of an output.
    let odd = |path: &PathBuf| path.to_str().is_none_or(|p| p.contains('%') || p.contains('\n'));
    ensure!(!odd(&submission), "{}: Slurm does not take such a name", submission.display());
    Ok(SlurmPlaces { program, job: job.folder().to_owned(), submission })
}

/// Options of the command line come last: sbatch takes the last one.
fn with_options(mut made: SlurmChain, args: &ClusterArgs) -> SlurmChain {
    made.jobs.iter_mut().for_each(|job| job.options.extend(args.sbatch.iter().cloned()));
    made
}

/// `MaxArraySize` of the cluster.
fn largest_array() -> anyhow::Result<u64> {
    let text = call("scontrol", &["show", "config"])?;
    let line = text.lines().find_map(|line| line.trim_start().strip_prefix("MaxArraySize"));
    let value = line.and_then(|line| line.trim_start().strip_prefix('=')?.trim().parse().ok());
    value.filter(|n| *n > 0).context("scontrol show config: expected MaxArraySize, found none")
}

/// What was submitted before and has not ended would be done twice: no harm, but a waste. That Slurm cannot be
/// asked, or knows of nothing, is no reason not to go on: which blocks are done, the ledger has told.
fn refuse_queued(tag: &str, context: &Context) -> anyhow::Result<()> {
    let text = match call("squeue", &["--me", "--noheader", "--format=%i %T %j"]) {
        Ok(text) => text,
        Err(error) => {
            context.printer.warning(&format!("{error:#}"));
            return Ok(());
        }
    };
    let ids = queued(&text, tag);
    if ids.is_empty() {
        return Ok(());
    }
    bail!("Slurm: jobs of this job wait or run: {0}; wait, or scancel {0}", ids.join(" "))
}

/// Ids of jobs that have not ended and whose names begin with a tag.
fn queued(text: &str, tag: &str) -> Vec<String> {
    let mut ids: Vec<String> = Vec::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let (Some(id), Some(state), Some(name)) = (words.next(), words.next(), words.next()) else {
            continue;
        };
        // 17_3 and 17_[4-9] are tasks of the array 17.
        let id = id.split('_').next().unwrap_or(id).to_owned();
        if name.starts_with(tag) && state != "COMPLETING" && !ids.contains(&id) {
            ids.push(id);
        }
    }
    ids.sort_by_key(|id| (id.len(), id.clone()));
    ids
}

/// Submits one job after the other, and notes each.
fn send(made: &SlurmChain, submission: &Submission) -> anyhow::Result<Vec<SubmittedJob>> {
    let mut jobs: Vec<SubmittedJob> = Vec::new();
    for job in &made.jobs {
        let ids: Vec<&str> = jobs.iter().map(|job| job.id.as_str()).collect();
        let sent = call("sbatch", &job.arguments(&ids)).and_then(|text| parse_id(&text));
        let id = sent.with_context(|| {
            let before = if ids.is_empty() { "nothing".to_owned() } else { ids.join(" ") };
            format!("stage {}: submitted before it: {before}", job.label)
        })?;
        jobs.push(SubmittedJob { label: job.label.clone(), id });
        submission.note(&jobs)?;
    }
    Ok(jobs)
}

/// `sbatch --parsable` prints an id, and on some clusters `;` and the cluster's name.
fn parse_id(text: &str) -> anyhow::Result<String> {
    let id = text.trim().split(';').next().unwrap_or_default();
    let is_number = !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit());
    ensure!(is_number, "sbatch: expected the number of a job, found '{}'", text.trim());
    Ok(id.to_owned())
}

/// Standard output of a program that ends well.
fn call(program: &str, arguments: &[impl AsRef<std::ffi::OsStr>]) -> anyhow::Result<String> {
    let output = Command::new(program).args(arguments).output();
    let output = output.with_context(|| format!("{program}: cannot be run"))?;
    if !output.status.success() {
        bail!("{program}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What a dry run prints.
#[derive(Debug, Serialize)]
struct Preview {
    folder: PathBuf,
    #[serde(flatten)]
    made: SlurmChain,
}

impl fmt::Display for Preview {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, text) in &self.made.scripts {
            writeln!(f, "### {}\n{text}", self.folder.join(name).display())?;
        }
        write!(f, "### submitted as\n{}", self.made.to_shell())
    }
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Summary {
    job: PathBuf,
    tasks: u64,
    jobs: Vec<SubmittedJob>,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for job in &self.jobs {
            writeln!(f, "{:>10} {}", job.id, job.label)?;
        }
        let job = self.job.display();
        write!(
            f,
            "{job}: {} tasks submitted; how far they are: exavox status {job}",
            HumanCount(self.tasks)
        )
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn jobs_that_wait_or_run_are_known_by_their_names() {
        let text = "13 PENDING exavox-1a-1.infer-gate\n12_[3-9] PENDING exavox-1a-1.infer\n\
                    12_2 RUNNING exavox-1a-1.infer\n\
                    14 RUNNING exavox-2b-1.infer\n\
                    9 COMPLETING exavox-1a-1.infer\n\n15 RUNNING\n";
        assert_eq!(queued(text, "exavox-1a-"), ["12", "13"]);
    }

    #[test]
    fn ids_come_with_and_without_a_cluster() {
        assert_eq!(parse_id("17\n").unwrap(), "17");
        assert_eq!(parse_id("17;alpha\n").unwrap(), "17");
        for text in ["", ";alpha", "Submitted batch job 17"] {
            assert!(parse_id(text).is_err(), "{text}");
        }
    }
}
