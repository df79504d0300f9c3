//! One segment that is followed beyond its end: what its run recovers, and what it grows into.

use std::time::Instant;

use exavox_compute::ffn::Network;
use exavox_compute::ffn::agglomerate::{EndpointScores, Run, Stopped};
use serde::{Deserialize, Serialize};

use super::record::rounded;
use super::scene::{LEAVES_VOLUME, Scene};
use crate::error::Result;

/// A segment and a place at which it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Endpoint {
    /// The label.
    pub id: u64,
    /// A voxel of the labels, `[z, y, x]`.
    pub point_zyx: [u64; 3],
}

/// An endpoint that is done. The names are those of the record, and of `--json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EndpointRecord {
    /// The segment and the place.
    #[serde(flatten)]
    pub endpoint: Endpoint,
    /// Steps of the network.
    pub steps: u64,
    /// Wall-clock time.
    pub seconds: f64,
    /// What the run is, if there is one.
    pub run: Option<ExtensionRecord>,
    /// Why there is none.
    pub stopped: Option<String>,
}

/// The run from a segment, within the box that is compared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExtensionRecord {
    /// Seed, in voxels of the labels.
    pub seed_zyx: [u64; 3],
    /// Seeds that were tried.
    pub attempts: u64,
    /// Whether enough of the segment was recovered, in all of the block.
    pub recovered: bool,
    /// Voxels of the segment.
    pub segment_voxels: u64,
    /// Share of them in the run.
    pub recovered_share: f64,
    /// Voxels of the run.
    pub voxels: u64,
    /// Voxels of the run that were not the segment's,
    pub grown_voxels: u64,
    /// and those of them that were no segment's.
    pub empty_voxels: u64,
    /// Other segments in the run, the one with most voxels in it first.
    pub covered: Vec<CoveredRecord>,
    /// Voxels that were inside and were judged outside later.
    pub deleted_voxels: u64,
    /// Largest distance of a voxel from the run's border.
    pub max_edt: f64,
}

/// Another segment that a run covers. The names are those of the table.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CoveredRecord {
    /// Its label.
    pub id: u64,
    /// Its voxels in the run.
    pub voxels: u64,
    /// Share of its voxels within the box that are in the run.
    pub share: f64,
}

impl ExtensionRecord {
    fn new(scores: &EndpointScores, run: &Run, start: [u64; 3]) -> Self {
        let share = |part: u64, all: u64| rounded(part as f64 / all as f64);
        let covered = scores.covered.iter().map(|other| CoveredRecord {
            id: other.label,
            voxels: other.covered,
            share: share(other.covered, other.voxels),
        });
        Self {
            seed_zyx: [0, 1, 2].map(|a| start[a] + run.seed_zyx[a] as u64),
            attempts: run.attempts,
            recovered: run.recovered,
            segment_voxels: scores.segment_voxels,
            recovered_share: share(scores.recovered_voxels, scores.segment_voxels),
            voxels: scores.voxels,
            grown_voxels: scores.voxels - scores.recovered_voxels,
            empty_voxels: scores.empty_voxels,
            covered: covered.collect(),
            deleted_voxels: scores.deleted_voxels,
            max_edt: rounded(scores.max_edt),
        }
    }
}

impl Scene<'_> {
    /// Segments one segment again in a block without any other.
    pub(super) fn extend(
        &self,
        endpoint: Endpoint,
        network: &mut dyn Network,
    ) -> Result<EndpointRecord> {
        let started = Instant::now();
        let (steps, seconds, stopped) = (0, 0.0, None);
        let mut record = EndpointRecord { endpoint, steps, seconds, run: None, stopped };
        let Endpoint { id, point_zyx } = endpoint;
        let Some(around) = self.around(point_zyx) else {
            record.stopped = Some(LEAVES_VOLUME.to_owned());
            return Ok(record);
        };
        self.resegment([id, 0], point_zyx, &around, network, |block, found| {
            record.stopped = found.stopped.map(reason);
            if let Some(run) = found.runs.first() {
                record.steps = run.steps;
                let scores = EndpointScores::new(block, run)?;
                record.stopped = scores.is_none().then(|| "it is not near the point".to_owned());
                record.run = scores.map(|s| ExtensionRecord::new(&s, run, around.block.start));
            }
            Ok(())
        })?;
        record.seconds = rounded(started.elapsed().as_secs_f64());
        Ok(record)
    }
}

fn reason(stopped: Stopped) -> String {
    match stopped {
        Stopped::NoSeed(_) => "no place for a seed in it".to_owned(),
        _ => "it is not in the block".to_owned(),
    }
}
