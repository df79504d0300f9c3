//! Jobs: a folder with an immutable plan, the ledgers of its stages, and the data between them.
//!
//! ```text
//! JOB/job.json            what is made, of what, in which stages; written once
//! JOB/ledger/1.filter/    which blocks of a stage are done
//! JOB/data/1/             what the stages of a step hand to each other
//! JOB/run.lock            held by a run of this machine
//! JOB/submitted/1/        what was handed to a cluster
//! ```
//!
//! Any number of processes on any number of machines may work on a job at once: blocks are pure functions,
//! and a block that is done twice is done the same.

use std::path::{Path, PathBuf};

use exavox_compute::ComputeDevice;
use exavox_io::store::Durability;
use serde::Serialize;

use crate::blocks::{
    BlockFailure, Ledger, LedgerCount, LocalEngine, Stage, StagePlan, StageReport,
};
use crate::error::{Error, Result};
use crate::progress::Observer;

pub(crate) mod beside;
mod boot;
mod document;
mod inputs;
mod local;
mod measure;
mod plan;
mod shards;
pub mod steps;
mod target;
mod verify;

pub use document::StepDocument;
pub use inputs::Inputs;
pub(crate) use inputs::{print, stamp};
pub use local::RunReport;
pub use measure::Measured;
pub use plan::Plan;
pub use shards::shard_range;
pub use target::SharedTarget;
pub use verify::VerifyReport;

use document::Document;
use steps::Step;

/// What stages may use.
pub struct StageContext<'a> {
    /// Folder for what the stages of this step hand to each other.
    pub data: PathBuf,
    /// When written chunks are safe.
    pub durability: Durability,
    /// CPU threads for everything.
    pub threads: usize,
    /// Where networks are run.
    pub device: &'a ComputeDevice,
    /// Bytes that the stage may take in all.
    pub memory_bytes: u64,
    /// Told of warnings.
    pub observer: &'a dyn Observer,
}

/// A job that is open.
pub struct Job {
    folder: PathBuf,
    document: Document,
    steps: Vec<Box<dyn Step>>,
}

/// A stage of a job: the step's index and the stage's index in the step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StageId {
    /// Index of the step.
    pub step: usize,
    /// Index of the stage in the step.
    pub stage: usize,
}

/// How far a stage is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StageStatus {
    /// Name: number of the step and name of the stage.
    pub stage: String,
    /// Blocks done and in all.
    #[serde(flatten)]
    pub count: LedgerCount,
    /// Blocks that failed and are not done.
    pub failures: Vec<BlockFailure>,
}

impl StageStatus {
    /// Whether nothing is left.
    pub fn is_complete(&self) -> bool {
        self.count.done == self.count.blocks
    }
}

impl Job {
    /// Makes the folder of a job, or opens it if it holds the same job.
    ///
    /// # Errors
    /// [`Error::Settings`] if a step cannot be; [`Error::PlanChanged`] if the folder holds another job, or
    /// an input has changed since: the error says what differs.
    pub fn create(folder: &Path, plan: &Plan) -> Result<Self> {
        let (document, steps) = document::planned(plan)?;
        match Document::read(folder)? {
            Some(found) => found.refuse_changes(folder, &document)?,
            None => {
                steps.iter().try_for_each(|step| step.refuse_existing_targets())?;
                document.write(folder)?;
            }
        }
        Ok(Self { folder: folder.to_owned(), document, steps })
    }

    /// As [`Job::create`], but writes nothing: for a look at what would be done.
    ///
    /// # Errors
    /// As [`Job::create`].
    pub fn preview(folder: &Path, plan: &Plan) -> Result<Self> {
        let (document, steps) = document::planned(plan)?;
        match Document::read(folder)? {
            Some(found) => found.refuse_changes(folder, &document)?,
            None => steps.iter().try_for_each(|step| step.refuse_existing_targets())?,
        }
        Ok(Self { folder: folder.to_owned(), document, steps })
    }

    /// Opens the job in a folder.
    ///
    /// # Errors
    /// [`Error::Settings`] if there is none; [`Error::PlanChanged`] if an input has changed since it was
    /// planned.
    pub fn open(folder: &Path) -> Result<Self> {
        let Some(found) = Document::read(folder)? else {
            return Err(Error::settings(folder.display().to_string(), "no job.json: not a job"));
        };
        let (document, steps) = document::planned(&found.plan)?;
        found.refuse_changes(folder, &document)?;
        Ok(Self { folder: folder.to_owned(), document, steps })
    }

    /// The folder that names in the plan of the job in `folder` are relative to: to be made the working
    /// directory before [`Job::open`].
    ///
    /// # Errors
    /// [`Error::Settings`] if there is no job.
    pub fn base(folder: &Path) -> Result<PathBuf> {
        match Document::read(folder)? {
            Some(document) => Ok(document.base),
            None => Err(Error::settings(folder.display().to_string(), "no job.json: not a job")),
        }
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What it was made from.
    pub fn plan(&self) -> &Plan {
        &self.document.plan
    }

    /// Its steps, as planned.
    pub fn steps(&self) -> &[StepDocument] {
        &self.document.steps
    }

    /// All stages in the order in which they must be done.
    pub fn stages(&self) -> impl Iterator<Item = StageId> + '_ {
        let steps = self.document.steps.iter().enumerate();
        steps.flat_map(|(step, d)| (0..d.stages.len()).map(move |stage| StageId { step, stage }))
    }

    /// `2.relabel`: number of the step, from 1, and name of the stage.
    pub fn stage_name(&self, id: StageId) -> String {
        format!("{}.{}", id.step + 1, self.stage_plan(id).name)
    }

    /// Finds a stage by its name; the step's number may be left out where only one stage has the name.
    ///
    /// # Errors
    /// [`Error::Settings`] names the stages there are.
    pub fn stage_by_name(&self, name: &str) -> Result<StageId> {
        let named = |id: &StageId| self.stage_name(*id) == name;
        let bare: Vec<StageId> =
            self.stages().filter(|id| self.stage_plan(*id).name == name).collect();
        match (self.stages().find(named), &bare[..]) {
            (Some(id), _) => Ok(id),
            (None, [id]) => Ok(*id),
            _ => {
                let names: Vec<String> = self.stages().map(|id| self.stage_name(id)).collect();
                let message = format!("expected one of {}", names.join(", "));
                Err(Error::settings(format!("stage {name}"), message))
            }
        }
    }

    /// A stage as planned.
    pub fn stage_plan(&self, id: StageId) -> &StagePlan {
        &self.document.steps[id.step].stages[id.stage]
    }

    /// The ledger of a stage.
    pub fn ledger(&self, id: StageId) -> Ledger {
        let folder = self.folder.join("ledger").join(self.stage_name(id));
        let (parameters, blocks) =
            (self.document.steps[id.step].parameters, self.stage_plan(id).blocks);
        Ledger::new(&folder, parameters, blocks, self.document.plan.synced)
    }

    /// Opens a stage whose earlier stages are complete.
    ///
    /// # Errors
    /// Whatever its inputs and outputs say.
    pub fn open_stage<'a>(
        &'a self,
        id: StageId,
        threads: usize,
        device: &'a ComputeDevice,
        memory_bytes: u64,
        observer: &'a dyn Observer,
    ) -> Result<Box<dyn Stage + 'a>> {
        let durability =
            if self.document.plan.synced { Durability::Synced } else { Durability::Buffered };
        let data = self.folder.join("data").join((id.step + 1).to_string());
        let context = StageContext { data, durability, threads, device, memory_bytes, observer };
        self.steps[id.step].open(id.stage, &context)
    }

    /// Computes the blocks of one stage that are missing in a range of blocks.
    ///
    /// # Errors
    /// [`Error::Settings`] if an earlier stage is not complete; as [`LocalEngine::run`].
    pub fn run_stage(
        &self,
        id: StageId,
        range: std::ops::Range<u64>,
        engine: &LocalEngine,
        device: &ComputeDevice,
        observer: &dyn Observer,
    ) -> Result<StageReport> {
        self.check_earlier(id)?;
        let ledger = self.ledger(id);
        let mut plan = self.stage_plan(id).clone();
        plan.name = self.stage_name(id);
        let threads = engine.threads.get();
        let stage = self.open_stage(id, threads, device, engine.memory_bytes, observer)?;
        engine.run(stage.as_ref(), &plan, &ledger, range, observer)
    }

    /// How far each stage is.
    ///
    /// # Errors
    /// If a ledger cannot be read.
    pub fn status(&self) -> Result<Vec<StageStatus>> {
        self.stages().map(|id| self.stage_status(id)).collect()
    }

    /// How far a stage is.
    ///
    /// # Errors
    /// If its ledger cannot be read.
    pub fn stage_status(&self, id: StageId) -> Result<StageStatus> {
        let ledger = self.ledger(id);
        let (count, failures) = (ledger.count()?, ledger.failures()?);
        Ok(StageStatus { stage: self.stage_name(id), count, failures })
    }

    /// The stage before must be complete; it was refused itself unless those before it were.
    fn check_earlier(&self, id: StageId) -> Result<()> {
        let Some(earlier) = self.stages().take_while(|other| *other != id).last() else {
            return Ok(());
        };
        let count = self.ledger(earlier).count()?;
        if count.done == count.blocks {
            return Ok(());
        }
        let message = format!(
            "stage {} must be complete: {} of {} blocks are",
            self.stage_name(earlier),
            count.done,
            count.blocks
        );
        Err(Error::settings(format!("stage {}", self.stage_name(id)), message))
    }
}
