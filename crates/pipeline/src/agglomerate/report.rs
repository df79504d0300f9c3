//! The report of an agglomeration: figures, pictures of pairs, tables.

use exavox_io::{BoundingBox, VoxelSize, Voxels};

use super::scene::Scene;
use super::{AgglomerateReport, PairRecord};
use crate::error::Result;
use crate::label_volume::read_labels;
use crate::report::{Overlay, Page, Table};

/// Pairs that are pictured, of those that are one and of those that are not.
const PICTURED: usize = 3;
/// Rows of the table of pairs; the CSV file has all.
const ROWS: usize = 100;

/// The two segments of a pair over the image, within the box that was compared.
struct Pictured {
    image: Voxels,
    labels: Voxels,
    area: BoundingBox,
}

/// The report as a page.
pub(super) fn html(
    scene: &Scene<'_>,
    report: &AgglomerateReport,
    records: &[PairRecord],
) -> Result<String> {
    let rule = &scene.settings.rule;
    let (merged, refused): (Vec<&PairRecord>, Vec<&PairRecord>) =
        records.iter().partition(|record| record.refusal(rule).is_none());
    let chosen = [strongest(merged), strongest(refused)].concat();
    let pictures = chosen.iter().filter_map(|record| scene.picture(record).transpose());
    let pictures: Vec<Pictured> = pictures.collect::<Result<_>>()?;
    let voxel_size = VoxelSize::from_nm_zyx(scene.voxel_size_zyx);
    let overlays = pictures.iter().map(|pictured| Overlay {
        image: &pictured.image,
        labels: &pictured.labels,
        origin: pictured.area.start,
        voxel_size,
    });
    let page = Page {
        title: format!("Agglomeration of {}", scene.labels.name()),
        figures: figures(report),
        overlays: overlays.collect(),
        tables: vec![
            pairs("Pairs in the pictures, from the top", &chosen, scene),
            refusals(report),
            pairs("Pairs with the highest IoU", &by_iou(records.iter().collect()), scene),
            settings(scene, report),
        ],
    };
    page.render()
}

/// Those that have most in common, of those that were scored.
fn strongest(records: Vec<&PairRecord>) -> Vec<&PairRecord> {
    let mut records = by_iou(records);
    records.retain(|record| record.scores.is_some());
    records.truncate(PICTURED);
    records
}

fn iou(record: &PairRecord) -> f64 {
    record.scores.map_or(-1.0, |scores| scores.iou)
}

fn by_iou(mut records: Vec<&PairRecord>) -> Vec<&PairRecord> {
    records.sort_by(|a, b| iou(b).total_cmp(&iou(a)));
    records.truncate(ROWS);
    records
}

impl Scene<'_> {
    /// What is shown of a pair.
    fn picture(&self, record: &PairRecord) -> Result<Option<Pictured>> {
        let point = record.point;
        let Some(around) = self.around(point.point_zyx) else { return Ok(None) };
        let area = around.analysis;
        let image = self.read_image(&area)?;
        let mut labels = read_labels(self.labels, &area)?;
        for label in labels.iter_mut().filter(|label| ![point.id_a, point.id_b].contains(label)) {
            *label = 0;
        }
        let labels = Voxels::from_vec(image.shape(), labels)?;
        Ok(Some(Pictured { image, labels, area }))
    }
}

fn figures(report: &AgglomerateReport) -> Vec<(String, String)> {
    vec![
        ("labels".into(), report.labels.to_string()),
        ("agglomerated".into(), report.agglomerated_labels.to_string()),
        ("pairs".into(), report.pairs.to_string()),
        ("merged pairs".into(), report.merged_pairs.to_string()),
        ("network steps".into(), report.fov_steps.to_string()),
        ("time".into(), format!("{:.1} s on {}", report.seconds, report.device)),
    ]
}

fn pairs(title: &str, records: &[&PairRecord], scene: &Scene<'_>) -> Table {
    let rows = records.iter().map(|record| {
        let point = record.point;
        let [z, y, x] = point.point_zyx;
        let numbers = [point.id_a, point.id_b, z, y, x].map(|number| number.to_string());
        let mut row = numbers.to_vec();
        row.push(format!("{:.2}", point.distance));
        let of = |value: Option<f64>| value.map_or(String::new(), |v| format!("{v:.3}"));
        row.push(of(record.scores.map(|scores| scores.iou)));
        let least = record.scores.map(|scores| {
            let shares =
                [scores.from_a, scores.from_b].map(|r| r.consistency_a.min(r.consistency_b));
            shares[0].min(shares[1])
        });
        row.push(of(least));
        row.push(record.refusal(&scene.settings.rule).unwrap_or_else(|| "merged".to_owned()));
        row
    });
    let header = ["id", "other id", "z", "y", "x", "distance", "IoU", "least share", "result"];
    Table {
        title: title.to_owned(),
        header: header.map(str::to_owned).to_vec(),
        rows: rows.collect(),
        label_column: Some(0),
    }
}

fn refusals(report: &AgglomerateReport) -> Table {
    let rows = report.refused_pairs.iter().map(|(reason, n)| vec![reason.clone(), n.to_string()]);
    Table {
        title: "Why pairs were not merged".into(),
        header: vec!["reason".into(), "pairs".into()],
        rows: rows.collect(),
        label_column: None,
    }
}

fn settings(scene: &Scene<'_>, report: &AgglomerateReport) -> Table {
    let settings = scene.settings;
    let options = settings.resegmentation();
    let pair = |name: &str, value: String| vec![name.to_owned(), value];
    let rows = vec![
        pair("image", scene.image.name().to_owned()),
        pair("checkpoint", settings.segment.checkpoint.display().to_string()),
        pair("voxel size z,y,x", format!("{:?}", scene.voxel_size_zyx)),
        pair("max distance", report.max_distance.to_string()),
        pair("min voxels", settings.points.min_voxels.to_string()),
        pair("radius z,y,x", format!("{:?}", settings.radius())),
        pair("analysis radius z,y,x", format!("{:?}", settings.analysis_radius())),
        pair("exclusion radius z,y,x", format!("{:?}", options.exclusion_radius_zyx)),
        pair("seeds tried in a segment", options.max_retry_iters.to_string()),
        pair("share to recover", options.segment_recovery_fraction.to_string()),
        pair("min IoU", settings.rule.min_iou.to_string()),
        pair("min share", settings.rule.min_consistency.to_string()),
        pair("max deleted", settings.rule.max_deleted_fraction.to_string()),
    ];
    Table {
        title: "Settings".into(),
        header: vec!["setting".into(), "value".into()],
        rows,
        label_column: None,
    }
}
