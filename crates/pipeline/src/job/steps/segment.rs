//! Segmentation by overlapping subvolumes, put together to labels of one space.
//!
//! | stage | blocks | does |
//! |---|---|---|
//! | infer | subvolumes | each one on its own, kept whole |
//! | faces | runs of subvolumes | counts common voxels of labels where neighbours overlap, decides |
//! | union | 1 | which labels are one |
//! | relabel | blocks of the output | gathers the cores of the subvolumes, with labels of the volume |
//! | finish | 1 | shows the volume |
//! | scale-N | blocks of the scale | the pyramid, by the most frequent label |
//! | report | 1 | table of segments, page, figures |

use std::sync::Arc;

use exavox_compute::ffn::TrainedModel;
use exavox_io::{BoundingBox, DataType, Metadata, OpenOptions, Scale, Volume, WriteOptions};
use serde::{Deserialize, Serialize};

use super::downsample::{Level, pyramid};
use super::finish::Finish;
use super::{Layout, Step};
use crate::blocks::{BlockGrid, Stage, StagePlan};
use crate::convert::same_place;
use crate::error::{Error, Result};
use crate::job::{Inputs, SharedTarget, StageContext};
use crate::reconcile::{GlobalIds, LinkRule};
use crate::segment::inference::open_model;
use crate::segment::{
    InferenceTable, MaskTable, ModelTable, SeedTable, Seeds, SegmentReport, SegmentSettings,
    ShiftMaskTable, Subvolumes, region_of,
};

mod cost;
mod faces;
mod infer;
mod places;
mod record;
mod relabel;
mod report;
mod slots;
mod table;
mod union;

use places::SideFiles;
use slots::Slots;

/// `run = "segment"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegmentSpec {
    /// The image.
    pub source: String,
    /// Labels, u64: a new volume. `STEM.segments.csv`, `STEM.report.html` and `STEM.report.json` are
    /// written beside it.
    pub target: String,
    /// Scale of the image's pyramid, 0 = finest.
    #[serde(default)]
    pub scale: usize,
    /// The part to segment, `z0:z1,y0:y1,x0:x1`. Default: all.
    pub roi: Option<String>,
    /// Voxels `[z, y, x]` of a subvolume.
    #[serde(default = "default_subvolume")]
    pub subvolume: [u64; 3],
    /// Voxels that neighbours have in common. Default: twice the margin of the field of view, so that its
    /// centres in the one begin where they end in the other.
    pub overlap: Option<[u64; 3]>,
    /// The network.
    #[serde(default)]
    pub model: ModelTable,
    /// How it is used.
    #[serde(default)]
    pub inference: InferenceTable,
    /// Where objects start.
    #[serde(default)]
    pub seeds: SeedTable,
    /// Where no field of view is centred.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub masks: Vec<MaskTable>,
    /// Where no object starts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seed_masks: Vec<MaskTable>,
    /// Shifts between planes that no field of view is centred near to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shift_mask: Option<ShiftMaskTable>,
    /// When labels of two subvolumes are one.
    #[serde(default)]
    pub link: LinkRule,
    /// Coarser scales. Default: until no axis is longer than 128.
    pub levels: Option<usize>,
    /// Chunks, shards and blocks of the labels.
    #[serde(default)]
    pub layout: Layout,
}

fn default_subvolume() -> [u64; 3] {
    [256; 3]
}

/// Stages before the pyramid.
const INFER: usize = 0;
const FACES: usize = 1;
const UNION: usize = 2;
const RELABEL: usize = 3;
const FINISH: usize = 4;
const SCALES: usize = 5;

/// A step that is planned.
struct Segment {
    source: String,
    scale: usize,
    voxel_size: Option<exavox_io::VoxelSize>,
    settings: SegmentSettings,
    model: Arc<TrainedModel>,
    subvolumes: Subvolumes,
    slots: Slots,
    ids: GlobalIds,
    link: LinkRule,
    target: SharedTarget,
    grid: BlockGrid,
    levels: Vec<Level>,
    side_files: SideFiles,
    stages: Vec<StagePlan>,
}

impl SegmentSpec {
    /// A step with settings of one's own; subvolumes, links and layout as in a plan that says nothing.
    pub fn new(
        source: impl Into<String>,
        target: impl Into<String>,
        settings: &SegmentSettings,
    ) -> Self {
        Self {
            source: source.into(),
            target: target.into(),
            scale: 0,
            roi: settings.roi.map(|roi| written(&roi)),
            subvolume: default_subvolume(),
            overlap: None,
            model: ModelTable::of(settings),
            inference: InferenceTable::of(settings),
            seeds: SeedTable::of(settings),
            masks: settings.masks.clone(),
            seed_masks: settings.seed_masks.clone(),
            shift_mask: settings.shift_mask.clone(),
            link: LinkRule::default(),
            levels: None,
            layout: Layout::default(),
        }
    }

    /// The settings of each subvolume.
    ///
    /// # Errors
    /// [`Error::Settings`] if there is no checkpoint, or the region is none.
    pub fn settings(&self) -> Result<SegmentSettings> {
        let mut settings = SegmentSettings::new("");
        self.model.apply(&mut settings, "".as_ref());
        self.inference.apply(&mut settings, "".as_ref());
        self.seeds.apply(&mut settings, "".as_ref(), "segment")?;
        settings.masks.clone_from(&self.masks);
        settings.seed_masks.clone_from(&self.seed_masks);
        settings.shift_mask.clone_from(&self.shift_mask);
        if settings.init_segmentation.is_some() {
            let message = "is for one subvolume: labels of several are numbered anew; choose a smaller region";
            return Err(Error::settings("init_segmentation", message));
        }
        settings.check()?;
        settings.roi = self.roi.as_deref().map(str::parse).transpose()?;
        if settings.checkpoint.as_os_str().is_empty() {
            return Err(Error::settings("model", "expected a checkpoint, found none"));
        }
        settings.model.check()?;
        settings.inference.check()?;
        if settings.inference.disco_seed_threshold.is_infinite() {
            let message = "expected a finite number; below 0 = off";
            return Err(Error::settings("disco_seed_threshold", message));
        }
        Ok(settings)
    }

    /// Voxels that neighbours share where nothing is said: twice the margin of the field of view.
    pub fn default_overlap(settings: &SegmentSettings) -> [u64; 3] {
        settings.model.margin().map(|margin| 2 * margin as u64)
    }

    /// What the report says, once the step is done.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn report(&self) -> Result<SegmentReport> {
        let path = SideFiles::beside(&self.target).report;
        let bytes = std::fs::read(&path).map_err(exavox_io::Error::at(&path))?;
        let damaged =
            |e: serde_json::Error| Error::settings(path.display().to_string(), e.to_string());
        serde_json::from_slice(&bytes).map_err(damaged)
    }

    /// The subvolumes of a region.
    ///
    /// # Errors
    /// [`Error::Settings`] if size and overlap do not go together, or a subvolume is smaller than the
    /// field of view or has more voxels than its labels can number.
    pub fn subvolumes(
        &self,
        region: BoundingBox,
        settings: &SegmentSettings,
    ) -> Result<Subvolumes> {
        let overlap = self.overlap.unwrap_or_else(|| Self::default_overlap(settings));
        let subvolumes = Subvolumes::new(region, self.subvolume, overlap)?;
        let size = subvolumes.size();
        for (a, axis) in ["z", "y", "x"].into_iter().enumerate() {
            let fov = settings.model.fov_zyx[a] as u64;
            if size[a] < fov {
                let message = format!(
                    "expected at least the FOV of {fov} voxels along {axis}, found {}",
                    size[a]
                );
                return Err(Error::settings("subvolume", message));
            }
        }
        // Labels inside a subvolume are 32 bits with a sign.
        if cells(size) > i32::MAX as u64 {
            let message = format!("{size:?} are too many voxels; expected at most {}", i32::MAX);
            return Err(Error::settings("subvolume", message));
        }
        Ok(subvolumes)
    }

    pub(super) fn plan(&self, inputs: &mut Inputs) -> Result<Box<dyn Step>> {
        same_place::refuse(&self.source, &self.target)?;
        let settings = self.settings()?;
        let image = self.image(inputs, settings.channel)?;
        let model = open_model(&settings)?;
        note_checkpoint(inputs, &settings);
        for volume in settings.mask_volumes() {
            inputs.metadata(volume)?;
        }
        let region = region_of(&self.source, image.shape, &settings)?;
        check_seeds(&settings, &region)?;
        let subvolumes = self.subvolumes(region, &settings)?;
        let options = self.layout.options(DataType::U64, region.shape());
        let options = options.with_voxel_size(image.voxel_size);
        let finest = described(&options);
        let grid = self.layout.grid(region.shape())?;
        let ids = GlobalIds::for_blocks(subvolumes.len(), cells(subvolumes.size()))?;
        let factor = [2; 3];
        let mode = exavox_compute::ops::downsample::DownsampleMethod::Mode;
        let levels = pyramid(&self.target, &finest, factor, self.levels, mode, &self.layout)?;
        inputs.plan(&self.target, finest);
        let mut step = Segment {
            source: self.source.clone(),
            scale: self.scale,
            voxel_size: image.voxel_size,
            slots: Slots::new(&subvolumes),
            settings,
            model: Arc::new(model),
            subvolumes,
            ids,
            link: self.link,
            target: SharedTarget::new(&self.target, options),
            grid,
            levels,
            side_files: SideFiles::beside(&self.target),
            stages: Vec::new(),
        };
        step.stages = step.planned_stages(&image);
        Ok(Box::new(step))
    }

    /// What is read, at its scale.
    fn image(&self, inputs: &mut Inputs, channel: usize) -> Result<Metadata> {
        let mut metadata = inputs.metadata(&self.source)?;
        if self.scale > 0 {
            let options = OpenOptions::default().with_scale(self.scale);
            metadata = Volume::open_with(&self.source, &options)?.metadata().clone();
        }
        if channel >= metadata.channels.len() {
            let message = format!("channel {channel} of {}", metadata.channels.len());
            return Err(Error::settings(&self.source, message));
        }
        Ok(metadata)
    }
}

/// `z0:z1,y0:y1,x0:x1`; an end that was left out stays so.
fn written(roi: &BoundingBox) -> String {
    let range = |a: usize| match roi.end[a] {
        u64::MAX => format!("{}:", roi.start[a]),
        end => format!("{}:{end}", roi.start[a]),
    };
    [0, 1, 2].map(range).join(",")
}

fn cells(shape: [u64; 3]) -> u64 {
    shape.iter().fold(1, |n: u64, v| n.saturating_mul(*v))
}

fn note_checkpoint(inputs: &mut Inputs, settings: &SegmentSettings) {
    TrainedModel::files(&settings.checkpoint).iter().for_each(|file| inputs.file(file));
}

fn check_seeds(settings: &SegmentSettings, region: &BoundingBox) -> Result<()> {
    let Seeds::Points(points) = &settings.seeds else { return Ok(()) };
    match points.iter().find(|point| !holds(region, point)) {
        Some(point) => {
            Err(Error::settings(format!("seed {point:?}"), format!("lies outside {region}")))
        }
        None => Ok(()),
    }
}

fn holds(region: &BoundingBox, point: &[u64; 3]) -> bool {
    (0..3).all(|a| region.start[a] <= point[a] && point[a] < region.end[a])
}

/// The labels as later steps see them.
fn described(options: &WriteOptions) -> Metadata {
    let mut metadata = Metadata::new("labels", options.dtype, options.shape);
    metadata.voxel_size = options.voxel_size;
    metadata.chunk_shape = options.chunk_shape.unwrap_or(metadata.chunk_shape);
    metadata.shard_shape = options.shard_shape;
    metadata.scales = vec![Scale { shape: options.shape, voxel_size: options.voxel_size }];
    metadata
}

impl Step for Segment {
    fn stages(&self) -> &[StagePlan] {
        &self.stages
    }

    fn open<'a>(&'a self, stage: usize, context: &StageContext<'a>) -> Result<Box<dyn Stage + 'a>> {
        if stage > SCALES
            && let Some(before) = self.levels.get(stage - SCALES - 1)
        {
            before.target().finish()?;
        }
        match stage {
            INFER => infer::open(self, context),
            FACES => faces::open(self, context),
            UNION => union::open(self, context),
            RELABEL => relabel::open(self, context),
            FINISH => Ok(Box::new(Finish(&self.target))),
            _ => match self.levels.get(stage - SCALES) {
                Some(level) => level.open(context),
                None => report::open(self, context),
            },
        }
    }

    fn targets(&self) -> Vec<&SharedTarget> {
        vec![&self.target]
    }

    fn refuse_existing_targets(&self) -> Result<()> {
        self.target.check()?;
        self.target.refuse_existing()?;
        self.side_files.refuse_existing()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_a_step_are_those_it_was_made_of() {
        let mut settings = crate::demo::demo_settings();
        settings.checkpoint = "a/b.safetensors".into();
        settings.roi = Some("1:2,3:,5:9".parse().unwrap());
        settings.seeds = Seeds::Points(vec![[1, 2, 3]]);
        let spec = SegmentSpec::new("a.zarr", "b.zarr", &settings);
        assert_eq!(spec.settings().unwrap(), settings);
        let written = toml::to_string(&spec).unwrap();
        let read: SegmentSpec = toml::from_str(&written).unwrap();
        assert_eq!(read, spec);
        let json = serde_json::to_string(&spec).unwrap();
        assert_eq!(serde_json::from_str::<SegmentSpec>(&json).unwrap(), spec);
    }

    #[test]
    fn subvolumes_that_cannot_be_are_refused() {
        let settings = crate::demo::demo_settings();
        let mut spec = SegmentSpec::new("a.zarr", "b.zarr", &settings);
        let region = BoundingBox::whole([3000; 3]);
        let error =
            |spec: &SegmentSpec| spec.subvolumes(region, &settings).unwrap_err().to_string();
        spec.subvolume = [100, 12, 100];
        spec.overlap = Some([4; 3]);
        assert!(error(&spec).contains("FOV of 13 voxels along y, found 12"));
        spec.subvolume = [2000; 3];
        assert!(error(&spec).contains("too many voxels"));
        spec.overlap = Some([2000; 3]);
        assert!(error(&spec).contains("overlap below 2000 along z"));
        assert!(spec.settings().unwrap_err().to_string().contains("checkpoint"));
    }
}
