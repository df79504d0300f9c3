//! What an agglomeration leaves: labels, and beside them the pairs, the equivalences and a report.

use std::fs;
use std::path::{Path, PathBuf};

use exavox_compute::ffn::agglomerate::MergeRule;
use exavox_io::staging::{Staged, WriteMode};
use exavox_io::{DataType, Error as IoError, VolumeWriter, WriteOptions};

use super::{PairRecord, Point, RunRecord};
use crate::error::{Error, Result};
use crate::segment::beside;
use crate::union::Renaming;

/// The labels under construction, and the files beside them.
pub(super) struct Outputs {
    pub(super) writer: VolumeWriter,
    pub(super) dtype: DataType,
    pub(super) shape: [u64; 3],
    pub(super) files: SideFiles,
}

/// `STEM.pairs.csv`, `STEM.equivalences.csv` and `STEM.report.html`, under construction.
pub(super) struct SideFiles {
    pub(super) pairs: PathBuf,
    pub(super) equivalences: PathBuf,
    pub(super) report: PathBuf,
    staged: [Staged; 3],
}

impl Outputs {
    /// Refuses what is there already, so that a long run does not fail at its end.
    pub(super) fn create(target: &str, options: &WriteOptions) -> Result<Self> {
        let files = SideFiles::create(target, options.mode)?;
        let writer = VolumeWriter::create(target, options)?;
        Ok(Self { writer, dtype: options.dtype, shape: options.shape, files })
    }
}

impl SideFiles {
    fn create(target: &str, mode: WriteMode) -> Result<Self> {
        let path = |suffix| beside(target, suffix);
        let (pairs, equivalences, report) =
            (path("pairs.csv"), path("equivalences.csv"), path("report.html"));
        let staged = [
            Staged::new(&pairs, mode)?,
            Staged::new(&equivalences, mode)?,
            Staged::new(&report, mode)?,
        ];
        Ok(Self { pairs, equivalences, report, staged })
    }

    /// Writes the files and puts them into place.
    pub(super) fn write(self, pairs: &[u8], equivalences: &[u8], report: &str) -> Result<()> {
        let targets = [&self.pairs, &self.equivalences, &self.report];
        for ((staged, target), bytes) in
            self.staged.iter().zip(targets).zip([pairs, equivalences, report.as_bytes()])
        {
            fs::write(staged.path(), bytes).map_err(IoError::at(target))?;
        }
        for staged in self.staged {
            staged.commit()?;
        }
        Ok(())
    }
}

/// Columns of the merge graph: an edge for each pair.
const PAIR_HEADER: [&str; 27] = [
    "id_a",
    "id_b",
    "z",
    "y",
    "x",
    "distance",
    "voxels_a",
    "voxels_b",
    "merged",
    "reason",
    "iou",
    "a_in_run_a",
    "b_in_run_a",
    "a_in_run_b",
    "b_in_run_b",
    "deleted_a",
    "deleted_b",
    "recovered_a",
    "recovered_b",
    "attempts_a",
    "attempts_b",
    "max_edt_a",
    "max_edt_b",
    "max_edt_run_a",
    "max_edt_run_b",
    "steps",
    "seconds",
];

/// The merge graph as a table (CSV).
pub(super) fn pairs_csv(path: &Path, records: &[PairRecord], rule: &MergeRule) -> Result<Vec<u8>> {
    let rows = records.iter().map(|record| pair_row(record, rule));
    csv_table(path, &PAIR_HEADER, rows)
}

fn pair_row(record: &PairRecord, rule: &MergeRule) -> Vec<String> {
    let Point { id_a, id_b, point_zyx: [z, y, x], distance, voxels } = record.point;
    let refusal = record.refusal(rule);
    let merged = if refusal.is_none() { "yes" } else { "no" };
    let mut row = vec![id_a, id_b, z, y, x].into_iter().map(|n| n.to_string()).collect::<Vec<_>>();
    row.extend([distance.to_string(), voxels[0].to_string(), voxels[1].to_string()]);
    row.extend([merged.to_owned(), refusal.unwrap_or_default()]);
    match &record.scores {
        None => row.extend(std::iter::repeat_n(String::new(), 15)),
        Some(scores) => {
            let (a, b) = (&scores.from_a, &scores.from_b);
            row.push(share(scores.iou));
            row.extend(
                [a.consistency_a, a.consistency_b, b.consistency_a, b.consistency_b].map(share),
            );
            row.extend([deleted(a), deleted(b)].map(share));
            row.extend([a.recovered, b.recovered].map(|yes| if yes { "yes" } else { "no" }.into()));
            row.extend([a.attempts.to_string(), b.attempts.to_string()]);
            let edts = [scores.max_edt[0], scores.max_edt[1], a.max_edt, b.max_edt];
            row.extend(edts.map(|edt| format!("{edt:.2}")));
        }
    }
    row.extend([record.steps.to_string(), format!("{:.3}", record.seconds)]);
    row
}

fn deleted(run: &RunRecord) -> f64 {
    run.deleted_voxels as f64 / run.voxels.max(1) as f64
}

fn share(value: f64) -> String {
    format!("{value:.4}")
}

/// Labels that become another, as a table (CSV).
pub(super) fn equivalences_csv(path: &Path, renamings: &[Renaming]) -> Result<Vec<u8>> {
    let rows = renamings.iter().map(|r| vec![r.id.to_string(), r.root.to_string()]);
    csv_table(path, &["label", "agglomerated"], rows)
}

fn csv_table(
    path: &Path,
    header: &[&str],
    rows: impl Iterator<Item = Vec<String>>,
) -> Result<Vec<u8>> {
    let place = || path.display().to_string();
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(header).map_err(|e| Error::settings(place(), e.to_string()))?;
    for row in rows {
        writer.write_record(row).map_err(|e| Error::settings(place(), e.to_string()))?;
    }
    writer.into_inner().map_err(|e| Error::settings(place(), e.to_string()))
}
