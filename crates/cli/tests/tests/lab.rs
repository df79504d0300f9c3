//! A Slurm cluster of three nodes on this machine: `scripts/slurm-lab.sh`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::harness::{Folder, Run};

/// Longest time that anything in a lab is waited for. A slow machine needs more than a fast one.
const PATIENCE: Duration = Duration::from_secs(150);

/// The cluster; stopped when it is dropped.
pub(crate) struct Lab(Folder);

impl Lab {
    /// Starts one, or says why this machine cannot.
    pub(crate) fn start() -> Option<Self> {
        let check = Command::new(script()).arg("check").output().unwrap();
        if !check.status.success() {
            eprintln!("skipped: {}", String::from_utf8_lossy(&check.stderr).trim());
            return None;
        }
        let lab = Self(Folder::in_memory());
        lab.call("start", &[]);
        Some(lab)
    }

    /// Cuts the power of a node.
    pub(crate) fn power_off(&self, node: &str) {
        self.call("power-off", &[node]);
    }

    /// Starts a node again.
    pub(crate) fn power_on(&self, node: &str) {
        self.call("power-on", &[node]);
    }

    /// Cuts a node off the network; what runs there goes on.
    pub(crate) fn unplug(&self, node: &str) {
        self.call("unplug", &[node]);
    }

    /// Ends that.
    pub(crate) fn plug(&self, node: &str) {
        self.call("plug", &[node]);
    }

    /// Runs the program where Slurm's commands reach the controller.
    pub(crate) fn exavox(&self, args: &[&str]) -> Run {
        let mut command = Command::new(script());
        command.arg("on").arg(self.folder()).arg(env!("CARGO_BIN_EXE_exavox")).args(args);
        Run::of(&command.output().unwrap())
    }

    /// Runs one of Slurm's commands.
    pub(crate) fn slurm(&self, args: &[&str]) -> String {
        let mut command = Command::new(script());
        let run = Run::of(&command.arg("on").arg(self.folder()).args(args).output().unwrap());
        run.done().stdout
    }

    fn call(&self, command: &str, args: &[&str]) {
        let output = Command::new(script()).arg(command).arg(self.folder()).args(args).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{command} {args:?}: {output:?}");
    }

    fn folder(&self) -> PathBuf {
        self.0.join("lab")
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // A failed start has removed nothing: stop is told so, and says so.
        let stopped = Command::new(script()).arg("stop").arg(self.folder()).output();
        if !stopped.is_ok_and(|o| o.status.success()) {
            eprintln!("the lab in {} was not stopped", self.folder().display());
        }
    }
}

/// Waits until something is so.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < PATIENCE, "waited in vain: {what}");
        sleep(Duration::from_millis(100));
    }
    eprintln!("{:5.1} s until {what}", started.elapsed().as_secs_f64());
}

/// Asked at run time: a build folder can be shared between checkouts.
fn script() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| ".".into(), PathBuf::from);
    package.join(Path::new("../../scripts/slurm-lab.sh"))
}
