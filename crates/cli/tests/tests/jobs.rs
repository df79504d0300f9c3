//! Jobs: `run`, `resume`, `status`, `verify`, `worker`, and what can happen to them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use exavox_io::{BoundingBox, DataType, Volume, VolumeWriter, Voxels, WriteOptions};

use crate::harness::{Folder, Run};

/// Two steps: a coarser volume of 512 blocks, and two scales for it.
const PLAN: &str = "
[[step]]
run = 'downsample'
source = 'a.npy'
target = 'b.zarr'
layout = { chunk = [16, 16, 16], block = [16, 16, 16] }

[[step]]
run = 'downsample'
source = 'b.zarr'
levels = 2
layout = { block = [16, 16, 16] }
";

fn write_source(folder: &Folder) {
    folder.write_ramp("a.npy", [256; 3], DataType::U8);
    fs::write(folder.join("plan.toml"), PLAN).unwrap();
}

/// What the plan makes when nothing happens.
fn undisturbed() -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Folder::new();
    write_source(&folder);
    folder.run(&["run", "plan.toml", "--quiet"]).done();
    tree(&folder.join("b.zarr"))
}

/// Paths and contents of all files of a volume.
fn tree(path: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut open = vec![path.to_owned()];
    while let Some(next) = open.pop() {
        if next.is_dir() {
            open.extend(fs::read_dir(&next).unwrap().map(|e| e.unwrap().path()));
        } else {
            let bytes = fs::read(&next).unwrap();
            found.push((next.strip_prefix(path).unwrap().to_owned(), bytes));
        }
    }
    found.sort();
    found
}

fn start(folder: &Folder, args: &[&str]) -> Child {
    let mut program = folder.program();
    program.args(args).arg("--quiet");
    program.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Numbers without a pattern, other ones each time.
struct Random(u64);

impl Random {
    fn new() -> Self {
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64;
        Self(now ^ u64::from(std::process::id()))
    }

    fn below(&mut self, end: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

fn done(folder: &Folder) -> u64 {
    let run = folder.run(&["status", "plan.job", "--json"]);
    let Ok(status) = serde_json::from_str::<serde_json::Value>(&run.stdout) else { return 0 };
    status["stages"].as_array().unwrap().iter().map(|s| s["done"].as_u64().unwrap()).sum()
}

#[test]
fn killed_fifty_times_it_writes_the_same_bytes() {
    let folder = Folder::new();
    write_source(&folder);
    let mut random = Random::new();
    let (mut kills, mut useful) = (0, 0);
    while kills < 50 {
        let before = done(&folder);
        let mut child = start(&folder, &["run", "plan.toml", "--threads", "2"]);
        // Longer now and then: a busy machine takes its time to begin.
        sleep(Duration::from_millis(5 + random.below(60 << (kills % 4))));
        let at_work = child.try_wait().unwrap().is_none();
        if at_work {
            child.kill().unwrap();
            kills += 1;
        }
        child.wait().unwrap();
        useful += u64::from(at_work && done(&folder) > before);
        if !at_work && folder.run(&["status", "plan.job"]).status == Some(0) {
            // Whole before the kill came: begin again.
            fs::remove_dir_all(folder.join("plan.job")).unwrap();
            fs::remove_dir_all(folder.join("b.zarr")).unwrap();
        }
    }
    folder.run(&["run", "plan.toml"]).done();
    assert!(useful > 0, "no kill came in the middle");
    assert!(tree(&folder.join("b.zarr")) == undisturbed());
    assert_eq!(folder.entries(), ["a.npy", "b.zarr", "plan.job", "plan.toml"]);
    folder.run(&["verify", "plan.job"]).done();
}

#[test]
fn two_workers_may_do_the_same_shard_and_one_may_be_killed() {
    let folder = Folder::new();
    write_source(&folder);
    // The job is made, and nothing done: not one block fits.
    let error = folder.run(&["run", "plan.toml", "--memory", "1KiB"]).error();
    assert!(error.contains("stage downsample: needs 1 MiB of memory for one block"), "{error}");
    let shard = |i: &str| {
        let args = ["worker", "--job", "plan.job", "--stage", "1.downsample", "--shards", "2"];
        start(&folder, &[&args[..], &["--shard", i]].concat())
    };
    let (mut first, mut again, mut other) = (shard("0"), shard("0"), shard("1"));
    sleep(Duration::from_millis(30));
    other.kill().unwrap();
    other.wait().unwrap();
    assert_eq!(first.wait().unwrap().code(), Some(0));
    assert_eq!(again.wait().unwrap().code(), Some(0));
    assert_eq!(shard("1").wait().unwrap().code(), Some(0));
    let status = folder.run(&["status", "plan.job", "--stage", "1.downsample", "--json"]).json();
    assert_eq!(status["stages"][0]["done"], 512);
    assert_eq!(status["stages"][0]["unstable"], 0);
    folder.run(&["resume", "plan.job"]).done();
    assert!(tree(&folder.join("b.zarr")) == undisturbed());
}

#[test]
fn a_worker_that_is_asked_to_end_says_try_again() {
    let folder = Folder::new();
    write_source(&folder);
    folder.run(&["run", "plan.toml", "--memory", "1KiB"]).error();
    let stage = ["worker", "--job", "plan.job", "--stage", "1.downsample"];
    let shard = [&stage[..], &["--shard", "0", "--shards", "1", "--threads", "1"]].concat();
    for wait in [20, 10, 5, 2, 1] {
        let mut child = start(&folder, &shard);
        sleep(Duration::from_millis(wait));
        Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
        let code = child.wait().unwrap().code();
        // Before the handler is there, TERM ends it as it ends any program.
        assert!(matches!(code, Some(75 | 0) | None), "{code:?}");
        if code == Some(75) {
            assert!(done(&folder) < 512);
            break;
        }
    }
    folder.run(&["resume", "plan.job"]).done();
    assert!(tree(&folder.join("b.zarr")) == undisturbed());
}

#[test]
fn a_later_stage_waits_for_the_one_before() {
    let folder = Folder::new();
    write_source(&folder);
    folder.run(&["run", "plan.toml", "--memory", "1KiB"]).error();
    let args =
        ["worker", "--job", "plan.job", "--stage", "1.finish", "--shard", "0", "--shards", "1"];
    let run = folder.run(&args);
    assert_eq!(run.status, Some(65));
    assert!(run.stderr.contains("stage 1.downsample must be complete: 0 of 512"), "{run:?}");
}

#[test]
fn two_runs_at_once_are_refused() {
    let folder = Folder::new();
    write_source(&folder);
    let mut first = start(&folder, &["run", "plan.toml", "--threads", "1"]);
    let started = Instant::now();
    while done(&folder) == 0 && first.try_wait().unwrap().is_none() {
        assert!(started.elapsed() < Duration::from_secs(60), "nothing is done");
    }
    Command::new("kill").args(["-STOP", &first.id().to_string()]).status().unwrap();
    let at_work = folder.run(&["status", "plan.job"]).status == Some(1);
    let second = folder.run(&["run", "plan.toml"]);
    Command::new("kill").args(["-CONT", &first.id().to_string()]).status().unwrap();
    assert_eq!(first.wait().unwrap().code(), Some(0));
    if at_work {
        assert!(second.error().ends_with("run.lock: another process is at work on this job"));
    }
}

/// A volume of 100 chunks, one of which is damaged.
fn poisoned(folder: &Folder) -> PathBuf {
    let mut options = WriteOptions::new(DataType::U8, [16, 160, 160]);
    options.chunk_shape = Some([16; 3]);
    let name = folder.join("a.zarr").display().to_string();
    let writer = VolumeWriter::create(&name, &options).unwrap();
    let values = (0..16 * 160 * 160).map(|i| (i * 7 % 251) as u8).collect();
    writer.write(0, [0; 3], &Voxels::from_vec([16, 160, 160], values).unwrap()).unwrap();
    writer.finish().unwrap();
    fs::write(
        folder.join("plan.toml"),
        "[[step]]\nrun = 'downsample'\nsource = 'a.zarr'\ntarget = 'b.zarr'\n\
         layout = { chunk = [8, 8, 8], block = [8, 8, 8] }\n",
    )
    .unwrap();
    tree(Path::new(&name))
        .into_iter()
        .map(|(path, _)| folder.join("a.zarr").join(path))
        .find(|path| path.ends_with("3/7"))
        .unwrap_or_else(|| {
            panic!("{:?}", tree(Path::new(&name)).iter().map(|t| &t.0).collect::<Vec<_>>())
        })
}

#[test]
fn one_bad_block_among_a_hundred_is_named_and_done_alone_when_it_is_good() {
    let folder = Folder::new();
    let chunk = poisoned(&folder);
    let good = fs::read(&chunk).unwrap();
    fs::write(&chunk, &good[..good.len() / 2]).unwrap();
    let run = folder.run(&["run", "plan.toml", "--json"]);
    assert_eq!(run.status, Some(1), "{run:?}");
    let report: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    let stage = &report["stages"][0];
    assert_eq!((&stage["computed"], &stage["failed"]), (&99.into(), &1.into()), "{stage}");
    let failure = &stage["failures"][0];
    assert_eq!(failure["place"], "0:8,24:32,56:64");
    assert!(failure["error"].as_str().unwrap().contains("a.zarr"), "{failure}");
    assert!(!folder.join("b.zarr").exists());
    let status = folder.run(&["status", "plan.job"]);
    assert_eq!(status.status, Some(1));
    assert!(
        status.stdout.contains("99 of 100 blocks\n  block 37 (0:8,24:32,56:64) failed"),
        "{status:?}"
    );

    fs::write(&chunk, &good).unwrap();
    let report = folder.run(&["resume", "plan.job", "--json"]).json();
    assert_eq!(report["stages"][0]["computed"], 1);
    let volume = Volume::open(&folder.join("b.zarr").display().to_string()).unwrap();
    assert_eq!(volume.read(0, &BoundingBox::whole([8, 80, 80])).unwrap().len(), 8 * 80 * 80);
    assert!(!folder.run(&["status", "plan.job"]).done().stdout.contains("failed"));
}

#[test]
fn a_stage_whose_first_blocks_all_fail_alike_stops_by_itself() {
    let folder = Folder::new();
    let chunk = poisoned(&folder);
    for entry in tree(&folder.join("a.zarr")) {
        let path = folder.join("a.zarr").join(&entry.0);
        if path.parent() == chunk.parent() || !entry.0.display().to_string().contains(".z") {
            fs::write(path, [1, 2, 3]).unwrap();
        }
    }
    let run = folder.run(&["run", "plan.toml", "--threads", "1", "--json"]);
    assert_eq!(run.status, Some(1), "{run:?}");
    let report: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    let stage = &report["stages"][0];
    assert_eq!(stage["failed"], 5, "{stage}");
    assert!(stage["stopped"].as_str().unwrap().contains("all failed in the same way"), "{stage}");
}

#[test]
fn damaged_ledgers_cost_work_and_nothing_else() {
    let folder = Folder::new();
    write_source(&folder);
    folder.run(&["run", "plan.toml"]).done();
    let before = tree(&folder.join("b.zarr"));
    let ledger = folder.join("plan.job/ledger");
    for (path, bytes) in tree(&ledger) {
        // Half of the seals torn, the others with a flipped bit.
        let path = ledger.join(path);
        let mut bytes = bytes;
        let middle = bytes.len() / 2;
        if middle % 3 == 0 {
            bytes.truncate(middle)
        } else {
            bytes[middle] ^= 4
        }
        fs::write(&path, bytes).unwrap();
    }
    assert_eq!(folder.run(&["status", "plan.job"]).status, Some(1));
    folder.run(&["resume", "plan.job"]).done();
    assert!(tree(&folder.join("b.zarr")) == before);
    folder.run(&["verify", "plan.job"]).done();
}

#[test]
fn a_changed_output_is_found_by_verify() {
    let folder = Folder::new();
    write_source(&folder);
    folder.run(&["run", "plan.toml"]).done();
    let (first, second) = (folder.join("b.zarr/0/0/0/0"), folder.join("b.zarr/0/0/0/1"));
    fs::copy(second, first).unwrap();
    let run = folder.run(&["verify", "plan.job", "--stage", "1.downsample"]);
    assert_eq!(run.status, Some(1));
    assert!(
        run.stdout.contains("511 of 512 blocks are good\n  block 0 (0:16,0:16,0:16)"),
        "{run:?}"
    );
}

#[test]
fn a_clock_that_goes_backwards_changes_nothing() {
    let folder = Folder::new();
    write_source(&folder);
    let args = ["worker", "--job", "plan.job", "--stage", "1.downsample", "--shards", "2"];
    folder.run(&["run", "plan.toml", "--memory", "1KiB"]).error();
    folder.run(&[&args[..], &["--shard", "1"]].concat()).done();
    // All that was written lies in the future now.
    let later = SystemTime::now() + Duration::from_secs(10 * 365 * 86_400);
    for (path, _) in tree(&folder.join("plan.job")) {
        let file =
            fs::File::options().append(true).open(folder.join("plan.job").join(path)).unwrap();
        file.set_modified(later).unwrap();
    }
    let report = folder.run(&["resume", "plan.job", "--json"]).json();
    assert_eq!(report["stages"][0]["done_before"], 256);
    assert!(tree(&folder.join("b.zarr")) == undisturbed());
}

#[test]
fn a_full_disk_is_temporary_and_the_run_goes_on_when_there_is_room() {
    let folder = Folder::new();
    write_source(&folder);
    folder.run(&["run", "plan.toml", "--memory", "1KiB"]).error();
    // A disk of its own, for as long as the shell lives; its last words are the exit status.
    let program = env!("CARGO_BIN_EXE_exavox");
    let worker = format!(
        "{program} worker --quiet --job plan.job --stage 1.downsample --shard 0 --shards 1"
    );
    let script = format!(
        "mount -t tmpfs -o size=1m tmpfs disk || exit 99\n\
         sed -i \"s#'b.zarr'#'disk/b.zarr'#\" plan.toml; rm -r plan.job\n\
         {program} run plan.toml --memory 1KiB 2>/dev/null\n\
         {worker}; [ $? = 75 ] || exit 1\n\
         mount -o remount,size=64m disk || exit 99\n\
         {worker} && {program} resume plan.job --quiet && cp -r disk/b.zarr copy.zarr"
    );
    fs::create_dir(folder.join("disk")).unwrap();
    let mut shell = Command::new("unshare");
    shell.args(["-m", "sh", "-c", &script]).current_dir(folder.path());
    let Ok(output) = shell.output() else { return };
    let run = Run::of(&output);
    if run.status == Some(99) || run.stderr.contains("unshare:") {
        eprintln!("skipped: mounting a tmpfs is not permitted");
        return;
    }
    assert_eq!(run.status, Some(0), "{run:?}");
    assert!(run.stderr.contains("No space left"), "{run:?}");
    assert!(tree(&folder.join("copy.zarr")) == undisturbed());
}

#[test]
fn wrong_plans_are_refused_with_line_and_column() {
    let folder = Folder::new();
    folder.write_ramp("a.npy", [10; 3], DataType::U8);
    for (text, expected) in [
        ("", "missing field `step`"),
        ("step = []", "expected at least one [[step]], found none"),
        ("[[step]]\nrun = 'fly'\n", "unknown variant `fly`"),
        ("[[step]]\nrun = 'downsample'\nsource = 'no.npy'\ntarget = 'b.zarr'\n", "no.npy"),
        (
            "[[step]]\nrun = 'downsample'\nsource = 'a.npy'\ntarget = 'b.npy'\n",
            "expected a volume that blocks",
        ),
        (
            "[[step]]\nrun = 'downsample'\nsource = 'a.npy'\ntarget = 'b.zarr'\nlayout = { chunk = [8, 8, 8], block = [8, 8, 9] }\n",
            "expected a multiple of the 8 of the chunk along x, found 9",
        ),
        ("[[step]]\nrun = 'downsample'\nsource = 'a.npy'\nfactr = [1, 1, 2]\n", "factr"),
    ] {
        fs::write(folder.join("plan.toml"), text).unwrap();
        let run = folder.run(&["run", "plan.toml"]);
        assert_eq!(run.status, Some(2), "{run:?}");
        assert!(run.stderr.contains(expected), "{expected}: {run:?}");
        assert!(!folder.join("plan.job").exists(), "{expected}");
    }
}

#[test]
fn a_plan_is_reckoned_with_blocks_that_were_measured() {
    let folder = Folder::new();
    write_source(&folder);
    let plan = folder.run(&["plan", "plan.toml", "--json"]).json();
    assert!(plan.get("sample").is_none());
    assert_eq!(folder.entries(), ["a.npy", "plan.toml"]);
    let stages = plan["estimate"]["stages"].as_array().unwrap();
    assert_eq!((&stages[0]["name"], &stages[0]["blocks"]), (&"1.downsample".into(), &512.into()));

    let args =
        ["plan", "plan.toml", "--measure", "20", "--slots", "2", "--svg", "plan.svg", "--json"];
    let measured = folder.run(&args).json();
    assert_eq!(measured["sample"]["blocks"], 20);
    assert!(measured["sample"]["mean_seconds"].as_f64().unwrap() > 0.0);
    assert!(fs::read_to_string(folder.join("plan.svg")).unwrap().starts_with("<svg"));
    // The sample is done, and only the rest is left.
    assert_eq!(done(&folder), 20);
    let report = folder.run(&["resume", "plan.job", "--json"]).json();
    assert_eq!(report["stages"][0]["done_before"], 20);
    assert!(tree(&folder.join("b.zarr")) == undisturbed());
}
