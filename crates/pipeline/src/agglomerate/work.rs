//! The folder beside an unfinished agglomeration: what its stages have made so far.

use std::fs;
use std::path::{Path, PathBuf};

use exavox_compute::ffn::agglomerate::MergeRule;
use exavox_io::Error as IoError;
use exavox_io::volume::WriteMode;
use serde_json::Value;

use crate::error::Result;
use crate::ledger::{Ledger, Plan, Survives};
use crate::placing::Placing;
use crate::side_files::{check_local, hidden_beside};

/// Name of the ledger in the folder.
const PLAN: &str = "plan";
/// Name of the file that is there while results are put into place; it holds the rule that they were made by.
const PLACING: &str = "placing";

/// `.NAME.agglomerate` beside the target, locked by this process. Dropped before it is finished, it stays
/// for the next run.
pub(super) struct Work {
    folder: PathBuf,
    /// Holds the lock, and the plan that what is there was made by.
    ledger: Ledger,
}

impl Work {
    /// Opens the folder, or makes it. What is there counts only with the plan that it was made by; volumes
    /// of before a restart of the machine do not count, nor what was made of them.
    ///
    /// # Errors
    /// If another process works there, or what is there was made by another plan: the error says what
    /// has changed.
    pub(super) fn open(target: &str, plan: Plan) -> Result<Self> {
        let folder = folder_of(target)?;
        fs::create_dir_all(&folder).map_err(IoError::at(&folder))?;
        let mut ledger = Ledger::open(&folder.join(PLAN), &plan, Survives::Kill)?;
        let (is_new, was_down) = (ledger.blocks().is_none(), ledger.distrusted() > 0);
        if is_new || (was_down && folder.join("forward.zarr").exists()) {
            clear(&folder)?;
        }
        ledger.begin(plan, Value::Null)?;
        if is_new || was_down {
            // Something to be distrusted after the next restart.
            ledger.record(0)?;
        }
        Ok(Self { folder, ledger })
    }

    /// Where a stage keeps what it makes.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The same, for volumes.
    pub(super) fn name(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Notes that results are put into place from now on.
    pub(super) fn begin_placing(&self, rule: &MergeRule) -> Result<()> {
        placing(&self.folder).begin(&placed_by(rule))
    }

    /// All results are in place: removes the folder, unless it is to be kept.
    pub(super) fn finish(self, keep: bool) -> Result<()> {
        let Self { folder, ledger } = self;
        placing(&folder).end()?;
        if keep {
            return Ok(());
        }
        ledger.remove()?;
        Ok(fs::remove_dir_all(&folder).map_err(IoError::at(&folder))?)
    }
}

/// How results are put into place: those that a run of the same rule was killed over are replaced.
pub(super) fn placing_mode(target: &str, rule: &MergeRule, asked: WriteMode) -> Result<WriteMode> {
    Ok(placing(&folder_of(target)?).mode(&placed_by(rule), asked))
}

fn placing(folder: &Path) -> Placing {
    Placing::at(folder.join(PLACING))
}

fn placed_by(rule: &MergeRule) -> String {
    format!("{rule:?}\n")
}

/// The folder of a target; an error if it is none on a local disk.
pub(super) fn folder_of(target: &str) -> Result<PathBuf> {
    check_local(target)?;
    Ok(hidden_beside(target, "agglomerate"))
}

/// Removes all but the ledger.
fn clear(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder).map_err(IoError::at(folder))? {
        let path = entry.map_err(IoError::at(folder))?.path();
        if path.file_name().is_some_and(|name| name == PLAN) {
            continue;
        }
        let removed =
            if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.map_err(IoError::at(&path))?;
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::segment::plan::plan;

    fn open(target: &str, radius: u64) -> Result<Work> {
        let table = json!({"radius": radius, "border": null});
        Work::open(target, plan(vec![("image", Ok("a".into())), ("agglomerate", Ok(table))])?)
    }

    #[test]
    fn what_is_there_counts_only_with_its_plan() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("o.zarr").display().to_string();
        let work = open(&target, 3).unwrap();
        let (pairs, plan) = (work.path("pairs.jsonl"), work.path(PLAN));
        fs::write(&pairs, "x").unwrap();
        assert!(open(&target, 3).is_err(), "two at once");
        drop(work);
        let error = open(&target, 4).err().unwrap().to_string();
        assert!(error.ends_with("asked for: agglomerate.radius was 3 and is 4"), "{error}");
        let work = open(&target, 3).unwrap();
        let rule = MergeRule::default();
        work.begin_placing(&rule).unwrap();
        let mode = |rule| placing_mode(&target, rule, WriteMode::CreateNew).unwrap();
        let mut strict = rule;
        strict.min_iou = 0.9;
        assert_eq!((mode(&rule), mode(&strict)), (WriteMode::Overwrite, WriteMode::CreateNew));
        work.finish(true).unwrap();
        assert!(pairs.exists() && mode(&rule) == WriteMode::CreateNew);
        // Without the plan nobody knows what the pairs are.
        fs::remove_file(&plan).unwrap();
        drop(open(&target, 4).unwrap());
        assert!(!pairs.exists());
        fs::create_dir(pairs.with_file_name("forward.zarr")).unwrap();
        let text = fs::read_to_string(&plan).unwrap();
        let Some((before, after)) = text.split_once("\"boot\":\"") else { return };
        fs::write(&plan, format!("{before}\"boot\":\"0{after}")).unwrap();
        drop(open(&target, 4).unwrap());
        assert!(!pairs.with_file_name("forward.zarr").exists());
        let work = open(&target, 4).unwrap();
        work.begin_placing(&rule).unwrap();
        work.finish(false).unwrap();
        assert!(!plan.parent().unwrap().exists());
        assert!(open("s3://bucket/o.zarr", 3).is_err());
    }
}
