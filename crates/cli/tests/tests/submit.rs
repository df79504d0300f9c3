//! `exavox submit` where there is no cluster, and the worker's place in arrays.

use std::fs;
use std::process::Command;

use exavox_io::DataType;

use crate::harness::{Folder, Run};

const STEP: &str = "[[step]]\nrun = 'downsample'\nsource = 'a.npy'\ntarget = 'b.zarr'\n\
    layout = { chunk = [8, 8, 8], block = [8, 8, 8] }\n";

/// Eight blocks.
fn folder(plan: &str) -> Folder {
    let folder = Folder::new();
    folder.write_ramp("a.npy", [32, 32, 32], DataType::U8);
    fs::write(folder.join("plan.toml"), format!("synced = true\n{plan}{STEP}")).unwrap();
    folder
}

/// Runs a worker of four shards with variables of an array.
fn worker(folder: &Folder, variables: &[(&str, &str)], args: &[&str]) -> Run {
    let mut program = folder.program();
    program.args(["worker", "--job", "plan.job", "--stage", "downsample", "--shards", "4"]);
    Run::of(&program.args(args).envs(variables.iter().copied()).output().unwrap())
}

#[test]
fn a_dry_run_shows_scripts_and_calls_and_makes_nothing() {
    let folder = folder("[slurm]\nslots = 2\n[slurm.stage.downsample]\ngres = 'gpu:1'\n");
    let args = ["submit", "plan.toml", "--engine", "slurm", "--dry-run"];
    let run = folder.run(&[&args[..], &["--shards-per-slot", "3", "--sbatch=--qos=low"]].concat());
    let text = run.done().stdout;
    for part in [
        "/plan.job/submitted/1/1.downsample.sh\n#!/bin/bash\n",
        "--stage 1.downsample --shards 6 --offset \"$1\"",
        "job1=$(sbatch --parsable --array=0-5%2 ",
        "--gres=gpu:1 --qos=low ",
        "job3=$(sbatch --parsable \"--dependency=afterok:$job2\" --kill-on-invalid-dep=yes ",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    assert_eq!(folder.entries(), ["a.npy", "plan.toml"]);
}

#[test]
fn wrong_settings_are_refused_before_anything_is_submitted() {
    let refused = |plan: &str, text: &str| {
        let error = folder(plan).run(&["submit", "plan.toml", "--engine", "slurm"]).error();
        assert!(error.contains(text), "{error}");
    };
    refused(
        "[slurm.stage.infer]\nmemory = '1G'\n",
        "[slurm.stage.infer]: expected one of 1.downsample",
    );
    refused("[slurm]\nslot = 3\n", "unknown field `slot`");
    let unsynced = folder("");
    fs::write(unsynced.join("plan.toml"), STEP).unwrap();
    let error = unsynced.run(&["submit", "plan.toml", "--engine", "slurm"]).error();
    assert!(error.contains("a cluster needs 'synced = true'"), "{error}");
}

#[test]
fn without_slurm_it_says_which_program_is_missing() {
    let folder = folder("");
    let mut program = folder.program();
    let program = program.args(["submit", "plan.toml", "--engine", "slurm"]).env("PATH", "");
    let run = Run::of(&program.output().unwrap());
    assert_eq!(run.status, Some(2), "{run:?}");
    assert!(run.stderr.contains("scontrol: cannot be run"), "{run:?}");
}

#[test]
fn a_worker_takes_the_index_of_its_array() {
    let folder = folder("");
    // Planned, but not run: it does not fit into one byte.
    let refused = folder.program().args(["run", "plan.toml", "--memory", "1"]).output().unwrap();
    assert!(!refused.status.success());
    let slurm = |index| [("SLURM_ARRAY_TASK_ID", index)];
    worker(&folder, &slurm("0"), &[]).done();
    worker(&folder, &slurm("2"), &["--offset", "-1"]).done();
    worker(&folder, &[("LSB_JOBINDEX", "3")], &[]).done();
    worker(&folder, &[("JOB_COMPLETION_INDEX", "1")], &["--offset=2"]).done();
    let status = folder.run(&["status", "plan.job", "--stage", "downsample"]).done();
    assert!(status.stdout.contains("8 of 8 blocks"), "{status:?}");
}

#[test]
fn a_worker_that_does_not_know_its_shard_ends_with_64() {
    let folder = folder("");
    let both = [("SLURM_ARRAY_TASK_ID", "0"), ("PBS_ARRAY_INDEX", "0")];
    for (variables, args, text) in [
        (&[][..], &[][..], "--shard: is needed outside of an array"),
        (&both[..], &[], "is set and so is PBS_ARRAY_INDEX"),
        (&both[..1], &["--offset", "4"], "none of 4 shards"),
        (&[], &["--shard", "4"], "expected less than 4"),
        (&[("SGE_TASK_ID", "x")], &[], "found 'x'"),
        (&[], &["--shard", "1", "--offset", "1"], "cannot be used with"),
    ] {
        let run = worker(&folder, variables, args);
        assert_eq!(run.status, Some(64), "{run:?}");
        assert!(run.stderr.contains(text), "{run:?}");
    }
}

#[test]
fn kubernetes_takes_the_manifests() {
    let folder = folder("");
    let mount = folder.path().canonicalize().unwrap();
    let settings = format!(
        "[kubernetes]\nimage = 'lab/exavox:1'\nclaim = 'em'\nmount = '{}'\nmemory = '4Gi'\ngpus = 1\n\
         namespace = 'em'\n",
        mount.display()
    );
    fs::write(folder.join("plan.toml"), format!("synced = true\n{settings}{STEP}")).unwrap();
    let plan = mount.join("plan.toml").display().to_string();
    let shown = folder.run(&["submit", &plan, "--engine", "kubernetes", "--dry-run"]).done().stdout;
    assert_eq!(shown.matches("\"kind\": \"Job\"").count(), 2, "{shown}");
    assert_eq!(folder.entries(), ["a.npy", "plan.toml"]);
    let told = folder.run(&["submit", &plan, "--engine", "kubernetes"]).done().stderr;
    assert!(told.contains("kubectl wait -n em --for=condition=complete"), "{told}");
    let submitted = mount.join("plan.job/submitted/1");
    for manifest in ["1-1.downsample.json", "2-1.finish.json"] {
        let path = submitted.join(manifest);
        assert!(told.contains(&format!("kubectl apply -f '{}'", path.display())), "{told}");
        let text = fs::read_to_string(&path).unwrap();
        for version in ["1.29", "1.31", "1.33", "1.35"] {
            let Some(valid) = is_valid(&folder, version, &text) else { return };
            assert!(valid, "{manifest} for {version}");
        }
        let misspelt = text.replace("completionMode", "completionmode");
        assert_eq!(is_valid(&folder, "1.35", &misspelt), Some(false));
    }
}

/// Whether Kubernetes' schema of a version takes a manifest; `None` where there is no checker.
fn is_valid(folder: &Folder, version: &str, manifest: &str) -> Option<bool> {
    let Some(python) = std::env::var_os("EXAVOX_PEERS_PYTHON") else {
        eprintln!("skipped: EXAVOX_PEERS_PYTHON is not set");
        return None;
    };
    let path = folder.join("manifest.yaml");
    fs::write(&path, manifest).unwrap();
    let mut checker = Command::new(python);
    checker.args(["-m", "kubernetes_validate", "--strict", "--quiet", "-k", version]).arg(path);
    let output = checker.output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!text.contains("No module named"), "{text}");
    Some(output.status.success())
}
