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
use crate::progress::{Event, Observer};

/// Smaller blocks than this are not worth their overhead.
const SMALL_BLOCK: u64 = 1 << 20;

/// A conversion whose target is open.
pub(super) struct Job<'a> {
    pub(super) source: &'a Volume,
    pub(super) writer: &'a VolumeWriter,
    pub(super) region: BoundingBox,
    /// Channels of the source, in the order of the target's.
    pub(super) channels: Vec<usize>,
    pub(super) options: &'a ConvertOptions,
    pub(super) observer: &'a dyn Observer,
}

/// How a job is cut, and how many blocks may be in flight.
struct Cut {
    blocks: Blocks,
    workers: usize,
    dtype: DataType,
}

/// What a worker holds in memory.
struct Cost {
    per_voxel: u64,
    decoded_chunk: u64,
}

impl Cost {
    /// The block as read, as cast and as the codec writes it, and a chunk that is being decoded.
    fn new(source: &Metadata, dtype: DataType) -> Self {
        let size = source.dtype.size() as u64;
        let decoded = if source.codecs.is_empty() { 0 } else { size };
        let decoded_chunk = source.chunk_shape.into_iter().fold(decoded, u64::saturating_mul);
        Self { per_voxel: size + 2 * dtype.size() as u64, decoded_chunk }
    }

    /// Bytes for blocks of a shape.
    fn of(&self, shape: [u64; 3]) -> u64 {
        let block = shape.into_iter().fold(self.per_voxel, u64::saturating_mul);
        block.saturating_add(self.decoded_chunk)
    }
}

/// A block of one channel of the target, in voxels of the source.
type Task = (usize, BoundingBox);

impl Job<'_> {
    /// Moves all blocks to a target of `dtype`; gives their number.
    pub(super) fn run(&self, dtype: DataType) -> Result<u64> {
        let cut = self.cut(dtype)?;
        let threads = self.options.threads;
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads.get())
            .build()
            .map_err(|e| Error::settings(format!("{threads} threads"), e.to_string()))?;
        let blocks = cut.blocks;
        let channels = 0..self.channels.len();
        match self.writer.order() {
            WriteOrder::Any => {
                let tasks = channels.flat_map(move |c| blocks.iter().map(move |b| (c, b)));
                in_parallel(&pool, cut.workers, tasks, |task| self.move_block(&task, dtype))
            }
            WriteOrder::WithinChannel => in_parallel(&pool, cut.workers, channels, |c| {
                blocks.iter().map(|b| self.move_block(&(c, b), dtype)).sum()
            }),
            _ => {
                let tasks = channels.flat_map(move |c| blocks.iter().map(move |b| (c, b)));
                pool.install(|| self.in_order(tasks, &cut))
            }
        }
    }

    /// Chooses blocks and workers such that all blocks in flight fit into memory.
    fn cut(&self, dtype: DataType) -> Result<Cut> {
        let source = self.source.metadata();
        let bound = self.options.memory_bytes;
        let memory = bound.map_or(DEFAULT_MEMORY, |m| m.min(DEFAULT_MEMORY));
        let cost = Cost::new(source, dtype);
        let threads = self.options.threads.get() as u64;
        // Fewer threads with blocks as large as a chunk do less than many that each decode it.
        let chunk = std::array::from_fn(|a| source.chunk_shape[a].min(self.region.shape()[a]));
        let workers = (memory / cost.of(chunk)).clamp(1, threads);
        let share = (memory / workers).saturating_sub(cost.decoded_chunk);
        let all = cost.per_voxel.saturating_mul(self.region.num_voxels());
        let balanced = all.saturating_mul(self.channels.len() as u64) / (4 * threads);
        let cutting = Cutting {
            region: self.region,
            granule: self.writer.granule(),
            source_chunk: source.chunk_shape,
            ordered: self.writer.order() != WriteOrder::Any,
            max_voxels: share.min(balanced.max(SMALL_BLOCK)) / cost.per_voxel,
        };
        let blocks = cutting.blocks();
        let needed = cost.of(blocks.shape);
        if bound.is_some_and(|bound| needed > bound) {
            return Err(too_large(self.source.name(), blocks.shape, needed, memory));
        }
        let workers = (memory / needed).clamp(1, threads) as usize;
        Ok(Cut { blocks, workers, dtype })
    }

    /// Reads and casts as many blocks at a time as there are workers, writes them one by one.
    fn in_order(&self, tasks: impl Iterator<Item = Task>, cut: &Cut) -> Result<u64> {
        let mut tasks = tasks;
        let mut written = 0;
        loop {
            let batch: Vec<Task> = tasks.by_ref().take(cut.workers).collect();
            if batch.is_empty() {
                return Ok(written);
            }
            let read: Vec<Result<Voxels>> =
                batch.par_iter().map(|task| self.read(task, cut.dtype)).collect();
            for (task, voxels) in batch.iter().zip(read) {
                self.write(task, &voxels?)?;
                written += 1;
            }
        }
    }

    fn move_block(&self, task: &Task, dtype: DataType) -> Result<u64> {
        let voxels = self.read(task, dtype)?;
        self.write(task, &voxels)?;
        Ok(1)
    }

    fn read(&self, (channel, block): &Task, dtype: DataType) -> Result<Voxels> {
        let channel = self.channels[*channel];
        let voxels = self.source.read(channel, block)?;
        match cast(voxels, dtype, self.options.precision)? {
            Cast::Whole(voxels) => Ok(voxels),
            Cast::Loses { index, value } => {
                let [_, y, x] = block.shape();
                let index = index as u64;
                let offset = [index / (y * x), index / x % y, index % x];
                let voxel_zyx = std::array::from_fn(|a| block.start[a] + offset[a]);
                let place = self.source.name().to_owned();
                Err(Error::LossyCast { place, channel, voxel_zyx, value, dtype })
            }
        }
    }

    fn write(&self, (channel, block): &Task, voxels: &Voxels) -> Result<()> {
        let start = block.relative_to(self.region.start).start;
        self.writer.write(*channel, start, voxels)?;
        let by = block.num_voxels() * self.source.metadata().dtype.size() as u64;
        self.observer.notify(&Event::Advanced { by, note: "" });
        Ok(())
    }
}

fn too_large(source: &str, shape: [u64; 3], needed: u64, memory: u64) -> Error {
    let message = format!(
        "one block of shape {shape:?} needs {needed} bytes of memory, the limit is {memory}; \
         smaller chunks or shards need less"
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
