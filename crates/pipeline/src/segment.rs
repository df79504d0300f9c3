//! Flood-filling-network segmentation of a volume that fits into memory as one subvolume: labels,
//! a table of segments, and a report. Larger ones are cut into [`Subvolumes`] by a job
//! ([`crate::job::steps::SegmentSpec`]).

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use exavox_compute::ComputeDevice;
use exavox_compute::ffn::{Counters, Inline, Network, Origin};
use exavox_io::volume::WriteMode;
use exavox_io::{BoundingBox, DataType, Metadata, Volume, VolumeWriter, Voxels, WriteOptions};
use serde::{Deserialize, Serialize};

use crate::convert::same_place;
use crate::error::{Error, Result};
use crate::progress::{Event, Observer};
use crate::reconcile::{Conflict, Refusals};
use crate::report::Overlay;

mod channels;
mod checkpoint;
pub(crate) mod counters;
pub(crate) mod inference;
mod initial;
mod masks;
mod model_table;
mod origins;
pub(crate) mod outputs;
mod request;
mod seed_table;
mod settings;
mod subvolumes;
mod tables;
mod text_proto;

pub use channels::{ImageChannel, MoreChannels, PerChannel};
pub use masks::{MaskChannelTable, MaskTable, ShiftMaskTable};
pub use model_table::{FamilyName, Features, ModelTable, PaddingName, PrecisionName};
pub use request::Request;
pub use seed_table::SeedTable;
pub use settings::{Seeds, SegmentSettings};
pub use subvolumes::{Subvolumes, fitting_subvolume};
pub use tables::InferenceTable;

use checkpoint::Checkpoint;
use counters::Counted;
pub(crate) use masks::OpenMasks;

use inference::{Inferred, Subvolume, infer_saved, network_on_device, open_model, read_more};
use initial::{InitialLabels, LabelIds};

/// Bytes a voxel takes at the peak: the image as it is (4 for the widest usual type), labels (4), masks and
/// probabilities (2), logits of an object and of those before their turn where they fill everything (4 and
/// 4), a state that is being saved (4); or, before there are logits, the seed policy's work (13) beside
/// image, masks and labels. Further channels and policies that may take every voxel need more:
/// [`SegmentSettings::bytes_per_voxel`].
pub(crate) const BYTES_PER_VOXEL: u64 = 22;

/// What a run may use, and where its results go.
#[derive(Debug, Clone)]
pub struct SegmentRun {
    /// Labels, any format that can be written.
    pub target: String,
    /// Probabilities of the labelled voxels, u8, if they are wanted: 0 where there is no label, else from 1
    /// to 255 as `exavox_compute::ffn::quantise` has them.
    pub probabilities: Option<String>,
    /// What to do with results that are there already.
    pub mode: WriteMode,
    /// The device of the network.
    pub device: ComputeDevice,
    /// Memory that may be used, bytes; a volume that needs more is refused.
    pub memory_bytes: u64,
    /// How often the state is saved in `.LABELS.checkpoint` beside the target, with which a run that was
    /// killed is gone on with; `None` = never.
    pub checkpoint_interval: Option<Duration>,
}

impl SegmentRun {
    /// A run that creates its results and may use three quarters of the memory that is available.
    pub fn new(target: impl Into<String>, device: ComputeDevice) -> Self {
        let memory_bytes = exavox_io::Limits::default().max_region_bytes;
        Self {
            target: target.into(),
            probabilities: None,
            mode: WriteMode::CreateNew,
            device,
            memory_bytes,
            checkpoint_interval: None,
        }
    }
}

/// What a segmentation gave. The names are those of `--json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SegmentReport {
    /// Labels written.
    pub target: String,
    /// Table of segments written.
    pub table: PathBuf,
    /// Report written.
    pub report: PathBuf,
    /// Counters written, under google/ffn's names.
    #[serde(default)]
    pub counters: PathBuf,
    /// Probabilities written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probabilities: Option<String>,
    /// Accepted segments.
    pub segments: usize,
    /// Steps of the network, those of rejected objects too.
    pub fov_steps: u64,
    /// Steps of objects that were begun before their turn, in vain, by `--batch`.
    #[serde(default)]
    pub wasted_steps: u64,
    /// Labelled voxels over all voxels.
    pub labelled_fraction: f64,
    /// Wall-clock time of the whole run.
    pub seconds: f64,
    /// Voxels of the region over `seconds`.
    pub voxels_per_second: f64,
    /// Device that ran the last step.
    pub device: String,
    /// Time of reading, of the seed policy, and of the flood loop.
    pub stage_seconds: [f64; 3],
    /// Seeds of the policy.
    pub seeds: u64,
    /// Flood attempts.
    pub segment_at_calls: u64,
    /// Seeds outside the margin or inside a segment.
    pub skip_invalid_pos: u64,
    /// Objects whose seed was judged outside.
    pub seed_got_too_weak: u64,
    /// Objects below the minimum size.
    pub too_small: u64,
    /// Voxels of accepted objects that belonged to earlier segments.
    pub voxels_overlapping: u64,
    /// How subvolumes were put together; nothing if there was but one.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub joined: Option<JoinedReport>,
}

/// How the labels of subvolumes became those of the volume. The names are those of `--json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct JoinedReport {
    /// Subvolumes.
    pub subvolumes: u64,
    /// Segments of all subvolumes, before they were linked and cropped.
    pub local_segments: u64,
    /// Pairs of labels that were linked where subvolumes overlap.
    pub links: u64,
    /// Pairs that overlap and were not linked.
    pub refusals: Refusals,
    /// The places at which subvolumes contradict each other, the largest first.
    pub conflicts: Vec<Conflict>,
    /// Time of a subvolume, by all of its stages: the shortest, the mean and the longest.
    pub subvolume_seconds: [f64; 3],
}

/// Segments one channel of a volume and writes labels, table and report; all of them or none.
///
/// # Errors
/// [`Error::Settings`] if the region is smaller than the FOV or does not fit into memory; whatever
/// image, checkpoint, device or disk say.
pub fn segment(
    image: &Volume,
    settings: &SegmentSettings,
    run: &SegmentRun,
    observer: &dyn Observer,
) -> Result<SegmentReport> {
    // Everything that can be refused is refused before the hours begin.
    settings.check()?;
    let region = region_of(image.name(), image.shape(), settings)?;
    check_memory(&region, settings, run.memory_bytes)?;
    let model = open_model(settings)?;
    let mut network = network_on_device(&model, settings, &run.device, observer)?;
    segment_with(network.as_mut(), image, settings, run, observer)
}

/// As [`segment`], with a network of the caller's; checkpoint and device of the settings are only
/// named in the report.
///
/// # Errors
/// As [`segment`].
pub fn segment_with(
    network: &mut dyn Network,
    image: &Volume,
    settings: &SegmentSettings,
    run: &SegmentRun,
    observer: &dyn Observer,
) -> Result<SegmentReport> {
    let started = Instant::now();
    settings.check()?;
    let region = region_of(image.name(), image.shape(), settings)?;
    check_memory(&region, settings, run.memory_bytes)?;
    let masks = OpenMasks::open(settings, image)?;
    let side_files = outputs::SideFiles::create(&run.target, run.mode)?;
    let open = |interval| Checkpoint::open(&run.target, interval);
    let mut checkpoint = run.checkpoint_interval.map(open).transpose()?;
    let (initial, ids) = initial_labels(image, settings, &region)?;
    let writers = Writers::create(image.metadata(), &region, ids.dtype(), run)?;

    let mut subvolume = read_subvolume(image, settings, region, &masks, observer)?;
    subvolume.keeps_probabilities = run.probabilities.is_some();
    let read_seconds = started.elapsed().as_secs_f64();
    let mut steps = Inline::new(network, run.device.batch().unwrap_or(1));
    let saved = checkpoint.as_mut();
    let Inferred { segmentation, seed_seconds, flood_seconds } =
        infer_saved(&subvolume, initial, settings, &mut steps, saved, observer)?;
    let Subvolume { image: voxels, voxel_size, .. } = subvolume;

    let (origins, counters) = (&segmentation.origins, &segmentation.counters);
    let mut report = report(origins, counters, run, &side_files);
    report.wasted_steps = segmentation.wasted_steps;
    // Those that were there before are labels too.
    let labelled = segmentation.labels.iter().filter(|label| **label != 0).count();
    report.labelled_fraction = labelled as f64 / voxels.len() as f64;
    report.device = network.device_name();
    report.stage_seconds = [read_seconds, seed_seconds, flood_seconds];
    report.seconds = started.elapsed().as_secs_f64();
    report.voxels_per_second = voxels.len() as f64 / report.seconds;
    let valid_seconds = origins.iter().map(|origin| origin.seconds).sum();
    let stage_seconds = report.stage_seconds;
    let counted = Counted { subvolumes: 1, counters: *counters, stage_seconds, valid_seconds };

    if let Some(probabilities) = segmentation.probabilities {
        writers.write_probabilities(Voxels::from_vec(voxels.shape(), probabilities)?)?;
    }
    let labels = ids.renamed(voxels.shape(), segmentation.labels)?;
    write_slabs(&writers.labels, &labels)?;
    let origins =
        outputs::Origins { origins: &segmentation.origins, start: region.start, ids: &ids };
    let html = outputs::html(outputs::Page {
        image: image.name(),
        settings,
        region,
        report: &report,
        segments: origins.largest(),
        overlay: Overlay { image: &voxels, labels: &labels, origin: region.start, voxel_size },
    })?;
    side_files.write(&origins.csv_table()?, &html, &counted.text())?;
    // The labels come last: where they are, everything else is too.
    side_files.commit()?;
    writers.finish()?;
    checkpoint.map_or(Ok(()), Checkpoint::remove)?;
    Ok(report)
}

fn initial_labels(
    image: &Volume,
    settings: &SegmentSettings,
    region: &BoundingBox,
) -> Result<(Option<Vec<i32>>, LabelIds)> {
    let Some(name) = &settings.init_segmentation else { return Ok((None, LabelIds::default())) };
    let InitialLabels { labels, ids } = InitialLabels::read(name, image.shape(), region)?;
    Ok((Some(labels), ids))
}

fn read_subvolume(
    image: &Volume,
    settings: &SegmentSettings,
    region: BoundingBox,
    masks: &OpenMasks,
    observer: &dyn Observer,
) -> Result<Subvolume> {
    let voxels = Arc::new(image.read(settings.channel, &region)?);
    let more = read_more(image, settings, &region)?;
    let voxel_size = image.metadata().voxel_size;
    let restrictor = masks.restrictor(image, &region)?;
    if restrictor.covers_all() {
        let text = format!("the masks cover all of {region}: nothing is segmented");
        observer.notify(&Event::Warning(&text));
    }
    let keeps_probabilities = false;
    Ok(Subvolume { image: voxels, more, region, voxel_size, restrictor, keeps_probabilities })
}

/// The part of a volume of a name and a shape that is segmented.
///
/// # Errors
/// [`Error::Settings`] if it is smaller than the FOV; if it does not lie inside.
pub fn region_of(name: &str, shape: [u64; 3], settings: &SegmentSettings) -> Result<BoundingBox> {
    let region = crate::selection::region_of(name, shape, settings.roi)?;
    for (a, axis) in ["z", "y", "x"].into_iter().enumerate() {
        let (found, fov) = (region.shape()[a], settings.model.fov_zyx[a] as u64);
        if found < fov {
            let message = format!(
                "region {region} is smaller than the FOV along {axis}: expected {fov}, found {found}"
            );
            return Err(Error::settings(name, message));
        }
    }
    Ok(region)
}

/// Whether a region can be segmented as one subvolume in so much memory.
pub fn fits_one_subvolume(
    region: &BoundingBox,
    settings: &SegmentSettings,
    memory_bytes: u64,
) -> bool {
    check_memory(region, settings, memory_bytes).is_ok()
}

fn check_memory(region: &BoundingBox, settings: &SegmentSettings, available: u64) -> Result<()> {
    let needed = region.num_voxels().saturating_mul(settings.bytes_per_voxel());
    // Labels inside a subvolume are 32 bits with a sign.
    let too_many = region.num_voxels() > i32::MAX as u64;
    if needed > available || too_many {
        let (needed, available) = (needed >> 20, available >> 20);
        let message = format!(
            "needs {needed} MiB of memory, {available} MiB may be used; choose a smaller --roi, or --subvolume"
        );
        return Err(Error::settings(format!("region {region}"), message));
    }
    Ok(())
}

/// Volumes under construction.
struct Writers {
    labels: VolumeWriter,
    probabilities: Option<VolumeWriter>,
}

impl Writers {
    fn create(
        metadata: &Metadata,
        region: &BoundingBox,
        labels: DataType,
        run: &SegmentRun,
    ) -> Result<Self> {
        let create = |target: &str, dtype: DataType| {
            let options = WriteOptions::new(dtype, region.shape())
                .with_voxel_size(metadata.voxel_size)
                .with_mode(run.mode);
            VolumeWriter::create(target, &options)
        };
        if let Some(target) = &run.probabilities {
            same_place::refuse(&run.target, target)?;
        }
        let probabilities = run.probabilities.as_deref().map(|to| create(to, DataType::U8));
        Ok(Self { labels: create(&run.target, labels)?, probabilities: probabilities.transpose()? })
    }

    fn write_probabilities(&self, probabilities: Voxels) -> Result<()> {
        match &self.probabilities {
            Some(writer) => write_slabs(writer, &probabilities),
            None => Ok(()),
        }
    }

    fn finish(self) -> Result<()> {
        self.probabilities.map_or(Ok(()), VolumeWriter::finish)?;
        Ok(self.labels.finish()?)
    }
}

fn write_slabs(writer: &VolumeWriter, voxels: &Voxels) -> Result<()> {
    let shape = voxels.shape().map(|s| s as u64);
    let granule = writer.granule();
    // Slabs of whole chunks: a copy of the slab is all that is needed beside the voxels.
    let slab = [granule[0], shape[1], shape[2]];
    for tile in BoundingBox::whole(shape).tiles(slab) {
        let mut block = Voxels::zeros(voxels.dtype(), tile.shape().map(|s| s as usize))?;
        block.copy_box([0; 3], voxels, &tile)?;
        writer.write(0, tile.start, &block)?;
    }
    Ok(())
}

/// The report without its times and the labelled fraction.
fn report(
    origins: &[Origin],
    counters: &Counters,
    run: &SegmentRun,
    side_files: &outputs::SideFiles,
) -> SegmentReport {
    SegmentReport {
        target: run.target.clone(),
        table: side_files.table().to_owned(),
        report: side_files.report().to_owned(),
        counters: side_files.counters().to_owned(),
        probabilities: run.probabilities.clone(),
        segments: origins.len(),
        fov_steps: counters.fov_steps,
        wasted_steps: 0,
        labelled_fraction: 0.0,
        seconds: 0.0,
        voxels_per_second: 0.0,
        device: String::new(),
        stage_seconds: [0.0; 3],
        seeds: counters.seeds,
        segment_at_calls: counters.segment_at_calls,
        skip_invalid_pos: counters.skip_invalid_pos,
        seed_got_too_weak: counters.seed_got_too_weak,
        too_small: counters.too_small,
        voxels_overlapping: counters.voxels_overlapping,
        joined: None,
    }
}

/// `labels.zarr` -> `labels.SUFFIX`, in the same directory.
pub(crate) fn beside(target: &str, suffix: &str) -> PathBuf {
    let path = Path::new(target.trim_end_matches('/'));
    let stem = path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
    path.with_file_name(format!("{stem}.{suffix}"))
}
