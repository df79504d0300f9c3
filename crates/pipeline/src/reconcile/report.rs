//! How blocks fitted together, and where to look.

use std::cmp::Reverse;
use std::path::{Path, PathBuf};

use exavox_io::{Error, Place};
use serde::{Deserialize, Serialize};

use super::faces::FaceRecord;
use super::links::Verdict;
use crate::error::Result;
use crate::records::RecordReader;
use crate::union::{LabelMap, SetStatistics, largest_sets};

/// Pairs of labels that were not linked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Refusals {
    /// Too few voxels have both.
    pub too_small: u64,
    /// Too small a part of each other.
    pub fraction_too_low: u64,
    /// One has a better match, which was refused too.
    pub not_mutual_best: u64,
    /// One block has in one piece what the other has in two.
    pub conflicts: u64,
}

/// A place at which two blocks contradict each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conflict {
    /// Labels that the sets of the two have in the end.
    pub labels: [u64; 2],
    /// Global ids of the labels in their blocks.
    pub ids: [u64; 2],
    /// Voxels that have both.
    pub voxels: u64,
    /// The first of them, in the volume.
    pub place_zyx: [u64; 3],
}

/// How blocks fitted together. The names are those of `--json`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ReconcileReport {
    /// Pairs of labels that were linked.
    pub links: u64,
    /// Pairs that overlap and were not.
    pub refusals: Refusals,
    /// The conflicts with the most voxels.
    pub conflicts: Vec<Conflict>,
    /// Sets of linked labels, with the largest: one that has far more members than the next has likely
    /// merged segments.
    pub sets: SetStatistics,
}

/// Counts what `faces` hold, in files of [`FaceRecord`], and names the `top` largest conflicts and sets.
/// Files of work go to `work_dir`. Cost: one pass over the faces and one external sort of the map.
///
/// # Errors
/// If a file is damaged or cannot be read or written.
pub fn report(
    faces: &[PathBuf],
    map: &LabelMap,
    top: usize,
    work_dir: &Path,
    memory_bytes: u64,
) -> Result<ReconcileReport> {
    let mut report = ReconcileReport::default();
    for path in faces {
        for record in RecordReader::<FaceRecord>::open(path)? {
            add(&mut report, path, &record?)?;
            if report.conflicts.len() > 2 * top + 16 {
                keep(&mut report.conflicts, top);
            }
        }
    }
    keep(&mut report.conflicts, top);
    for conflict in &mut report.conflicts {
        conflict.labels = [map.root(conflict.ids[0])?, map.root(conflict.ids[1])?];
    }
    report.sets = largest_sets(map, top, work_dir, memory_bytes)?;
    Ok(report)
}

fn add(report: &mut ReconcileReport, path: &Path, record: &FaceRecord) -> Result<()> {
    let refusals = &mut report.refusals;
    match record.verdict() {
        Some(Verdict::Link) => report.links += 1,
        Some(Verdict::TooSmall) => refusals.too_small += 1,
        Some(Verdict::FractionTooLow) => refusals.fraction_too_low += 1,
        Some(Verdict::NotMutualBest) => refusals.not_mutual_best += 1,
        Some(Verdict::Conflict) => {
            refusals.conflicts += 1;
            let FaceRecord { a, b, voxels, place_zyx, .. } = *record;
            report.conflicts.push(Conflict { labels: [a, b], ids: [a, b], voxels, place_zyx });
        }
        None => {
            let message = "damaged: a face has a verdict that there is not";
            return Err(Error::format(Place::path(path), message).into());
        }
    }
    Ok(())
}

/// The largest first; among equals the smaller ids.
fn keep(conflicts: &mut Vec<Conflict>, top: usize) {
    conflicts.sort_by_key(|conflict| (Reverse(conflict.voxels), conflict.ids, conflict.place_zyx));
    conflicts.truncate(top);
}
