//! What a new scale is to be: chunks, encoding, shards and compression from the options.

use crate::dtype::DataType;
use crate::error::{Error, Place, Result};
use crate::geometry::VoxelSize;
use crate::volume::{Codec, Encoding, WriteOptions};

use super::compression::Compression;
use super::encoding::ChunkEncoding;
use super::key::resolution_key;
use super::morton::MortonGrid;
use super::scale::Scale;
use super::sharding::Sharding;

/// Edge of a chunk of a volume with depth, in voxels.
const CHUNK_EDGE: u64 = 64;
/// Edge of a chunk of a single plane, in voxels.
const PLANE_EDGE: u64 = 1024;
/// Edge of a block of compressed segmentation, in voxels.
const BLOCK_EDGE: u64 = 8;
/// Level of gzip where none was asked for.
const GZIP_LEVEL: u32 = 6;

/// A scale to be written.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) scale: Scale,
    pub(super) encoding: ChunkEncoding,
    pub(super) shards: Option<(Sharding, MortonGrid)>,
    /// Level of gzip around each chunk; `None` for no compression.
    pub(super) gzip: Option<u32>,
}

impl Plan {
    /// A scale of voxels of `voxel_size` whose first voxel is at `offset` of the global frame.
    pub(super) fn new(
        options: &WriteOptions,
        voxel_size: VoxelSize,
        offset: [i64; 3],
        place: &Place,
    ) -> Result<Self> {
        let unsupported = |message: String| Error::unsupported(place.clone(), message);
        check_type(options).map_err(unsupported)?;
        let chunk = chunk_shape(options);
        if chunk.contains(&0) {
            return Err(Error::usage(place.clone(), format!("chunks of shape {chunk:?}")));
        }
        let block = (options.encoding == Encoding::CompressedSegmentation)
            .then(|| chunk.map(|edge| edge.min(BLOCK_EDGE)));
        let name = match options.encoding {
            Encoding::Raw => "raw",
            Encoding::CompressedSegmentation => "compressed_segmentation",
            Encoding::Png => "png",
        };
        let encoding = ChunkEncoding::new(name, block).map_err(unsupported)?;
        encoding.check(options.dtype, 1).map_err(unsupported)?;
        let gzip = gzip_level(options).map_err(unsupported)?;
        let mut scale = Scale {
            directory: resolution_key(voxel_size.nm_zyx),
            shape: options.shape,
            offset,
            voxel_size,
            chunk,
            encoding: name.to_owned(),
            block,
            sharding: None,
        };
        scale.grid(1).check(place)?;
        let shards = match options.shard_shape {
            Some(shape) => Some(shards(&scale, shape, gzip).map_err(unsupported)?),
            None => None,
        };
        if let Some((sharding, _)) = &shards {
            let document =
                serde_json::to_value(sharding).map_err(|e| unsupported(e.to_string()))?;
            scale.sharding = Some(document);
        }
        Ok(Self { scale, encoding, shards, gzip })
    }
}

fn check_type(options: &WriteOptions) -> Result<(), String> {
    let channels = options.channels.len();
    if channels != 1 {
        return Err(format!(
            "{channels} channels in one volume; write each to a volume of its own"
        ));
    }
    match options.dtype {
        DataType::I64 | DataType::F64 => Err(format!(
            "{}; known are integers up to int32 and uint64, and float32",
            options.dtype
        )),
        _ => Ok(()),
    }
}

fn chunk_shape(options: &WriteOptions) -> [u64; 3] {
    let default = match options.shape[0] {
        1 => [1, PLANE_EDGE, PLANE_EDGE],
        _ => [CHUNK_EDGE; 3],
    };
    options.chunk_shape.unwrap_or(default)
}

/// Static servers cannot say that a file is compressed: chunks of their own are so if that was asked for.
/// Readers of shards know gzip only.
fn gzip_level(options: &WriteOptions) -> Result<Option<u32>, String> {
    let packed = options.encoding == Encoding::Png;
    match options.codec {
        Codec::Raw => Ok(None),
        Codec::Zstd(_) if options.shard_shape.is_some() && !packed => Ok(Some(GZIP_LEVEL)),
        Codec::Zstd(_) => Ok(None),
        Codec::Gzip(level) if level <= 9 => Ok(Some(level)),
        Codec::Gzip(level) => Err(format!("gzip of level {level}; levels are 0 to 9")),
        Codec::Blosc(_) => Err("blosc; known are gzip and none".to_owned()),
    }
}

/// Shards of a shape `[z, y, x]` in voxels, which must be a box of the Morton order.
fn shards(
    scale: &Scale,
    shape: [u64; 3],
    gzip: Option<u32>,
) -> Result<(Sharding, MortonGrid), String> {
    let counts = scale.counts();
    let grid = MortonGrid::new(counts)
        .ok_or_else(|| format!("shards of {counts:?} chunks: their numbers have over 64 bits"))?;
    let voxels = |bits: u32| -> [u64; 3] {
        let chunks = grid.box_shape(bits);
        std::array::from_fn(|a| chunks[a].saturating_mul(scale.chunk[a]))
    };
    // Shards that reach beyond the end are the same as those that end there.
    let same = |a: usize, x: u64, y: u64| x == y || x.min(y) >= scale.shape[a];
    let fits = |bits: &u32| (0..3).all(|a| same(a, voxels(*bits)[a], shape[a]));
    let Some(bits) = (0..=grid.bits()).find(fits) else {
        let volume = |shape: [u64; 3]| shape.into_iter().fold(1, u64::saturating_mul);
        let larger = (0..=grid.bits()).find(|bits| volume(voxels(*bits)) >= volume(shape));
        let larger = larger.unwrap_or(grid.bits());
        let (small, large) = (voxels(larger.saturating_sub(1)), voxels(larger));
        return Err(format!(
            "shards of {shape:?} voxels with chunks of {:?}: a shard is a box of the Morton order; \
             the nearest are {small:?} and {large:?}",
            scale.chunk
        ));
    };
    let compression = if gzip.is_some() { Compression::Gzip } else { Compression::Raw };
    Ok((Sharding::of_boxes(grid.bits(), bits, compression), grid))
}
