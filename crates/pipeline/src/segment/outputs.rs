//! The table of segments and the report that stand beside the labels.

use std::fs;
use std::path::{Path, PathBuf};

use exavox_compute::ffn::Origin;
use exavox_io::staging::{Staged, WriteMode};
use exavox_io::{BoundingBox, Error as IoError, Volume, Voxels};

use super::{Seeds, SegmentReport, SegmentSettings, beside};
use crate::error::Result;
use crate::report::{Overlay, Page as HtmlPage, Table};

/// Rows of the report's table of segments; the CSV file has all.
const ROWS_IN_REPORT: usize = 100;

/// Everything the report shows.
pub(super) struct Page<'a> {
    pub(super) image: &'a Volume,
    pub(super) settings: &'a SegmentSettings,
    pub(super) region: BoundingBox,
    pub(super) report: &'a SegmentReport,
    pub(super) origins: &'a [Origin],
}

/// `STEM.segments.csv` and `STEM.report.html`, under construction.
pub(super) struct SideFiles {
    table: PathBuf,
    report: PathBuf,
    staged: [Staged; 2],
}

impl SideFiles {
    /// Refuses what is there already, so that a long run does not fail at its end.
    pub(super) fn create(target: &str, mode: WriteMode) -> Result<Self> {
        let (table, report) = (beside(target, "segments.csv"), beside(target, "report.html"));
        let staged = [Staged::new(&table, mode)?, Staged::new(&report, mode)?];
        Ok(Self { table, report, staged })
    }

    pub(super) fn table(&self) -> &Path {
        &self.table
    }

    pub(super) fn report(&self) -> &Path {
        &self.report
    }

    pub(super) fn write(&self, page: &Page<'_>, image: &Voxels, labels: &Voxels) -> Result<()> {
        let [table, report] = &self.staged;
        put(table.path(), &self.table, &csv_table(page)?)?;
        put(report.path(), &self.report, html(page, image, labels)?.as_bytes())
    }

    pub(super) fn commit(self) -> Result<()> {
        for staged in self.staged {
            staged.commit()?;
        }
        Ok(())
    }
}

fn put(temporary: &Path, target: &Path, bytes: &[u8]) -> Result<()> {
    Ok(fs::write(temporary, bytes).map_err(IoError::at(target))?)
}

/// A line per segment; seeds in voxels of the volume.
fn csv_table(page: &Page<'_>) -> Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let wrong = |e: csv::Error| crate::Error::settings("segments.csv", e.to_string());
    let header = ["id", "seed_z", "seed_y", "seed_x", "steps", "voxels", "seconds"];
    writer.write_record(header).map_err(wrong)?;
    for origin in page.origins {
        writer.write_record(row(origin, page.region.start)).map_err(wrong)?;
    }
    writer.into_inner().map_err(|e| crate::Error::settings("segments.csv", e.to_string()))
}

fn row(origin: &Origin, start: [u64; 3]) -> [String; 7] {
    let [z, y, x] = [0, 1, 2].map(|a| (origin.seed_zyx[a] as u64 + start[a]).to_string());
    let seconds = format!("{:.3}", origin.seconds);
    [origin.id.to_string(), z, y, x, origin.steps.to_string(), origin.voxels.to_string(), seconds]
}

fn html(page: &Page<'_>, image: &Voxels, labels: &Voxels) -> Result<String> {
    let report = page.report;
    let overlay = Overlay {
        image,
        labels,
        origin: page.region.start,
        voxel_size: page.image.metadata().voxel_size,
    };
    let figures = vec![
        ("segments".into(), report.segments.to_string()),
        ("labelled".into(), format!("{:.2} % of the voxels", 100.0 * report.labelled_fraction)),
        ("network steps".into(), report.fov_steps.to_string()),
        ("time".into(), format!("{:.1} s on {}", report.seconds, report.device)),
        ("rate".into(), format!("{:.0} voxels/s", report.voxels_per_second)),
    ];
    let mut largest: Vec<&Origin> = page.origins.iter().collect();
    largest.sort_by_key(|o| std::cmp::Reverse(o.voxels));
    let rows = largest.iter().take(ROWS_IN_REPORT).map(|o| row(o, page.region.start).to_vec());
    let header = ["id", "seed z", "seed y", "seed x", "steps", "voxels", "seconds"];
    let html = HtmlPage {
        title: format!("Segmentation of {}", page.image.name()),
        figures,
        overlays: vec![overlay],
        tables: vec![
            Table {
                title: "Largest segments".into(),
                header: header.map(str::to_owned).to_vec(),
                rows: rows.collect(),
                label_column: Some(0),
            },
            Table {
                title: "What happened to the seeds".into(),
                header: vec!["count".into(), "seeds".into()],
                rows: counters(report),
                label_column: None,
            },
            Table {
                title: "Settings".into(),
                header: vec!["setting".into(), "value".into()],
                rows: settings(page),
                label_column: None,
            },
        ],
    };
    html.render()
}

fn counters(report: &SegmentReport) -> Vec<Vec<String>> {
    let pair = |name: &str, value: u64| vec![name.to_owned(), value.to_string()];
    vec![
        pair("seeds", report.seeds),
        pair("in a segment or outside the margin", report.skip_invalid_pos),
        pair("flood attempts", report.segment_at_calls),
        pair("objects whose seed became too weak", report.seed_got_too_weak),
        pair("objects too small", report.too_small),
        pair("accepted", report.segments as u64),
    ]
}

fn settings(page: &Page<'_>) -> Vec<Vec<String>> {
    let (settings, inference) = (page.settings, &page.settings.inference);
    let pair = |name: &str, value: String| vec![name.to_owned(), value];
    let seeds = match &settings.seeds {
        Seeds::Peaks => "peaks of the distance to edges".to_owned(),
        Seeds::Points(points) => format!("{} given points", points.len()),
    };
    vec![
        pair("checkpoint", settings.checkpoint.display().to_string()),
        pair("region z,y,x", page.region.to_string()),
        pair("FOV z,y,x", format!("{:?}", settings.model.fov_zyx)),
        pair("deltas z,y,x", format!("{:?}", settings.model.deltas_zyx)),
        pair("seed policy", seeds),
        pair(
            "image mean, deviation",
            format!("{}, {}", inference.image_mean, inference.image_stddev),
        ),
        pair("init activation", inference.init_activation.to_string()),
        pair("pad value", inference.pad_value.to_string()),
        pair("move threshold", inference.move_threshold.to_string()),
        pair("segment threshold", inference.segment_threshold.to_string()),
        pair("disco seed threshold", inference.disco_seed_threshold.to_string()),
        pair("min boundary distance z,y,x", format!("{:?}", inference.min_boundary_dist_zyx)),
        pair("min segment size", inference.min_segment_size.to_string()),
    ]
}
