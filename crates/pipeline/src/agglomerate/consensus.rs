//! The consensus of two label volumes, streamed: a pass that counts pairs of labels, and one that writes.

use std::time::Instant;

use exavox_compute::ffn::agglomerate::Consensus;
use exavox_compute::metrics::Contingency;
use exavox_io::volume::WriteMode;
use exavox_io::{BoundingBox, Volume, VolumeWriter, WriteOptions};
use serde::Serialize;

use super::blockwise::{BlockSize, write_labels};
use super::inputs::label_dtype;
use crate::blocks::for_each_block;
use crate::convert::same_place;
use crate::error::Result;
use crate::label_volume::{check_integers, check_shape, read_labels};
use crate::progress::Observer;

/// How a consensus is made.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ConsensusOptions {
    /// Parts of fewer voxels become background. Default: 1000.
    pub split_min_size: u64,
    /// Bytes that blocks in flight may take. Default: what blocks of 2^21 voxels take.
    pub memory_bytes: Option<u64>,
    /// What to do with labels that are there already.
    pub mode: WriteMode,
}

impl Default for ConsensusOptions {
    fn default() -> Self {
        Self { split_min_size: 1000, memory_bytes: None, mode: WriteMode::default() }
    }
}

/// What a consensus gave. The names are those of `--json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ConsensusReport {
    /// Labels written.
    pub target: String,
    /// Labels of the first volume.
    pub labels_a: u64,
    /// Labels of the second volume.
    pub labels_b: u64,
    /// Labels of the consensus.
    pub labels: u64,
    /// Labels of the first volume that became several.
    pub split: u64,
    /// Parts that were too small.
    pub dropped_parts: u64,
    /// Their voxels.
    pub dropped_voxels: u64,
    /// The largest label of the consensus.
    pub max_label: u64,
    /// Voxels of the volume.
    pub voxels: u64,
    /// Wall-clock time.
    pub seconds: f64,
    /// `voxels` over `seconds`.
    pub voxels_per_second: f64,
}

/// Writes the consensus of two label volumes of the same shape ([`Consensus`] has the rule), channel 0 of
/// each. Labels have 32 bits, or 64 if those of `a` have 64; voxel size and chunks are those of `a`.
///
/// Cost: both volumes are read twice. Memory: a block for each thread, and some 80 bytes for each pair of
/// labels that occurs.
///
/// # Errors
/// [`crate::Error::Settings`] if the shapes differ (with the axis), labels are not integers or do not fit;
/// if a volume cannot be read or written: nothing is left then.
pub fn consensus(
    a: &Volume,
    b: &Volume,
    target: &str,
    options: &ConsensusOptions,
    observer: &dyn Observer,
) -> Result<ConsensusReport> {
    let started = Instant::now();
    check_integers(a)?;
    check_integers(b)?;
    check_shape((b.name(), b.shape()), (a.name(), a.shape()))?;
    same_place::refuse(a.name(), target)?;
    same_place::refuse(b.name(), target)?;
    let dtype = label_dtype(a);
    let write = WriteOptions::new(dtype, a.shape())
        .with_voxel_size(a.metadata().voxel_size.or(b.metadata().voxel_size))
        .with_mode(options.mode);
    let writer = VolumeWriter::create(target, &write)?;
    let size = BlockSize::within(options.memory_bytes);
    let consensus = Consensus::new(&count(a, b, size, observer)?, options.split_min_size)?;
    write_labels(&writer, (a.shape(), dtype), size, observer, |block| {
        let mut labels = read_labels(a, block)?;
        consensus.apply(&mut labels, &read_labels(b, block)?)?;
        Ok(labels)
    })?;
    writer.finish()?;
    let counts = consensus.counts();
    let voxels = BoundingBox::whole(a.shape()).num_voxels();
    let seconds = started.elapsed().as_secs_f64();
    Ok(ConsensusReport {
        target: target.to_owned(),
        labels_a: counts.labels_a,
        labels_b: counts.labels_b,
        labels: counts.labels,
        split: counts.split,
        dropped_parts: counts.dropped_pairs,
        dropped_voxels: counts.dropped_voxels,
        max_label: counts.max_label,
        voxels,
        seconds,
        voxels_per_second: voxels as f64 / seconds.max(1e-9),
    })
}

/// Pairs of labels and their voxels.
fn count(a: &Volume, b: &Volume, size: BlockSize, observer: &dyn Observer) -> Result<Contingency> {
    let grid = size.grid(a.shape(), a.metadata().chunk_shape)?;
    let pairs = |block: &BoundingBox| {
        let mut table = Contingency::new();
        // The table calls its columns truth and prediction.
        table.add(&read_labels(b, block)?, &read_labels(a, block)?)?;
        Ok(table)
    };
    for_each_block("count", &grid, observer, Contingency::new, pairs, Contingency::merge)
}
