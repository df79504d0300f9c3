//! What a command gets besides its own arguments.

use std::num::NonZeroUsize;

use anyhow::Context as _;
use exavox_compute::{ComputeDevice, DeviceSpec};
use exavox_io::limits::available_memory;

use crate::args::GlobalArgs;
use crate::printer::Printer;
use crate::progress::Progress;

/// Output, progress, and the global settings with their defaults filled in.
pub(crate) struct Context {
    /// All output goes through it.
    pub(crate) printer: Printer,
    /// Told of progress by the pipeline.
    pub(crate) observer: Progress,
    /// As the user named it; opened by the commands that compute.
    pub(crate) device: DeviceSpec,
    /// Those named after it.
    other_devices: Vec<DeviceSpec>,
    /// CPU threads for everything; rayon's global pool has as many.
    pub(crate) threads: NonZeroUsize,
    /// Bytes to stay below, if the user set them.
    pub(crate) memory: Option<u64>,
    /// Bytes of a device for images and logits, if the user set them.
    device_memory: Option<u64>,
}

impl Context {
    /// Resolves the global settings.
    pub(crate) fn new(
        global: &GlobalArgs,
        printer: Printer,
        default_threads: NonZeroUsize,
    ) -> anyhow::Result<Self> {
        let threads = global.threads.unwrap_or(default_threads);
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads.get())
            .build_global()
            .with_context(|| format!("--threads {threads}: threads could not be started"))?;
        Ok(Self {
            printer,
            observer: Progress::new(global, printer),
            device: global.device.first().copied().unwrap_or_default(),
            other_devices: global.device.iter().skip(1).copied().collect(),
            threads,
            memory: global.memory.map(|m| m.0),
            device_memory: global.device_memory.map(|m| m.0),
        })
    }
}

/// Memory to use where the user says nothing and the system cannot be asked.
const DEFAULT_MEMORY: u64 = 8 << 30;

impl Context {
    /// Opens the devices of `--device`, of which the first is meant where one is; for `auto` the choice, and why it was not a better one, is
    /// told.
    pub(crate) fn open_device(&self) -> anyhow::Result<ComputeDevice> {
        let device = self.open_named(self.device)?;
        let other = |spec: &DeviceSpec| Ok(ComputeDevice::open(*spec)?.0);
        let others = self.other_devices.iter().map(other).collect::<anyhow::Result<_>>()?;
        Ok(device.with_others(others).with_room(self.device_memory))
    }

    /// Opens a device; for `auto` the choice, and why it was not a better one, is told.
    pub(crate) fn open_named(&self, spec: DeviceSpec) -> anyhow::Result<ComputeDevice> {
        let (device, reasons) = ComputeDevice::open(spec)?;
        if !reasons.is_empty() {
            self.printer.note(&format!("using {} ({})", device.name(), reasons.join("; ")));
        }
        Ok(device.with_room(self.device_memory))
    }

    /// Opens the device of `--device`, if it is another one than the CPU: for commands that the CPU serves best
    /// unless it is asked for, since their volumes have to cross the bus.
    pub(crate) fn asked_for_device(&self) -> anyhow::Result<Option<ComputeDevice>> {
        match self.device {
            DeviceSpec::Auto | DeviceSpec::Cpu => Ok(None),
            _ => Ok(Some(self.open_device()?)),
        }
    }

    /// Bytes for blocks in flight of a command that streams a volume, if `--memory` is given. The
    /// program itself takes a quarter of it, up to 128 MiB (code, threads, cached chunks); of the rest,
    /// a quarter is left to the allocator, which does not give back everything at once.
    pub(crate) fn block_bytes(&self) -> Option<u64> {
        let blocks = |memory: u64| (memory - (memory / 4).min(128 << 20)) / 4 * 3;
        self.memory.map(|memory| blocks(memory).max(1))
    }

    /// Bytes to stay below: `--memory`, or nine tenths of what is available.
    pub(crate) fn memory_bytes(&self) -> u64 {
        let available = || available_memory().map_or(DEFAULT_MEMORY, |bytes| bytes / 10 * 9);
        self.memory.unwrap_or_else(available)
    }
}

/// Every core: for commands that compute for hours and are left alone.
pub(crate) fn all_cores() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

/// One core stays free, so that the machine can still be used; at least one is taken.
pub(crate) fn all_cores_but_one() -> NonZeroUsize {
    NonZeroUsize::new(all_cores().get() - 1).unwrap_or(NonZeroUsize::MIN)
}
