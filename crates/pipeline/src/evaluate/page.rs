//! The evaluation as a page: figures, the worst objects as tables and pictures.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use exavox_compute::metrics::Side;
use exavox_io::Volume;

use super::pictures::View;
use super::places::{Focus, Pair};
use super::skeletons::SkeletonReport;
use super::{EvaluateOptions, EvaluateReport, ObjectRow, region_of};
use crate::error::Result;
use crate::label_volume::check_shape;
use crate::progress::Observer;
use crate::report::{Table, document, escape, table_html};

/// Skeletons that are named.
const SKELETONS: usize = 50;

/// Labels that were compared with a ground truth.
#[derive(Debug, Clone, Copy)]
pub struct Judged<'a> {
    /// The ground truth.
    pub truth: &'a Volume,
    /// The image that lies under the pictures (channel 0), of the same shape.
    pub image: Option<&'a Volume>,
    /// How they were compared.
    pub options: &'a EvaluateOptions,
    /// What was found.
    pub report: &'a EvaluateReport,
}

/// What the page shows.
#[derive(Debug, Clone, Copy)]
pub struct EvaluationPage<'a> {
    /// The segmentation.
    pub labels: &'a Volume,
    /// How it compares with a ground truth.
    pub judged: Option<Judged<'a>>,
    /// How it does along skeletons.
    pub skeletons: Option<&'a SkeletonReport>,
}

impl EvaluationPage<'_> {
    /// The page, one file with its pictures inside. Reads labels and truth once more, to find where objects
    /// are split and merged.
    ///
    /// # Errors
    /// If a volume cannot be read, or the image has another shape.
    pub fn render(&self, observer: &dyn Observer) -> Result<String> {
        let mut figures = Vec::new();
        let mut body = String::new();
        if let Some(judged) = &self.judged {
            figures.extend(score_figures(judged));
            body.push_str(&self.objects(judged, observer)?);
        }
        if let Some(skeletons) = self.skeletons {
            figures.extend(skeleton_figures(skeletons));
            table_html(&mut body, &skeleton_table(skeletons));
        }
        Ok(document(&format!("Evaluation of {}", self.labels.name()), &figures, &body))
    }

    fn objects(&self, judged: &Judged<'_>, observer: &dyn Observer) -> Result<String> {
        let Judged { truth, options, report, image } = *judged;
        if let Some(image) = image {
            check_shape((image.name(), image.shape()), (truth.name(), truth.shape()))?;
        }
        let region = region_of(self.labels, options.roi)?;
        let pair = Pair { labels: self.labels, truth, region };
        let splits = report.worst_splits.iter().map(|row| (Side::Truth, row));
        let rows: Vec<(Side, &ObjectRow)> =
            splits.chain(report.worst_merges.iter().map(|row| (Side::Labels, row))).collect();
        let focus = |(side, row): &(Side, &ObjectRow)| Focus {
            side: *side,
            label: row.label,
            background: match side {
                Side::Truth => Some(0),
                Side::Labels => options.scores.ignore_truth,
            },
        };
        let objects: Vec<Focus> = rows.iter().map(focus).collect();
        let places = match objects[..] {
            [] => Vec::new(),
            _ => pair.places(&objects, observer)?,
        };
        let voxel_size = options
            .voxel_size
            .or(truth.metadata().voxel_size)
            .or(self.labels.metadata().voxel_size);
        let view = View { pair: &pair, image, voxel_size };
        let mut html = String::new();
        for (side, title, worst) in [
            (Side::Truth, "Worst split objects of the truth", &report.worst_splits),
            (Side::Labels, "Worst merging labels of the prediction", &report.worst_merges),
        ] {
            table_html(&mut html, &object_table(title, worst));
            for ((object, at), (_, row)) in objects.iter().zip(&places).zip(&rows) {
                if object.side == side {
                    pictured(&mut html, &view, object, *at, row)?;
                }
            }
        }
        Ok(html)
    }
}

fn score_figures(judged: &Judged<'_>) -> Vec<(String, String)> {
    let r = judged.report;
    let optional = |value: Option<f64>| value.map_or("none".to_owned(), |v| format!("{v:.4}"));
    let border = judged.options.ignore_border;
    [
        ("VOI split", format!("{:.4} bits", r.voi_split)),
        ("VOI merge", format!("{:.4} bits", r.voi_merge)),
        ("adapted Rand error", format!("{:.4}", r.adapted_rand_error)),
        ("SNEMI Rand error", optional(r.snemi_adapted_rand_error)),
        ("CREMI score", optional(r.cremi_score)),
        ("NVI", format!("{:.4}", r.nvi)),
        ("NID", format!("{:.4}", r.nid)),
        ("voxels", r.voxels.to_string()),
        ("labels", r.labels.to_string()),
        ("true objects", r.truth_labels.to_string()),
        ("ignored near borders", border.map_or("nothing".to_owned(), |d| format!("{d}"))),
        ("truth", judged.truth.name().to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}

fn skeleton_figures(r: &SkeletonReport) -> Vec<(String, String)> {
    let share = |length: f64| format!("{:.1} %", 100.0 * length / r.skeleton_length);
    [
        ("ERL", format!("{:.1} {} of {:.1}", r.erl, r.length_unit, r.max_erl)),
        ("NERL", format!("{:.4}", r.nerl)),
        ("correct", share(r.correct.length)),
        ("split", share(r.split.length)),
        ("merged", share(r.merged.length)),
        ("omitted", share(r.omitted.length)),
        ("merge threshold", format!("{} nodes", r.merge_threshold)),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}

/// The skeletons that lose most run length, the worst first.
fn skeleton_table(report: &SkeletonReport) -> Table {
    let lost = |row: &&super::skeletons::SkeletonRow| row.runs.length - row.runs.run_length;
    let mut rows: Vec<_> = report.each.iter().collect();
    rows.sort_by(|a, b| lost(b).total_cmp(&lost(a)));
    let header = ["skeleton", "length", "run length", "omitted", "split", "merged", "correct"];
    let cells = |row: &super::skeletons::SkeletonRow| {
        let runs = &row.runs;
        let edges = [runs.kinds.omitted, runs.kinds.split, runs.kinds.merged, runs.kinds.correct];
        let mut cells = vec![row.name.clone()];
        cells.extend([runs.length, runs.run_length].map(|length| format!("{length:.1}")));
        cells.extend(edges.map(|kind| kind.edges.to_string()));
        cells
    };
    Table {
        title: format!("Skeletons that lose most run length (lengths in {})", report.length_unit),
        header: header.map(str::to_owned).to_vec(),
        rows: rows.into_iter().take(SKELETONS).map(cells).collect(),
        label_column: None,
    }
}

fn object_table(title: &str, worst: &[ObjectRow]) -> Table {
    let header =
        ["label", "VOI", "voxels", "parts", "largest", "share", "second", "share", "left out"];
    let percent = |share: f64| format!("{:.1} %", 100.0 * share);
    let label = |label: Option<u64>| label.map_or("none".to_owned(), |label| label.to_string());
    let cells = |row: &ObjectRow| {
        vec![
            row.label.to_string(),
            format!("{:.4}", row.voi),
            row.voxels.to_string(),
            format!("{} of {}", row.parts, row.partners),
            label(row.largest),
            percent(row.largest_share),
            label(row.second),
            percent(row.second_share),
            percent(row.background_share),
        ]
    };
    Table {
        title: title.to_owned(),
        header: header.map(str::to_owned).to_vec(),
        rows: worst.iter().map(cells).collect(),
        label_column: Some(0),
    }
}

fn pictured(
    html: &mut String,
    view: &View<'_>,
    object: &Focus,
    at: [u64; 3],
    row: &ObjectRow,
) -> Result<()> {
    let heading = match object.side {
        Side::Truth => format!("True object {}: {} labels", row.label, row.parts),
        Side::Labels => format!("Label {}: {} true objects", row.label, row.parts),
    };
    let [z, y, x] = at;
    // Writing to a String cannot fail.
    let _ = write!(
        html,
        "<h3>{heading}, {:.4} bits, at z,y,x {z},{y},{x}</h3><section class=\"slices\">",
        row.voi
    );
    for slice in view.slices(object, at)? {
        let data = STANDARD.encode(slice.picture.to_png()?);
        let (caption, aspect) = (escape(&slice.caption), slice.aspect);
        let _ = write!(
            html,
            "<figure><img alt=\"{caption}\" style=\"aspect-ratio:{aspect:.4}\" \
             src=\"data:image/png;base64,{data}\"><figcaption>{caption}</figcaption></figure>"
        );
    }
    html.push_str("</section>\n");
    Ok(())
}
