//! Neuroglancer precomputed: a document `info`, a directory per scale, and in it an object per chunk or
//! per shard.
//!
//! [Specification](https://github.com/google/neuroglancer/tree/master/src/datasource/precomputed). The
//! format counts x, y, z; shapes here are `[z, y, x]`. Regions start at the volume's first voxel: its
//! `voxel_offset` is in the names of chunks only.

use crate::chunked::{ChunkSink, ChunkSource, ChunkedReader, ChunkedWriter, Output};
use crate::error::{Error, Result};
use crate::geometry::VoxelSize;
use crate::limits::Limits;
use crate::metadata::{Metadata, numbered_channels};
use crate::store::Directory;
use crate::volume::{OpenOptions, Reader, WriteOptions, Writer};

mod array;
mod compression;
mod encoding;
mod image;
mod info;
mod key;
mod minishard;
mod morton;
mod murmur;
mod plan;
mod scale;
mod shard_index;
mod shard_sink;
mod sharded;
mod sharding;
mod sink;
mod unsharded;

use array::ScaleArray;
use compression::Compression;
use info::{INFO, Info};
use morton::MortonGrid;
use plan::Plan;
use scale::Scale;
use shard_sink::ShardSink;
use sharded::ShardedSource;
use sharding::Sharding;
use sink::{Before, UnshardedSink};
use unsharded::UnshardedSource;

/// Size of a voxel where nothing is known of it: `info` must have one.
const UNKNOWN_NM: [f64; 3] = [1.0; 3];

/// Opens a volume for reading.
pub(crate) fn open(directory: &Directory, options: &OpenOptions) -> Result<Box<dyn Reader>> {
    let info = Info::read(directory, &options.limits)?;
    let scales = info.scale_metadata();
    let place = directory.place(INFO);
    let index = options.scale.index_in(&scales, &place)?;
    let scale = &info.scales[index];
    let array = ScaleArray::new(directory, &info, scale)?;
    let sharding = scale
        .parsed_sharding()
        .map_err(|message| Error::format(place, format!("scale {index}: {message}")))?;
    let mut metadata = describe(&info, scale, sharding.as_ref());
    metadata.scales = scales;
    let source: Box<dyn ChunkSource> = match sharding {
        Some(sharding) => Box::new(ShardedSource::new(array, sharding, &options.limits)?),
        None => Box::new(UnshardedSource::new(array)),
    };
    Ok(Box::new(ChunkedReader::new(metadata, source, options)?))
}

fn describe(info: &Info, scale: &Scale, sharding: Option<&Sharding>) -> Metadata {
    let mut metadata = Metadata::new("precomputed", info.dtype, scale.shape);
    metadata.channels = numbered_channels(info.channels as usize);
    metadata.voxel_size = Some(scale.voxel_size);
    metadata.stored_axes = "czyx".to_owned();
    metadata.chunk_shape = scale.chunk;
    if scale.encoding != "raw" {
        metadata.codecs.push(scale.encoding.clone());
    }
    if sharding.is_some_and(|s| s.data_encoding == Compression::Gzip) {
        metadata.codecs.push("gzip".to_owned());
    }
    let boxes = sharding.and_then(Sharding::box_bits).zip(MortonGrid::new(scale.counts()));
    metadata.shard_shape = boxes.map(|(bits, grid)| {
        let chunks = grid.box_shape(bits);
        std::array::from_fn(|a| chunks[a].saturating_mul(scale.chunk[a]))
    });
    metadata
}

/// Creates a volume of one scale and one channel.
pub(crate) fn create(directory: &Directory, options: &WriteOptions) -> Result<Box<dyn Writer>> {
    let voxel_size = options.voxel_size.unwrap_or(VoxelSize { nm_zyx: UNKNOWN_NM });
    let plan = Plan::new(options, voxel_size, [0; 3], &directory.place(""))?;
    let mut output = Output::create(directory, options)?;
    output.add_document(INFO, info::new_document(options.dtype, &plan.scale));
    writer(output, plan)
}

/// Adds a scale to a volume that is there. Everything of `info` that is not known here stays.
pub(crate) fn add_scale(
    directory: &Directory,
    factor: [u64; 3],
    options: &WriteOptions,
) -> Result<Box<dyn Writer>> {
    let info = Info::read(directory, &Limits::default())?;
    let place = directory.place(INFO);
    let finest = &info.scales[0];
    let nm_zyx = std::array::from_fn(|a| finest.voxel_size.nm_zyx[a] * factor[a] as f64);
    let step = factor.map(|factor| i64::try_from(factor).unwrap_or(i64::MAX));
    let offset = std::array::from_fn(|a| finest.offset[a].div_euclid(step[a]));
    let plan = Plan::new(options, VoxelSize { nm_zyx }, offset, &place)?;
    let new = &plan.scale;
    if info.scales.iter().any(|s| s.directory == new.directory || s.voxel_size == new.voxel_size) {
        return Err(Error::Exists { place: directory.place(&new.directory) });
    }
    let mut output = Output::extend(directory, options);
    output.add_document(INFO, info.with_scale(new));
    writer(output, plan)
}

fn writer(output: Output, mut plan: Plan) -> Result<Box<dyn Writer>> {
    // Objects can be left of a run that was ended, and in a bucket those of the volume that is replaced.
    let left = output.directory.join(&plan.scale.directory).list()?;
    let before = if left.is_empty() { Before::Empty } else { Before::Objects };
    let sink: Box<dyn ChunkSink> = match plan.shards.take() {
        Some((sharding, morton)) => Box::new(ShardSink { plan, sharding, morton, before }),
        None => Box::new(UnshardedSink { plan, before }),
    };
    Ok(Box::new(ChunkedWriter::new(output, sink)))
}
