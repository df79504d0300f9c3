//! What jobs share that read a volume into memory and write labels of it.

use std::time::Instant;

use exavox_compute::ComputeDevice;
use exavox_io::volume::{Codec, WriteMode};
use exavox_io::{BoundingBox, Limits, Volume, VolumeWriter, Voxels, WriteOptions};

use crate::convert::same_place;
use crate::error::{Error, Result};
use crate::job::SharedTarget;
use crate::job::steps::PartSpec;
use crate::progress::{Event, Observer, Unit};
use crate::selection::{channel_of, region_of};

/// Larger volumes are read in slabs, so that progress can be seen.
const LARGE: u64 = 256 << 20;

/// What is read, and where labels go.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct LabellingOptions {
    /// Name or number of the channel. Default: the only one.
    pub channel: Option<String>,
    /// Part of the volume; an end of `u64::MAX` is the volume's end. Default: all of it.
    pub region: Option<BoundingBox>,
    /// Compression of the labels. Default: the format's.
    pub codec: Option<Codec>,
    /// What to do with labels that are there already.
    pub mode: WriteMode,
    /// Memory that may be used, bytes; what needs more is refused before anything is read. Default:
    /// three quarters of what is available.
    pub memory_bytes: Option<u64>,
    /// The device that computes, where the region is held in memory; labels are the same on all. Default: the CPU.
    pub device: Option<ComputeDevice>,
}

/// Whether a target can be written by blocks: a volume of many objects on a local disk.
pub fn goes_by_blocks(target: &str) -> bool {
    // The rest of what it is to be does not count.
    SharedTarget::new(target, WriteOptions::new(exavox_io::DataType::U8, [1; 3])).check().is_ok()
}

/// What a step reads, as a plan says it.
pub(crate) fn part_spec(source: &Volume, options: &LabellingOptions) -> PartSpec {
    PartSpec {
        scale: source.scale(),
        time: source.time(),
        channel: options.channel.clone(),
        region: options.region.map(|region| written(&region)),
    }
}

/// A region with open ends as people write it.
pub(crate) fn written(region: &BoundingBox) -> String {
    let end = |end: u64| if end == u64::MAX { String::new() } else { end.to_string() };
    let [z, y, x] = [0, 1, 2].map(|a| format!("{}:{}", region.start[a], end(region.end[a])));
    format!("{z},{y},{x}")
}

/// A channel and a region of a volume that are known to be there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Part<'a> {
    pub(crate) source: &'a Volume,
    pub(crate) channel: usize,
    pub(crate) region: BoundingBox,
}

impl<'a> Part<'a> {
    /// The part that the options name.
    pub(crate) fn of(source: &'a Volume, options: &LabellingOptions) -> Result<Self> {
        let metadata = source.metadata();
        let channel = channel_of(source.name(), &metadata.channels, options.channel.as_deref())?;
        let region = region_of(source.name(), source.shape(), options.region)?;
        Ok(Self { source, channel, region })
    }

    /// Bytes that a job takes which holds `bytes`: a tenth more, for chunks on their way.
    pub(crate) fn with_overhead(bytes: u64) -> u64 {
        bytes.saturating_add(bytes / 10)
    }

    /// Refuses what does not fit into memory.
    pub(crate) fn check_memory(&self, needed: u64, options: &LabellingOptions) -> Result<()> {
        let available = || Limits::default().max_region_bytes;
        let limit = options.memory_bytes.unwrap_or_else(available);
        if needed <= limit {
            return Ok(());
        }
        let message = format!(
            "region {} needs {needed} bytes of memory, {limit} may be used; choose a smaller region \
             (--roi), or a .zarr, .n5 or .precomputed target, which is made by blocks",
            self.region
        );
        Err(Error::settings(self.source.name(), message))
    }

    /// Reads the part, the stage `read`.
    pub(crate) fn read(&self, observer: &dyn Observer) -> Result<Voxels> {
        let metadata = self.source.metadata();
        let size = metadata.dtype.size() as u64;
        let bytes = self.region.num_voxels().saturating_mul(size);
        stage(observer, "read", bytes, Unit::Bytes, || {
            if bytes <= LARGE {
                let voxels = self.source.read(self.channel, &self.region)?;
                observer.notify(&Event::Advanced { by: bytes, note: "" });
                return Ok(voxels);
            }
            self.read_slabs(size, observer)
        })
    }

    fn read_slabs(&self, size: u64, observer: &dyn Observer) -> Result<Voxels> {
        let shape = self.region.shape();
        let plane = shape[1].saturating_mul(shape[2]).saturating_mul(size).max(1);
        let chunk = self.source.metadata().chunk_shape[0].max(1);
        let planes = (LARGE / 8 / plane).max(1).next_multiple_of(chunk);
        let mut all = Voxels::zeros(self.source.metadata().dtype, shape.map(|v| v as usize))?;
        // Slabs begin at chunks of the volume: none is decoded twice.
        let begin = self.region.start[0] / planes * planes;
        let mut grid = self.region;
        grid.start[0] = begin;
        for tile in grid.tiles([planes, shape[1], shape[2]]) {
            let Some(slab) = tile.intersect(&self.region) else { continue };
            let voxels = self.source.read(self.channel, &slab)?;
            let to = slab.relative_to(self.region.start).start.map(|v| v as usize);
            all.copy_box(to, &voxels, &BoundingBox::whole(slab.shape()))?;
            observer.notify(&Event::Advanced { by: slab.num_voxels() * size, note: "" });
        }
        Ok(all)
    }

    /// Opens the labels for writing: voxel size and name of the channel are the source's.
    pub(crate) fn create(
        &self,
        target: &str,
        dtype: exavox_io::DataType,
        options: &LabellingOptions,
    ) -> Result<VolumeWriter> {
        same_place::refuse(self.source.name(), target)?;
        let metadata = self.source.metadata();
        let mut write = WriteOptions::new(dtype, self.region.shape())
            .with_channels(vec![metadata.channels[self.channel].clone()])
            .with_voxel_size(metadata.voxel_size)
            .with_mode(options.mode);
        write.codec = options.codec.unwrap_or(write.codec);
        Ok(VolumeWriter::create(target, &write)?)
    }
}

/// Writes labels, the stage `write`, and puts them into place.
pub(crate) fn write(writer: VolumeWriter, labels: &Voxels, observer: &dyn Observer) -> Result<()> {
    let bytes = labels.bytes().len() as u64;
    stage(observer, "write", bytes, Unit::Bytes, || {
        writer.write(0, [0; 3], labels)?;
        observer.notify(&Event::Advanced { by: bytes, note: "" });
        Ok(writer.finish()?)
    })
}

/// Runs a stage and tells when it begins and has ended.
pub(crate) fn stage<T>(
    observer: &dyn Observer,
    stage: &str,
    total: u64,
    unit: Unit,
    run: impl FnOnce() -> Result<T>,
) -> Result<T> {
    let started = Instant::now();
    observer.notify(&Event::Started { stage, total, unit });
    let result = run()?;
    observer.notify(&Event::Finished { stage, seconds: started.elapsed().as_secs_f64() });
    Ok(result)
}
