//! Hands the tiles of all channels to threads, and falls back from a device to the CPU.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use exavox_compute::Error as ComputeError;
use exavox_compute::ops::projection::{CpuEngine, ProjectionEngine};
use exavox_io::{BoundingBox, DataType, Volume, VolumeWriter, Voxels, WriteOptions};

use super::channel::Channel;
use super::column::{Column, project_tile};
use super::output::ChannelOutput;
use super::plan::{Cutting, Plan};
use super::{ChannelReport, ProjectOptions, target, write_options};
use crate::error::{Error, Result};
use crate::progress::{Event, Observer};

/// Bytes for the values of medians, all threads together.
const DEFAULT_MEMORY: u64 = 512 << 20;

/// Projects all channels; gives their reports and the name of what computed.
pub(super) fn run(
    source: &Volume,
    target: &str,
    options: &ProjectOptions,
    region: BoundingBox,
    observer: &dyn Observer,
) -> Result<(Vec<ChannelReport>, String)> {
    let write = write_options(source, target, options, &region);
    let device = usable_device(source, options, &region, observer);
    let engine = device.unwrap_or(&CpuEngine);
    let plan = plan(source, options, region, engine);
    let names = &source.metadata().channels;
    // A file that is there, or that cannot be written, is found before anything is read.
    let apart = target.contains("{channel}") || names.len() == 1;
    let common = if apart { None } else { Some(VolumeWriter::create(target, &write)?) };
    let mut channels = Vec::new();
    for name in names {
        let writer = if apart { Some(own_writer(source, target, name, &write)?) } else { None };
        let output = ChannelOutput::new(plan, write.dtype, write.shape, writer);
        channels.push(Channel::new(name.clone(), output));
    }
    let job = Job {
        source,
        options,
        device,
        plan,
        channels,
        next_task: AtomicU64::new(0),
        device_failed: AtomicBool::new(false),
        on_device: AtomicBool::new(false),
        observer,
    };
    job.run();
    let device = job.device_name();
    let (reports, kept) = split(job.channels)?;
    if let Some(writer) = common {
        write_common(writer, target, write, kept)?;
    }
    Ok((reports, device))
}

/// The device, if it does what is asked for; otherwise that is told.
fn usable_device<'a>(
    source: &Volume,
    options: &'a ProjectOptions,
    region: &BoundingBox,
    observer: &dyn Observer,
) -> Option<&'a dyn ProjectionEngine> {
    let device = options.device.as_deref()?;
    let (kind, dtype) = (options.kind, source.metadata().dtype);
    let mut column = [1; 3];
    let a = options.axis.zyx_index().unwrap_or(0);
    column[a] = region.shape()[a] as usize;
    // A device that fails already now is kept: it is told of when it is used.
    if let Ok(None) = device.begin(kind, dtype, options.axis, column) {
        let text = format!("device {} does no {kind} of {dtype}; the CPU does", device.name());
        observer.notify(&Event::Warning(&text));
        return None;
    }
    Some(device)
}

fn plan(
    source: &Volume,
    options: &ProjectOptions,
    region: BoundingBox,
    engine: &dyn ProjectionEngine,
) -> Plan {
    let a = options.axis.zyx_index().unwrap_or(0);
    let (dtype, planes) = (source.metadata().dtype, region.shape()[a] as usize);
    let threads = options.threads.get() as u64;
    let cutting = Cutting {
        axis: options.axis,
        region,
        block_bytes: engine.block_bytes() as u64,
        cell_bytes: options.kind.bytes_per_cell(dtype, planes) as u64,
        tile_bytes: options.memory_bytes.unwrap_or(DEFAULT_MEMORY) / threads,
    };
    Plan::new(source.metadata(), &cutting)
}

/// The writer of a file of one channel.
fn own_writer(
    source: &Volume,
    target: &str,
    name: &str,
    write: &WriteOptions,
) -> Result<VolumeWriter> {
    let own = write.clone().with_channels(vec![name.to_owned()]);
    let target = target::of_channel(target, name)?;
    target::refuse_planes(source.name(), &target)?;
    Ok(VolumeWriter::create(&target, &own)?)
}

type Kept = (String, Voxels);

/// Reports of all channels and the projections that were kept.
fn split(channels: Vec<Channel>) -> Result<(Vec<ChannelReport>, Vec<Kept>)> {
    let (mut reports, mut errors, mut kept) = (Vec::new(), Vec::new(), Vec::new());
    for channel in channels {
        let (report, error, voxels) = channel.into_parts();
        kept.extend(voxels.map(|voxels| (report.name.clone(), voxels)));
        errors.extend(error);
        reports.push(report);
    }
    if errors.len() == reports.len()
        && let Some(first) = errors.into_iter().next()
    {
        return Err(first);
    }
    Ok((reports, kept))
}

/// Writes the projections that succeeded into one file.
fn write_common(
    writer: VolumeWriter,
    target: &str,
    write: WriteOptions,
    kept: Vec<Kept>,
) -> Result<()> {
    let writer = if kept.len() == write.channels.len() {
        writer
    } else {
        drop(writer);
        let names = kept.iter().map(|(name, _)| name.clone()).collect();
        VolumeWriter::create(target, &write.with_channels(names))?
    };
    for (channel, (_, voxels)) in kept.iter().enumerate() {
        writer.write(channel, [0; 3], voxels)?;
    }
    Ok(writer.finish()?)
}

struct Job<'a> {
    source: &'a Volume,
    options: &'a ProjectOptions,
    device: Option<&'a dyn ProjectionEngine>,
    plan: Plan,
    channels: Vec<Channel>,
    next_task: AtomicU64,
    device_failed: AtomicBool,
    on_device: AtomicBool,
    observer: &'a dyn Observer,
}

impl Job<'_> {
    fn run(&self) {
        std::thread::scope(|scope| {
            for _ in 1..self.options.threads.get() {
                scope.spawn(|| self.work());
            }
            self.work();
        });
    }

    /// Takes tile after tile, channel by channel, until none is left.
    fn work(&self) {
        let per_channel = self.plan.bands() * self.plan.tiles();
        let mut buffer = None;
        loop {
            let task = self.next_task.fetch_add(1, Ordering::Relaxed);
            let channel = (task / per_channel) as usize;
            let Some(state) = self.channels.get(channel) else { return };
            if !state.begin_tile() {
                continue;
            }
            let (band, tile) =
                (task % per_channel / self.plan.tiles(), task % per_channel % self.plan.tiles());
            let tile = self.plan.tile(band, tile);
            let projection = self.project(channel, tile, &mut buffer);
            if projection.is_ok() {
                let by = tile.num_voxels() * self.source.metadata().dtype.size() as u64;
                self.observer.notify(&Event::Advanced { by, note: "" });
            }
            state.end_tile(band, &tile, projection, self.observer);
        }
    }

    /// Projects a tile on the device if there is one that can, and has not failed; otherwise, or if
    /// it fails now, on the CPU.
    fn project(
        &self,
        channel: usize,
        tile: BoundingBox,
        buffer: &mut Option<Voxels>,
    ) -> Result<Voxels> {
        if let Some(device) = self.device
            && !self.device_failed.load(Ordering::Relaxed)
        {
            match self.project_with(device, channel, tile, buffer) {
                Ok(Some(voxels)) => {
                    self.on_device.store(true, Ordering::Relaxed);
                    return Ok(voxels);
                }
                Ok(None) => {}
                Err(Error::Compute(ComputeError::DeviceFailed { device, reason })) => {
                    self.give_up_device(&device, &reason);
                }
                Err(error) => return Err(error),
            }
        }
        let unsupported = || Error::settings(self.source.name(), "the CPU did not project a tile");
        self.project_with(&CpuEngine, channel, tile, buffer)?.ok_or_else(unsupported)
    }

    fn give_up_device(&self, device: &str, reason: &str) {
        if !self.device_failed.swap(true, Ordering::Relaxed) {
            let text = format!("device {device} failed ({reason}); going on with the CPU");
            self.observer.notify(&Event::Warning(&text));
        }
    }

    fn project_with(
        &self,
        engine: &dyn ProjectionEngine,
        channel: usize,
        tile: BoundingBox,
        buffer: &mut Option<Voxels>,
    ) -> Result<Option<Voxels>> {
        let column = Column {
            source: self.source,
            channel,
            kind: self.options.kind,
            axis: self.options.axis,
            region: tile,
            tile_bytes: u64::MAX,
        };
        project_tile(&column, engine, &self.plan, tile, buffer)
    }

    /// Name of what made at least one tile, the device before the CPU.
    fn device_name(&self) -> String {
        match self.device {
            Some(device) if self.on_device.load(Ordering::Relaxed) => device.name(),
            _ => CpuEngine.name(),
        }
    }
}

/// The buffer of a thread, made anew only where its shape changes: at the edges of the volume.
pub(super) fn block_of(
    buffer: &mut Option<Voxels>,
    dtype: DataType,
    shape: [usize; 3],
) -> Result<&mut Voxels> {
    match buffer {
        Some(block) if block.shape() == shape => {}
        _ => *buffer = Some(Voxels::zeros(dtype, shape)?),
    }
    buffer.as_mut().ok_or_else(|| Error::settings("projection", "no buffer"))
}
