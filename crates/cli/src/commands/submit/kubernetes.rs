//! Writes manifests.

use std::fmt;
use std::path::PathBuf;

use exavox_pipeline::engines::kubernetes::{KubernetesSettings, Manifest, manifests};
use exavox_pipeline::engines::{Submission, SubmittedJob, keep_settings};
use exavox_pipeline::job::Job;
use serde::Serialize;
use serde_json::Value;

use super::{ClusterArgs, chain};
use crate::context::Context;
use crate::exit_status::ExitStatus;

/// Name of the engine in the folder of a job.
pub(super) const NAME: &str = "kubernetes";

/// Writes the manifests of what is left of a job, or shows them.
pub(super) fn submit(
    job: &Job,
    mut settings: KubernetesSettings,
    args: &ClusterArgs,
    context: &Context,
) -> anyhow::Result<ExitStatus> {
    anyhow::ensure!(args.sbatch.is_empty(), "--sbatch: is for Slurm");
    args.apply(&mut settings.slots, &mut settings.shards_per_slot);
    settings.check(job.folder())?;
    let Some(chain) = chain(job, &settings.deal(), context)? else { return Ok(ExitStatus::Done) };
    let submission = Submission::next(job.folder())?;
    let made = manifests(&chain, job.folder(), submission.number(), &settings);
    if args.dry_run {
        let documents = made.into_iter().map(|manifest| manifest.document).collect();
        context.printer.answer(&Preview(documents))?;
        return Ok(ExitStatus::Done);
    }
    let text = |manifest: &Manifest| {
        let text = serde_json::to_string_pretty(&manifest.document)?;
        anyhow::Ok((manifest.file.clone(), text))
    };
    submission.create(&made.iter().map(text).collect::<anyhow::Result<Vec<_>>>()?)?;
    keep_settings(job.folder(), NAME, &settings)?;
    let named = |m: &Manifest| SubmittedJob { label: m.file.clone(), id: m.job.clone() };
    let jobs: Vec<SubmittedJob> = made.iter().map(named).collect();
    submission.note(&jobs)?;
    let namespace = settings.namespace;
    context.printer.summary(&Summary {
        folder: submission.folder().to_owned(),
        namespace,
        jobs,
    })?;
    Ok(ExitStatus::Done)
}

/// The manifests, as one document each.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Preview(Vec<Value>);

impl fmt::Display for Preview {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for document in &self.0 {
            writeln!(f, "---\n{document:#}")?;
        }
        Ok(())
    }
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Summary {
    folder: PathBuf,
    namespace: Option<String>,
    jobs: Vec<SubmittedJob>,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let space = self.namespace.as_ref().map_or(String::new(), |name| format!(" -n {name}"));
        writeln!(f, "nothing was submitted; apply one manifest after the other:")?;
        for SubmittedJob { label, id } in &self.jobs {
            writeln!(f, "  kubectl apply -f '{}'", self.folder.join(label).display())?;
            writeln!(f, "  kubectl wait{space} --for=condition=complete --timeout=-1s job/{id}")?;
        }
        write!(f, "then see what is done: exavox status")
    }
}
