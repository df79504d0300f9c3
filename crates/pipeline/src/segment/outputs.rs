//! The table of segments and the report that stand beside the labels.

use std::fs;
use std::path::{Path, PathBuf};

use exavox_compute::ffn::Origin;
use exavox_io::staging::{Staged, WriteMode};
use exavox_io::{BoundingBox, Error as IoError};

use super::initial::LabelIds;
use super::{JoinedReport, MaskTable, SeedTable, Seeds, SegmentReport, SegmentSettings};
use crate::error::Result;
use crate::placing::refuse_taken;
use crate::reconcile::Refusals;
use crate::report::{Overlay, Page as HtmlPage, Table};
use crate::side_files::beside;
use crate::table::csv_bytes;

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

/// `STEM.segments.csv`, `STEM.report.html` and `STEM.counters.txt`, under construction.
pub(super) struct SideFiles {
    paths: [PathBuf; 3],
    staged: [Staged; 3],
    mode: WriteMode,
}

impl SideFiles {
    /// Refuses what is there already, so that a long run does not fail at its end.
    pub(super) fn create(target: &str, mode: WriteMode) -> Result<Self> {
        let paths =
            ["segments.csv", "report.html", "counters.txt"].map(|name| beside(target, name));
        let [table, report, counters] = &paths;
        let staged = |path: &Path| Staged::new(path, mode);
        let staged = [staged(table)?, staged(report)?, staged(counters)?];
        Ok(Self { paths, staged, mode })
    }

    pub(super) fn table(&self) -> &Path {
        &self.paths[0]
    }

    pub(super) fn report(&self) -> &Path {
        &self.paths[1]
    }

    pub(super) fn counters(&self) -> &Path {
        &self.paths[2]
    }

    pub(super) fn write(&self, table: &[u8], html: &str, counters: &str) -> Result<()> {
        let contents = [table, html.as_bytes(), counters.as_bytes()];
        for ((path, staged), bytes) in self.paths.iter().zip(&self.staged).zip(contents) {
            put(staged.path(), path, bytes)?;
        }
        Ok(())
    }

    /// Refuses what has appeared in their places since.
    pub(super) fn check(&self) -> Result<()> {
        refuse_taken(&self.paths, self.mode)
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

/// Segments of one subvolume.
pub(super) struct Origins<'a> {
    pub(super) origins: &'a [Origin],
    /// First voxel of the subvolume in the volume.
    pub(super) start: [u64; 3],
    pub(super) ids: &'a LabelIds,
}

impl Origins<'_> {
    /// A line per segment; seeds in voxels of the volume.
    pub(super) fn csv_table(&self) -> Result<Vec<u8>> {
        let rows = self.origins.iter().map(|origin| self.row(origin));
        csv_bytes(Path::new("segments.csv"), HEADER, rows)
    }

    /// The largest of the segments, for the report.
    pub(super) fn largest(&self) -> Table {
        let mut largest: Vec<&Origin> = self.origins.iter().collect();
        largest.sort_by_key(|o| std::cmp::Reverse(o.voxels));
        let rows = largest.iter().take(ROWS_IN_REPORT).map(|o| self.row(o).to_vec()).collect();
        segment_table(HEADER, rows)
    }

    fn row(&self, origin: &Origin) -> [String; 7] {
        let seed = [0, 1, 2].map(|a| (origin.seed_zyx[a] as u64 + self.start[a]).to_string());
        let ([z, y, x], id) = (seed, self.ids.id(origin.id).to_string());
        let seconds = format!("{:.3}", origin.seconds);
        [id, z, y, x, origin.steps.to_string(), origin.voxels.to_string(), seconds]
    }
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
    let mut rows = vec![
        pair("checkpoint", settings.checkpoint.display().to_string()),
        pair("region z,y,x", region.to_string()),
        pair("FOV z,y,x", format!("{:?}", settings.model.fov_zyx)),
        pair("deltas z,y,x", format!("{:?}", settings.model.deltas_zyx)),
        pair("seeds", seeds(settings)),
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
    ];
    let json = |table: &MaskTable| serde_json::to_string(table).unwrap_or_default();
    rows.extend(settings.masks.iter().map(|mask| pair("mask", json(mask))));
    rows.extend(settings.seed_masks.iter().map(|mask| pair("seed mask", json(mask))));
    rows.extend(settings.shift_mask.iter().map(|mask| pair("shift mask", mask.volume.clone())));
    rows.extend(settings.init_segmentation.iter().map(|name| pair("labels before", name.clone())));
    rows
}

fn seeds(settings: &SegmentSettings) -> String {
    match &settings.seeds {
        Seeds::Policy(_) => serde_json::to_string(&SeedTable::of(settings)).unwrap_or_default(),
        Seeds::Points(points) => format!("{} given points", points.len()),
    }
}
