//! What stands beside the labels: the table of segments, the page, and the figures.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use exavox_io::{BoundingBox, OpenOptions, Volume, Voxels};

use super::Segment;
use super::cost::SHOWN_EDGE;
use super::places::Places;
use super::table::{HEADER, TableSummary, Totals, sorted_counts, totals, write_table};
use crate::blocks::{BlockWorker, Digest, Stage};
use crate::error::{Error, Result};
use crate::job::StageContext;
use crate::reconcile::{self, ReconcileReport, faces_path};
use crate::records::Scratch;
use crate::report::Overlay;
use crate::segment::counters::Counted;
use crate::segment::outputs::{Page, html, segment_table};
use crate::segment::{JoinedReport, SegmentReport};
use crate::union::LabelMap;

/// Conflicts and sets that are named.
const NAMED: usize = 100;
/// More memory than this is of no use.
const MAX_MEMORY_BYTES: u64 = 2 << 30;

struct Report<'a> {
    step: &'a Segment,
    places: Places,
    memory_bytes: u64,
}

pub(super) fn open<'a>(
    step: &'a Segment,
    context: &StageContext<'_>,
) -> Result<Box<dyn Stage + 'a>> {
    let memory_bytes = context.memory_bytes.min(MAX_MEMORY_BYTES) / 2;
    Ok(Box::new(Report { step, places: Places::new(&context.data), memory_bytes }))
}

impl Stage for Report<'_> {
    fn worker(&self) -> Result<Box<dyn BlockWorker + '_>> {
        Ok(Box::new(|block: u64| {
            self.write()?;
            self.digest(block)
        }))
    }

    fn describe(&self, _block: u64) -> String {
        self.step.side_files.page.display().to_string()
    }

    /// Of the table: the others hold times.
    fn digest(&self, _block: u64) -> Result<Digest> {
        let path = &self.step.side_files.table;
        let io = exavox_io::Error::at(path);
        let read = || -> std::io::Result<Digest> {
            let mut file = File::open(path)?;
            let (mut buffer, mut check, mut length) = (vec![0; 1 << 20], 0, 0_u64);
            loop {
                let count = file.read(&mut buffer)?;
                if count == 0 {
                    return Ok(Digest(length << 32 | u64::from(check)));
                }
                check = crc32c::crc32c_append(check, &buffer[..count]);
                length += count as u64;
            }
        };
        Ok(read().map_err(io)?)
    }
}

impl Report<'_> {
    fn write(&self) -> Result<()> {
        let (step, places) = (self.step, &self.places);
        let map = LabelMap::open(&places.map())?;
        let scratch = Scratch::new(places.data(), "report")?;
        let members = scratch.path("members");
        let totals = totals(step, places, &map, &members)?;
        let counts = sorted_counts(step, places, members, &scratch, self.memory_bytes)?;
        let table = write_table(step, places, &counts, &step.side_files.table)?;
        let faces: Vec<PathBuf> = (0..step.stages[super::FACES].blocks)
            .map(|part| faces_path(&places.faces(part)))
            .collect();
        let linked = reconcile::report(&faces, &map, NAMED, scratch.folder(), self.memory_bytes)?;
        let report = figures(step, &totals, &table, linked);
        self.write_page(&report, table)?;
        let counted = Counted {
            subvolumes: step.subvolumes.len(),
            counters: totals.counters.counters(),
            stage_seconds: totals.stage_seconds,
            valid_seconds: totals.valid_seconds,
        };
        let counters = counted.text();
        exavox_io::staging::write_whole(&step.side_files.counters, counters.as_bytes())?;
        let path = &step.side_files.report;
        let json = serde_json::to_vec_pretty(&report)
            .map_err(|e| Error::settings(path.display().to_string(), e.to_string()))?;
        Ok(exavox_io::staging::write_whole(path, &json)?)
    }

    fn write_page(&self, report: &SegmentReport, table: TableSummary) -> Result<()> {
        let step = self.step;
        let region = step.subvolumes.region();
        let shown = middle(region.shape());
        let in_volume = BoundingBox::from_start_shape(
            std::array::from_fn(|a| region.start[a] + shown.start[a]),
            shown.shape(),
        );
        let options = OpenOptions::default().with_scale(step.scale);
        let image = Volume::open_with(&step.source, &options)?;
        let image: Voxels = image.read(step.settings.channel, &in_volume)?;
        let labels = step.target.open()?.read(0, &shown)?;
        let html = html(Page {
            image: &step.source,
            settings: &step.settings,
            region,
            report,
            segments: segment_table(HEADER, table.largest),
            overlay: Overlay {
                image: &image,
                labels: &labels,
                origin: in_volume.start,
                voxel_size: step.voxel_size,
            },
        })?;
        Ok(exavox_io::staging::write_whole(&step.side_files.page, html.as_bytes())?)
    }
}

/// The part that is shown.
fn middle(shape: [u64; 3]) -> BoundingBox {
    let size = shape.map(|s| s.min(SHOWN_EDGE));
    let start = std::array::from_fn(|a| (shape[a] - size[a]) / 2);
    BoundingBox::from_start_shape(start, size)
}

fn figures(
    step: &Segment,
    totals: &Totals,
    table: &TableSummary,
    linked: ReconcileReport,
) -> SegmentReport {
    let (counters, subvolumes) = (&totals.counters, step.subvolumes.len());
    let voxels = step.subvolumes.region().num_voxels() as f64;
    let seconds: f64 = totals.stage_seconds.iter().sum();
    let devices: Vec<&str> = totals.devices.iter().map(String::as_str).collect();
    let [shortest, longest] = totals.seconds;
    SegmentReport {
        target: step.target.name().to_owned(),
        table: step.side_files.table.clone(),
        report: step.side_files.page.clone(),
        counters: step.side_files.counters.clone(),
        probabilities: None,
        segments: table.segments as usize,
        wasted_steps: 0,
        fov_steps: counters.fov_steps,
        labelled_fraction: table.voxels as f64 / voxels,
        seconds,
        voxels_per_second: voxels / seconds.max(1e-9),
        device: devices.join(", "),
        stage_seconds: totals.stage_seconds,
        seeds: counters.seeds,
        segment_at_calls: counters.segment_at_calls,
        skip_invalid_pos: counters.skip_invalid_pos,
        seed_got_too_weak: counters.seed_got_too_weak,
        too_small: counters.too_small,
        voxels_overlapping: counters.voxels_overlapping,
        joined: Some(JoinedReport {
            subvolumes,
            local_segments: totals.local_segments,
            links: linked.links,
            refusals: linked.refusals,
            conflicts: linked.conflicts,
            subvolume_seconds: [shortest, seconds / subvolumes as f64, longest],
        }),
    }
}
