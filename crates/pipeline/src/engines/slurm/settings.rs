//! What a cluster wants to be told.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::engines::Deal;
use crate::error::{Error, Result};

/// The table `[slurm]` of a plan. Changes nothing of what is computed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SlurmSettings {
    /// Tasks of an array that run at once; 20.
    pub slots: u64,
    /// Shards for each of them; 12.
    pub shards_per_slot: u64,
    /// The program on the nodes. Default: this program, where it is here.
    pub program: Option<PathBuf>,
    /// Times that a task is started again, by itself or after the loss of a node; 5.
    pub restarts: u32,
    /// Seconds before its time limit at which a task is told to finish the block at hand; 120.
    pub warn_seconds: u32,
    /// Seconds for which a gate asks again, because files from other nodes may be seen late; 60.
    pub gate_seconds: u32,
    /// For every task.
    pub task: SlurmResources,
    /// For tasks of some stages, by name, in place of what `task` says.
    pub stage: BTreeMap<String, SlurmResources>,
    /// For gates. Partition, account and options are those of `task` where nothing is said.
    pub gate: SlurmResources,
}

impl Default for SlurmSettings {
    fn default() -> Self {
        let Deal { slots, shards_per_slot } = Deal::default();
        Self {
            slots,
            shards_per_slot,
            program: None,
            restarts: 5,
            warn_seconds: 120,
            gate_seconds: 60,
            task: SlurmResources::default(),
            stage: BTreeMap::new(),
            gate: SlurmResources::default(),
        }
    }
}

/// Options for `sbatch`, in its own words.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SlurmResources {
    /// `--partition`
    pub partition: Option<String>,
    /// `--account`
    pub account: Option<String>,
    /// `--time`: `04:00:00`
    pub time: Option<String>,
    /// `--cpus-per-task`; the worker takes as many threads.
    pub cpus_per_task: Option<u32>,
    /// `--mem`: `32G`; the worker stays below it.
    pub memory: Option<String>,
    /// `--gres`: `gpu:1`
    pub gres: Option<String>,
    /// More of them, as they are: `["--qos=low"]`
    pub options: Vec<String>,
}

impl SlurmSettings {
    /// How stages are cut.
    pub fn deal(&self) -> Deal {
        Deal { slots: self.slots, shards_per_slot: self.shards_per_slot }
    }

    /// Refuses resources for stages that the job does not have. `stages` are full names.
    ///
    /// # Errors
    /// [`Error::Settings`] names the stages there are.
    pub fn check(&self, stages: &[String]) -> Result<()> {
        let known = |name: &String| stages.iter().any(|stage| is_called(stage, name));
        match self.stage.keys().find(|name| !known(name)) {
            None => Ok(()),
            Some(name) => {
                let message = format!("expected one of {}", stages.join(", "));
                Err(Error::settings(format!("[slurm.stage.{name}]"), message))
            }
        }
    }

    /// Of the tasks of a stage.
    pub fn resources(&self, stage: &str) -> SlurmResources {
        let own = self.stage.iter().find(|(name, _)| is_called(stage, name));
        own.map_or_else(|| self.task.clone(), |(_, own)| own.over(&self.task))
    }

    /// Of gates.
    pub fn gate_resources(&self) -> SlurmResources {
        let shared = SlurmResources {
            partition: self.task.partition.clone(),
            account: self.task.account.clone(),
            options: self.task.options.clone(),
            ..SlurmResources::default()
        };
        self.gate.over(&shared)
    }
}

/// Whether a stage, `2.infer`, has a name, which may lack the number of the step.
fn is_called(stage: &str, name: &str) -> bool {
    stage == name || stage.split_once('.').is_some_and(|(_, bare)| bare == name)
}

impl SlurmResources {
    fn over(&self, other: &Self) -> Self {
        let text =
            |own: &Option<String>, other: &Option<String>| own.as_ref().or(other.as_ref()).cloned();
        let options = if self.options.is_empty() { &other.options } else { &self.options };
        Self {
            partition: text(&self.partition, &other.partition),
            account: text(&self.account, &other.account),
            time: text(&self.time, &other.time),
            cpus_per_task: self.cpus_per_task.or(other.cpus_per_task),
            memory: text(&self.memory, &other.memory),
            gres: text(&self.gres, &other.gres),
            options: options.clone(),
        }
    }

    /// As arguments.
    pub(super) fn arguments(&self) -> Vec<String> {
        let cpus = self.cpus_per_task.map(|n| n.to_string());
        let named = [
            ("partition", &self.partition),
            ("account", &self.account),
            ("time", &self.time),
            ("cpus-per-task", &cpus),
            ("mem", &self.memory),
            ("gres", &self.gres),
        ];
        let given = named.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
        let mut all: Vec<String> = given.map(|(name, value)| format!("--{name}={value}")).collect();
        all.extend(self.options.iter().cloned());
        all
    }
}
