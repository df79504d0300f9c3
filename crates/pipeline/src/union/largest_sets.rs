//! The sets with the most members.

use std::cmp::Reverse;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{LabelMap, Renaming};
use crate::error::Result;
use crate::records::{ExternalSort, Record, RecordReader, RecordWriter, Scratch};

/// Labels that became one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabelSet {
    /// The label that all of them became.
    pub root: u64,
    /// How many they were, the root included.
    pub members: u64,
}

/// Sets of two members and more.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SetStatistics {
    /// Number of sets.
    pub sets: u64,
    /// Those with the most members first; among equals the smaller root first.
    pub largest: Vec<LabelSet>,
}

#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Count {
    root: u64,
    members: u64,
}

impl Record for Count {
    const KIND: &'static str = "set";
}

/// Counts the sets of a map and finds the `top` largest. Cost: one external sort of the map, with files in
/// `work_dir`.
///
/// # Errors
/// If a file is damaged or cannot be read or written.
pub fn largest_sets(
    map: &LabelMap,
    top: usize,
    work_dir: &Path,
    memory_bytes: u64,
) -> Result<SetStatistics> {
    let scratch = Scratch::new(work_dir, "sets")?;
    let (unsorted, sorted) = (scratch.path("members"), scratch.path("sets"));
    let mut members = RecordWriter::create(&unsorted)?;
    for renaming in RecordReader::<Renaming>::open(map.path())? {
        members.push(Count { root: renaming?.root, members: 1 })?;
    }
    members.finish_unsynced()?;
    let add = |sum: &mut Count, more: &Count| sum.members += more.members;
    ExternalSort::new(scratch.folder(), memory_bytes, |count: &Count| count.root)
        .with_combine(&add)
        .run_unsynced(&[unsorted], &sorted)?;
    let counts = RecordReader::<Count>::open(&sorted)?;
    let mut statistics = SetStatistics { sets: counts.len(), largest: Vec::new() };
    for count in counts {
        let Count { root, members } = count?;
        statistics.largest.push(LabelSet { root, members: members + 1 });
        if statistics.largest.len() > 2 * top {
            keep(&mut statistics.largest, top);
        }
    }
    keep(&mut statistics.largest, top);
    Ok(statistics)
}

fn keep(sets: &mut Vec<LabelSet>, top: usize) {
    sets.sort_by_key(|set| (Reverse(set.members), set.root));
    sets.truncate(top);
}
