//! The index that a cluster's array gives to a task.

use crate::error::{Error, Result};

/// An array whose tasks find their index in the environment.
struct Engine {
    name: &'static str,
    variable: &'static str,
    /// Index of the first task where the user cannot choose it.
    first: i64,
    /// Value of a task that belongs to no array.
    none: Option<&'static str>,
}

/// Slurm was tried; the others are as their manuals say. Slurm and PBS number tasks as they are told to.
const ENGINES: [Engine; 7] = [
    engine("Slurm", "SLURM_ARRAY_TASK_ID", 0, None),
    engine("Kubernetes", "JOB_COMPLETION_INDEX", 0, None),
    engine("AWS Batch", "AWS_BATCH_JOB_ARRAY_INDEX", 0, None),
    engine("LSF", "LSB_JOBINDEX", 1, Some("0")),
    engine("SGE", "SGE_TASK_ID", 1, Some("undefined")),
    engine("PBS", "PBS_ARRAY_INDEX", 0, None),
    engine("Torque", "PBS_ARRAYID", 0, None),
];

const fn engine(
    name: &'static str,
    variable: &'static str,
    first: i64,
    none: Option<&'static str>,
) -> Engine {
    Engine { name, variable, first, none }
}

/// A task of an array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArrayTask {
    /// The engine: `Slurm`, `LSF`.
    pub engine: &'static str,
    /// The variable that was read.
    pub variable: &'static str,
    /// Number of the task; 0 is the first one of LSF and SGE, whose arrays begin at 1.
    pub index: i64,
}

impl ArrayTask {
    /// Shard of a task, where `offset` was set aside for arrays before this one: a long list of shards takes
    /// several arrays. It may be negative, for arrays that begin above 0.
    ///
    /// # Errors
    /// [`Error::Settings`] if that is no shard of `shards`.
    pub fn shard(&self, offset: i64, shards: u64) -> Result<u64> {
        let shard = self.index.checked_add(offset).and_then(|sum| u64::try_from(sum).ok());
        shard.filter(|shard| *shard < shards).ok_or_else(|| {
            let message = format!(
                "task {} of the array and an offset of {offset} name none of {shards} shards",
                self.index
            );
            Error::settings(self.variable, message)
        })
    }
}

/// The task that this process is, if it belongs to an array of Slurm, Kubernetes (Indexed Job), AWS Batch,
/// LSF, SGE, PBS or Torque. `variable` gives the value of a variable of the environment.
///
/// # Errors
/// [`Error::Settings`] if variables of two engines are set, as in an array that was submitted from within
/// another, or a value is no number.
pub fn array_task(variable: impl Fn(&str) -> Option<String>) -> Result<Option<ArrayTask>> {
    let mut found: Option<ArrayTask> = None;
    for engine in &ENGINES {
        let Some(value) = variable(engine.variable) else { continue };
        if value.is_empty() || Some(value.as_str()) == engine.none {
            continue;
        }
        if let Some(other) = &found {
            let message = format!("is set and so is {}; say --shard", engine.variable);
            return Err(Error::settings(other.variable, message));
        }
        let index = value.parse::<u32>().ok().map(|n| i64::from(n) - engine.first);
        let index = index.filter(|n| *n >= 0).ok_or_else(|| {
            let message = format!("expected a number from {} on, found '{value}'", engine.first);
            Error::settings(engine.variable, message)
        })?;
        found = Some(ArrayTask { engine: engine.name, variable: engine.variable, index });
    }
    Ok(found)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn task(set: &[(&str, &str)]) -> Result<Option<ArrayTask>> {
        array_task(|name| set.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()))
    }

    #[test]
    fn each_engine_has_its_variable_and_first_index() {
        // Engine, variable, value, index.
        let table = [
            ("Slurm", "SLURM_ARRAY_TASK_ID", "0", Some(0)),
            ("Slurm", "SLURM_ARRAY_TASK_ID", "1000", Some(1000)),
            ("Kubernetes", "JOB_COMPLETION_INDEX", "7", Some(7)),
            ("AWS Batch", "AWS_BATCH_JOB_ARRAY_INDEX", "9999", Some(9999)),
            ("LSF", "LSB_JOBINDEX", "1", Some(0)),
            ("LSF", "LSB_JOBINDEX", "100", Some(99)),
            ("LSF", "LSB_JOBINDEX", "0", None),
            ("SGE", "SGE_TASK_ID", "1", Some(0)),
            ("SGE", "SGE_TASK_ID", "undefined", None),
            ("PBS", "PBS_ARRAY_INDEX", "5", Some(5)),
            ("Torque", "PBS_ARRAYID", "5", Some(5)),
            ("none", "JOB_COMPLETION_INDEX", "", None),
            ("none", "SLURM_JOB_ID", "17", None),
        ];
        for (engine, variable, value, index) in table {
            let found = task(&[(variable, value)]).unwrap();
            let expected = index.map(|index| (engine, variable, index));
            assert_eq!(found.map(|t| (t.engine, t.variable, t.index)), expected, "{variable}");
        }
        assert_eq!(task(&[]).unwrap(), None);
    }

    #[test]
    fn what_is_no_number_and_what_is_twofold_is_refused() {
        let error = |set: &[(&str, &str)]| task(set).unwrap_err().to_string();
        for value in ["x", "-1", "1.5", "99999999999"] {
            let text = error(&[("SLURM_ARRAY_TASK_ID", value)]);
            assert!(text.contains("SLURM_ARRAY_TASK_ID") && text.contains(value), "{text}");
        }
        assert!(error(&[("SGE_TASK_ID", "0")]).contains("from 1 on"));
        let text = error(&[("SLURM_ARRAY_TASK_ID", "3"), ("JOB_COMPLETION_INDEX", "3")]);
        assert!(text.contains("SLURM_ARRAY_TASK_ID") && text.contains("JOB_COMPLETION_INDEX"));
        // An interactive LSF or SGE job has the variable, but is no array.
        let inside = [("LSB_JOBINDEX", "0"), ("SGE_TASK_ID", "undefined"), ("PBS_ARRAYID", "2")];
        assert_eq!(task(&inside).unwrap().unwrap().engine, "Torque");
    }

    #[test]
    fn offsets_move_arrays_to_their_shards() {
        let task = |index| ArrayTask { engine: "Slurm", variable: "SLURM_ARRAY_TASK_ID", index };
        assert_eq!(task(5).shard(0, 6).unwrap(), 5);
        assert_eq!(task(5).shard(1001, 2000).unwrap(), 1006);
        assert_eq!(task(1).shard(-1, 6).unwrap(), 0);
        for (index, offset) in [(6, 0), (0, -1), (0, 6), (i64::MAX, 1)] {
            let error = task(index).shard(offset, 6).unwrap_err().to_string();
            assert!(error.contains("none of 6 shards"), "{error}");
        }
    }
}
