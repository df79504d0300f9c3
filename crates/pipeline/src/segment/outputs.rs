//! The table of segments and the report that stand beside the labels.

use std::fs;
use std::path::{Path, PathBuf};

use exavox_compute::ffn::Origin;
use exavox_io::staging::{Staged, WriteMode};
use exavox_io::{BoundingBox, Error as IoError};

use super::{JoinedReport, Seeds, SegmentReport, SegmentSettings, beside};
use crate::error::Result;
use crate::reconcile::Refusals;
use crate::report::{Overlay, Page as HtmlPage, Table};

/// Rows of the report's table of segments; the CSV file has all.
pub(crate) const ROWS_IN_REPORT: usize = 100;

/// Everything the report shows.
pub(crate) struct Page<'a> {
    /// Name of the image.
    pub(crate) image: &'a str,
    pub(crate) settings: &'a SegmentSettings,
    pub(crate) region: BoundingBox,
    pub(crate) report: &'a SegmentReport,
    /// The largest segments.
    pub(crate) segments: Table,
    /// Labels over the image, of all or of a part.
    pub(crate) overlay: Overlay<'a>,
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

    pub(super) fn write(&self, table: &[u8], html: &str) -> Result<()> {
        let [staged_table, staged_report] = &self.staged;
        put(staged_table.path(), &self.table, table)?;
        put(staged_report.path(), &self.report, html.as_bytes())
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

const HEADER: [&str; 7] = ["id", "seed_z", "seed_y", "seed_x", "steps", "voxels", "seconds"];

/// A line per segment; seeds in voxels of the volume.
pub(super) fn csv_table(origins: &[Origin], start: [u64; 3]) -> Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let wrong = |e: csv::Error| crate::Error::settings("segments.csv", e.to_string());
    writer.write_record(HEADER).map_err(wrong)?;
    for origin in origins {
        writer.write_record(row(origin, start)).map_err(wrong)?;
    }
    writer.into_inner().map_err(|e| crate::Error::settings("segments.csv", e.to_string()))
}

/// The largest of the segments, for the report.
pub(super) fn largest(origins: &[Origin], start: [u64; 3]) -> Table {
    let mut largest: Vec<&Origin> = origins.iter().collect();
    largest.sort_by_key(|o| std::cmp::Reverse(o.voxels));
    let rows = largest.iter().take(ROWS_IN_REPORT).map(|o| row(o, start).to_vec()).collect();
    segment_table(HEADER, rows)
}

/// The report's table of segments.
pub(crate) fn segment_table(header: [&str; 7], rows: Vec<Vec<String>>) -> Table {
    Table {
        title: "Largest segments".into(),
        header: header.map(|name| name.replace('_', " ")).to_vec(),
        rows,
        label_column: Some(0),
    }
}

fn row(origin: &Origin, start: [u64; 3]) -> [String; 7] {
    let [z, y, x] = [0, 1, 2].map(|a| (origin.seed_zyx[a] as u64 + start[a]).to_string());
    let seconds = format!("{:.3}", origin.seconds);
    [origin.id.to_string(), z, y, x, origin.steps.to_string(), origin.voxels.to_string(), seconds]
}

/// The report as a page.
pub(crate) fn html(page: Page<'_>) -> Result<String> {
    let report = page.report;
    let mut figures = vec![
        ("segments".into(), report.segments.to_string()),
        ("labelled".into(), format!("{:.2} % of the voxels", 100.0 * report.labelled_fraction)),
        ("network steps".into(), report.fov_steps.to_string()),
        ("time".into(), format!("{:.1} s on {}", report.seconds, report.device)),
        ("rate".into(), format!("{:.0} voxels/s", report.voxels_per_second)),
    ];
    let mut tables = vec![page.segments];
    if let Some(joined) = &report.joined {
        figures.extend(joined_figures(joined));
        tables.push(conflicts(joined));
    }
    tables.push(Table {
        title: "What happened to the seeds".into(),
        header: vec!["count".into(), "seeds".into()],
        rows: counters(report),
        label_column: None,
    });
    tables.push(Table {
        title: "Settings".into(),
        header: vec!["setting".into(), "value".into()],
        rows: settings(page.settings, page.region),
        label_column: None,
    });
    let title = format!("Segmentation of {}", page.image);
    HtmlPage { title, figures, overlays: vec![page.overlay], tables }.render()
}

fn joined_figures(joined: &JoinedReport) -> Vec<(String, String)> {
    let Refusals { too_small, fraction_too_low, not_mutual_best, conflicts } = joined.refusals;
    vec![
        ("subvolumes".into(), joined.subvolumes.to_string()),
        ("segments of subvolumes".into(), joined.local_segments.to_string()),
        ("links".into(), joined.links.to_string()),
        (
            "pairs not linked".into(),
            format!(
                "{too_small} too small, {fraction_too_low} with too low a share, {not_mutual_best} \
                 with a better match"
            ),
        ),
        ("conflicts".into(), conflicts.to_string()),
    ]
}

fn conflicts(joined: &JoinedReport) -> Table {
    let rows = joined.conflicts.iter().map(|conflict| {
        let [a, b] = conflict.labels;
        let [z, y, x] = conflict.place_zyx;
        [a, b, conflict.voxels, z, y, x].map(|number| number.to_string()).to_vec()
    });
    Table {
        title: "Where subvolumes contradict each other: one segment here, two there".into(),
        header: ["id", "other id", "common voxels", "z", "y", "x"].map(str::to_owned).to_vec(),
        rows: rows.collect(),
        label_column: Some(0),
    }
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

fn settings(settings: &SegmentSettings, region: BoundingBox) -> Vec<Vec<String>> {
    let inference = &settings.inference;
    let pair = |name: &str, value: String| vec![name.to_owned(), value];
    let seeds = match &settings.seeds {
        Seeds::Peaks => "peaks of the distance to edges".to_owned(),
        Seeds::Points(points) => format!("{} given points", points.len()),
    };
    vec![
        pair("checkpoint", settings.checkpoint.display().to_string()),
        pair("region z,y,x", region.to_string()),
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
