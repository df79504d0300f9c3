//! Projections of whole volumes, streamed: a channel is cut into tiles across the axis, each tile is
//! read along the axis block by block, and what is finished is written at once. Memory does not grow
//! with the number of planes (but for the median, which needs all values of a tile), nor with the size
//! of a plane.
//!
//! Tiles of all channels go to the threads in turn. A channel that cannot be read is left out and
//! named; the others are not touched by it.

use std::num::NonZeroUsize;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use exavox_compute::ops::projection::{ProjectionEngine, ProjectionKind};
use exavox_io::volume::{Codec, WriteMode};
use exavox_io::{Axis, BoundingBox, Volume, VoxelSize, WriteOptions};
use serde::Serialize;

use crate::convert::same_place;
use crate::error::{Error, Result};
use crate::peak_memory::peak_memory_bytes;
use crate::progress::{Event, Observer, Unit};

mod channel;
mod colour;
mod column;
mod focus;
mod output;
mod plan;
mod products;
mod run;
mod target;

pub use colour::depth_colour;
pub(crate) use column::Column;
pub use focus::extended_focus;

/// What to project, and how.
#[derive(Clone)]
#[non_exhaustive]
pub struct ProjectOptions {
    /// What is made of the values along the axis. Default: the maximum.
    pub kind: ProjectionKind,
    /// Axis along which to project: z, y or x. Default: z.
    pub axis: Axis,
    /// Planes that take part, half open; an end of `u64::MAX` is the volume's end. Default: all.
    pub z_range: Option<Range<u64>>,
    /// Compression of the output. Default: none for TIFF, which more programs can read then, and which
    /// takes less time than the projection itself; else the format's.
    pub codec: Option<Codec>,
    /// What to do with an output that is there already.
    pub mode: WriteMode,
    /// Threads that read and compute. Default: all cores but one, at least one.
    pub threads: NonZeroUsize,
    /// Bytes for the values of a median, all threads together. Default: 512 MiB.
    pub memory_bytes: Option<u64>,
    /// A device for the kinds and types that it does; the CPU does the rest, and takes over if the
    /// device fails. Default: the CPU alone, which a projection from disk does not keep busy.
    pub device: Option<Arc<dyn ProjectionEngine>>,
}

impl Default for ProjectOptions {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self {
            kind: ProjectionKind::Max,
            axis: Axis::Z,
            z_range: None,
            codec: None,
            mode: WriteMode::default(),
            threads: NonZeroUsize::new(cores - 1).unwrap_or(NonZeroUsize::MIN),
            memory_bytes: None,
            device: None,
        }
    }
}

/// What a projection did.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct ProjectReport {
    /// All channels of the source, in its order.
    pub channels: Vec<ChannelReport>,
    /// Bytes of voxels of the channels that succeeded.
    pub input_bytes: u64,
    /// Wall-clock time.
    pub seconds: f64,
    /// Bytes of voxels a second.
    pub bytes_per_second: f64,
    /// Largest resident memory of the process, where the system tells it.
    pub peak_memory_bytes: Option<u64>,
    /// What computed: the name of the device, or `cpu`.
    pub device: String,
}

impl ProjectReport {
    /// Channels that are missing from the output.
    pub fn failed(&self) -> impl Iterator<Item = &ChannelReport> {
        self.channels.iter().filter(|channel| channel.error.is_some())
    }
}

/// What became of one channel.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct ChannelReport {
    /// Name of the channel.
    pub name: String,
    /// Wall-clock time from its first tile to its last.
    pub seconds: f64,
    /// Why it is missing from the output.
    pub error: Option<String>,
}

/// Projects every channel of `source` along an axis and writes the projections to `target`, whose
/// shape is the source's with 1 on the axis. If `target` is a pattern with `{channel}`, or there is
/// one channel, each projection is written while it is made; otherwise the projections are kept in
/// memory until all are there, because a file cannot be begun before its channels are known.
///
/// # Errors
/// If the options do not fit the volume, the target cannot be written, or every channel fails (the
/// error of the first); nothing is left then. If some channels fail, the report says which: a target
/// with `{channel}` lacks their files, any other target lacks these channels.
pub fn project(
    source: &Volume,
    target: &str,
    options: &ProjectOptions,
    observer: &dyn Observer,
) -> Result<ProjectReport> {
    let started = Instant::now();
    let region = region(source, options)?;
    same_place::refuse(source.name(), target)?;
    let channels = source.metadata().channels.len() as u64;
    let bytes = region.num_voxels().saturating_mul(source.metadata().dtype.size() as u64);
    let (stage, total) = ("project", bytes.saturating_mul(channels));
    observer.notify(&Event::Started { stage, total, unit: Unit::Bytes });
    let (channels, device) = run::run(source, target, options, region, observer)?;
    let seconds = started.elapsed().as_secs_f64();
    observer.notify(&Event::Finished { stage, seconds });
    let good = channels.iter().filter(|channel| channel.error.is_none()).count() as u64;
    let input_bytes = bytes.saturating_mul(good);
    Ok(ProjectReport {
        channels,
        input_bytes,
        seconds,
        bytes_per_second: input_bytes as f64 / seconds.max(1e-9),
        peak_memory_bytes: peak_memory_bytes(),
        device,
    })
}

fn region(source: &Volume, options: &ProjectOptions) -> Result<BoundingBox> {
    if options.axis.zyx_index().is_none() {
        let message = format!("axis {}: expected z, y or x", options.axis);
        return Err(Error::settings(source.name(), message));
    }
    let mut region = BoundingBox::whole(source.shape());
    if let Some(range) = &options.z_range {
        let end = if range.end == u64::MAX { region.end[0] } else { range.end };
        (region.start[0], region.end[0]) = (range.start, end);
    }
    region.check_inside(source.shape(), source.name())?;
    Ok(region)
}

/// Description of the output; a voxel of it is as long along the axis as the stack.
fn write_options(
    source: &Volume,
    target: &str,
    options: &ProjectOptions,
    region: &BoundingBox,
) -> WriteOptions {
    let metadata = source.metadata();
    let a = options.axis.zyx_index().unwrap_or(0);
    let planes = region.shape()[a];
    let mut shape = region.shape();
    shape[a] = 1;
    let voxel_size = projected_voxel_size(metadata.voxel_size, a, planes);
    let dtype = options.kind.output_dtype(metadata.dtype, planes as usize);
    let mut write = WriteOptions::new(dtype, shape)
        .with_channels(metadata.channels.clone())
        .with_voxel_size(voxel_size)
        .with_mode(options.mode);
    let default = if is_tiff(target) { Codec::Raw } else { write.codec };
    write.codec = options.codec.unwrap_or(default);
    write
}

/// Size of a voxel that is as long along an axis as so many planes.
pub(crate) fn projected_voxel_size(
    size: Option<VoxelSize>,
    axis: usize,
    planes: u64,
) -> Option<VoxelSize> {
    let mut nm_zyx = size?.nm_zyx;
    nm_zyx[axis] *= planes as f64;
    VoxelSize::from_nm_zyx(nm_zyx)
}

fn is_tiff(target: &str) -> bool {
    let extension = Path::new(target).extension().and_then(|e| e.to_str()).unwrap_or_default();
    ["tif", "tiff"].iter().any(|tiff| extension.eq_ignore_ascii_case(tiff))
}
