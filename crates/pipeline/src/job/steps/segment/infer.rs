//! Subvolumes, each on its own.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use exavox_compute::ComputeDevice;
use exavox_compute::ffn::{Executors, Steps};
use exavox_io::store::Durability;
use exavox_io::volume::FileAccess;
use exavox_io::{BoundingBox, OpenOptions, Volume, VolumeWriter, Voxels};

use super::places::Places;
use super::record::{CounterRecord, OriginRecord, SubvolumeRecord};
use super::{Segment, holds};
use crate::blocks::{BlockWorker, Digest, Stage, StagePlan};
use crate::error::{Error, Result};
use crate::job::steps::blockwise::voxels_digest;
use crate::job::{SharedTarget, StageContext};
use crate::progress::{Event, Observer};
use crate::segment::inference::{Inferred, Subvolume, executors, infer, read_more};
use crate::segment::{OpenMasks, Seeds, SegmentSettings};

struct Infer<'a> {
    step: &'a Segment,
    image: Volume,
    masks: OpenMasks,
    places: Places,
    target: SharedTarget,
    durability: Durability,
    threads: usize,
    device: &'a ComputeDevice,
    /// The networks, one for each device, for the subvolumes of all workers. Made for the first of them.
    executors: Mutex<Option<Arc<Executors>>>,
    notes: Notes<'a>,
}

pub(super) fn open<'a>(
    step: &'a Segment,
    context: &StageContext<'a>,
) -> Result<Box<dyn Stage + 'a>> {
    // Pages of a mapping would count as memory of the process.
    let options = OpenOptions::default().with_scale(step.scale).with_file_access(FileAccess::Read);
    let image = Volume::open_with(&step.source, &options)?;
    Ok(Box::new(Infer {
        step,
        masks: OpenMasks::open(&step.settings, &image)?,
        image,
        places: Places::new(&context.data),
        target: step.slots.target(&context.data),
        durability: context.durability,
        threads: context.threads,
        device: context.device,
        executors: Mutex::default(),
        notes: Notes(context.observer),
    }))
}

impl Stage for Infer<'_> {
    fn worker(&self) -> Result<Box<dyn BlockWorker + '_>> {
        let executors = self.executors()?;
        let writer = self.target.writer(self.durability)?;
        Ok(Box::new(move |block: u64| self.run(block, &mut executors.client(), &writer)))
    }

    fn with_device(&self, plan: &StagePlan) -> StagePlan {
        self.step.infer_plan_on(self.device, plan)
    }

    fn describe(&self, block: u64) -> String {
        self.step.subvolumes.area(block).to_string()
    }

    fn digest(&self, block: u64) -> Result<Digest> {
        if !self.target.is_finished()? {
            let message = "cannot be read before all subvolumes are done";
            return Err(Error::settings(self.target.name(), message));
        }
        let area = self.step.subvolumes.area(block);
        let labels = self.step.slots.read(&self.target.open()?, block, &area)?;
        Ok(digest(&SubvolumeRecord::read(&self.places.record(block))?, &labels))
    }
}

impl Infer<'_> {
    fn executors(&self) -> Result<Arc<Executors>> {
        let mut made = self.executors.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(executors) = &*made {
            return Ok(Arc::clone(executors));
        }
        let Segment { model, settings, .. } = self.step;
        let executors = Arc::new(executors(model, settings, self.device, self.threads)?);
        Ok(Arc::clone(made.insert(executors)))
    }

    fn run(&self, block: u64, steps: &mut dyn Steps, writer: &VolumeWriter) -> Result<Digest> {
        let step = self.step;
        let (started, region) = (Instant::now(), step.subvolumes.area(block));
        let image = Arc::new(self.image.read(step.settings.channel, &region)?);
        let more = read_more(&self.image, &step.settings, &region)?;
        let read_seconds = started.elapsed().as_secs_f64();
        let subvolume = Subvolume {
            image,
            more,
            region,
            voxel_size: step.voxel_size,
            restrictor: self.masks.restrictor(&self.image, &region)?,
            keeps_probabilities: false,
        };
        let settings = with_seeds_inside(&step.settings, &region);
        let inferred = infer(&subvolume, &settings, steps, &self.notes)?;
        let record = record(&inferred, &region, read_seconds, steps.device_name());
        let labels = Voxels::from_vec(subvolume.image.shape(), inferred.segmentation.labels)?;
        drop(subvolume);
        let digest = digest(&record, &labels);
        record.write(&self.places.record(block))?;
        writer.write(0, step.slots.start(block), &step.slots.filled(labels)?)?;
        Ok(digest)
    }
}

fn record(
    inferred: &Inferred,
    area: &BoundingBox,
    read_seconds: f64,
    device: String,
) -> SubvolumeRecord {
    let origins = &inferred.segmentation.origins;
    SubvolumeRecord {
        area: area.to_string(),
        device,
        stage_seconds: [read_seconds, inferred.seed_seconds, inferred.flood_seconds],
        counters: CounterRecord::new(&inferred.segmentation.counters),
        origins: origins.iter().map(|origin| OriginRecord::new(origin, area)).collect(),
    }
}

fn digest(record: &SubvolumeRecord, labels: &Voxels) -> Digest {
    let parts = [record.digest(), voxels_digest(labels)].map(|digest| digest.0.to_le_bytes());
    Digest::of(parts.as_flattened())
}

/// Given seeds belong to the subvolumes that hold them.
fn with_seeds_inside(settings: &SegmentSettings, region: &BoundingBox) -> SegmentSettings {
    let mut settings = settings.clone();
    if let Seeds::Points(points) = &mut settings.seeds {
        points.retain(|point| holds(region, point));
    }
    settings
}

/// Passes on what happens inside of a subvolume, but neither its stages nor its progress, which are not
/// those of the run.
struct Notes<'a>(&'a dyn Observer);

impl Observer for Notes<'_> {
    fn notify(&self, event: &Event<'_>) {
        match event {
            Event::Advanced { note, .. } => self.0.notify(&Event::Advanced { by: 0, note }),
            Event::Warning(_) => self.0.notify(event),
            _ => {}
        }
    }
}
