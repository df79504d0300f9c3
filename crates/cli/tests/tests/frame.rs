//! What holds for every command: help, wrong use, global flags, exit status.

use std::process::Stdio;

use exavox_io::DataType;

use crate::harness::{Folder, program, run};

/// The commands that `exavox --help` lists.
fn commands() -> Vec<String> {
    let help = run(&["--help"]).done().stdout;
    let listed = help.lines().skip_while(|l| *l != "Commands:").skip(1);
    let names = listed.take_while(|l| !l.is_empty()).filter_map(|l| l.split_whitespace().next());
    names.map(str::to_owned).collect()
}

#[test]
fn every_command_has_help() {
    let commands = commands();
    for command in ["info", "convert", "completions"] {
        assert!(commands.iter().any(|c| c == command), "{commands:?}");
    }
    for command in commands.iter().filter(|c| *c != "help") {
        let help = run(&[command, "--help"]).done();
        assert!(help.stdout.contains(&format!("Usage: exavox {command}")), "{help:?}");
        assert!(help.stdout.contains("--threads"), "{help:?}");
        assert_eq!(help.stderr, "");
    }
}

#[test]
fn help_of_the_commands_that_write_volumes_names_their_flags() {
    let shared = ["--scale", "--scale-voxel-size", "--time", "--chunk", "--codec", "--sync"];
    let flags = [
        (
            "convert",
            &["--roi", "--channel", "--dtype", "--allow-lossy", "--shard", "--encoding"][..],
        ),
        ("convert", &["--ome", "--voxel-size", "--overwrite", "--resume", "--memory"]),
        ("downsample", &["--factor", "--method", "--levels", "--overwrite", "--resume"]),
    ];
    for (command, flags) in flags {
        let help = run(&[command, "--help"]).done().stdout;
        for flag in shared.iter().chain(flags) {
            assert!(
                help.contains(&format!("{flag} ")) || help.contains(&format!("{flag}\n")),
                "{flag}"
            );
        }
    }
}

#[test]
fn help_names_every_variable_and_status() {
    let help = run(&["--help"]).done().stdout;
    for word in ["EXAVOX_DEVICE", "EXAVOX_THREADS", "EXAVOX_MEMORY", "EXAVOX_NO_MMAP", "NO_COLOR"] {
        assert!(help.contains(word), "{word}");
    }
    assert!(help.contains("Exit status: 0 done"), "{help}");
}

#[test]
fn the_version_is_that_of_the_package() {
    let version = run(&["--version"]).done().stdout;
    assert_eq!(version, format!("exavox {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn wrong_use_ends_with_2_and_says_so_on_stderr() {
    for args in [
        &[][..],
        &["nonsense"],
        &["info"],
        &["info", "a", "b"],
        &["info", "a", "--nonsense"],
        &["--threads", "0", "info", "a"],
        &["--threads", "many", "info", "a"],
        &["--memory", "4XB", "info", "a"],
        &["--device", "abacus", "info", "a"],
        &["convert", "a"],
        &["convert", "a", "b", "--roi", "1:2,3:4"],
        &["convert", "a", "b", "--roi", "5:2,:,:"],
        &["convert", "a", "b", "--dtype", "uint7"],
        &["convert", "a", "b", "--chunk", "0,1,1"],
        &["convert", "a", "b", "--codec", "zip"],
        &["convert", "a", "b", "--ome", "0.6"],
        &["convert", "a", "b", "--encoding", "jpeg"],
        &["convert", "a", "b", "--overwrite", "--resume"],
        &["convert", "a", "b", "--scale", "1", "--scale-voxel-size", "8,8,8"],
        &["completions", "abacus"],
    ] {
        let run = run(args);
        assert_eq!((run.status, run.stdout.as_str()), (Some(2), ""), "{args:?}: {run:?}");
        assert!(!run.stderr.is_empty(), "{args:?}");
    }
}

#[test]
fn no_arguments_print_the_help() {
    assert!(run(&[]).stderr.contains("Commands:"));
}

#[test]
fn variables_stand_in_for_flags() {
    let folder = Folder::new();
    folder.write_ramp("a.npy", [2, 3, 4], DataType::U8);
    for (variable, wrong) in
        [("EXAVOX_DEVICE", "abacus"), ("EXAVOX_THREADS", "0"), ("EXAVOX_MEMORY", "lots")]
    {
        let output =
            folder.program().args(["info", "a.npy"]).env(variable, wrong).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{variable}={wrong}");
    }
    let convert = |more: &[&str]| {
        let args = [&["convert", "a.npy", "b.npy"], more].concat();
        folder.program().args(args).env("EXAVOX_MEMORY", "2B").output().unwrap().status.code()
    };
    assert_eq!(convert(&[]), Some(2));
    assert_eq!(convert(&["--memory", "1MB"]), Some(0));
}

#[test]
fn completions_know_the_commands() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = run(&["completions", shell]).done().stdout;
        for command in commands() {
            assert!(script.contains(&command), "{shell}: {command}");
        }
    }
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = program()
        .args(["completions", "bash"])
        .stdout(writer)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
        .wait_with_output()
        .unwrap();
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0), "{output:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_under_stdout_is_an_error() {
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let output = program().args(["completions", "bash"]).stdout(full).output().unwrap();
    let error = crate::harness::Run::of(&output).error();
    assert!(error.starts_with("stdout: No space left"), "{error}");
}
