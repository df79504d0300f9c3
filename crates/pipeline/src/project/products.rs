//! Projections whose outputs are whole planes before they are written: one or several files, each with
//! one or several planes of every channel of the source. Channels come one after the other; the tiles of
//! a channel go to the threads in turn.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use exavox_io::trace::{Activity, span};
use exavox_io::{BoundingBox, DataType, Volume, VolumeWriter, Voxels, WriteOptions};

use super::plan::{Cutting, Plan};
use super::run::block_of;
use super::{ChannelReport, ProjectOptions, ProjectReport, target, write_options};
use crate::convert::same_place;
use crate::error::Result;
use crate::peak_memory::peak_memory_bytes;
use crate::progress::{Event, Observer, Unit};

/// One output of a projection.
pub(super) struct Product {
    /// Name of the file, or a pattern with `{channel}`.
    pub(super) target: String,
    pub(super) dtype: DataType,
    /// Names of the planes that each channel of the source becomes; one empty name for one plane.
    pub(super) parts: &'static [&'static str],
}

/// A projection of one volume under way.
pub(super) struct Job<'a> {
    pub(super) source: &'a Volume,
    pub(super) options: &'a ProjectOptions,
    pub(super) region: BoundingBox,
    pub(super) observer: &'a dyn Observer,
}

/// The planes of each product that a channel has become.
pub(super) type Planes = Vec<Vec<Voxels>>;

impl Job<'_> {
    /// Makes the products of all channels and writes them. `passes` is how often each voxel is read.
    pub(super) fn run(
        &self,
        products: &[Product],
        passes: u64,
        make: impl Fn(usize) -> Result<Planes>,
    ) -> Result<ProjectReport> {
        let started = Instant::now();
        for product in products {
            same_place::refuse(self.source.name(), &product.target)?;
        }
        let names = &self.source.metadata().channels;
        let bytes = self.bytes();
        let (stage, total) = ("project", bytes * passes * names.len() as u64);
        self.observer.notify(&Event::Started { stage, total, unit: Unit::Bytes });
        let mut outputs = Outputs::create(self, products)?;
        let (mut channels, mut first_error) = (Vec::new(), None);
        for (channel, name) in names.iter().enumerate() {
            let began = Instant::now();
            let done = make(channel).and_then(|planes| outputs.take(channel, planes));
            let error = done.as_ref().err().map(ToString::to_string);
            self.observer.notify(&Event::Item { name, error: error.as_deref() });
            first_error = first_error.or(done.err());
            let seconds = began.elapsed().as_secs_f64();
            channels.push(ChannelReport { name: name.clone(), seconds, error });
        }
        let good = channels.iter().filter(|channel| channel.error.is_none()).count() as u64;
        if let Some(error) = first_error.filter(|_| good == 0) {
            return Err(error);
        }
        outputs.finish()?;
        let seconds = started.elapsed().as_secs_f64();
        self.observer.notify(&Event::Finished { stage, seconds });
        Ok(ProjectReport {
            channels,
            input_bytes: bytes * good,
            seconds,
            bytes_per_second: (bytes * good) as f64 / seconds.max(1e-9),
            peak_memory_bytes: peak_memory_bytes(),
            device: "cpu".to_owned(),
        })
    }

    fn bytes(&self) -> u64 {
        self.region.num_voxels().saturating_mul(self.dtype().size() as u64)
    }

    pub(super) fn dtype(&self) -> DataType {
        self.source.metadata().dtype
    }

    pub(super) fn axis_index(&self) -> usize {
        self.options.axis.zyx_index().unwrap_or(0)
    }

    /// Planes of the region along the axis.
    pub(super) fn depth(&self) -> usize {
        self.region.shape()[self.axis_index()] as usize
    }

    /// Cuts the region into tiles whose cells keep `cell_bytes` each while they are made.
    pub(super) fn plan(&self, cell_bytes: u64, tile_bytes: u64) -> Plan {
        let cutting = Cutting {
            axis: self.options.axis,
            region: self.region,
            block_bytes: 256 << 10,
            cell_bytes,
            tile_bytes,
        };
        Plan::new(self.source.metadata(), &cutting)
    }

    /// A plane of the region's size, in memory.
    pub(super) fn plane(&self, dtype: DataType) -> Result<Voxels> {
        let mut shape = self.region.shape().map(|v| v as usize);
        shape[self.axis_index()] = 1;
        Ok(Voxels::zeros(dtype, shape)?)
    }

    /// Fills planes tile by tile, on all threads; `make` gives one block for each plane.
    pub(super) fn fill(
        &self,
        plan: &Plan,
        planes: Vec<Voxels>,
        make: impl Fn(BoundingBox, &mut Option<Voxels>) -> Result<Vec<Voxels>> + Sync,
    ) -> Result<Vec<Voxels>> {
        let (next, failed) = (AtomicU64::new(0), AtomicBool::new(false));
        let state = Mutex::new(Ok(planes));
        let work = || {
            let mut buffer = None;
            while !failed.load(Ordering::Relaxed) {
                let task = next.fetch_add(1, Ordering::Relaxed);
                if task >= plan.bands() * plan.tiles() {
                    return;
                }
                let tile = plan.tile(task / plan.tiles(), task % plan.tiles());
                let made = make(tile, &mut buffer);
                let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
                let place = |planes: &mut Vec<Voxels>| put(planes, plan, &tile, made?);
                if let Err(error) = state.as_mut().map_or(Ok(()), place) {
                    *state = Err(error);
                    failed.store(true, Ordering::Relaxed);
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..self.options.threads.get() {
                scope.spawn(work);
            }
            work();
        });
        state.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads a box of a channel block by block along the axis.
    pub(super) fn read(
        &self,
        channel: usize,
        plan: &Plan,
        part: BoundingBox,
        buffer: &mut Option<Voxels>,
        mut take: impl FnMut(&Voxels) -> Result<()>,
    ) -> Result<()> {
        for step in plan.steps(part) {
            let block = block_of(buffer, self.dtype(), step.shape().map(|v| v as usize))?;
            self.source.read_into(channel, &step, block)?;
            let _span = span(Activity::Compute, step.start);
            take(block)?;
        }
        Ok(())
    }

    /// Tells that a tile of a channel has been read.
    pub(super) fn advance(&self, tile: &BoundingBox) {
        let by = tile.num_voxels() * self.dtype().size() as u64;
        self.observer.notify(&Event::Advanced { by, note: "" });
    }

    fn write_options(&self, product: &Product) -> WriteOptions {
        let mut write = write_options(self.source, &product.target, self.options, &self.region);
        write.dtype = product.dtype;
        write
    }
}

fn put(planes: &mut [Voxels], plan: &Plan, tile: &BoundingBox, blocks: Vec<Voxels>) -> Result<()> {
    let at = plan.projected(tile).start.map(|v| v as usize);
    for (plane, block) in planes.iter_mut().zip(blocks) {
        let whole = BoundingBox::whole(block.shape().map(|v| v as u64));
        plane.copy_box(at, &block, &whole)?;
    }
    Ok(())
}

/// The files of all products: of each channel its own, or one whose planes are kept until all
/// channels are known to be good.
struct Outputs<'a> {
    job: &'a Job<'a>,
    products: &'a [Product],
    /// Writers by channel and product; taken when they are used.
    own: Vec<Vec<Option<VolumeWriter>>>,
    kept: Vec<(usize, Planes)>,
}

impl<'a> Outputs<'a> {
    /// Creates what can be created, so that a file that is there is found before anything is read.
    fn create(job: &'a Job<'a>, products: &'a [Product]) -> Result<Self> {
        let names = &job.source.metadata().channels;
        let apart = |p: &Product| p.target.contains("{channel}") || names.len() == 1;
        let mut own = Vec::new();
        for name in names {
            let mut writers = Vec::new();
            for product in products {
                writers.push(if apart(product) { Some(writer(job, product, name)?) } else { None });
            }
            own.push(writers);
        }
        for product in products.iter().filter(|p| !apart(p)) {
            // Made for real once the channels are known; this one is only tried, and leaves nothing.
            drop(VolumeWriter::create(&product.target, &common(job, product, names))?);
        }
        Ok(Self { job, products, own, kept: Vec::new() })
    }

    fn take(&mut self, channel: usize, mut planes: Planes) -> Result<()> {
        for (product, writer) in self.own[channel].iter_mut().enumerate() {
            let Some(writer) = writer.take() else { continue };
            for (part, plane) in std::mem::take(&mut planes[product]).iter().enumerate() {
                writer.write(part, [0; 3], plane)?;
            }
            writer.finish()?;
        }
        if planes.iter().any(|parts| !parts.is_empty()) {
            self.kept.push((channel, planes));
        }
        Ok(())
    }

    /// Writes the files that hold several channels.
    fn finish(self) -> Result<()> {
        let all = &self.job.source.metadata().channels;
        let names: Vec<String> = self.kept.iter().map(|(c, _)| all[*c].clone()).collect();
        for (number, product) in self.products.iter().enumerate() {
            let planes = self.kept.iter().flat_map(|(_, planes)| &planes[number]);
            let mut planes = planes.enumerate().peekable();
            if planes.peek().is_none() {
                continue;
            }
            let options = common(self.job, product, &names);
            let writer = VolumeWriter::create(&product.target, &options)?;
            planes.try_for_each(|(index, plane)| writer.write(index, [0; 3], plane))?;
            writer.finish()?;
        }
        Ok(())
    }
}

/// The writer of a file of one channel.
fn writer(job: &Job<'_>, product: &Product, name: &str) -> Result<VolumeWriter> {
    let own = target::of_channel(&product.target, name)?;
    target::refuse_planes(job.source.name(), &own)?;
    let parts: Vec<String> = match product.parts {
        [""] => vec![name.to_owned()],
        parts => parts.iter().map(|part| (*part).to_owned()).collect(),
    };
    Ok(VolumeWriter::create(&own, &job.write_options(product).with_channels(parts))?)
}

/// Description of a file of several channels.
fn common(job: &Job<'_>, product: &Product, names: &[String]) -> WriteOptions {
    let of = |name: &String| {
        let parts = product.parts.iter();
        parts.map(move |part| format!("{name} {part}").trim_end().to_owned()).collect::<Vec<_>>()
    };
    job.write_options(product).with_channels(names.iter().flat_map(of).collect())
}
