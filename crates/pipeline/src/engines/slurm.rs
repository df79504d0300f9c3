//! Slurm: one array of tasks for each stage, a gate behind it, the next stage behind the gate.
//!
//! ```text
//! array of stage 1 --afterany--> gate 1 --afterok--> array of stage 2 --afterany--> gate 2 ...
//! ```
//!
//! A gate begins when the tasks before it have ended in whatever way, asks the ledger, and fails if blocks are
//! missing; what waits for it is then cancelled. That a job ended well proves nothing: srun has been seen to
//! return 0 for a lost task, and a controller to forget a job that others waited for.

use std::path::PathBuf;

use serde::Serialize;

use super::{Chain, StageTasks, shell};

mod script;
mod settings;

pub use settings::{SlurmResources, SlurmSettings};

/// Where things are, on every node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlurmPlaces {
    /// The program.
    pub program: PathBuf,
    /// Folder of the job.
    pub job: PathBuf,
    /// Folder of this submission: its scripts, and what its tasks print.
    pub submission: PathBuf,
}

/// All that is submitted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct SlurmChain {
    /// Scripts by file name.
    pub scripts: Vec<(String, String)>,
    /// Jobs in the order in which they are submitted.
    pub jobs: Vec<SlurmJob>,
}

/// One call of `sbatch`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SlurmJob {
    /// Stage, or stage and `gate`.
    pub label: String,
    /// Options for `sbatch`, without the dependency.
    pub options: Vec<String>,
    /// What it waits for.
    pub after: After,
    /// The script and its arguments.
    pub command: Vec<String>,
}

/// What a job waits for; numbers are indices in [`SlurmChain::jobs`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum After {
    /// Nothing.
    Nothing,
    /// That others have ended, in whatever way.
    Ended(Vec<usize>),
    /// That another has ended well; cancelled if it does not.
    Success(usize),
}

impl SlurmJob {
    /// Arguments for `sbatch`, given the ids of the jobs submitted before.
    pub fn arguments(&self, ids: &[impl AsRef<str>]) -> Vec<String> {
        let mut arguments = vec!["--parsable".to_owned()];
        match &self.after {
            After::Nothing => {}
            After::Ended(jobs) => {
                let ids: Vec<&str> = jobs.iter().map(|job| ids[*job].as_ref()).collect();
                arguments.push(format!("--dependency=afterany:{}", ids.join(":")));
            }
            After::Success(job) => {
                arguments.push(format!("--dependency=afterok:{}", ids[*job].as_ref()));
                // Else the job would wait for ever.
                arguments.push("--kill-on-invalid-dep=yes".to_owned());
            }
        }
        arguments.extend(self.options.iter().chain(&self.command).cloned());
        arguments
    }
}

impl SlurmChain {
    /// The jobs of a chain. `largest_array` is the cluster's `MaxArraySize`: no array has more tasks, nor an
    /// index as large.
    pub fn new(
        chain: &Chain,
        places: &SlurmPlaces,
        settings: &SlurmSettings,
        largest_array: u64,
    ) -> Self {
        let mut made = Self::default();
        let mut gate = None;
        for stage in &chain.stages {
            let writer = Writer { tag: &chain.tag, places, settings, stage };
            made.scripts.extend(writer.scripts());
            let first = made.jobs.len();
            made.jobs
                .extend(writer.tasks(gate.map_or(After::Nothing, After::Success), largest_array));
            let tasks = (first..made.jobs.len()).collect();
            gate = Some(made.jobs.len());
            made.jobs.push(writer.gate(After::Ended(tasks)));
        }
        made
    }

    /// The chain as a shell would submit it.
    pub fn to_shell(&self) -> String {
        let ids: Vec<String> = (1..=self.jobs.len()).map(|n| format!("$job{n}")).collect();
        let line = |(n, job): (usize, &SlurmJob)| {
            let arguments = job.arguments(&ids);
            let words = arguments.iter().map(|word| match word.contains("$job") {
                true => format!("\"{word}\""),
                false => shell::quoted(word),
            });
            format!("job{}=$(sbatch {})\n", n + 1, words.collect::<Vec<_>>().join(" "))
        };
        self.jobs.iter().enumerate().map(line).collect()
    }
}

/// Writes the jobs of one stage.
struct Writer<'a> {
    tag: &'a str,
    places: &'a SlurmPlaces,
    settings: &'a SlurmSettings,
    stage: &'a StageTasks,
}

impl Writer<'_> {
    fn scripts(&self) -> [(String, String); 2] {
        let Self { places, settings, stage, .. } = self;
        [
            (self.script(""), script::tasks(places, stage, settings)),
            (self.script(".gate"), script::gate(places, stage, settings)),
        ]
    }

    /// One job for a stage of one shard, one array for a stage of many, several for a stage of very many.
    fn tasks(&self, after: After, largest_array: u64) -> Vec<SlurmJob> {
        let script = self.path(&self.script(""));
        let job = |array: Option<String>, command| {
            let output = if array.is_some() { "%x-%A_%a.out" } else { "%x-%j.out" };
            let mut options: Vec<String> = array.into_iter().collect();
            options.extend(self.common("", output));
            options.push(format!("--signal=B:USR1@{}", self.settings.warn_seconds));
            options.extend(self.settings.resources(&self.stage.name).arguments());
            SlurmJob { label: self.stage.name.clone(), options, after: after.clone(), command }
        };
        if self.stage.shards == 1 {
            return vec![job(None, vec![script])];
        }
        let arrays = self.stage.arrays(largest_array).into_iter();
        arrays
            .map(|(offset, indices)| {
                let array = format!("--array={indices}%{}", self.settings.slots.max(1));
                job(Some(array), vec![script.clone(), offset.to_string()])
            })
            .collect()
    }

    fn gate(&self, after: After) -> SlurmJob {
        let mut options = self.common("-gate", "%x-%j.out");
        options.extend(self.settings.gate_resources().arguments());
        let command = vec![self.path(&self.script(".gate"))];
        SlurmJob { label: format!("{} gate", self.stage.name), options, after, command }
    }

    /// Started again where a node is lost; what it prints is added to what it has printed before.
    fn common(&self, suffix: &str, output: &str) -> Vec<String> {
        vec![
            format!("--job-name={}-{}{suffix}", self.tag, self.stage.name),
            "--requeue".to_owned(),
            "--open-mode=append".to_owned(),
            format!("--chdir={}", self.places.job.display()),
            format!("--output={}", self.path(&format!("log/{output}"))),
        ]
    }

    fn script(&self, suffix: &str) -> String {
        format!("{}{suffix}.sh", self.stage.name)
    }

    fn path(&self, name: &str) -> String {
        self.places.submission.join(name).display().to_string()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
