//! Moves the blocks: read, cast or downsample, write.

use std::num::NonZeroUsize;
use std::time::Instant;

use exavox_compute::ops::downsample::DownsampleMethod;
use exavox_io::trace::{Activity, span};
use exavox_io::volume::{WriteMode, WriteOrder};
use exavox_io::{BoundingBox, DataType, ReadAhead, Volume, VolumeWriter, Voxels, WriteOptions};

use super::blocks::{Blocks, Cutting};
use super::cast::cast_block;
use super::cost::Cost;
use super::queue::in_parallel;
use super::resume::{Found, Resumable};
use super::slabs::Slabs;
use super::{DEFAULT_MEMORY, Precision};
use crate::error::{Error, Result};
use crate::ledger::Ledger;
use crate::progress::{Event, Observer, Unit};

/// Smaller blocks than this are not worth their overhead.
const SMALL_BLOCK: u64 = 1 << 20;
/// Larger blocks than this, in bytes of the source, gain nothing, and are lost as a whole by a kill.
const LARGE_BLOCK: u64 = 32 << 20;

/// What is to be moved.
pub(crate) struct Job<'a> {
    pub(crate) source: &'a Volume,
    pub(crate) region: BoundingBox,
    /// Channels of the source, in the order of the target's.
    pub(crate) channels: Vec<usize>,
    pub(crate) make: Make,
    /// Threads that read, make and write.
    pub(crate) threads: NonZeroUsize,
    /// Bytes of blocks in flight, if they are bounded.
    pub(crate) memory_bytes: Option<u64>,
    pub(crate) observer: &'a dyn Observer,
}

/// What is made of a block on its way.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Make {
    /// The same voxels in another type.
    Cast(Precision),
    /// One voxel of each cell of `factor` voxels. The region starts at 0.
    Downsample {
        /// `[z, y, x]`, each at least 1.
        factor: [u64; 3],
        method: DownsampleMethod,
    },
}

impl Make {
    /// Voxels of the source that become one, `[z, y, x]`.
    pub(super) fn factor(&self) -> [u64; 3] {
        match self {
            Self::Cast(_) => [1; 3],
            Self::Downsample { factor, .. } => *factor,
        }
    }
}

/// How a job is cut, and how many blocks may be in flight.
struct Cut {
    blocks: Blocks,
    workers: usize,
    dtype: DataType,
}

/// A block of one channel.
#[derive(Debug, Clone, Copy)]
struct Task {
    /// Counts all blocks of all channels, for the ledger.
    number: u64,
    /// Index of the channel in the target.
    channel: usize,
    /// In voxels of the source.
    block: BoundingBox,
}

/// A job whose target is open.
struct Moving<'a> {
    job: &'a Job<'a>,
    writer: &'a VolumeWriter,
    dtype: DataType,
    ledger: Option<&'a Ledger>,
}

/// What was done of a job.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Moved {
    /// Bytes of the source that were read.
    pub(crate) bytes: u64,
    /// Blocks written now.
    pub(crate) blocks: u64,
    /// Blocks written by an earlier run.
    pub(crate) blocks_resumed: u64,
    /// The target was whole before.
    pub(crate) already_whole: bool,
}

/// Writes a new volume, or goes on with one if the mode says so.
pub(crate) fn create(
    job: &Job<'_>,
    stage: &str,
    target: &str,
    write: &WriteOptions,
) -> Result<Moved> {
    if write.mode != WriteMode::Resume {
        return job.move_all(stage, VolumeWriter::create(target, write)?, write.dtype, None);
    }
    let mut resumable = match Found::at(target, job, write)? {
        Found::Whole => return Ok(Moved { already_whole: true, ..Moved::default() }),
        Found::Unfinished(unfinished) => *unfinished,
    };
    let moved = VolumeWriter::create(target, write)
        .map_err(Error::from)
        .and_then(|writer| job.move_all(stage, writer, write.dtype, Some(&mut resumable)));
    match moved {
        Ok(moved) => Ok(Moved { blocks_resumed: resumable.finish()?, ..moved }),
        Err(error) => resumable.withdraw().and(Err(error)),
    }
}

impl Job<'_> {
    /// Moves the blocks that are missing and puts the target into place.
    pub(crate) fn move_all(
        &self,
        stage: &str,
        writer: VolumeWriter,
        dtype: DataType,
        mut resumable: Option<&mut Resumable>,
    ) -> Result<Moved> {
        let started = Instant::now();
        let begun = resumable.as_ref().map_or(Ok(None), |resumable| resumable.grid())?;
        let cut = self.cut(&writer, dtype, begun)?;
        if let Some(resumable) = &mut resumable {
            resumable.begin(&cut.blocks, self.observer)?;
        }
        let ledger = resumable.map(|resumable| &resumable.ledger);
        let bytes = self.bytes_missing(&cut, ledger);
        self.observer.notify(&Event::Started { stage, total: bytes, unit: Unit::Bytes });
        let blocks = self.run(&writer, &cut, ledger)?;
        writer.finish()?;
        let seconds = started.elapsed().as_secs_f64();
        self.observer.notify(&Event::Finished { stage, seconds });
        Ok(Moved { bytes, blocks, ..Moved::default() })
    }

    /// Moves all blocks that the ledger does not have; gives their number.
    fn run(&self, writer: &VolumeWriter, cut: &Cut, ledger: Option<&Ledger>) -> Result<u64> {
        let threads = self.threads;
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads.get())
            .build()
            .map_err(|e| Error::settings(format!("{threads} threads"), e.to_string()))?;
        let moving = Moving { job: self, writer, dtype: cut.dtype, ledger };
        match writer.order() {
            WriteOrder::Any => {
                let tasks = self.missing(cut, ledger);
                in_parallel(&pool, cut.workers, tasks, |task| moving.move_block(&task))
            }
            WriteOrder::WithinChannel => {
                in_parallel(&pool, cut.workers, 0..self.channels.len(), |channel| {
                    let tasks = self.missing(cut, ledger).filter(|task| task.channel == channel);
                    tasks.map(|task| moving.move_block(&task)).sum()
                })
            }
            _ => match self.make {
                Make::Cast(precision) if cut.workers > 1 => moving.read_ahead(cut, precision),
                _ => self.missing(cut, ledger).map(|task| moving.move_block(&task)).sum(),
            },
        }
    }

    /// Bytes of the source that are still to be read.
    fn bytes_missing(&self, cut: &Cut, ledger: Option<&Ledger>) -> u64 {
        let voxels = match ledger {
            Some(ledger) => self.missing(cut, Some(ledger)).map(|t| t.block.num_voxels()).sum(),
            None => self.region.num_voxels().saturating_mul(self.channels.len() as u64),
        };
        voxels.saturating_mul(self.source.metadata().dtype.size() as u64)
    }

    /// The blocks that no earlier run has written, channel after channel in C order.
    fn missing<'a>(
        &self,
        cut: &Cut,
        ledger: Option<&'a Ledger>,
    ) -> impl Iterator<Item = Task> + Send + use<'a> {
        let blocks = cut.blocks;
        (0..self.channels.len())
            .flat_map(move |channel| blocks.iter().map(move |block| (channel, block)))
            .zip(0..)
            .map(|((channel, block), number)| Task { number, channel, block })
            .filter(move |task| ledger.is_none_or(|ledger| !ledger.has(task.number)))
    }

    /// Chooses blocks and workers such that all blocks in flight fit into memory. A grid (origin and
    /// shape of blocks) of an earlier run is kept.
    fn cut(
        &self,
        writer: &VolumeWriter,
        dtype: DataType,
        begun: Option<[[u64; 3]; 2]>,
    ) -> Result<Cut> {
        let source = self.source.metadata();
        let bound = self.memory_bytes;
        let memory = bound.unwrap_or(DEFAULT_MEMORY);
        let cost = Cost::new(source, dtype, self.make);
        let threads = self.threads.get() as u64;
        let cutting = self.cutting(writer, &cost, memory);
        let blocks = match begun {
            None => cutting.blocks(),
            Some(grid) => Blocks::again(&cutting, grid).ok_or_else(|| {
                let message = format!("the ledger is damaged: blocks of {grid:?} do not fit");
                Error::settings(self.source.name(), message)
            })?,
        };
        let needed = cost.of(blocks.shape);
        if bound.is_some_and(|bound| needed > bound) {
            return Err(too_large(self.source.name(), blocks.shape, needed, memory));
        }
        let workers = (memory / needed).clamp(1, threads) as usize;
        Ok(Cut { blocks, workers, dtype })
    }

    fn cutting(&self, writer: &VolumeWriter, cost: &Cost, memory: u64) -> Cutting {
        let source = self.source.metadata();
        let threads = self.threads.get() as u64;
        // Fewer threads with blocks as large as a chunk do less than many that each decode it.
        let chunk = std::array::from_fn(|a| source.chunk_shape[a].min(self.region.shape()[a]));
        let workers = (memory / cost.of(chunk)).clamp(1, threads);
        let share = (memory / workers).saturating_sub(cost.decoding);
        let all = cost.per_voxel().saturating_mul(self.region.num_voxels());
        let balanced = all.saturating_mul(self.channels.len() as u64) / (4 * threads);
        let (granule, factor) = (writer.granule(), self.make.factor());
        Cutting {
            region: self.region,
            granule: std::array::from_fn(|a| granule[a].saturating_mul(factor[a])),
            source_chunk: source.chunk_shape,
            ordered: writer.order() != WriteOrder::Any,
            max_voxels: share.min(balanced.max(SMALL_BLOCK)) / cost.per_voxel(),
            enough_voxels: LARGE_BLOCK / source.dtype.size() as u64,
        }
    }
}

impl Moving<'_> {
    /// Writes the blocks one by one while the next ones are read: as many are in memory as there are
    /// workers, one of them here and one in the making.
    fn read_ahead(&self, cut: &Cut, precision: Precision) -> Result<u64> {
        let mut written = 0;
        for (channel, from) in self.job.channels.iter().copied().enumerate() {
            let blocks = cut.blocks.iter();
            for read in ReadAhead::new(self.job.source, from, blocks, cut.workers - 2)? {
                let (block, voxels) = read?;
                let voxels = self.cast(voxels, precision, from, &block)?;
                self.write(&Task { number: written, channel, block }, &voxels)?;
                written += 1;
            }
        }
        Ok(written)
    }

    fn move_block(&self, task: &Task) -> Result<u64> {
        let voxels = self.read(task)?;
        self.write(task, &voxels)?;
        Ok(1)
    }

    fn read(&self, Task { channel, block, .. }: &Task) -> Result<Voxels> {
        let channel = self.job.channels[*channel];
        match self.job.make {
            Make::Cast(precision) => {
                let voxels = self.job.source.read(channel, block)?;
                self.cast(voxels, precision, channel, block)
            }
            Make::Downsample { factor, method } => {
                let slabs = Slabs::new(self.job.source.metadata(), factor);
                slabs.downsample(self.job.source, channel, block, method)
            }
        }
    }

    fn cast(
        &self,
        voxels: Voxels,
        precision: Precision,
        channel: usize,
        block: &BoundingBox,
    ) -> Result<Voxels> {
        let _span = span(Activity::Compute, block.start);
        cast_block(voxels, self.dtype, precision, (self.job.source.name(), channel, block))
    }

    fn write(&self, task: &Task, voxels: &Voxels) -> Result<()> {
        let (start, factor) = (self.job.region.start, self.job.make.factor());
        let start = std::array::from_fn(|a| (task.block.start[a] - start[a]) / factor[a]);
        self.writer.write(task.channel, start, voxels)?;
        if let Some(ledger) = self.ledger {
            ledger.record(task.number)?;
        }
        let size = self.job.source.metadata().dtype.size() as u64;
        let by = task.block.num_voxels() * size;
        self.job.observer.notify(&Event::Advanced { by, note: "" });
        Ok(())
    }
}

fn too_large(source: &str, shape: [u64; 3], needed: u64, memory: u64) -> Error {
    let message = format!(
        "one block of shape {shape:?} needs {needed} bytes of memory, the limit for blocks is \
         {memory}; smaller chunks or shards need less"
    );
    Error::settings(source, message)
}
