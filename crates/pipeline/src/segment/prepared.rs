//! Everything that a segmentation of one subvolume needs beside the image, opened before its hours begin, and what
//! it writes.

use exavox_compute::ffn::Segmentation;
use exavox_io::{BoundingBox, DataType, Volume, VolumeWriter, Voxels, WriteOptions};
use serde_json::Value;

use super::checkpoint::Checkpoint;
use super::counters::Counted;
use super::inference::Subvolume;
use super::initial::{InitialLabels, LabelIds};
use super::memory::{KeptHere, check_memory};
use super::outputs::{Origins, Page, SideFiles, html};
use super::plan::{labels_plan, value};
use super::{OpenMasks, SegmentReport, SegmentRun, SegmentSettings, region_of};
use crate::convert::same_place;
use crate::error::Result;
use crate::placing::Placing;
use crate::report::Overlay;
use crate::side_files::{check_local, hidden_beside};

/// Inputs that are open, and outputs under construction.
pub(super) struct Prepared {
    pub(super) region: BoundingBox,
    pub(super) masks: OpenMasks,
    pub(super) side_files: SideFiles,
    pub(super) checkpoint: Option<Checkpoint>,
    /// Labels that are there already.
    pub(super) initial: Option<Vec<i32>>,
    ids: LabelIds,
    writers: Writers,
    placing: Placing,
    /// What the results depend on.
    made_of: String,
}

impl Prepared {
    /// Refuses what can be refused before the image is read. `kept`: of the subvolume on devices.
    pub(super) fn new(
        image: &Volume,
        settings: &SegmentSettings,
        run: &SegmentRun,
        kept: KeptHere,
    ) -> Result<Self> {
        settings.check()?;
        check_local(&run.target)?;
        let region = region_of(image.name(), image.shape(), settings)?;
        check_memory(&region, settings, &run.device, kept, run.memory_bytes)?;
        let masks = OpenMasks::open(settings, image)?;
        let placing = Placing::at(hidden_beside(&run.target, "placing"));
        let made_of = made_of(image, settings, run)?;
        let mode = placing.mode(&made_of, run.mode);
        let side_files = SideFiles::create(&run.target, mode)?;
        let open = |interval| Checkpoint::open(&run.target, interval);
        let checkpoint = run.checkpoint_interval.map(open).transpose()?;
        let (initial, ids) = initial_labels(image, settings, &region)?;
        let options = WriteOptions::new(ids.dtype(), region.shape())
            .with_voxel_size(image.metadata().voxel_size)
            .with_mode(mode);
        let writers = Writers::create(options, run)?;
        Ok(Self { region, masks, side_files, checkpoint, initial, ids, writers, placing, made_of })
    }

    /// Writes all outputs and puts them into place; `image`: its name.
    pub(super) fn write(
        self,
        image: &str,
        settings: &SegmentSettings,
        subvolume: &Subvolume,
        found: Segmentation,
        report: &SegmentReport,
    ) -> Result<()> {
        let Self { region, side_files, ids, writers, .. } = &self;
        let region = *region;
        let (voxels, voxel_size) = (&subvolume.image, subvolume.voxel_size);
        if let Some(probabilities) = found.probabilities {
            writers.write_probabilities(Voxels::from_vec(voxels.shape(), probabilities)?)?;
        }
        let valid_seconds = found.origins.iter().map(|origin| origin.seconds).sum();
        let (counters, stage_seconds) = (found.counters, report.stage_seconds);
        let counted = Counted { subvolumes: 1, counters, stage_seconds, valid_seconds };
        let labels = ids.renamed(voxels.shape(), found.labels)?;
        write_slabs(&writers.labels, &labels)?;
        let origins = Origins { origins: &found.origins, start: region.start, ids };
        let html = html(Page {
            image,
            settings,
            region,
            report,
            segments: origins.largest(),
            overlay: Overlay { image: voxels, labels: &labels, origin: region.start, voxel_size },
        })?;
        side_files.write(&origins.csv_table()?, &html, &counted.text())?;
        self.place()
    }

    /// Puts what is written into its places.
    fn place(self) -> Result<()> {
        self.side_files.check()?;
        self.writers.check()?;
        // From here on until that file goes, a run of the same may replace what is there.
        self.placing.begin(&self.made_of)?;
        // The labels come last: where they are, everything else is too.
        self.side_files.commit()?;
        self.writers.finish()?;
        self.placing.end()?;
        self.checkpoint.map_or(Ok(()), Checkpoint::remove)
    }
}

/// Everything that the results depend on, as text.
fn made_of(image: &Volume, settings: &SegmentSettings, run: &SegmentRun) -> Result<String> {
    let mut plan = labels_plan(image, settings)?;
    plan.insert("probabilities".to_owned(), value(&run.probabilities)?);
    Ok(format!("{}\n", Value::Object(plan)))
}

fn initial_labels(
    image: &Volume,
    settings: &SegmentSettings,
    region: &BoundingBox,
) -> Result<(Option<Vec<i32>>, LabelIds)> {
    let Some(name) = &settings.init_segmentation else { return Ok((None, LabelIds::default())) };
    let image = (image.name(), image.shape());
    let InitialLabels { labels, ids } = InitialLabels::read(name, image, region)?;
    Ok((Some(labels), ids))
}

/// Volumes under construction.
struct Writers {
    labels: VolumeWriter,
    probabilities: Option<VolumeWriter>,
    /// Where they will be.
    places: Vec<(String, WriteOptions)>,
}

impl Writers {
    /// `options`: those of the labels.
    fn create(options: WriteOptions, run: &SegmentRun) -> Result<Self> {
        let mut places = Vec::new();
        let mut create = |target: &str, options: &WriteOptions| {
            places.push((target.to_owned(), options.clone()));
            VolumeWriter::create(target, options)
        };
        if let Some(target) = &run.probabilities {
            same_place::refuse(&run.target, target)?;
        }
        let mut quantised = options.clone();
        quantised.dtype = DataType::U8;
        let probabilities = run.probabilities.as_deref().map(|to| create(to, &quantised));
        let probabilities = probabilities.transpose()?;
        let labels = create(&run.target, &options)?;
        Ok(Self { labels, probabilities, places })
    }

    /// Refuses what has appeared in their places since.
    fn check(&self) -> Result<()> {
        for (target, options) in &self.places {
            drop(VolumeWriter::create(target, options)?);
        }
        Ok(())
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

/// Slabs of whole chunks, so that a copy of one is all that is needed beside the voxels.
fn write_slabs(writer: &VolumeWriter, voxels: &Voxels) -> Result<()> {
    let shape = voxels.shape().map(|s| s as u64);
    let granule = writer.granule();
    let slab = [granule[0], shape[1], shape[2]];
    for tile in BoundingBox::whole(shape).tiles(slab) {
        let mut block = Voxels::zeros(voxels.dtype(), tile.shape().map(|s| s as usize))?;
        block.copy_box([0; 3], voxels, &tile)?;
        writer.write(0, tile.start, &block)?;
    }
    Ok(())
}
