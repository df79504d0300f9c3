//! A region that is segmented with the weights of the moment and compared with its labels: what the loss
//! does not tell is how well the network segments.

use std::sync::Arc;
use std::time::Instant;

use exavox_compute::ComputeDevice;
use exavox_compute::ffn::{CanvasChannel, Inline, Restrictor, TrainedModel};
use exavox_compute::metrics::{Contingency, ScoreOptions};
use exavox_io::{BoundingBox, OpenOptions, Volume, VoxelSize, Voxels};

use super::config::{TrainConfig, ValidationTable};
use super::learner::{MakeLearner, Place};
use super::log::Table;
use super::memory::mib;
use super::source::{check_channels, check_pair, region};
use crate::error::{Error, Result};
use crate::progress::{Event, Observer};
use crate::segment::SegmentSettings;
use crate::segment::inference::{Subvolume, infer, read_more};
use crate::segment::memory::KeptHere;

/// Name of the table.
pub(super) const TABLE: &str = "validation.csv";
/// Bytes of a voxel beside those of a segmentation: its true label, and the one found.
const LABELS: u64 = 16;
const HEADER: &str = "step,voi,voi_split,voi_merge,adapted_rand_error,segments,fov_steps,seconds";

/// How good a checkpoint is. The names are those of `--json`.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Validated {
    /// Step of the checkpoint.
    pub step: u64,
    /// Sum of the next two, bits; 0 is best.
    pub voi: f64,
    /// H(prediction | truth).
    pub voi_split: f64,
    /// H(truth | prediction).
    pub voi_merge: f64,
    /// 0 is best, 1 worst.
    pub adapted_rand_error: f64,
    /// Segments found.
    pub segments: usize,
}

/// The region, in memory, and what came of it so far.
pub(super) struct Validation {
    image: Arc<Voxels>,
    /// Further channels.
    more: Vec<CanvasChannel>,
    truth: Vec<u64>,
    region: BoundingBox,
    voxel_size: Option<VoxelSize>,
    settings: SegmentSettings,
    /// Bytes that it takes beside the training.
    bytes: u64,
    /// In order of the steps.
    table: Table<Validated>,
}

impl Validation {
    /// Reads the region, to be segmented in so many bytes of memory, with what the first of the devices takes of
    /// it. Lines of the table after `up_to` steps are taken off.
    ///
    /// # Errors
    /// [`Error::Settings`] if image and labels do not go together, or do not fit; if a channel is not there.
    pub(super) fn open(
        table: &ValidationTable,
        config: &TrainConfig,
        devices: &[ComputeDevice],
        path: &std::path::Path,
        (up_to, memory): (u64, u64),
    ) -> Result<Self> {
        let open = |name: &str| Volume::open_with(name, &OpenOptions::default());
        let (image, labels) = (open(&table.image)?, open(&table.labels)?);
        check_pair(&image, &labels)?;
        let region = region(&image, table.roi.as_deref())?;
        let settings = config.settings();
        check_channels(&image, &settings.all_channels())?;
        let mut roi = settings.clone();
        roi.roi = Some(region);
        crate::segment::region_of(image.name(), image.shape(), &roi)?;
        let bytes = bytes(&region, &settings, config, devices.first());
        check_memory(&region, bytes, memory)?;
        let truth = labels.read(0, &region)?.to_labels();
        let truth = truth.map_err(|e| Error::settings(labels.name(), e.to_string()))?;
        if truth.iter().all(|label| *label == 0) {
            return Err(Error::settings(labels.name(), format!("no voxel above 0 in {region}")));
        }
        let table = Table::open(path, HEADER, parse, up_to)?;
        Ok(Self {
            image: Arc::new(image.read(settings.channel, &region)?),
            more: read_more(&image, &settings, &region)?,
            truth,
            region,
            voxel_size: image.metadata().voxel_size,
            settings,
            bytes,
            table,
        })
    }

    /// Bytes that it takes beside the training.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Forgets what was noted after so many steps.
    ///
    /// # Errors
    /// What the disk says.
    pub(super) fn go_back(&mut self, path: &std::path::Path, step: u64) -> Result<()> {
        self.table = Table::open(path, HEADER, parse, step)?;
        Ok(())
    }

    /// Segments with a network, and notes how good that is.
    ///
    /// # Errors
    /// What the device or the disk says.
    pub(super) fn run(
        &mut self,
        step: u64,
        model: &TrainedModel,
        (maker, place): (&dyn MakeLearner, Place),
        observer: &dyn Observer,
    ) -> Result<Validated> {
        let started = Instant::now();
        let quiet = WarningsOnly(observer);
        let (mut network, batch) = maker.network(model, &self.settings, place, &quiet)?;
        let mut steps = Inline::new(network.as_mut(), batch);
        let found = infer(&self.subvolume(), &self.settings, &mut steps, &quiet)?.segmentation;
        let labels: Vec<u64> = found.labels.iter().map(|l| u64::from(*l)).collect();
        let mut table = Contingency::new();
        table.add(&labels, &self.truth)?;
        let scores = table.scores(&ScoreOptions::default())?;
        let validated = Validated {
            step,
            voi: scores.voi_split + scores.voi_merge,
            voi_split: scores.voi_split,
            voi_merge: scores.voi_merge,
            adapted_rand_error: scores.adapted_rand_error,
            segments: found.origins.len(),
        };
        let Validated { voi, voi_split, voi_merge, adapted_rand_error, segments, .. } = validated;
        let (steps, seconds) = (found.counters.fov_steps, started.elapsed().as_secs_f64());
        self.table.add(&format!(
            "{step},{voi:.6},{voi_split:.6},{voi_merge:.6},{adapted_rand_error:.6},{segments},{steps},{seconds:.1}"
        ))?;
        Ok(validated)
    }

    fn subvolume(&self) -> Subvolume {
        Subvolume {
            image: Arc::clone(&self.image),
            more: self.more.clone(),
            region: self.region,
            voxel_size: self.voxel_size,
            restrictor: Restrictor::default(),
            keeps_probabilities: false,
        }
    }

    /// All there is, in order of the steps.
    pub(super) fn all(&self) -> &[Validated] {
        self.table.rows()
    }

    /// The best so far, by VOI; the earlier of two alike.
    pub(super) fn best(&self) -> Option<Validated> {
        self.all().iter().copied().min_by(|a, b| a.voi.total_cmp(&b.voi))
    }
}

/// Bytes that a region takes while it is segmented: here, and what a device takes of the memory of this machine for
/// logits and a batch.
fn bytes(
    region: &BoundingBox,
    settings: &SegmentSettings,
    config: &TrainConfig,
    device: Option<&ComputeDevice>,
) -> u64 {
    let voxels = region.num_voxels();
    let each = settings.bytes_per_voxel().saturating_add(LABELS);
    let here = voxels.saturating_mul(each);
    let Some(device) = device else { return here };
    let architecture = config.model.architecture();
    let kept = KeptHere::new(device, Some(&architecture)).bytes(voxels);
    let mut known = settings.clone();
    known.architecture.features = Some(architecture.features);
    here.saturating_add(kept).saturating_add(known.batch_bytes_here(device, 1))
}

/// Refuses a region that does not fit beside the training.
fn check_memory(region: &BoundingBox, needed: u64, memory: u64) -> Result<()> {
    // Labels inside a subvolume are 32 bits with a sign.
    if region.num_voxels() > i32::MAX as u64 {
        let message = format!("region {region}: expected at most {} voxels", i32::MAX);
        return Err(Error::settings("validation.roi", message));
    }
    if needed <= memory {
        return Ok(());
    }
    let message = format!(
        "region {region} needs {} MiB of memory, {} MiB may be used beside the training; choose a smaller one",
        mib(needed),
        memory >> 20
    );
    Err(Error::settings("validation.roi", message))
}

fn parse(line: &str) -> Option<Validated> {
    let cells: Vec<&str> = line.split(',').collect();
    let number = |at: usize| cells.get(at)?.parse::<f64>().ok();
    Some(Validated {
        step: cells.first()?.parse().ok()?,
        voi: number(1)?,
        voi_split: number(2)?,
        voi_merge: number(3)?,
        adapted_rand_error: number(4)?,
        segments: cells.get(5)?.parse().ok()?,
    })
}

/// Passes warnings on and keeps the rest: the stage that people see is the training.
struct WarningsOnly<'a>(&'a dyn Observer);

impl Observer for WarningsOnly<'_> {
    fn notify(&self, event: &Event<'_>) {
        if matches!(event, Event::Warning(_)) {
            self.0.notify(event);
        }
    }
}
