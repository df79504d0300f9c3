//! `exavox devices`: what can compute here, and why the rest cannot.

use std::fmt;

use exavox_compute::device::{DeviceReport, survey};
use exavox_compute::{ComputeDevice, DeviceSpec};
use serde::Serialize;

use crate::context::Context;
use crate::exit_status::ExitStatus;

/// List the devices that can be used, and why the others cannot.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Opens each device in turn and prints the outcome on stdout.
pub(crate) fn run(_args: Args, context: &Context) -> anyhow::Result<ExitStatus> {
    let auto = ComputeDevice::open(DeviceSpec::Auto).ok().map(|(d, _)| d.spec().to_string());
    context
        .printer
        .answer(&Devices { auto, devices: survey().into_iter().map(Row::from).collect() })?;
    Ok(ExitStatus::Done)
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Devices {
    /// The device that `--device auto` takes.
    auto: Option<String>,
    devices: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    device: String,
    usable: bool,
    detail: String,
}

impl From<DeviceReport> for Row {
    fn from(report: DeviceReport) -> Self {
        Self { device: report.spec, usable: report.usable, detail: report.detail }
    }
}

impl fmt::Display for Devices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for row in &self.devices {
            let usable = if row.usable { "yes" } else { "no" };
            writeln!(f, "{:<8} {usable:<4} {}", row.device, row.detail)?;
        }
        match &self.auto {
            Some(device) => write!(f, "--device auto takes {device}"),
            None => write!(f, "--device auto finds nothing: this build has no device"),
        }
    }
}
