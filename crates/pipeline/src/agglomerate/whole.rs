//! From an image to agglomerated labels: two segmentations, their consensus, and what follows.

use std::path::Path;
use std::time::Duration;

use exavox_compute::ffn::Network;
use exavox_io::volume::WriteMode;
use exavox_io::{DataType, Volume, WriteOptions};
use serde::Serialize;

use super::merge::merge;
use super::outputs::Outputs;
use super::plan::run_plan;
use super::work::{Work, folder_of};
use super::{AgglomerateReport, AgglomerateRun, AgglomerateSettings, ConsensusOptions, consensus};
use crate::convert::same_place;
use crate::error::{Error, Result};
use crate::progress::Observer;
use crate::segment::inference::{network_on_device, open_model};
use crate::segment::origins;
use crate::segment::plan::{plan, value};
use crate::segment::{SeedTable, Seeds, SegmentRun, SegmentSettings, region_of, segment_with};

/// How often the state of a segmentation is saved.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(600);

/// What a whole run gave. The names are those of `--json`.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct WholeReport {
    /// Segments of the run from the seeds of the policy.
    pub forward_segments: u64,
    /// Segments of the run from the origins of those, the last one first.
    pub reverse_segments: u64,
    /// What followed.
    #[serde(flatten)]
    pub agglomerated: AgglomerateReport,
}

/// Segments an image twice, the second time from the origins of the first run in reverse order
/// (`PolicyInvertOrigins` of google/ffn), takes the consensus, and agglomerates it.
///
/// Each stage's result is kept in a folder `.NAME.agglomerate` beside the target until all is done; a run
/// that was killed goes on after the last one that is whole, and after the last pair.
///
/// # Errors
/// As [`super::agglomerate`] and [`crate::segment::segment`]; the region must fit into memory as one
/// subvolume.
pub fn agglomerate_image(
    image: &Volume,
    settings: &AgglomerateSettings,
    run: &AgglomerateRun,
    observer: &dyn Observer,
) -> Result<WholeReport> {
    settings.check()?;
    region_of(image.name(), image.shape(), &settings.segment)?;
    let model = open_model(&settings.segment)?;
    let mut network = network_on_device(&model, &settings.segment, &run.device, observer)?;
    agglomerate_image_with(network.as_mut(), image, settings, run, observer)
}

/// As [`agglomerate_image`], with a network of the caller's.
///
/// # Errors
/// As [`agglomerate_image`].
pub fn agglomerate_image_with(
    network: &mut dyn Network,
    image: &Volume,
    settings: &AgglomerateSettings,
    run: &AgglomerateRun,
    observer: &dyn Observer,
) -> Result<WholeReport> {
    settings.check()?;
    if settings.segment.init_segmentation.is_some() {
        let message = "is for one segmentation: expected none where two are compared";
        return Err(Error::settings("init_segmentation", message));
    }
    folder_of(&run.target)?;
    same_place::refuse(image.name(), &run.target)?;
    let region = region_of(image.name(), image.shape(), &settings.segment)?;
    let write = WriteOptions::new(DataType::U32, region.shape())
        .with_voxel_size(image.metadata().voxel_size)
        .with_mode(run.mode);
    let outputs = Outputs::create(&run.target, write, &settings.rule, run.pairs_format)?;
    let mut plan_of_run = run_plan(None, image, settings)?;
    plan_of_run.extend(plan(vec![
        ("labels", value(&"forward and reverse")),
        ("seeds", value(&SeedTable::of(&settings.segment))),
        ("split_min_size", value(&settings.split_min_size)),
    ])?);
    let work = Work::open(&run.target, plan_of_run)?;

    let stages = Stages { image, run, work: &work, observer };
    let forward = stages.segment("forward", network, &settings.segment)?;
    let mut reversed = settings.segment.clone();
    reversed.seeds = Seeds::Points(forward.iter().rev().copied().collect());
    let reverse = stages.segment("reverse", network, &reversed)?;
    let labels = stages.consensus(settings.split_min_size)?;
    let agglomerated = merge(network, &labels, image, settings, run, (&work, outputs), observer)?;
    work.finish(run.keep_work)?;
    let (forward_segments, reverse_segments) = (forward.len() as u64, reverse.len() as u64);
    Ok(WholeReport { forward_segments, reverse_segments, agglomerated })
}

/// Stages whose result is a volume in the folder of work: where it is, the stage is done.
struct Stages<'a> {
    image: &'a Volume,
    run: &'a AgglomerateRun,
    work: &'a Work,
    observer: &'a dyn Observer,
}

impl Stages<'_> {
    /// Segments the image; gives the origins in order of the labels, in voxels of the image.
    fn segment(
        &self,
        name: &str,
        network: &mut dyn Network,
        settings: &SegmentSettings,
    ) -> Result<Vec<[u64; 3]>> {
        let target = self.work.name(&format!("{name}.zarr"));
        if !Path::new(&target).exists() {
            let run = SegmentRun {
                target,
                probabilities: None,
                mode: WriteMode::Overwrite,
                device: self.run.device.clone(),
                memory_bytes: self.run.memory_bytes,
                checkpoint_interval: Some(CHECKPOINT_INTERVAL),
            };
            segment_with(network, self.image, settings, &run, self.observer)?;
        }
        origins::in_order(&self.work.path(&format!("{name}.segments.csv")))
    }

    fn consensus(&self, split_min_size: u64) -> Result<Volume> {
        let target = self.work.name("consensus.zarr");
        if !Path::new(&target).exists() {
            let open = |name: &str| Volume::open(&self.work.name(name));
            let (a, b) = (open("forward.zarr")?, open("reverse.zarr")?);
            let memory_bytes = Some(self.run.memory_bytes);
            let mode = WriteMode::Overwrite;
            let options = ConsensusOptions { split_min_size, memory_bytes, mode };
            consensus(&a, &b, &target, &options, self.observer)?;
        }
        Ok(Volume::open(&target)?)
    }
}
