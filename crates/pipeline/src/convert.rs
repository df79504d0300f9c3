//! Writing a volume again: another format, type, chunk shape or codec, or a part of it. Block by
//! block, within a bound on memory, on many threads.

use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Instant;

use exavox_io::store::Durability;
use exavox_io::volume::{Codec, Encoding, OmeVersion, WriteMode};
use exavox_io::{BoundingBox, DataType, Metadata, Volume, VoxelSize, WriteOptions};
use serde::Serialize;

use crate::error::{Error, Result};
use crate::progress::{Event, Observer};
use crate::selection::{channels_of, region_of};
use run::{Job, Make};

mod blocks;
pub(crate) mod cast;
mod cost;
mod queue;
pub(crate) mod resume;
pub(crate) mod run;
pub(crate) mod same_place;
pub(crate) mod slabs;

/// Bytes of blocks in flight where the caller sets no lower bound.
const DEFAULT_MEMORY: u64 = 256 << 20;

/// What a cast may do to values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// Each value must be the same number in the new type, or the conversion stops.
    #[default]
    Exact,
    /// To integers: rounded to nearest and clipped to the type's range, NaN becomes 0. To floats:
    /// the nearest.
    Lossy,
}

/// What to convert, and to what.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ConvertOptions {
    /// Part of the volume; an end of `u64::MAX` is the volume's end. Default: all of it.
    pub region: Option<BoundingBox>,
    /// Names or indices of channels, in the order of the output. Default: all.
    pub channels: Vec<String>,
    /// Element type. Default: the source's.
    pub dtype: Option<DataType>,
    /// What a cast may do to values.
    pub precision: Precision,
    /// Chunk shape `[z, y, x]`. Default: the format's.
    pub chunk_shape: Option<[u64; 3]>,
    /// Shard shape `[z, y, x]`. Default: no shards.
    pub shard_shape: Option<[u64; 3]>,
    /// Compression. Default: the format's.
    pub codec: Option<Codec>,
    /// Encoding of chunks before compression, where the format has a choice.
    pub encoding: Encoding,
    /// When written chunks are safe.
    pub durability: Durability,
    /// Version of OME-Zarr, where that is the format.
    pub ome: OmeVersion,
    /// Edge lengths of a voxel. Default: the source's.
    pub voxel_size: Option<VoxelSize>,
    /// What to do with an output that is there already. With [`WriteMode::Resume`] a ledger of finished
    /// blocks lies beside the unfinished output.
    pub mode: WriteMode,
    /// Threads that read, cast and write. Default: 1.
    pub threads: NonZeroUsize,
    /// Bytes of blocks in flight, all threads together: each as read, as cast and as encoded, and the
    /// chunks of the source that are being decoded. Default: 256 MiB.
    pub memory_bytes: Option<u64>,
}

impl Default for ConvertOptions {
    fn default() -> Self {
        Self {
            region: None,
            channels: Vec::new(),
            dtype: None,
            precision: Precision::default(),
            chunk_shape: None,
            shard_shape: None,
            codec: None,
            encoding: Encoding::default(),
            durability: Durability::default(),
            ome: OmeVersion::default(),
            voxel_size: None,
            mode: WriteMode::default(),
            threads: NonZeroUsize::MIN,
            memory_bytes: None,
        }
    }
}

/// What a conversion did.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ConvertReport {
    /// Bytes of voxels read by this run, uncompressed, all channels.
    pub bytes: u64,
    /// Wall-clock time.
    pub seconds: f64,
    /// Bytes read per second.
    pub bytes_per_second: f64,
    /// Blocks written by this run.
    pub blocks: u64,
    /// Blocks that an earlier run had written.
    pub blocks_resumed: u64,
    /// Whether there was nothing to do: the output was whole.
    pub already_whole: bool,
}

/// Writes `source`, or the part that `options` choose, to `target`. The target appears when all of it
/// is written; if anything fails, nothing is left. Holds at most `memory_bytes` of voxels at a time
/// (one block where a single block of the target needs more and no bound was set).
///
/// With [`WriteMode::Resume`] what is written stays when the run fails or is killed, and the next run
/// with the same options writes the blocks that are missing; the result is the same, byte for byte.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use exavox_io::{DataType, Volume, VolumeWriter, Voxels, WriteOptions};
/// use exavox_pipeline::{ConvertOptions, Silent, convert};
/// # let folder = tempfile::tempdir()?;
/// # let [from, to] = ["a.npy", "b.raw"].map(|n| folder.path().join(n).display().to_string());
/// let writer = VolumeWriter::create(&from, &WriteOptions::new(DataType::U8, [2, 3, 4]))?;
/// writer.write(0, [0; 3], &Voxels::from_vec([2, 3, 4], vec![7_u8; 24])?)?;
/// writer.finish()?;
///
/// let mut options = ConvertOptions::default();
/// options.region = Some("0:1,:,2:".parse()?);
/// options.dtype = Some(DataType::U16);
/// let report = convert(&Volume::open(&from)?, &to, &options, &Silent)?;
/// assert_eq!(report.bytes, 6);
/// let out = Volume::open(&format!("{to}:uint16:1,3,2"))?;
/// assert_eq!(out.read(0, &"0:1,0:3,0:2".parse()?)?.as_slice::<u16>()?, [7; 6]);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// If the region, a channel or an option does not fit the volume; if a block cannot be read or
/// written; [`Error::LossyCast`] with the first voxel (in the order of the blocks) whose value the
/// type cannot hold.
pub fn convert(
    source: &Volume,
    target: &str,
    options: &ConvertOptions,
    observer: &dyn Observer,
) -> Result<ConvertReport> {
    let started = Instant::now();
    let region = region_of(source.name(), source.shape(), options.region)?;
    let channels = channels_of(source.name(), &source.metadata().channels, &options.channels)?;
    same_place::refuse(source.name(), target)?;
    let write = write_options(source.metadata(), &region, &channels, options);
    check_flat(target, options, &write, observer)?;
    let (threads, memory_bytes) = (options.threads, options.memory_bytes);
    let make = Make::Cast(options.precision);
    let job = Job { source, region, channels, make, threads, memory_bytes, observer };
    let moved = run::create(&job, "convert", target, &write)?;
    let seconds = started.elapsed().as_secs_f64();
    Ok(ConvertReport {
        bytes: moved.bytes,
        seconds,
        bytes_per_second: moved.bytes as f64 / seconds.max(1e-9),
        blocks: moved.blocks,
        blocks_resumed: moved.blocks_resumed,
        already_whole: moved.already_whole,
    })
}

fn write_options(
    source: &Metadata,
    region: &BoundingBox,
    channels: &[usize],
    options: &ConvertOptions,
) -> WriteOptions {
    let dtype = options.dtype.unwrap_or(source.dtype);
    let names = channels.iter().filter_map(|c| source.channels.get(*c).cloned()).collect();
    let mut write = WriteOptions::new(dtype, region.shape())
        .with_channels(names)
        .with_voxel_size(options.voxel_size.or(source.voxel_size))
        .with_mode(options.mode);
    write.chunk_shape = options.chunk_shape;
    write.shard_shape = options.shard_shape;
    write.codec = options.codec.unwrap_or(write.codec);
    write.encoding = options.encoding;
    write.durability = options.durability;
    write.ome = options.ome;
    write
}

/// NPY and raw are bare values: storage options would be dropped without a word, so they are refused;
/// a voxel size that the source has cannot be kept, which is worth a word.
fn check_flat(
    target: &str,
    options: &ConvertOptions,
    write: &WriteOptions,
    observer: &dyn Observer,
) -> Result<()> {
    let extension = Path::new(target).extension().and_then(|e| e.to_str()).unwrap_or_default();
    if !["npy", "raw", "bin", "dat"].contains(&extension.to_ascii_lowercase().as_str()) {
        return Ok(());
    }
    let given = [
        ("chunk shape", options.chunk_shape.is_some()),
        ("shard shape", options.shard_shape.is_some()),
        ("codec", options.codec.is_some_and(|c| c != Codec::Raw)),
        ("encoding", options.encoding != Encoding::Raw),
    ];
    if let Some((what, _)) = given.into_iter().find(|(_, given)| *given) {
        let message = format!("'.{extension}' has no {what}; choose .zarr for chunks and codecs");
        return Err(Error::settings(target, message));
    }
    if let Some(size) = write.voxel_size {
        let text = format!("{target}: '.{extension}' keeps no voxel size; it was {size}");
        observer.notify(&Event::Warning(&text));
    }
    Ok(())
}
