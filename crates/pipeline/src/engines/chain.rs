//! What is left of a job, as tasks.

use std::fmt::Write as _;
use std::ops::Range;

use super::Deal;
use crate::blocks::{Digest, Ledger};
use crate::error::Result;
use crate::job::{Job, shard_range};

/// The stages that are not complete, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// The same for every chain of the job, and of no other job: goes into the names of jobs.
    pub tag: String,
    /// The stages; none if the job is complete.
    pub stages: Vec<StageTasks>,
}

/// A stage and its shards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageTasks {
    /// Name of the stage: `1.downsample`.
    pub name: String,
    /// Shards that its blocks are cut into.
    pub shards: u64,
    /// Shards of these in which a block is missing, as ranges in order.
    pub left: Vec<Range<u64>>,
}

impl Chain {
    /// What is left of a job. The first stage that is not complete has only the shards in which a block is
    /// missing; those after it have all.
    ///
    /// # Errors
    /// If a ledger cannot be read.
    pub fn of(job: &Job, deal: &Deal) -> Result<Self> {
        let mut stages = Vec::new();
        for id in job.stages() {
            let (blocks, name) = (job.stage_plan(id).blocks, job.stage_name(id));
            let shards = deal.shards(blocks);
            let left = match stages.is_empty() {
                true => shards_left(&job.ledger(id), shards)?,
                false => vec![Range { start: 0, end: shards }],
            };
            if !left.is_empty() {
                stages.push(StageTasks { name, shards, left });
            }
        }
        let folder = std::path::absolute(job.folder()).unwrap_or_else(|_| job.folder().to_owned());
        let digest = Digest::of(folder.as_os_str().as_encoded_bytes()).to_string();
        Ok(Self { tag: format!("exavox-{}", &digest[..8]), stages })
    }
}

fn shards_left(ledger: &Ledger, shards: u64) -> Result<Vec<Range<u64>>> {
    let mut left: Vec<Range<u64>> = Vec::new();
    for shard in 0..shards {
        let range = shard_range(ledger.blocks(), shard, shards)?;
        let missing = ledger.missing(range).next().transpose()?;
        match (missing, left.last_mut()) {
            (None, _) => {}
            (Some(_), Some(last)) if last.end == shard => last.end += 1,
            (Some(_), _) => left.push(Range { start: shard, end: shard + 1 }),
        }
    }
    Ok(left)
}

impl StageTasks {
    /// Number of shards that are left.
    pub fn count(&self) -> u64 {
        self.left.iter().map(|range| range.end - range.start).sum()
    }

    /// The shards that are left as arrays of at most `largest` indices below `largest`: the number that is
    /// to be added to an index, and the indices as `0-3,7`.
    pub fn arrays(&self, largest: u64) -> Vec<(u64, String)> {
        let largest = largest.max(1);
        let windows = (0..self.shards).step_by(largest as usize);
        let arrays = windows.map(|offset| (offset, self.indices(offset..offset + largest)));
        arrays.filter(|(_, indices)| !indices.is_empty()).collect()
    }

    fn indices(&self, window: Range<u64>) -> String {
        let mut text = String::new();
        for range in &self.left {
            let (first, end) = (range.start.max(window.start), range.end.min(window.end));
            if first >= end {
                continue;
            }
            let comma = if text.is_empty() { "" } else { "," };
            let (first, last) = (first - window.start, end - 1 - window.start);
            // Writing to a string does not fail.
            _ = match first == last {
                true => write!(text, "{comma}{first}"),
                false => write!(text, "{comma}{first}-{last}"),
            };
        }
        text
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn numbers(indices: &str) -> Vec<u64> {
        let part = |part: &str| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            first.parse::<u64>().unwrap()..=last.parse::<u64>().unwrap()
        };
        indices.split(',').flat_map(part).collect()
    }

    proptest! {
        #[test]
        fn arrays_hold_each_shard_that_is_left_once(
            done in prop::collection::vec(any::<bool>(), 1..60),
            largest in 1_u64..70,
            blocks_per_shard in 1_u64..4,
        ) {
            let folder = tempfile::tempdir().unwrap();
            let shards = done.len() as u64;
            let ledger = Ledger::new(folder.path(), Digest(1), shards * blocks_per_shard, false);
            let mut expected = Vec::new();
            for (shard, done) in done.iter().enumerate() {
                let range = shard_range(ledger.blocks(), shard as u64, shards).unwrap();
                // One block of a shard that is left may be done, where it has several.
                let end = if *done { range.end } else { range.end - 1 };
                (range.start..end).for_each(|block| ledger.record(block, Digest(2)).unwrap());
                if !done {
                    expected.push(shard as u64);
                }
            }
            let left = shards_left(&ledger, shards).unwrap();
            let stage = StageTasks { name: "1.a".to_owned(), shards, left };
            prop_assert_eq!(stage.count(), expected.len() as u64);
            let mut found = Vec::new();
            for (offset, indices) in stage.arrays(largest) {
                let indices = numbers(&indices);
                prop_assert!(indices.iter().all(|i| *i < largest));
                found.extend(indices.iter().map(|i| i + offset));
            }
            prop_assert_eq!(found, expected);
        }
    }
}
