//! `exavox train`: killed, asked to stop, and gone on with.

use std::path::Path;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::harness::{Folder, Run};

pub(crate) const SHAPE: [usize; 3] = [16, 20, 24];
const CONFIG: &str = "\
[[volumes]]
image = 'image.npy'
labels = 'labels.npy'
mean = 100
stddev = 60
[model]
depth = 2
features = 4
fov_zyx = [7, 7, 7]
deltas_zyx = [2, 2, 2]
[sampling]
min_size = 10
[optimizer]
kind = 'momentum'
batch = 2
[run]
output = 'OUTPUT'
steps = STEPS
log_steps = 10
checkpoint_steps = 7
keep = 2
";

pub(crate) fn folder() -> Folder {
    let folder = Folder::in_memory();
    let count = SHAPE.iter().product::<usize>();
    let inside = |n: usize| !(n / SHAPE[2] % SHAPE[1]).is_multiple_of(7);
    let label = |n: usize| if inside(n) { (1 + n / SHAPE[2] % SHAPE[1] / 7) as u16 } else { 0 };
    folder.write("labels.npy", SHAPE, (0..count).map(label).collect::<Vec<_>>());
    let grey = |n: usize| if inside(n) { 150 + (n * 7 % 31) as u8 } else { 40 };
    folder.write("image.npy", SHAPE, (0..count).map(grey).collect::<Vec<_>>());
    folder
}

fn configure(folder: &Folder, output: &str, steps: u64) {
    configure_lines(folder, output, steps, &[]);
}

/// `network`: lines in place of the depth of a ConvStack.
fn configure_network(folder: &Folder, output: &str, steps: u64, network: &str) {
    configure_lines(folder, output, steps, &[("depth = 2", network)]);
}

/// `lines`: others in the place of some.
pub(crate) fn configure_lines(folder: &Folder, output: &str, steps: u64, lines: &[(&str, &str)]) {
    let text = CONFIG.replace("OUTPUT", output).replace("STEPS", &steps.to_string());
    let text = lines.iter().fold(text, |text, (from, to)| text.replace(from, to));
    std::fs::write(folder.join(&format!("{output}.toml")), text).unwrap();
}

pub(crate) fn train(folder: &Folder, args: &[&str]) -> Run {
    folder.run(&[&["--device", "cpu", "--quiet", "train"], args].concat())
}

fn start(folder: &Folder, args: &[&str]) -> Child {
    let mut program = folder.program();
    program.args(["--device", "cpu", "--quiet", "train"]).args(args);
    program.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

fn checkpoints(folder: &Folder, output: &str) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder.join(output)) else { return Vec::new() };
    let names = entries.map(|e| e.unwrap().file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with("checkpoint-") && name.ends_with(".toml")).collect()
}

fn wait_for_a_new_one(folder: &Folder, output: &str, child: &mut Child) -> bool {
    let before = checkpoints(folder, output);
    let started = Instant::now();
    loop {
        let now = checkpoints(folder, output);
        if now.iter().any(|name| !before.contains(name)) {
            return child.try_wait().unwrap().is_none();
        }
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "no checkpoint");
        sleep(Duration::from_millis(1));
    }
}

/// Without padding it loses 2 voxels of each side of the field of view.
const RES_CONV_STACK: &str = "architecture = 'ResConvStack'\ndepth = 1\nnum_convs = 1\n\
                              padding = 'valid'\nadditive = true";

#[test]
fn killed_and_gone_on_with_it_gives_the_same_weights() {
    killed_and_gone_on_with(&folder(), &[]);
}

#[test]
fn a_res_conv_stack_killed_and_gone_on_with_has_the_same_weights() {
    let network = RES_CONV_STACK.replace("valid", "same");
    killed_and_gone_on_with(&folder(), &[("depth = 2", &network)]);
}

/// 300 steps, into the folders `whole` and `part`.
pub(crate) fn killed_and_gone_on_with(folder: &Folder, lines: &[(&str, &str)]) {
    let steps = 300;
    configure_lines(folder, "whole", steps, lines);
    configure_lines(folder, "part", steps, lines);
    let report = train(folder, &["whole.toml", "--json"]).json();
    assert_eq!((&report["steps"], &report["complete"]), (&steps.into(), &true.into()));
    let mut kills = 0;
    for wait in [0, 3, 11, 20] {
        let mut child = start(folder, &["part.toml", "--resume"]);
        if wait_for_a_new_one(folder, "part", &mut child) {
            // Anywhere in a step, or in the middle of the next checkpoint.
            sleep(Duration::from_millis(wait));
            kills += u32::from(child.try_wait().unwrap().is_none());
            child.kill().unwrap();
        }
        child.wait().unwrap();
    }
    assert!(kills >= 2, "{kills} kills came in the middle");
    train(folder, &["part.toml", "--resume"]).done();
    let last = format!("checkpoint-{steps:08}.safetensors");
    let read = |output: &str, name: &str| std::fs::read(folder.join(output).join(name)).unwrap();
    assert!(read("whole", &last) == read("part", &last));
    let steps_of = |output: &str| {
        let table = String::from_utf8(read(output, "training.csv")).unwrap();
        table.lines().map(|l| l.split(',').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(steps_of("whole"), steps_of("part"));
    assert_eq!(checkpoints(folder, "part").len(), 2);
}

#[cfg(unix)]
#[test]
fn asked_to_end_it_saves_and_says_so() {
    let folder = folder();
    configure(&folder, "out", 1_000_000);
    let mut child = start(&folder, &["out.toml"]);
    assert!(wait_for_a_new_one(&folder, "out", &mut child));
    let error = train(&folder, &["out.toml", "--resume"]).error();
    assert_eq!(error, "out: another process trains here");
    let pid = child.id().to_string();
    std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(75));
    let error = train(&folder, &["out.toml"]).error();
    assert!(error.contains("checkpoints already"), "{error}");

    // What it has learnt so far can be used, from any folder.
    let config = Path::new("out").join("segment.toml").display().to_string();
    let device = ["--device", "cpu", "--quiet"];
    let segment = ["segment", "image.npy", "segments.npy", "--config", &config];
    folder.run(&[&device[..], &segment].concat()).done();
}

#[test]
fn a_res_conv_stack_is_trained_and_segments() {
    let folder = folder();
    let network = RES_CONV_STACK.replace("depth = 1", "depth = 1\nfov_zyx = [9, 9, 9]");
    configure_network(&folder, "out", 14, &network);
    let text = std::fs::read_to_string(folder.join("out.toml")).unwrap();
    std::fs::write(folder.join("out.toml"), text.replace("fov_zyx = [7, 7, 7]\n", "")).unwrap();
    train(&folder, &["out.toml"]).done();
    let info = folder.run(&["info", "out/checkpoint-00000014.safetensors", "--json"]).json();
    for (key, expected) in [("architecture", "ResConvStack"), ("padding", "valid")] {
        assert_eq!(info[key], expected);
    }
    for key in ["layer_norm", "additive"] {
        assert_eq!(info[key], true);
    }
    let segment = ["segment", "image.npy", "segments.npy", "--config", "out/segment.toml"];
    folder.run(&[&["--device", "cpu", "--quiet"], &segment[..]].concat()).done();

    for (network, expected) in [
        ("depth = 2\nnum_convs = 3", "model.num_convs: expected 2 in a ConvStack, found 3"),
        (RES_CONV_STACK, "model: delta along z: 'valid' padding leaves 3 voxels of the FOV"),
        ("architecture = 'res'", "wrong.toml line 7: unknown variant `res`"),
    ] {
        configure_network(&folder, "wrong", 3, network);
        let error = train(&folder, &["wrong.toml"]).error();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn a_wrong_configuration_is_one_line() {
    let folder = folder();
    configure(&folder, "out", 3);
    let text = std::fs::read_to_string(folder.join("out.toml")).unwrap();
    std::fs::write(folder.join("wrong.toml"), format!("{text}[moves]\nthreshhold = 0.9\n"))
        .unwrap();
    let error = train(&folder, &["wrong.toml"]).error();
    assert!(error.contains("wrong.toml line 23") && error.contains("threshhold"), "{error}");
    let error = train(&folder, &["absent.toml"]).error();
    assert!(error.contains("absent.toml"), "{error}");
    std::fs::write(folder.join("gone.toml"), text.replace("image.npy", "gone.npy")).unwrap();
    assert!(train(&folder, &["gone.toml"]).error().contains("gone.npy"));
}

/// What is said of the device that was chosen.
fn using(folder: &Folder, device: &str, output: &str, devices: &str) -> Vec<String> {
    configure(folder, output, 1);
    let path = folder.join(&format!("{output}.toml"));
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(path, format!("{text}devices = {devices}\n")).unwrap();
    let run = folder.run(&["--device", device, "train", &format!("{output}.toml")]);
    run.stderr.lines().filter(|line| line.starts_with("using ")).map(str::to_owned).collect()
}

#[test]
fn why_a_device_of_the_configuration_was_not_chosen_is_told() {
    let folder = folder();
    let asked = using(&folder, "auto", "asked", "[]");
    // Nothing is passed over where there is a GPU.
    assert_eq!(using(&folder, "cpu", "named", "['auto']"), asked);
    assert_eq!(using(&folder, "cpu", "cpu", "['cpu']"), [""; 0]);
}

#[test]
fn memory_bounds_a_training() {
    let folder = folder();
    configure(&folder, "out", 1);
    let args = ["--device", "cpu", "--memory", "100kB", "train", "out.toml"];
    let error = folder.run(&args).error();
    assert!(
        error.contains("training: needs about") && error.contains("0 MiB may be used"),
        "{error}"
    );
}

/// Runs on a pseudo terminal of `script`, with the shell's words before; nothing without that program.
#[cfg(target_os = "linux")]
fn on_a_terminal(folder: &Folder, before: &str, args: &str) -> Option<std::process::Command> {
    let mut script = std::process::Command::new("script");
    script.arg("--version").stdout(Stdio::null()).status().ok()?;
    let program = folder.program();
    let exe = program.get_program().to_string_lossy().into_owned();
    let line = format!("stty rows 30 cols 100; {before} exec {exe} --device cpu {args}");
    let mut script = std::process::Command::new("script");
    script.args(["-qec", &line, "/dev/null"]).current_dir(folder.path()).stdin(Stdio::null());
    Some(script)
}

/// What was drawn on the screen, and what stays.
#[cfg(target_os = "linux")]
fn drawn(output: &[u8]) -> (String, String) {
    let text = String::from_utf8_lossy(output).into_owned();
    let (_, screen) = text.split_once("\x1b[?1049h").expect("a screen was taken");
    let (screen, after) = screen.split_once("\x1b[?1049l").expect("it was given back");
    assert!(!after.contains("\x1b[?1049h") && !after.contains("\x1b[?25l"), "{after:?}");
    assert!(after.starts_with("\x1b[?25h"), "the cursor is shown: {after:?}");
    (screen.to_owned(), after.to_owned())
}

/// What a screen of 30 by 100 shows after text with places in it.
#[cfg(target_os = "linux")]
fn shown(text: &str) -> String {
    let mut screen = vec![vec![' '; 100]; 30];
    let (mut row, mut column) = (1, 1);
    for part in text.split("\x1b[").skip(1) {
        let end = part.find(|c: char| c.is_ascii_alphabetic()).unwrap();
        if let Some((y, x)) = part[..end].split_once(';') {
            (row, column) = (y.parse().unwrap(), x.parse().unwrap());
        }
        for c in part[end + 1..].chars() {
            screen[row - 1][column - 1] = c;
            column += 1;
        }
    }
    screen.into_iter().map(|row| row.into_iter().collect::<String>() + "\n").collect()
}

#[cfg(target_os = "linux")]
#[test]
fn a_dashboard_is_drawn_and_leaves_the_terminal_as_it_was() {
    let folder = folder();
    configure(&folder, "out", 60);
    let Some(mut script) = on_a_terminal(&folder, "", "train out.toml --dashboard") else { return };
    let (screen, after) = drawn(&script.output().unwrap().stdout);
    let screen = shown(&screen);
    for text in
        ["exavox train: out on cpu", "┌loss──", "┌F1──", "FOVs/s, ", "Ctrl-C ends it after a"]
    {
        assert!(screen.contains(text), "{text} in\n{screen}");
    }
    assert!(after.contains("checkpoint: "), "{after:?}");

    let text = std::fs::read_to_string(folder.join("out.toml")).unwrap();
    std::fs::write(folder.join("gone.toml"), text.replace("image.npy", "gone.npy")).unwrap();
    let mut script = on_a_terminal(&folder, "", "train gone.toml --overwrite --dashboard").unwrap();
    let (_, after) = drawn(&script.output().unwrap().stdout);
    assert!(after.contains("error: ") && after.contains("gone.npy"), "{after:?}");

    // Where there is no terminal, and where nothing is to be shown.
    let run = folder.run(&["--device", "cpu", "train", "out.toml", "--overwrite", "--dashboard"]);
    assert!(run.status == Some(0) && !run.stderr.contains('\x1b'), "{run:?}");
    let quiet = "--no-progress train out.toml --overwrite --dashboard";
    let output = on_a_terminal(&folder, "", quiet).unwrap().output().unwrap();
    assert!(!output.stdout.contains(&0x1b), "{output:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn two_signals_leave_the_terminal_as_it_was() {
    let folder = folder();
    configure(&folder, "out", 1_000_000);
    let args = "train out.toml --dashboard";
    let Some(mut script) = on_a_terminal(&folder, "echo $$ > pid;", args) else { return };
    let mut child = script.stdout(Stdio::piped()).spawn().unwrap();
    assert!(wait_for_a_new_one(&folder, "out", &mut child));
    let pid = std::fs::read_to_string(folder.join("pid")).unwrap();
    // The first asks for an end, the second ends it, if it has not come to that.
    for signal in ["-INT", "-TERM"] {
        std::process::Command::new("kill").args([signal, pid.trim()]).status().unwrap();
    }
    drawn(&child.wait_with_output().unwrap().stdout);
}
