//! Moves the blocks: read, cast, write.

use std::sync::{Mutex, PoisonError};

use exavox_io::volume::WriteOrder;
use exavox_io::{BoundingBox, DataType, Metadata, Volume, VolumeWriter, Voxels};
use rayon::ThreadPool;
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use super::blocks::{Blocks, Cutting};
use super::cast::{Cast, cast};
use super::{ConvertOptions, DEFAULT_MEMORY};
use crate::error::{Error, Result};
use crate::ledger::Ledger;
use crate::progress::{Event, Observer};

/// Smaller blocks than this are not worth their overhead.
const SMALL_BLOCK: u64 = 1 << 20;
/// Larger blocks than this, in bytes of the source, gain nothing, and are lost as a whole by a kill.
const LARGE_BLOCK: u64 = 32 << 20;

/// What is to be moved.
pub(super) struct Job<'a> {
    pub(super) source: &'a Volume,
    pub(super) region: BoundingBox,
    /// Channels of the source, in the order of the target's.
    pub(super) channels: Vec<usize>,
    pub(super) options: &'a ConvertOptions,
    pub(super) observer: &'a dyn Observer,
}

/// How a job is cut, and how many blocks may be in flight.
pub(super) struct Cut {
    pub(super) blocks: Blocks,
    workers: usize,
    dtype: DataType,
}

/// What a worker holds in memory.
struct Cost {
    per_voxel: u64,
    decoding: u64,
}

impl Cost {
    /// The block as read and as cast; its chunks, cut out of it and as the codec writes them; and a
    /// chunk of the source, encoded and decoded.
    fn new(source: &Metadata, dtype: DataType) -> Self {
        let (read, written) = (source.dtype.size() as u64, dtype.size() as u64);
        let cast = if source.dtype == dtype { 0 } else { written };
        // Bare files are read straight into the block, and then have no codecs.
        let copies = match (source.format.as_str(), source.codecs.is_empty()) {
            ("raw" | "npy", _) => 0,
            (_, true) => 1,
            (_, false) => 2,
        };
        let decoding = source.chunk_shape.into_iter().fold(copies * read, u64::saturating_mul);
        Self { per_voxel: read + cast + 2 * written, decoding }
    }

    /// Bytes for blocks of a shape.
    fn of(&self, shape: [u64; 3]) -> u64 {
        let block = shape.into_iter().fold(self.per_voxel, u64::saturating_mul);
        block.saturating_add(self.decoding)
    }
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

impl Job<'_> {
    /// Moves all blocks that the ledger does not have; gives their number.
    pub(super) fn run(
        &self,
        writer: &VolumeWriter,
        cut: &Cut,
        ledger: Option<&Ledger>,
    ) -> Result<u64> {
        let threads = self.options.threads;
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
            _ => pool.install(|| moving.in_order(self.missing(cut, ledger), cut.workers)),
        }
    }

    /// Bytes of the source that are still to be read.
    pub(super) fn bytes_missing(&self, cut: &Cut, ledger: Option<&Ledger>) -> u64 {
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
    pub(super) fn cut(
        &self,
        writer: &VolumeWriter,
        dtype: DataType,
        begun: Option<[[u64; 3]; 2]>,
    ) -> Result<Cut> {
        let source = self.source.metadata();
        let bound = self.options.memory_bytes;
        let memory = bound.unwrap_or(DEFAULT_MEMORY);
        let cost = Cost::new(source, dtype);
        let threads = self.options.threads.get() as u64;
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
        let threads = self.options.threads.get() as u64;
        // Fewer threads with blocks as large as a chunk do less than many that each decode it.
        let chunk = std::array::from_fn(|a| source.chunk_shape[a].min(self.region.shape()[a]));
        let workers = (memory / cost.of(chunk)).clamp(1, threads);
        let share = (memory / workers).saturating_sub(cost.decoding);
        let all = cost.per_voxel.saturating_mul(self.region.num_voxels());
        let balanced = all.saturating_mul(self.channels.len() as u64) / (4 * threads);
        Cutting {
            region: self.region,
            granule: writer.granule(),
            source_chunk: source.chunk_shape,
            ordered: writer.order() != WriteOrder::Any,
            max_voxels: share.min(balanced.max(SMALL_BLOCK)) / cost.per_voxel,
            enough_voxels: LARGE_BLOCK / source.dtype.size() as u64,
        }
    }
}

impl Moving<'_> {
    /// Reads and casts as many blocks at a time as there are workers, writes them one by one.
    fn in_order(&self, tasks: impl Iterator<Item = Task>, workers: usize) -> Result<u64> {
        let mut tasks = tasks;
        let mut written = 0;
        loop {
            let batch: Vec<Task> = tasks.by_ref().take(workers).collect();
            if batch.is_empty() {
                return Ok(written);
            }
            let read: Vec<Result<Voxels>> = batch.par_iter().map(|task| self.read(task)).collect();
            for (task, voxels) in batch.iter().zip(read) {
                self.write(task, &voxels?)?;
                written += 1;
            }
        }
    }

    fn move_block(&self, task: &Task) -> Result<u64> {
        let voxels = self.read(task)?;
        self.write(task, &voxels)?;
        Ok(1)
    }

    fn read(&self, Task { channel, block, .. }: &Task) -> Result<Voxels> {
        let source = self.job.source;
        let channel = self.job.channels[*channel];
        let voxels = source.read(channel, block)?;
        match cast(voxels, self.dtype, self.job.options.precision)? {
            Cast::Whole(voxels) => Ok(voxels),
            Cast::Loses { index, value } => {
                let [_, y, x] = block.shape();
                let index = index as u64;
                let offset = [index / (y * x), index / x % y, index % x];
                let voxel_zyx = std::array::from_fn(|a| block.start[a] + offset[a]);
                let (place, dtype) = (source.name().to_owned(), self.dtype);
                Err(Error::LossyCast { place, channel, voxel_zyx, value, dtype })
            }
        }
    }

    fn write(&self, task: &Task, voxels: &Voxels) -> Result<()> {
        let start = task.block.relative_to(self.job.region.start).start;
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

/// Runs `work` on each item, on `workers` threads of the pool, and adds up what it gives. Items are
/// taken in their order, and no more are taken once one has failed; so the error returned is that of
/// the first item that fails, whatever the number of threads.
fn in_parallel<Item: Send>(
    pool: &ThreadPool,
    workers: usize,
    items: impl Iterator<Item = Item> + Send,
    work: impl Fn(Item) -> Result<u64> + Sync,
) -> Result<u64> {
    let queue = Mutex::new(items.enumerate());
    let outcome: Mutex<(u64, Option<(usize, Error)>)> = Mutex::new((0, None));
    let lock_outcome = || outcome.lock().unwrap_or_else(PoisonError::into_inner);
    pool.broadcast(|thread| {
        while thread.index() < workers && lock_outcome().1.is_none() {
            let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((n, item)) = next else { break };
            let result = work(item);
            let mut outcome = lock_outcome();
            match result {
                Ok(count) => outcome.0 += count,
                Err(error) if outcome.1.as_ref().is_none_or(|(first, _)| n < *first) => {
                    outcome.1 = Some((n, error));
                }
                Err(_) => {}
            }
        }
    });
    match outcome.into_inner().unwrap_or_else(PoisonError::into_inner) {
        (_, Some((_, error))) => Err(error),
        (count, None) => Ok(count),
    }
}
