//! Columns of the merge graph: an edge for each pair.

use exavox_compute::ffn::agglomerate::MergeRule;

use super::{PairRecord, Point, RunRecord, ScoreRecord};
use crate::table::Column;
use crate::union::Renaming;

/// Points, as `agglomerate points` writes them; `unit`: that of distances.
pub(super) fn point_columns<'a>(
    points: impl Iterator<Item = &'a Point> + Clone,
    unit: &str,
) -> Vec<Column> {
    let whole =
        |name, of: fn(&Point) -> u64| Column::whole(name, points.clone().map(|p| Some(of(p))));
    let distance = points.clone().map(|point| Some(point.distance));
    vec![
        whole("id_a", |p| p.id_a),
        whole("id_b", |p| p.id_b),
        whole("z", |p| p.point_zyx[0]).in_unit("voxels"),
        whole("y", |p| p.point_zyx[1]).in_unit("voxels"),
        whole("x", |p| p.point_zyx[2]).in_unit("voxels"),
        Column::number("distance", None, distance).in_unit(unit),
        whole("voxels_a", |p| p.voxels[0]),
        whole("voxels_b", |p| p.voxels[1]),
    ]
}

/// The merge graph; `unit`: that of distances.
pub(super) fn pair_columns(records: &[PairRecord], rule: &MergeRule, unit: &str) -> Vec<Column> {
    let mut columns = point_columns(records.iter().map(|record| &record.point), unit);
    let refusals: Vec<Option<String>> = records.iter().map(|r| r.refusal(rule)).collect();
    columns.push(Column::flag("merged", refusals.iter().map(|refusal| Some(refusal.is_none()))));
    columns.push(Column::text("reason", refusals.into_iter()));
    columns.extend(score_columns(records, unit));
    columns.push(Column::whole("steps", records.iter().map(|record| Some(record.steps))));
    let seconds = records.iter().map(|record| Some(record.seconds));
    columns.push(Column::number("seconds", Some(3), seconds).in_unit("s"));
    columns
}

fn score_columns(records: &[PairRecord], unit: &str) -> Vec<Column> {
    let share = |name, of: fn(&ScoreRecord) -> f64| {
        let values = records.iter().map(|record| record.scores.as_ref().map(of));
        Column::number(name, Some(4), values)
    };
    let edt = |name, of: fn(&ScoreRecord) -> f64| {
        let values = records.iter().map(|record| record.scores.as_ref().map(of));
        Column::number(name, Some(2), values).in_unit(unit)
    };
    let attempts = |name, of: fn(&ScoreRecord) -> u64| {
        Column::whole(name, records.iter().map(|record| record.scores.as_ref().map(of)))
    };
    let recovered = |name, of: fn(&ScoreRecord) -> bool| {
        Column::flag(name, records.iter().map(|record| record.scores.as_ref().map(of)))
    };
    vec![
        share("iou", |s| s.iou),
        share("a_in_run_a", |s| s.from_a.consistency_a),
        share("b_in_run_a", |s| s.from_a.consistency_b),
        share("a_in_run_b", |s| s.from_b.consistency_a),
        share("b_in_run_b", |s| s.from_b.consistency_b),
        share("deleted_a", |s| deleted(&s.from_a)),
        share("deleted_b", |s| deleted(&s.from_b)),
        recovered("recovered_a", |s| s.from_a.recovered),
        recovered("recovered_b", |s| s.from_b.recovered),
        attempts("attempts_a", |s| s.from_a.attempts),
        attempts("attempts_b", |s| s.from_b.attempts),
        edt("max_edt_a", |s| s.max_edt[0]),
        edt("max_edt_b", |s| s.max_edt[1]),
        edt("max_edt_run_a", |s| s.from_a.max_edt),
        edt("max_edt_run_b", |s| s.from_b.max_edt),
    ]
}

fn deleted(run: &RunRecord) -> f64 {
    run.deleted_voxels as f64 / run.voxels.max(1) as f64
}

/// Labels that become another.
pub(super) fn equivalence_columns(renamings: &[Renaming]) -> Vec<Column> {
    vec![
        Column::whole("label", renamings.iter().map(|renaming| Some(renaming.id))),
        Column::whole("agglomerated", renamings.iter().map(|renaming| Some(renaming.root))),
    ]
}
