//! `exavox verify`: whether the outputs of a job are what they were when they were written.

use std::fmt;
use std::path::PathBuf;

use exavox_pipeline::job::{StageId, VerifyReport};
use indicatif::HumanCount;
use serde::Serialize;

use super::job::{device, open};
use crate::context::Context;
use crate::exit_status::ExitStatus;

/// Read every block that a job has written and compare it with what the ledger says.
///
/// Exit status 1 if a block is missing, cannot be read, or is another one. Blocks of a volume can be
/// verified when its step is complete.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder of the job.
    #[arg(value_name = "JOB")]
    job: PathBuf,
    /// One stage only.
    #[arg(long, value_name = "STAGE")]
    stage: Option<String>,
}

/// Prints a line for each stage, and one for each bad block.
pub(crate) fn run(args: Args, context: &Context) -> anyhow::Result<ExitStatus> {
    let job = open(&args.job)?;
    let stages: Vec<StageId> = match &args.stage {
        Some(name) => vec![job.stage_by_name(name)?],
        None => job.stages().collect(),
    };
    let (device, memory) = (device(&job, context)?, context.memory_bytes());
    let reports: anyhow::Result<Vec<VerifyReport>> = stages
        .into_iter()
        .map(|id| Ok(job.verify(id, &device, memory, &context.observer)?))
        .collect();
    let answer = Answer { stages: reports? };
    let good = answer.stages.iter().all(VerifyReport::is_good);
    context.printer.answer(&answer)?;
    Ok(if good { ExitStatus::Done } else { ExitStatus::Incomplete })
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Answer {
    stages: Vec<VerifyReport>,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for stage in &self.stages {
            let (good, blocks) = (HumanCount(stage.good), HumanCount(stage.blocks));
            write!(f, "{:<16} {good} of {blocks} blocks are good", stage.stage)?;
            if stage.missing > 0 {
                write!(f, ", {} are not done", HumanCount(stage.missing))?;
            }
            for bad in &stage.bad_blocks {
                write!(f, "\n  {bad}")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}
