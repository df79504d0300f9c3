//! Filters of whole volumes: a channel is read, filtered in memory and written, one after the other. Each
//! one takes all threads. What it takes of memory is known, and refused, before anything is read.

use std::time::Instant;

use exavox_compute::ComputeDevice;
use exavox_compute::ops::filter::Filter;
use exavox_compute::ops::on_device;
use exavox_io::volume::{Codec, WriteMode};
use exavox_io::{BoundingBox, DataType, Volume, VolumeWriter, Voxels, WriteOptions};
use rayon::prelude::*;
use serde::Serialize;

use crate::convert::cast::{Cast, cast};
use crate::convert::{Precision, same_place};
use crate::error::{Error, Result};
use crate::on_device::device_or_cpu;
use crate::peak_memory::peak_memory_bytes;
use crate::progress::{Event, Observer, Unit};
use crate::selection::region_of;

mod by_blocks;

pub use by_blocks::{FilteredByBlocks, filter_by_blocks, filter_goes_by_blocks};

/// What the program itself takes: code, threads, a chunk that is being decoded.
const PROGRAM_BYTES: u64 = 32 << 20;

/// What to filter, and how.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct FilterOptions {
    /// The filter with its settings.
    pub filter: Filter,
    /// Part of the volume; an end of `u64::MAX` is the volume's end. Default: all of it.
    pub region: Option<BoundingBox>,
    /// Element type of the result; integers are rounded and clipped, and results between 0 and 1 (CLAHE,
    /// most normalisations) stretched to the type's highest value before. Default: the filter's.
    pub dtype: Option<DataType>,
    /// Compression. Default: the format's.
    pub codec: Option<Codec>,
    /// What to do with an output that is there already.
    pub mode: WriteMode,
    /// Bytes that may be taken. Default: no bound.
    pub memory_bytes: Option<u64>,
    /// The device that computes, where a channel is held in memory: what it cannot do the CPU does, with a
    /// warning. Default: the CPU.
    pub device: Option<ComputeDevice>,
}

impl FilterOptions {
    /// The defaults for a filter.
    pub fn new(filter: Filter) -> Self {
        let (region, dtype, codec, mode) = (None, None, None, WriteMode::default());
        Self { filter, region, dtype, codec, mode, memory_bytes: None, device: None }
    }
}

/// What was made.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct FilterReport {
    /// All channels of the source, in its order.
    pub channels: Vec<FilteredChannel>,
    /// Shape `[z, y, x]` of the result.
    pub shape: [u64; 3],
    /// Element type of the result.
    pub dtype: &'static str,
    /// Voxels of the channels that succeeded.
    pub voxels: u64,
    /// Wall-clock time of the whole run.
    pub seconds: f64,
    /// Voxels a second of the whole run, reading and writing included.
    pub voxels_per_second: f64,
    /// Bytes that one channel was expected to take.
    pub expected_memory_bytes: u64,
    /// Largest resident memory of the process, where the system tells it.
    pub peak_memory_bytes: Option<u64>,
}

impl FilterReport {
    /// Channels that are missing from the output.
    pub fn failed(&self) -> impl Iterator<Item = &FilteredChannel> {
        self.channels.iter().filter(|channel| channel.error.is_some())
    }
}

/// What became of one channel.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct FilteredChannel {
    /// Name of the channel.
    pub name: String,
    /// Wall-clock time of the filter alone.
    pub filter_seconds: f64,
    /// Why it is missing from the output.
    pub error: Option<String>,
}

/// Filters every channel of `source`, or of a part of it, and writes the results to `target`, which
/// appears when it is whole. Voxel size and names of channels are carried over.
///
/// # Errors
/// If an option does not fit; if more memory is needed than `options.memory_bytes` allow
/// ([`Error::Settings`], before anything is read); if the target cannot be written; if no channel can be
/// read (the error of the first). Nothing is left then. If some channels cannot be read, the report says
/// which, and the target lacks them.
pub fn filter(
    source: &Volume,
    target: &str,
    options: &FilterOptions,
    observer: &dyn Observer,
) -> Result<FilterReport> {
    let started = Instant::now();
    let job = Job::new(source, target, options, observer)?;
    let total = job.region.num_voxels().saturating_mul(source.metadata().channels.len() as u64);
    let stage = options.filter.name();
    observer.notify(&Event::Started { stage, total, unit: Unit::Voxels });
    let channels = job.run()?;
    let seconds = started.elapsed().as_secs_f64();
    observer.notify(&Event::Finished { stage, seconds });
    let good = channels.iter().filter(|channel| channel.error.is_none()).count() as u64;
    let voxels = job.region.num_voxels().saturating_mul(good);
    Ok(FilterReport {
        channels,
        shape: job.region.shape(),
        dtype: job.dtype.name(),
        voxels,
        seconds,
        voxels_per_second: voxels as f64 / seconds.max(1e-9),
        expected_memory_bytes: job.memory_bytes,
        peak_memory_bytes: peak_memory_bytes(),
    })
}

/// Bytes that filtering one channel of `source` takes: the voxels as read, as filtered, and as cast, a tenth
/// more, and 32 MiB for the program itself.
///
/// # Errors
/// If the region does not lie in the volume.
pub fn memory_bytes(source: &Volume, options: &FilterOptions) -> Result<u64> {
    let region = region_of(source.name(), source.shape(), options.region)?;
    let (input, result) = (source.metadata().dtype, result_dtype(source, options));
    let filtered = options.filter.output_dtype(input);
    let cast = if filtered == result { 0 } else { result.size() };
    let per_voxel = (input.size() + filtered.size() + cast) as u64;
    let needed = region.num_voxels().saturating_mul(per_voxel);
    Ok(needed.saturating_add(needed / 10).saturating_add(PROGRAM_BYTES))
}

fn result_dtype(source: &Volume, options: &FilterOptions) -> DataType {
    options.dtype.unwrap_or(options.filter.output_dtype(source.metadata().dtype))
}

struct Job<'a> {
    source: &'a Volume,
    target: &'a str,
    options: &'a FilterOptions,
    observer: &'a dyn Observer,
    region: BoundingBox,
    dtype: DataType,
    memory_bytes: u64,
}

impl<'a> Job<'a> {
    fn new(
        source: &'a Volume,
        target: &'a str,
        options: &'a FilterOptions,
        observer: &'a dyn Observer,
    ) -> Result<Self> {
        let region = region_of(source.name(), source.shape(), options.region)?;
        same_place::refuse(source.name(), target)?;
        let memory_bytes = memory_bytes(source, options)?;
        if let Some(limit) = options.memory_bytes.filter(|limit| memory_bytes > *limit) {
            let message = format!(
                "filtering a channel of shape {:?} takes {memory_bytes} bytes of memory, {limit} are \
                 allowed; choose a part of it",
                region.shape()
            );
            return Err(Error::settings(source.name(), message));
        }
        let dtype = result_dtype(source, options);
        Ok(Self { source, target, options, observer, region, dtype, memory_bytes })
    }

    /// Filters and writes all channels. A file is begun with its channels: if one fails, it is begun
    /// again without it.
    fn run(&self) -> Result<Vec<FilteredChannel>> {
        let names = &self.source.metadata().channels;
        let mut failures: Vec<Option<Error>> = names.iter().map(|_| None).collect();
        loop {
            let good: Vec<usize> = (0..names.len()).filter(|c| failures[*c].is_none()).collect();
            if good.is_empty()
                && let Some(first) = failures.iter_mut().find_map(Option::take)
            {
                return Err(first);
            }
            match self.write(&good)? {
                Written::All(seconds) => return Ok(self.channels(&good, &seconds, failures)),
                Written::Failed(channel, error) => {
                    // The only channel of a volume is the error of the run.
                    if names.len() > 1 {
                        let (name, text) = (&names[channel], error.to_string());
                        self.observer.notify(&Event::Item { name, error: Some(&text) });
                    }
                    failures[channel] = Some(error);
                }
            }
        }
    }

    /// Writes a target of some channels, until one cannot be read. What a filter refuses is wrong for all
    /// channels.
    fn write(&self, channels: &[usize]) -> Result<Written> {
        let names = channels.iter().map(|c| self.source.metadata().channels[*c].clone()).collect();
        let mut write = WriteOptions::new(self.dtype, self.region.shape())
            .with_channels(names)
            .with_voxel_size(self.source.metadata().voxel_size)
            .with_mode(self.options.mode);
        write.codec = self.options.codec.unwrap_or(write.codec);
        let writer = VolumeWriter::create(self.target, &write)?;
        let mut seconds = Vec::new();
        for (at, channel) in channels.iter().enumerate() {
            let voxels = match self.source.read(*channel, &self.region) {
                Ok(voxels) => voxels,
                Err(error) => return Ok(Written::Failed(*channel, error.into())),
            };
            let (voxels, took) = self.filtered(voxels)?;
            writer.write(at, [0; 3], &voxels)?;
            seconds.push(took);
            self.observer.notify(&Event::Advanced { by: self.region.num_voxels(), note: "" });
        }
        writer.finish()?;
        Ok(Written::All(seconds))
    }

    /// A channel filtered and cast, and the seconds that took.
    fn filtered(&self, voxels: Voxels) -> Result<(Voxels, f64)> {
        let started = Instant::now();
        let filter = &self.options.filter;
        let filtered = device_or_cpu(
            self.options.device.as_ref(),
            self.observer,
            |device| on_device::filter(device, filter, &voxels),
            || filter.run(&voxels),
        )?;
        drop(voxels);
        let result = as_type(filtered, &self.options.filter, self.dtype)?;
        Ok((result, started.elapsed().as_secs_f64()))
    }

    fn channels(
        &self,
        good: &[usize],
        seconds: &[f64],
        failures: Vec<Option<Error>>,
    ) -> Vec<FilteredChannel> {
        let names = self.source.metadata().channels.iter().zip(failures).enumerate();
        let took = |c| good.iter().position(|g| *g == c).map_or(0.0, |at| seconds[at]);
        names
            .map(|(c, (name, error))| FilteredChannel {
                name: name.clone(),
                filter_seconds: took(c),
                error: error.map(|e| e.to_string()),
            })
            .collect()
    }
}

/// What a filter has made, in the type asked for: integers are rounded and clipped, and results between 0
/// and 1 stretched before.
pub(crate) fn as_type(mut filtered: Voxels, filter: &Filter, dtype: DataType) -> Result<Voxels> {
    if filter.is_unit_range() {
        stretch(&mut filtered, dtype)?;
    }
    match cast(filtered, dtype, Precision::Lossy)? {
        Cast::Whole(voxels) => Ok(voxels),
        Cast::Loses { .. } => Err(Error::settings(filter.name(), "a lossy cast stopped")),
    }
}

/// Brings values between 0 and 1 to the range from 0 to the highest value of an integer type.
fn stretch(voxels: &mut Voxels, dtype: DataType) -> Result<()> {
    let bits = 8 * dtype.size() as i32 - i32::from(dtype.kind() == 'i');
    if dtype.kind() != 'f' {
        let highest = 2.0_f32.powi(bits) - 1.0;
        voxels.as_mut_slice::<f32>()?.par_iter_mut().for_each(|v| *v *= highest);
    }
    Ok(())
}

/// How far writing came.
enum Written {
    /// All, and the seconds of the filter for each.
    All(Vec<f64>),
    /// Up to a channel that failed.
    Failed(usize, Error),
}
