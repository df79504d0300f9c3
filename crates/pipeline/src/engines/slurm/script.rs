//! The scripts that run on nodes.

use super::{SlurmPlaces, SlurmSettings};
use crate::engines::StageTasks;
use crate::engines::shell::line;

/// Of the tasks of a stage. The first argument is added to the index of the array.
pub(super) fn tasks(places: &SlurmPlaces, stage: &StageTasks, settings: &SlurmSettings) -> String {
    let (program, job) = (places.program.display().to_string(), places.job.display().to_string());
    let shards = stage.shards.to_string();
    let words = [&program, "worker", "--job", &job, "--stage", &stage.name, "--shards", &shards];
    // Tasks of an array are named by array and index: the number of its last task is that of the whole array.
    let (shard, task) = match stage.shards {
        1 => ("--shard 0", "$SLURM_JOB_ID"),
        _ => ("--offset \"$1\"", "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID"),
    };
    TASKS
        .replace("@version@", env!("CARGO_PKG_VERSION"))
        .replace("@restarts@", &settings.restarts.to_string())
        .replace("@shard@", shard)
        .replace("@task@", task)
        .replace("@stage@", &stage.name)
        .replace("@worker@", &line(words))
}

const TASKS: &str = r#"#!/bin/bash
# exavox @version@: one shard of stage @stage@.
export EXAVOX_THREADS="${SLURM_CPUS_PER_TASK:-1}"
if [ -n "${SLURM_MEM_PER_NODE:-}" ]; then
    export EXAVOX_MEMORY="${SLURM_MEM_PER_NODE}MiB"
fi

# USR1 comes some time before the limit of time: the worker ends its block, and the task is queued again.
# TERM comes when somebody wants the task to go, and it goes.
asked=
leave=
stop() { asked=yes; kill -TERM "$worker" 2>/dev/null; }
trap stop USR1
trap 'leave=yes; stop' TERM

@worker@ @shard@ --quiet --no-progress &
worker=$!
# A signal ends the wait, not the worker.
while wait "$worker"; status=$?; [ -n "$asked" ]; do asked=; done

# 0: done; 64: wrong use; 65: bad input, where another try does not help. All else may go better elsewhere.
case "$status" in
    0 | 64 | 65) exit "$status" ;;
esac
if [ -z "$leave" ] && [ "${SLURM_RESTART_COUNT:-0}" -lt @restarts@ ]; then
    echo "status $status: queued again" >&2
    scontrol requeue "@task@"
fi
exit "$status"
"#;

/// Of the gate of a stage.
pub(super) fn gate(places: &SlurmPlaces, stage: &StageTasks, settings: &SlurmSettings) -> String {
    let (program, job) = (places.program.display().to_string(), places.job.display().to_string());
    let words = [program.as_str(), "status", &job, "--stage", &stage.name];
    GATE.replace("@version@", env!("CARGO_PKG_VERSION"))
        .replace("@stage@", &stage.name)
        .replace("@seconds@", &settings.gate_seconds.to_string())
        .replace("@status@", &line(words))
}

const GATE: &str = r#"#!/bin/bash
# exavox @version@: whether all blocks of stage @stage@ are done, as its ledger says. What other nodes have
# written may be seen late: asks for a while.
until @status@; do
    [ "$SECONDS" -lt @seconds@ ] || exit 1
    sleep 2
done
"#;
