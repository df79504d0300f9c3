//! `PLAN.toml`: what a job makes.

use std::path::Path;

use exavox_io::Place;
use serde::{Deserialize, Serialize};

use super::steps::StepSpec;
use crate::engines::kubernetes::KubernetesSettings;
use crate::engines::slurm::SlurmSettings;
use crate::error::{Error, Result};

/// Longest plan that is read.
const MAX_BYTES: u64 = 1 << 20;

/// Steps, one after the other; a later one may read what an earlier one writes. Names of local volumes
/// are relative to the working directory; the command line makes that the folder of the plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Whether blocks and ledger are on the disk before a block counts as done: needed where a machine may
    /// lose power and others go on, that is on a cluster. Without it a run of one machine is faster, and
    /// steps that were not finished are begun again after a restart of the machine.
    #[serde(default)]
    pub synced: bool,
    /// For Slurm; changes nothing of what is computed, and is no part of the job.
    #[serde(default, skip_serializing)]
    pub slurm: SlurmSettings,
    /// For Kubernetes; as `slurm`.
    #[serde(default, skip_serializing)]
    pub kubernetes: KubernetesSettings,
    /// The steps.
    #[serde(rename = "step")]
    pub steps: Vec<StepSpec>,
}

impl Plan {
    /// A plan of one step, for one machine.
    pub fn of_step(step: StepSpec) -> Self {
        let (slurm, kubernetes) = (SlurmSettings::default(), KubernetesSettings::default());
        Self { synced: false, slurm, kubernetes, steps: vec![step] }
    }

    /// Reads a plan.
    ///
    /// # Errors
    /// [`Error::Settings`] with line and column of what is wrong.
    pub fn parse(text: &str, name: &str) -> Result<Self> {
        let plan: Self = toml::from_str(text)
            .map_err(|e| Error::settings(name, e.to_string().trim_end().to_owned()))?;
        if plan.steps.is_empty() {
            return Err(Error::settings(name, "expected at least one [[step]], found none"));
        }
        Ok(plan)
    }

    /// Reads a plan from a file.
    ///
    /// # Errors
    /// As [`Plan::parse`]; if the file cannot be read or is larger than 1 MiB.
    pub fn open(path: &Path) -> Result<Self> {
        let io = |source| Error::from(exavox_io::Error::io(Place::path(path), source));
        let name = path.display().to_string();
        if std::fs::metadata(path).map_err(io)?.len() > MAX_BYTES {
            return Err(Error::settings(name, "larger than 1 MiB: not a plan"));
        }
        Self::parse(&std::fs::read_to_string(path).map_err(io)?, &name)
    }
}
