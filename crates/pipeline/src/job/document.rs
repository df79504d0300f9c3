//! `job.json`: what a job is, written once.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use exavox_io::Place;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::inputs::Inputs;
use super::plan::Plan;
use super::steps::Step;
use crate::blocks::{Digest, StagePlan};
use crate::error::{Error, Result};

/// Version of folder and document. Another one has other parameters: no block of it counts.
const VERSION: u32 = 1;

/// The document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Document {
    exavox_job: u32,
    /// The folder that names in the plan are relative to.
    pub(super) base: PathBuf,
    pub(super) plan: Plan,
    pub(super) steps: Vec<StepDocument>,
}

/// A step as planned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepDocument {
    /// What it does: `filter`, `segment`.
    pub kind: String,
    /// Digest of all that its output depends on.
    pub parameters: Digest,
    /// What it reads, as it was found.
    pub inputs: BTreeMap<String, Value>,
    /// Its stages.
    pub stages: Vec<StagePlan>,
}

/// Plans all steps.
pub(super) fn planned(plan: &Plan) -> Result<(Document, Vec<Box<dyn Step>>)> {
    let mut inputs = Inputs::default();
    let (mut documents, mut steps): (Vec<StepDocument>, Vec<_>) = (Vec::new(), Vec::new());
    for (n, spec) in plan.steps.iter().enumerate() {
        let step = spec.plan(&mut inputs).map_err(|e| at_step(n, spec.kind(), e))?;
        let (seen, stages) = (inputs.take_seen(), step.stages().to_vec());
        let before = documents.last().map(|d| d.parameters);
        let digest = json!([VERSION, spec, seen, stages, before]).to_string();
        documents.push(StepDocument {
            kind: spec.kind().to_owned(),
            parameters: Digest::of(digest.as_bytes()),
            inputs: seen,
            stages,
        });
        steps.push(step);
    }
    let base = std::env::current_dir()
        .map_err(|e| exavox_io::Error::io(Place::new("working directory"), e))?;
    Ok((Document { exavox_job: VERSION, base, plan: plan.clone(), steps: documents }, steps))
}

/// Names the step where an error does not say it itself.
fn at_step(n: usize, kind: &str, error: Error) -> Error {
    match error {
        Error::Settings { place, message } => {
            Error::settings(format!("step {} ({kind}): {place}", n + 1), message)
        }
        other => other,
    }
}

fn path(folder: &Path) -> PathBuf {
    folder.join("job.json")
}

impl Document {
    /// The document in a folder, if there is one.
    pub(super) fn read(folder: &Path) -> Result<Option<Self>> {
        let path = path(folder);
        let text = match std::fs::read_to_string(&path) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            other => other.map_err(|e| exavox_io::Error::io(Place::path(&path), e))?,
        };
        let damaged = |what: String| Error::settings(path.display().to_string(), what);
        let document: Self = serde_json::from_str(&text)
            .map_err(|e| damaged(format!("not a job of this version: {e}")))?;
        if document.exavox_job != VERSION {
            let found = document.exavox_job;
            return Err(damaged(format!("expected version {VERSION}, found {found}")));
        }
        Ok(Some(document))
    }

    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        let path = path(folder);
        let bytes = serde_json::to_vec_pretty(self)
            .map_err(|e| Error::settings(path.display().to_string(), e.to_string()))?;
        Ok(exavox_io::staging::write_whole(&path, &bytes)?)
    }

    /// An error with everything that differs.
    pub(super) fn refuse_changes(&self, folder: &Path, now: &Self) -> Result<()> {
        let (before, after) = (flat(self)?, flat(now)?);
        let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
        let changes: Vec<String> = names
            .into_iter()
            .filter(|name| before.get(*name) != after.get(*name) && !is_derived(name))
            .map(|name| {
                let shown =
                    |v: Option<&Value>| v.map_or_else(|| "not there".to_owned(), Value::to_string);
                format!("{name} was {} and is {}", shown(before.get(name)), shown(after.get(name)))
            })
            .collect();
        if changes.is_empty() {
            return Ok(());
        }
        let place = path(folder).display().to_string();
        Err(Error::PlanChanged { place, changes: changes.join("; ") })
    }
}

/// Values that differ only if others do, or may differ.
fn is_derived(name: &str) -> bool {
    name.ends_with("/parameters") || name == "base"
}

/// All values of a document by their path.
fn flat(document: &Document) -> Result<BTreeMap<String, Value>> {
    fn walk(at: &str, value: &Value, out: &mut BTreeMap<String, Value>) {
        let join = |key: &str| if at.is_empty() { key.to_owned() } else { format!("{at}/{key}") };
        match value {
            Value::Object(map) => map.iter().for_each(|(k, v)| walk(&join(k), v, out)),
            Value::Array(list) if list.iter().any(Value::is_object) => {
                list.iter()
                    .enumerate()
                    .for_each(|(n, v)| walk(&join(&(n + 1).to_string()), v, out));
            }
            other => _ = out.insert(at.to_owned(), other.clone()),
        }
    }
    let value =
        serde_json::to_value(document).map_err(|e| Error::settings("job.json", e.to_string()))?;
    let mut out = BTreeMap::new();
    walk("", &value, &mut out);
    Ok(out)
}
