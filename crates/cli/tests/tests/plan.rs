//! `exavox plan` as a user runs it.

use std::fs;
use std::time::{Duration, Instant};

use crate::harness::{Folder, program, run};

const EXABYTE: [&str; 7] =
    ["plan", "--shape", "1000000,1000000,1000000", "--nodes", "1000", "--slots", "8"];

#[test]
fn an_exabyte_takes_seconds_and_little_memory() {
    let folder = Folder::new();
    let begin = Instant::now();
    let plan =
        folder.run(&[&["--json"], &EXABYTE[..], &["--price", "2", "--svg", "p.svg"]].concat());
    let plan = plan.json();
    assert!(begin.elapsed() < Duration::from_secs(15), "{:?}", begin.elapsed());
    assert_eq!(plan["volume_bytes"].as_f64(), Some(1e18));
    let stages = plan["estimate"]["stages"].as_array().unwrap();
    assert_eq!(
        (&stages[0]["name"], &stages[0]["blocks"]),
        (&"infer".into(), &2232_u64.pow(3).into())
    );
    let totals = &plan["estimate"]["totals"];
    let figure = |name: &str| totals[name].as_f64().unwrap();
    assert!(figure("simulated_seconds") > figure("ideal_seconds"));
    assert!((figure("cost") - 2.0 * figure("node_hours")).abs() < 1e-6 * figure("cost"));
    let svg = fs::read_to_string(folder.join("p.svg")).unwrap();
    assert!(svg.contains("simulated end") && svg.len() < 200_000, "{}", svg.len());
}

/// The peak of the process, as the system counted it.
#[cfg(target_os = "linux")]
#[test]
fn an_exabyte_stays_below_100_mb() {
    let script = "\"$0\" \"$@\" >/dev/null & pid=$!; peak=0
        while kill -0 $pid 2>/dev/null; do
            now=$(grep -s VmHWM /proc/$pid/status | tr -dc 0-9); [ \"${now:-0}\" -gt $peak ] && peak=$now
        done; wait $pid && echo $peak";
    let exavox = program().get_program().to_owned();
    let output = std::process::Command::new("bash")
        .args(["-c", script])
        .arg(exavox)
        .args(EXABYTE)
        .output()
        .unwrap();
    let peak: u64 = String::from_utf8(output.stdout).unwrap().trim().parse().unwrap();
    assert!((1_000..100_000).contains(&peak), "{peak} kB");
}

#[test]
fn the_table_says_what_is_assumed_and_which_nodes_are_worth_it() {
    let args = ["plan", "--shape", "20000,20000,20000", "--work", "components", "--slots", "16"];
    let text = run(&[&args[..], &["--compare-nodes", "1,4,16"]].concat()).done().stdout;
    for word in
        ["components of 20000 x 20000 x 20000 uint8 (8.00 TB)", "label ", "relabel", "union 1"]
    {
        assert!(text.contains(word), "{word}: {text}");
    }
    assert!(text.contains("assumed: 100 Mvoxel") && text.contains("of 63"), "{text}");
    let rows: Vec<&str> = text.lines().skip_while(|l| !l.starts_with("nodes")).skip(1).collect();
    assert_eq!(rows.len(), 3, "{text}");
}

#[test]
fn every_work_has_a_plan_and_measured_seconds_count() {
    for work in ["segment", "components", "filter", "project", "downsample", "convert"] {
        let plan = |seconds: &str| {
            let args = ["--json", "plan", "--shape", "3000,4000,5000", "--work", work];
            let more = ["--seconds-per-block", seconds, "--spread", "0", "--mtbf-hours", "0"];
            let plan = run(&[&args[..], &more].concat()).json();
            plan["estimate"]["stages"][0]["ideal_seconds"].as_f64().unwrap()
        };
        // 0.05 s of each block are latency.
        let ratio = plan("7000") / plan("1000");
        assert!((ratio - 7000.05 / 1000.05).abs() < 1e-9, "{work}: {ratio}");
    }
}

#[test]
fn what_cannot_be_is_refused_with_what_would_fit() {
    let refused =
        |more: &[&str]| run(&[&["plan", "--shape", "9000,9000,9000"], more].concat()).error();
    let error = refused(&["--node-memory", "2GiB"]);
    assert!(error.contains("a subvolume of 456,456,456 would fit"), "{error}");
    assert_eq!(refused(&["--memory", "2GiB"]), error);
    let error = refused(&["--overlap", "64,512,64"]);
    assert!(error.contains("axis y") && error.contains("512"), "{error}");
    assert!(refused(&["--nodes", "0"]).contains("nodes: expected at least 1"));
    assert!(refused(&["--work", "filter", "--tflops", "3"]).contains("runs no network"));
    let huge = run(&["plan", "--shape", "4000000,4000000,4000000"]).error();
    assert!(huge.starts_with("label space: ") && huge.contains("2^63"), "{huge}");
    let most = "18446744073709551615";
    let most = format!("{most},{most},{most}");
    assert!(run(&["plan", "--work", "convert", "--shape", &most]).error().contains("2^63"));
    let missing = ["plan", "--shape", "900,900,900", "--svg", "no/such/folder.svg"];
    assert!(run(&missing).error().contains("no/such/folder.svg"));
}

#[test]
fn wrong_flags_end_with_2() {
    for wrong in [
        &["plan"][..],
        &["plan", "--shape", "0,1,1"],
        &["plan", "--shape", "1,1"],
        &["plan", "--shape", "9,9,9", "--work", "dream"],
        &["plan", "--shape", "9,9,9", "--node-bandwidth", "fast"],
        &["plan", "--shape", "9,9,9", "--compare-nodes", "1,0"],
        &["plan", "--shape", "9,9,9", "--tflops", "1", "--steps-per-second", "1"],
    ] {
        let run = run(wrong);
        assert_eq!((run.status, run.stdout.as_str()), (Some(2), ""), "{wrong:?}: {run:?}");
    }
    let help = run(&["plan", "--help"]).done().stdout;
    assert_eq!(help.matches("    exavox plan --shape").count(), 2, "{help}");
}
