//! Times one implementation in this process.

use std::num::NonZeroUsize;
use std::path::Path;
use std::time::{Duration, Instant};

use exavox_compute::{ComputeDevice, DeviceSpec};

use super::outcome::{Measurement, Outcome, Verdict};
use super::usage::{GpuSampler, forget_peak_memory, process_cpu_seconds};
use super::{Case, Group, Implementation, Setting};
use crate::error::Result;
use crate::peak_memory::peak_memory_bytes;

/// How long to measure.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    /// Time after which no further run is begun.
    pub time: Duration,
    /// Runs after which no further run is begun.
    pub runs: usize,
}

/// Where a measurement takes place.
#[derive(Debug, Clone, Copy)]
pub struct Ground<'a> {
    /// Where the inputs are, and where outputs may be written.
    pub folder: &'a Path,
    /// Threads; rayon's current pool has as many.
    pub threads: NonZeroUsize,
    /// What the user chose, for implementations that leave the device to the user.
    pub device: DeviceSpec,
}

/// Measures one implementation of a case. An error, or a device that is not there, is the outcome's
/// reason.
pub fn measure(
    group: &dyn Group,
    case: &Case,
    implementation: &Implementation,
    ground: &Ground<'_>,
    budget: Budget,
) -> Outcome {
    let mut device = None;
    let verdict = open(implementation, ground.device).and_then(|opened| {
        device = opened.as_ref().map(|d| d.name().to_owned());
        let (folder, threads) = (ground.folder.to_owned(), ground.threads);
        run(group, implementation, Setting { case: *case, folder, threads, device: opened }, budget)
    });
    Outcome {
        implementation: implementation.name.to_owned(),
        threads: Some(ground.threads.get()),
        device,
        verdict: match verdict {
            Ok(measurement) => Verdict::Measured(measurement),
            Err(error) => Verdict::Refused { reason: error.to_string() },
        },
    }
}

fn open(implementation: &Implementation, chosen: DeviceSpec) -> Result<Option<ComputeDevice>> {
    let Some(spec) = implementation.device else { return Ok(None) };
    let spec = if spec == DeviceSpec::Auto { chosen } else { spec };
    Ok(Some(ComputeDevice::open(spec)?.0))
}

fn run(
    group: &dyn Group,
    implementation: &Implementation,
    setting: Setting,
    budget: Budget,
) -> Result<Measurement> {
    let mut task = (implementation.prepare)(setting)?;
    forget_peak_memory();
    let started = Instant::now();
    let outputs = task()?;
    let first = started.elapsed();
    let answer = group.answer(&outputs);
    drop(outputs);
    let mut seconds = Vec::new();
    let sampler = gpu(implementation).and_then(GpuSampler::start);
    let (started, cpu_before) = (Instant::now(), process_cpu_seconds());
    let mut cpu_seconds = None;
    // What takes longer than all of the budget is not run twice.
    while first < budget.time && seconds.len() < budget.runs && started.elapsed() < budget.time {
        let run_started = Instant::now();
        let outputs = task()?;
        seconds.push(run_started.elapsed().as_secs_f64());
        drop(outputs);
        let spent = |before| Some(process_cpu_seconds()? - before);
        cpu_seconds = cpu_before.and_then(spent);
    }
    let device_utilisation = sampler.and_then(GpuSampler::finish);
    if seconds.is_empty() {
        seconds.push(first.as_secs_f64());
    }
    let peak_memory_bytes = peak_memory_bytes();
    Ok(Measurement { seconds, cpu_seconds, peak_memory_bytes, device_utilisation, answer })
}

/// Number of the NVIDIA GPU that the implementation runs on.
fn gpu(implementation: &Implementation) -> Option<usize> {
    match implementation.device {
        Some(DeviceSpec::Cuda(number)) => Some(number.unwrap_or(0)),
        _ => None,
    }
}
