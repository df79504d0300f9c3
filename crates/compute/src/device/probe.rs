//! Asking the runtimes what the machine has.

use cubecl::Device as CubeDevice;
use cubecl::device::{DeviceUnavailable, RuntimeId, WgpuDeviceKind};

use super::{ComputeDevice, DeviceSpec, from_cubecl, guarded, unavailable};
use crate::error::Result;

/// A device of a CubeCL runtime, named but not reached yet.
#[cfg_attr(not(feature = "cube"), allow(dead_code))]
pub(super) struct Found {
    pub(super) spec: DeviceSpec,
    pub(super) name: String,
    pub(super) device: CubeDevice,
    pub(super) software: bool,
}

/// The device of a specification other than `auto` and `cpu`.
pub(super) fn find(spec: DeviceSpec) -> Result<Found> {
    match spec {
        DeviceSpec::Cuda(n) => find_cuda(n.unwrap_or(0)),
        DeviceSpec::Wgpu(n) => find_wgpu(n),
        _ => {
            let device = CubeDevice::cpu().map_err(|e| from_cubecl(spec, e))?;
            let name = "cpu-jit".to_owned();
            Ok(Found { spec: DeviceSpec::CpuJit, name, device, software: false })
        }
    }
}

/// As [`find`], but a software adapter does not count.
pub(super) fn find_gpu(spec: DeviceSpec) -> Result<Found> {
    let found = find(spec)?;
    if found.software {
        let reason = "only a software adapter was found; name it to use it: --device wgpu";
        return Err(unavailable(spec, reason));
    }
    Ok(found)
}

fn find_cuda(index: usize) -> Result<Found> {
    let spec = DeviceSpec::Cuda(Some(index));
    // The CUDA runtime panics where the driver's library is missing.
    let device = guarded(|| CubeDevice::cuda(index))
        .map_err(|why| unavailable(spec, format!("the CUDA driver cannot be loaded: {why}")))?
        .map_err(|e| from_cubecl(spec, e))?;
    Ok(Found { spec, name: spec.to_string(), device, software: false })
}

fn find_wgpu(index: Option<usize>) -> Result<Found> {
    let spec = DeviceSpec::Wgpu(index);
    let adapters = adapters(spec)?;
    let none = || {
        let available = adapters.len();
        from_cubecl(spec, DeviceUnavailable::NoSuchDevice { runtime: RuntimeId::Wgpu, available })
    };
    // Without a number: the first that is a GPU, else the first.
    let first = adapters.iter().position(|a| !is_software(a)).unwrap_or(0);
    let index = index.unwrap_or(first);
    let device = adapters.get(index).cloned().ok_or_else(none)?;
    let software = is_software(&device);
    let kind = if software { " (software)" } else { "" };
    let spec = DeviceSpec::Wgpu(Some(index));
    Ok(Found { spec, name: format!("{spec}{kind}"), device, software })
}

/// All wgpu adapters in the runtime's order.
fn adapters(spec: DeviceSpec) -> Result<Vec<CubeDevice>> {
    if !cfg!(feature = "wgpu") {
        return Err(from_cubecl(spec, DeviceUnavailable::NotLinked(RuntimeId::Wgpu)));
    }
    let all = guarded(CubeDevice::enumerate_all)
        .map_err(|why| unavailable(spec, format!("the graphics driver failed: {why}")))?;
    Ok(all.into_iter().filter(|d| d.runtime() == RuntimeId::Wgpu).collect())
}

fn is_software(device: &CubeDevice) -> bool {
    matches!(device, CubeDevice::Wgpu(wgpu) if wgpu.kind == WgpuDeviceKind::Cpu)
}

/// One line of `exavox devices`.
#[derive(Debug, Clone)]
pub struct DeviceReport {
    /// As the user would name it.
    pub spec: String,
    /// Whether it can be used.
    pub usable: bool,
    /// What it is, or why it cannot be used.
    pub detail: String,
}

/// Every device of this build and machine, with the reason for each that cannot be used. Each one
/// that is listed as usable has been opened.
pub fn survey() -> Vec<DeviceReport> {
    let mut specs = vec![DeviceSpec::Cuda(None), DeviceSpec::Wgpu(None)];
    if let Ok(adapters) = adapters(DeviceSpec::Wgpu(None))
        && !adapters.is_empty()
    {
        specs.pop();
        specs.extend((0..adapters.len()).map(|n| DeviceSpec::Wgpu(Some(n))));
    }
    specs.extend([DeviceSpec::CpuJit, DeviceSpec::Cpu]);
    specs.into_iter().map(report).collect()
}

fn report(spec: DeviceSpec) -> DeviceReport {
    match ComputeDevice::open(spec) {
        Ok((device, _)) => {
            let runtime = device.client().map_or("burn flex", |c| c.name());
            let (spec, detail) =
                (device.spec().to_string(), format!("{} [{runtime}]", device.name()));
            DeviceReport { spec, usable: true, detail }
        }
        Err(error) => {
            let detail = match error {
                crate::Error::DeviceUnavailable { reason, .. } => reason,
                other => other.to_string(),
            };
            DeviceReport { spec: spec.to_string(), usable: false, detail }
        }
    }
}
