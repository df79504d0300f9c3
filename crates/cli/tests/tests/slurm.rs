//! Jobs on a real Slurm: nodes that lose power and network, tasks that fail, results bit by bit.

use std::fs;
use std::path::{Path, PathBuf};

use exavox_io::DataType;

use crate::harness::Folder;
use crate::lab::{Lab, wait_until};

/// Shape of the source; the first step makes 384 blocks of it in 18 shards.
const SHAPE: [usize; 3] = [192, 256, 256];

/// Slots of the cluster, and the worker's way of running; behind it the steps.
const CLUSTER: &str = "synced = true
[slurm]
slots = 6
shards_per_slot = $shards
gate_seconds = 3
program = '$program'
[slurm.task]
cpus_per_task = 1
memory = '500M'
";

/// Two steps, each with a stage of blocks and one that finishes.
const STEPS: &str = "[[step]]
run = 'downsample'
source = '../a.npy'
target = 'b.zarr'
layout = { chunk = [16, 16, 16], block = [16, 16, 16] }
[[step]]
run = 'downsample'
source = 'b.zarr'
target = 'c.zarr'
factor = [1, 2, 2]
layout = { chunk = [8, 16, 16], block = [8, 16, 16] }
";

/// Holds the first task of stage `$held` on nodes n2 and n3 in the middle of its shard, until somebody removes
/// a file, and says when it has ended.
pub(crate) const HELD: &str = r#"#!/bin/bash
"$exavox" "$@" &
worker=$!
trap 'kill -TERM $worker' TERM
node=$SLURMD_NODENAME
ledger=$folder/cluster/plan.job/ledger/$held/0
if [[ "$*" = *"$held"* && $node != n1 && ! -e $folder/held-$node ]] && mkdir "$folder/held-$node.by"; then
    # A journal appears with the first block that is done.
    while ! compgen -G "$ledger/0.$worker-*.log" >/dev/null; do
        kill -STOP $worker && sleep 0.02 && kill -CONT $worker && sleep 0.01 || break
    done
    kill -STOP $worker || touch "$folder/too-fast"
    touch "$folder/held-$node"
    while [ -e "$folder/held-$node" ]; do sleep 0.05; done
    kill -CONT $worker
    wait $worker
    status=$?
    echo "$status" >"$folder/ended-$node"
    exit $status
fi
wait $worker
"#;

/// Fails at first where a file says so, as if the disk were full.
const TEMPORARY: &str = r#"#!/bin/bash
if [[ "$*" = *"$held"* && ${SLURM_ARRAY_TASK_ID:-} = 3 && ${SLURM_RESTART_COUNT:-0} = 0 ]]; then
    touch "$folder/failed-once"
    exit 75
fi
exec "$exavox" "$@"
"#;

/// A script that runs the worker in its own way, and does something to the tasks of a stage.
pub(crate) fn write_program(folder: &Folder, stage: &str, text: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let path = folder.join("program");
    let head = format!(
        "#!/bin/bash\nexavox='{}' folder='{}' held='{stage}'\n",
        env!("CARGO_BIN_EXE_exavox"),
        folder.path().display()
    );
    fs::write(&path, text.replace("#!/bin/bash\n", &head)).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// A plan of these steps in two folders: one for the cluster, one for this machine.
pub(crate) fn write_plans(folder: &Folder, program: &Path, shards_per_slot: u32, steps: &str) {
    let cluster = CLUSTER.replace("$shards", &shards_per_slot.to_string());
    let text = cluster.replace("$program", &program.display().to_string()) + steps;
    for place in ["cluster", "local"] {
        fs::create_dir(folder.join(place)).unwrap();
        fs::write(folder.join(place).join("plan.toml"), &text).unwrap();
    }
}

/// Noise, so that a block in a wrong place or of another time is seen.
fn write_source(folder: &Folder) {
    let mut state = 1_u64;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 48) as u16
    };
    folder.write("a.npy", SHAPE, (0..SHAPE.iter().product()).map(|_| next()).collect::<Vec<u16>>());
}

/// Paths and contents of all files below a folder.
pub(crate) fn tree(path: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut open = vec![path.to_owned()];
    while let Some(next) = open.pop() {
        if next.is_dir() {
            open.extend(fs::read_dir(&next).unwrap().map(|e| e.unwrap().path()));
        } else {
            found.push((next.strip_prefix(path).unwrap().to_owned(), fs::read(&next).unwrap()));
        }
    }
    found.sort();
    found
}

/// Blocks of a stage that are done, as the ledger says.
fn done(folder: &Folder, stage: &str) -> (u64, u64) {
    let run = folder.run(&["status", "cluster/plan.job", "--json"]);
    let status: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    let stages = status["stages"].as_array().unwrap();
    let stage = stages.iter().find(|s| s["stage"] == stage).unwrap();
    (stage["done"].as_u64().unwrap(), stage["blocks"].as_u64().unwrap())
}

/// Whether all of them are.
pub(crate) fn is_done(folder: &Folder, stage: &str) -> bool {
    let (done, blocks) = done(folder, stage);
    done == blocks
}

/// What the cluster and this machine have made is the same, to the last bit.
#[track_caller]
fn assert_same(folder: &Folder) {
    for volume in ["b.zarr", "c.zarr"] {
        let (cluster, local) =
            (folder.join("cluster").join(volume), folder.join("local").join(volume));
        assert!(tree(&cluster) == tree(&local), "{volume}");
    }
}

#[test]
fn power_and_network_cuts_change_no_bit() {
    let Some(lab) = Lab::start() else { return };
    let folder = Folder::in_memory();
    let program = write_program(&folder, "1.downsample", HELD);
    write_plans(&folder, &program, 3, STEPS);
    write_source(&folder);
    let at = |name: &str| folder.join(name).display().to_string();
    folder.run(&["run", "local/plan.toml"]).done();

    let plan = at("cluster/plan.toml");
    let submitted = lab.exavox(&["submit", &plan, "--engine", "slurm"]).done();
    assert!(submitted.stderr.contains("1.downsample gate"), "{submitted:?}");
    let held = |node: &str| folder.join(&format!("held-{node}"));
    wait_until("a task is held on n2 and on n3", || held("n2").exists() && held("n3").exists());
    assert!(!is_done(&folder, "1.downsample") && !folder.join("too-fast").exists());
    let again = lab.exavox(&["submit", &plan, "--engine", "slurm"]).error();
    assert!(again.starts_with("Slurm: jobs of this job wait or run: 1 "), "{again}");

    // The tasks of n2 die in the middle of their shards; those of n3 live on, but nobody knows.
    lab.power_off("n2");
    lab.unplug("n3");
    wait_until("n2 is given up", || {
        lab.slurm(&["sinfo", "--noheader", "--Node", "--format=%N %t"]).contains("n2 down")
    });
    lab.power_on("n2");
    wait_until("what they had was done by others", || is_done(&folder, "1.finish"));
    // A ghost: it goes on, and commits blocks that others have committed and a stage has read.
    fs::remove_file(held("n3")).unwrap();
    wait_until("the ghost ends", || folder.join("ended-n3").exists());
    wait_until("the job is complete", || is_done(&folder, "2.finish"));
    lab.plug("n3");
    assert_same(&folder);
    folder.run(&["verify", "cluster/plan.job"]).done();
    let left = fs::read_dir(folder.join("cluster")).unwrap();
    let mut left: Vec<_> = left.map(|e| e.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["b.zarr", "c.zarr", "plan.job", "plan.toml"]);
}

#[test]
fn what_fails_for_good_stops_the_chain_until_it_is_mended() {
    let Some(lab) = Lab::start() else { return };
    let folder = Folder::in_memory();
    let program = write_program(&folder, "1.downsample", TEMPORARY);
    write_plans(&folder, &program, 3, &STEPS.replace("a.npy", "a.zarr"));
    folder.write_ramp("a.npy", SHAPE, DataType::U16);
    folder.run(&["convert", "a.npy", "a.zarr", "--chunk", "32,32,32"]).done();
    let at = |name: &str| folder.join(name).display().to_string();
    folder.run(&["run", "local/plan.toml"]).done();

    // Chunk 3,2,1 of the source is needed by one block of the output.
    let chunk = chunk_of(&folder.join("a.zarr"));
    let good = fs::read(&chunk).unwrap();
    fs::write(&chunk, &good[..good.len() / 2]).unwrap();
    lab.exavox(&["submit", &at("cluster/plan.toml"), "--engine", "slurm"]).done();
    wait_until("the queue is empty", || lab.slurm(&["squeue", "--noheader"]).trim().is_empty());
    assert!(folder.join("failed-once").exists(), "no task was queued again");
    assert_eq!(done(&folder, "1.downsample"), (383, 384));
    assert_eq!(done(&folder, "1.finish").0, 0, "the gate has let a stage begin");
    let status = folder.run(&["status", "cluster/plan.job"]);
    assert_eq!(status.status, Some(1));
    assert!(status.stdout.contains("block 209 (48:64,32:48,16:32) failed"), "{status:?}");

    // Slurm may have forgotten everything: the ledger knows.
    let job = at("cluster/plan.job");
    fs::write(folder.join("cluster/plan.job/submitted/1/jobs.json"), "[]").unwrap();
    let shown = lab.exavox(&["resume", &job, "--engine", "slurm", "--dry-run"]).done().stdout;
    assert!(shown.contains("--array=9%6 "), "{shown}");
    fs::write(&chunk, good).unwrap();
    let resumed = lab.exavox(&["resume", &job, "--engine", "slurm"]).done();
    assert!(resumed.stderr.contains(": 21 tasks submitted"), "{resumed:?}");
    wait_until("the job is complete", || is_done(&folder, "2.finish"));
    assert_same(&folder);
    let nothing = lab.exavox(&["resume", &job, "--engine", "slurm"]).done();
    assert!(nothing.stderr.contains("complete, nothing is left to submit"), "{nothing:?}");
}

/// The file of chunk 3,2,1 of the finest scale.
fn chunk_of(volume: &Path) -> PathBuf {
    let files = tree(volume).into_iter().map(|(path, _)| path);
    let name = |path: &PathBuf| path.display().to_string();
    let chunk = files
        .into_iter()
        .find(|path| name(path).ends_with("3/2/1") || name(path).ends_with("3.2.1"));
    volume.join(chunk.unwrap())
}
