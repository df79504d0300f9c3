//! Coarser volumes: a new one, or the scales of a pyramid added to a volume that is there. Larger than
//! memory, block by block, each scale made of the one before.

use std::num::NonZeroUsize;
use std::time::Instant;

use exavox_compute::ops::downsample::{DownsampleMethod, downsampled_shape};
use exavox_io::store::Durability;
use exavox_io::volume::{Codec, WriteMode};
use exavox_io::{BoundingBox, OpenOptions, Volume, VolumeWriter, VoxelSize, WriteOptions};
use serde::Serialize;

use crate::convert::run::{self, Job, Make};
use crate::convert::same_place;
use crate::error::{Error, Result};
use crate::progress::Observer;

/// Scales are added until the largest axis that the factor shrinks has at most so many voxels.
const COARSEST: u64 = 128;

/// How to downsample.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DownsampleOptions {
    /// Voxels along z, y and x that become one, each at least 1. Default: `[2, 2, 2]`.
    pub factor: [u64; 3],
    /// What is made of them. Default: mode for integers of 32 and 64 bits, mean for all others.
    pub method: Option<DownsampleMethod>,
    /// Chunk shape `[z, y, x]`. Default: the finest scale's, or the format's.
    pub chunk_shape: Option<[u64; 3]>,
    /// Compression. Default: the format's.
    pub codec: Option<Codec>,
    /// When written chunks are safe.
    pub durability: Durability,
    /// What to do with an output that is there already. A pyramid is never replaced: [`WriteMode`]
    /// is about what lies where its next scale is to be.
    pub mode: WriteMode,
    /// Threads that read, compute and write. Default: 1.
    pub threads: NonZeroUsize,
    /// Bytes of blocks in flight, all threads together. Default: 256 MiB.
    pub memory_bytes: Option<u64>,
}

impl Default for DownsampleOptions {
    fn default() -> Self {
        Self {
            factor: [2; 3],
            method: None,
            chunk_shape: None,
            codec: None,
            durability: Durability::default(),
            mode: WriteMode::default(),
            threads: NonZeroUsize::MIN,
            memory_bytes: None,
        }
    }
}

/// What was made.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct DownsampleReport {
    /// `mean` or `mode`.
    pub method: &'static str,
    /// Shapes `[z, y, x]` of the volumes or scales that were written, finest first.
    pub shapes: Vec<[u64; 3]>,
    /// Bytes of voxels read, uncompressed, all channels and scales.
    pub bytes: u64,
    /// Wall-clock time.
    pub seconds: f64,
    /// Bytes read per second.
    pub bytes_per_second: f64,
    /// Blocks written.
    pub blocks: u64,
}

/// Writes a new volume whose voxels are `options.factor` times as large as those of `source`.
///
/// # Errors
/// If an option does not fit; if a block cannot be read or written.
pub fn downsample(
    source: &Volume,
    target: &str,
    options: &DownsampleOptions,
    observer: &dyn Observer,
) -> Result<DownsampleReport> {
    let started = Instant::now();
    let method = method(source, options)?;
    same_place::refuse(source.name(), target)?;
    let write = write_options(source, options);
    let job = job(source, options, method, observer);
    let moved = run::create(&job, "downsample", target, &write)?;
    let shapes = if moved.already_whole { Vec::new() } else { vec![write.shape] };
    Ok(report(started, method, shapes, moved.bytes, moved.blocks))
}

/// Adds scales to a volume, each `options.factor` times as coarse as the one before, until there are
/// `levels` besides the finest; without a number, until the largest axis that the factor shrinks has at
/// most 128 voxels. Scales that are there count if their shapes are what this would make; each one is
/// listed when it is whole, so that a run that was stopped can be started again.
///
/// # Errors
/// If the format has no scales ([`exavox_io::Error::Unsupported`]); if a scale that is there has
/// another shape; if a block cannot be read or written: the scales before are kept then.
pub fn add_scales(
    name: &str,
    levels: Option<usize>,
    open: &OpenOptions,
    options: &DownsampleOptions,
    observer: &dyn Observer,
) -> Result<DownsampleReport> {
    let started = Instant::now();
    let finest = Volume::open_with(name, &open.clone().with_scale(0))?;
    let method = method(&finest, options)?;
    let wanted = shapes(finest.shape(), options.factor, levels);
    let there = finest.metadata().scales.len();
    check_scales(&finest, &wanted)?;
    let (mut bytes, mut blocks) = (0, 0);
    let mut factor = options.factor;
    for level in 1..=wanted.len() {
        if level >= there {
            let source = Volume::open_with(name, &open.clone().with_scale(level - 1))?;
            let write = write_options(&source, options);
            let writer = VolumeWriter::add_scale(name, factor, &write)?;
            let job = job(&source, options, method, observer);
            let moved = job.move_all(&format!("scale {level}"), writer, write.dtype, None)?;
            bytes += moved.bytes;
            blocks += moved.blocks;
        }
        factor = std::array::from_fn(|a| factor[a].saturating_mul(options.factor[a]));
    }
    let added = wanted.get(there - 1..).unwrap_or_default().to_vec();
    Ok(report(started, method, added, bytes, blocks))
}

/// The method; an error if the factor changes nothing or the method cannot be.
fn method(source: &Volume, options: &DownsampleOptions) -> Result<DownsampleMethod> {
    let usage = |message: String| Err(Error::settings(source.name(), message));
    let (factor, dtype) = (options.factor, source.metadata().dtype);
    if factor.contains(&0) || factor == [1; 3] {
        return usage(format!("factor {factor:?}: each must be at least 1, and one above"));
    }
    let method = options.method.unwrap_or_else(|| DownsampleMethod::default_of(dtype));
    if method == DownsampleMethod::Mode && dtype.kind() == 'f' {
        return usage(format!("the mode is for labels, which are integers; found {dtype}"));
    }
    Ok(method)
}

fn job<'a>(
    source: &'a Volume,
    options: &DownsampleOptions,
    method: DownsampleMethod,
    observer: &'a dyn Observer,
) -> Job<'a> {
    Job {
        source,
        region: BoundingBox::whole(source.shape()),
        channels: (0..source.metadata().channels.len()).collect(),
        make: Make::Downsample { factor: options.factor, method },
        threads: options.threads,
        memory_bytes: options.memory_bytes,
        observer,
    }
}

fn write_options(source: &Volume, options: &DownsampleOptions) -> WriteOptions {
    let metadata = source.metadata();
    let voxel_size = metadata.voxel_size.and_then(|size| {
        let times = |a: usize| size.nm_zyx[a] * options.factor[a] as f64;
        VoxelSize::from_nm_zyx(std::array::from_fn(times))
    });
    let shape = downsampled_shape(metadata.shape, options.factor);
    let mut write = WriteOptions::new(metadata.dtype, shape)
        .with_channels(metadata.channels.clone())
        .with_voxel_size(voxel_size)
        .with_mode(options.mode);
    write.chunk_shape = options.chunk_shape;
    write.codec = options.codec.unwrap_or(write.codec);
    write.durability = options.durability;
    write
}

/// Shapes of the scales below the finest.
pub(crate) fn shapes(finest: [u64; 3], factor: [u64; 3], levels: Option<usize>) -> Vec<[u64; 3]> {
    let shrinks = |shape: [u64; 3]| (0..3).any(|a| factor[a] > 1 && shape[a] > COARSEST);
    let mut shapes = Vec::new();
    let mut shape = finest;
    while levels.map_or(shrinks(shape), |levels| shapes.len() < levels.min(64)) {
        shape = downsampled_shape(shape, factor);
        shapes.push(shape);
    }
    shapes
}

/// Scales that are there must be those that would be made.
fn check_scales(finest: &Volume, wanted: &[[u64; 3]]) -> Result<()> {
    let there = finest.metadata().scales.iter().skip(1).map(|scale| scale.shape);
    for (n, (found, expected)) in there.zip(wanted).enumerate() {
        if found != *expected {
            let message = format!(
                "scale {} has shape {found:?}, this factor makes {expected:?}; write a new volume",
                n + 1
            );
            return Err(Error::settings(finest.name(), message));
        }
    }
    Ok(())
}

fn report(
    started: Instant,
    method: DownsampleMethod,
    shapes: Vec<[u64; 3]>,
    bytes: u64,
    blocks: u64,
) -> DownsampleReport {
    let seconds = started.elapsed().as_secs_f64();
    let bytes_per_second = bytes as f64 / seconds.max(1e-9);
    DownsampleReport { method: method.name(), shapes, bytes, seconds, bytes_per_second, blocks }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_go_down_to_128_voxels() {
        let count = |finest, factor| shapes(finest, factor, None).len();
        assert_eq!(count([128, 128, 128], [2; 3]), 0);
        assert_eq!(count([128, 129, 128], [2; 3]), 1);
        assert_eq!(count([1000, 600, 600], [1, 2, 2]), 3);
        assert_eq!(count([1, 1, 1_000_000], [2; 3]), 13);
        assert_eq!(shapes([5, 9, 1], [2, 2, 2], Some(2)), [[3, 5, 1], [2, 3, 1]]);
    }
}
