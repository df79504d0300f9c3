//! Who does the work of a group, and what it is given.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use exavox_compute::{ComputeDevice, DeviceSpec};
use exavox_io::Voxels;

use super::{Case, read_input};
use crate::error::{Error, Result};

/// How many cores an implementation may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cores {
    /// One thread.
    One,
    /// As many threads as the run has.
    All,
}

/// One way to do the work of a group.
#[derive(Clone, Copy)]
pub struct Implementation {
    /// Name in the table: `scalar`, `cpu`, `wgpu`.
    pub name: &'static str,
    /// Threads that it may take.
    pub cores: Cores,
    /// The device that it needs; [`DeviceSpec::Auto`] is the one that the user chose.
    pub device: Option<DeviceSpec>,
    /// Reads what it needs and gets ready. What is not part of the work belongs here.
    pub prepare: fn(Setting) -> Result<Task>,
}

/// The work, ready to run again and again; gives its outputs, which it allocates itself.
pub type Task = Box<dyn FnMut() -> Result<Vec<Voxels>>>;

/// Where an implementation runs.
pub struct Setting {
    /// The case.
    pub case: Case,
    /// Where the inputs are, and where outputs may be written.
    pub folder: PathBuf,
    /// Threads; rayon's pool has as many.
    pub threads: NonZeroUsize,
    /// The device of [`Implementation::device`].
    pub device: Option<ComputeDevice>,
}

impl Implementation {
    /// An implementation on one thread.
    pub const fn on_one_core(name: &'static str, prepare: fn(Setting) -> Result<Task>) -> Self {
        Self { name, cores: Cores::One, device: None, prepare }
    }

    /// An implementation on all threads.
    pub const fn on_all_cores(name: &'static str, prepare: fn(Setting) -> Result<Task>) -> Self {
        Self { name, cores: Cores::All, device: None, prepare }
    }

    /// The same implementation on burn's own backend and on every runtime of CubeCL.
    pub fn on_devices(
        flex: fn(Setting) -> Result<Task>,
        cube: fn(Setting) -> Result<Task>,
    ) -> [Self; 4] {
        let on =
            |name, spec, prepare| Self { name, cores: Cores::All, device: Some(spec), prepare };
        [
            on("burn flex", DeviceSpec::Cpu, flex),
            on("cpu-jit", DeviceSpec::CpuJit, cube),
            on("wgpu", DeviceSpec::Wgpu(None), cube),
            on("cuda", DeviceSpec::Cuda(None), cube),
        ]
    }

    /// Threads of a run that has `threads`.
    pub fn threads(&self, threads: NonZeroUsize) -> NonZeroUsize {
        match self.cores {
            Cores::One => NonZeroUsize::MIN,
            Cores::All => threads,
        }
    }

    /// Whether a run on `threads` threads has this row already, as the one on one thread.
    pub fn repeats_one_core(&self, threads: NonZeroUsize) -> bool {
        self.cores == Cores::All && threads == NonZeroUsize::MIN && has_twin(self.name)
    }

    /// Name and cores in one word, unique in a group: `cpu-1`.
    pub fn key(&self) -> String {
        let cores = match self.cores {
            Cores::One => "1",
            Cores::All => "n",
        };
        format!("{}-{cores}", self.name.replace(' ', "-"))
    }
}

/// Names that have a row on one thread and one on all.
fn has_twin(name: &str) -> bool {
    matches!(name, "cpu" | "pure read")
}

impl Setting {
    /// Reads an input of the case.
    pub(super) fn input(&self, name: &str) -> Result<Voxels> {
        read_input(&self.folder, name)
    }

    /// The device of a row on devices.
    pub(super) fn device(&self) -> Result<ComputeDevice> {
        self.device.clone().ok_or_else(|| Error::settings("device", "this row needs one"))
    }
}
