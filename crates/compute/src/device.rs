//! Choosing a device at run time: what this build has, what the machine has, and why not the others.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::str::FromStr;

use burn::tensor::Device;
use cubecl::client::Client;
use cubecl::device::{DeviceUnavailable, RuntimeId};

use crate::error::{Error, Result};

mod probe;

pub use probe::{DeviceReport, survey};

/// A device as people name it: `auto`, `cpu`, `cpu-jit`, `wgpu[:N]`, `cuda[:N]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeviceSpec {
    /// CUDA, then a GPU through wgpu, then the CPU; never a software adapter.
    #[default]
    Auto,
    /// The CPU, by burn's pure-Rust backend.
    Cpu,
    /// The CPU, by CubeCL kernels compiled at run time (feature `cpu-jit`).
    CpuJit,
    /// A Vulkan, Metal or DirectX 12 device (feature `wgpu`); without a number the first GPU, or
    /// the software adapter if that is all there is.
    Wgpu(Option<usize>),
    /// An NVIDIA GPU (feature `cuda`); without a number the first.
    Cuda(Option<usize>),
}

impl fmt::Display for DeviceSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::CpuJit => f.write_str("cpu-jit"),
            Self::Wgpu(None) => f.write_str("wgpu"),
            Self::Cuda(None) => f.write_str("cuda"),
            Self::Wgpu(Some(n)) => write!(f, "wgpu:{n}"),
            Self::Cuda(Some(n)) => write!(f, "cuda:{n}"),
        }
    }
}

impl FromStr for DeviceSpec {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let unknown = || {
            let message = "expected auto, cpu, cpu-jit, wgpu, wgpu:N, cuda or cuda:N";
            Error::Usage(format!("device '{text}': {message}"))
        };
        let (name, number) = match text.split_once(':') {
            Some((name, n)) => (name, Some(n.parse::<usize>().map_err(|_| unknown())?)),
            None => (text, None),
        };
        match (name, number) {
            ("auto", None) => Ok(Self::Auto),
            ("cpu", None) => Ok(Self::Cpu),
            ("cpu-jit", None) => Ok(Self::CpuJit),
            ("wgpu", n) => Ok(Self::Wgpu(n)),
            ("cuda", n) => Ok(Self::Cuda(n)),
            _ => Err(unknown()),
        }
    }
}

/// A device that can be used, opened and named.
#[derive(Clone)]
pub struct ComputeDevice {
    spec: DeviceSpec,
    name: String,
    burn: Device,
    client: Option<Client>,
    /// More devices for work that can be dealt out.
    others: Vec<Self>,
    batch: Option<usize>,
    room_bytes: Option<u64>,
    takes_host_memory: bool,
}

impl fmt::Debug for ComputeDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ComputeDevice").field("name", &self.name).finish_non_exhaustive()
    }
}

impl ComputeDevice {
    /// Opens the device that was asked for. `auto` never fails where the feature `flex` is in: it
    /// ends at the CPU. The second value says, for `auto`, why each better device was passed over.
    ///
    /// # Errors
    /// [`Error::DeviceUnavailable`] with the reason.
    pub fn open(spec: DeviceSpec) -> Result<(Self, Vec<String>)> {
        match spec {
            DeviceSpec::Auto => Self::open_auto(),
            DeviceSpec::Cpu => Ok((Self::cpu()?, Vec::new())),
            other => Ok((Self::from_cube(other, probe::find(other)?)?, Vec::new())),
        }
    }

    /// The CPU by burn's pure-Rust backend.
    ///
    /// # Errors
    /// [`Error::DeviceUnavailable`] if this build is without the feature `flex`.
    pub fn cpu() -> Result<Self> {
        #[cfg(feature = "flex")]
        {
            let (spec, name) = (DeviceSpec::Cpu, "cpu".to_owned());
            let burn = Device::flex();
            Ok(Self {
                spec,
                name,
                burn,
                client: None,
                others: Vec::new(),
                batch: None,
                room_bytes: None,
                takes_host_memory: false,
            })
        }
        #[cfg(not(feature = "flex"))]
        Err(unavailable(DeviceSpec::Cpu, "this build is without the feature 'flex'"))
    }

    fn open_auto() -> Result<(Self, Vec<String>)> {
        let mut reasons = Vec::new();
        for spec in [DeviceSpec::Cuda(None), DeviceSpec::Wgpu(None)] {
            match probe::find_gpu(spec).and_then(|found| Self::from_cube(spec, found)) {
                Ok(device) => return Ok((device, reasons)),
                Err(error) => reasons.push(error.to_string()),
            }
        }
        Ok((Self::cpu()?, reasons))
    }

    /// As the user names it, `auto` resolved.
    pub fn spec(&self) -> DeviceSpec {
        self.spec
    }

    /// For people: `cpu`, `cuda:0`, `wgpu:0 (software)`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether this is the CPU by burn's own backend, to which failing devices fall back.
    pub fn is_cpu(&self) -> bool {
        self.spec == DeviceSpec::Cpu
    }

    /// Whether what is put on it takes memory of this machine, beside what is there already: `cpu-jit` and
    /// software adapters.
    pub fn takes_host_memory(&self) -> bool {
        self.takes_host_memory
    }

    /// With more devices: networks of many subvolumes are dealt out to all, everything else uses this
    /// one alone.
    #[must_use]
    pub fn with_others(mut self, others: Vec<Self>) -> Self {
        self.others = others;
        self
    }

    /// This device and those beside it.
    pub fn all(&self) -> impl Iterator<Item = &Self> {
        std::iter::once(self).chain(&self.others)
    }

    /// With a number of fields of view that a network on it, or on one beside it, gets at once.
    #[must_use]
    pub fn with_batch(mut self, batch: Option<usize>) -> Self {
        self.batch = batch;
        self
    }

    /// Fields of view that a network gets at once, if that was said.
    pub fn batch(&self) -> Option<usize> {
        self.batch
    }

    /// With a bound for each device, this one and those beside it: images of canvases and logits of objects take no more
    /// bytes of it. What finds no room there stays on the host.
    #[must_use]
    pub fn with_room(mut self, bytes: Option<u64>) -> Self {
        self.room_bytes = bytes;
        self.others.iter_mut().for_each(|other| other.room_bytes = bytes);
        self
    }

    /// Bytes for images of canvases and logits of objects on each device, if that was said.
    pub fn room_bytes(&self) -> Option<u64> {
        self.room_bytes
    }

    /// The handle for burn's tensors.
    pub fn burn(&self) -> &Device {
        &self.burn
    }

    /// The handle for kernels of our own; `None` on the plain CPU.
    pub fn client(&self) -> Option<&Client> {
        self.client.as_ref()
    }

    #[cfg(feature = "cube")]
    fn from_cube(spec: DeviceSpec, found: probe::Found) -> Result<Self> {
        // The driver is reached here for the first time; a broken one panics inside the runtime.
        let client = guarded(|| found.device.client()).map_err(|why| unavailable(spec, why))?;
        let burn = Device::new(found.device);
        let takes_host_memory = found.software || found.spec == DeviceSpec::CpuJit;
        let (spec, name, client) = (found.spec, found.name, Some(client));
        let (others, batch, room_bytes) = (Vec::new(), None, None);
        Ok(Self { spec, name, burn, client, others, batch, room_bytes, takes_host_memory })
    }

    #[cfg(not(feature = "cube"))]
    fn from_cube(spec: DeviceSpec, _found: probe::Found) -> Result<Self> {
        Err(unavailable(spec, "this build has no GPU runtime"))
    }
}

/// Runs something that may panic inside a driver or a runtime, and gives the panic's message.
pub(crate) fn guarded<T>(work: impl FnOnce() -> T) -> std::result::Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| {
        let text = payload.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| payload.downcast_ref::<&str>().copied());
        text.unwrap_or("the runtime panicked").lines().next().unwrap_or_default().to_owned()
    })
}

/// What a runtime said, in one line: some of its errors are headings with the causes below.
#[cfg(feature = "cube")]
pub(crate) fn one_line(reason: &str) -> String {
    const MOST: usize = 300;
    let lines: Vec<&str> = reason.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let line = lines.join(" ");
    match line.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line,
    }
}

fn unavailable(spec: DeviceSpec, reason: impl Into<String>) -> Error {
    Error::DeviceUnavailable { device: spec.to_string(), reason: reason.into() }
}

fn from_cubecl(spec: DeviceSpec, error: DeviceUnavailable) -> Error {
    let feature = |runtime| match runtime {
        RuntimeId::Cuda => "cuda",
        RuntimeId::Cpu => "cpu-jit",
        _ => "wgpu",
    };
    match error {
        DeviceUnavailable::NotLinked(runtime) => {
            unavailable(spec, format!("this build is without the feature '{}'", feature(runtime)))
        }
        DeviceUnavailable::NoSuchDevice { available, .. } => {
            unavailable(spec, format!("no such device on this machine, which has {available}"))
        }
    }
}
