//! One pair of segments: the block around its decision point, both runs, their scores.

use std::time::Instant;

use exavox_compute::ffn::Network;
use exavox_compute::ffn::agglomerate::{
    MergeRule, PairBlock, PairScores, Refusal, Resegmentation, Run, RunScores, Side, Stopped,
};
use serde::{Deserialize, Serialize};

use super::Point;
use super::record::rounded;
use super::scene::{LEAVES_VOLUME, Scene};
use crate::error::Result;

/// A pair that is done. The names are those of the record, and of `--json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PairRecord {
    /// The pair and its decision point.
    #[serde(flatten)]
    pub point: Point,
    /// Steps of the network.
    pub steps: u64,
    /// Wall-clock time.
    pub seconds: f64,
    /// How alike the runs are, if there are two.
    pub scores: Option<ScoreRecord>,
    /// Why there are not.
    pub stopped: Option<String>,
}

/// Scores of a pair; see [`PairScores`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ScoreRecord {
    /// Voxels that are in both runs over those that are in one.
    pub iou: f64,
    /// The run from the first segment.
    pub from_a: RunRecord,
    /// The run from the second.
    pub from_b: RunRecord,
    /// Voxels of the two segments that were compared.
    pub voxels_compared: [u64; 2],
    /// Largest distance of a voxel of each segment from its border.
    pub max_edt: [f64; 2],
}

/// Scores of a run; see [`RunScores`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Seed, in voxels of the labels.
    pub seed_zyx: [u64; 3],
    /// Seeds that were tried.
    pub attempts: u64,
    /// Whether enough of the segment was recovered.
    pub recovered: bool,
    /// Voxels of the run.
    pub voxels: u64,
    /// Voxels that were inside and were judged outside later.
    pub deleted_voxels: u64,
    /// Share of the first segment in the run.
    pub consistency_a: f64,
    /// Share of the second segment in the run.
    pub consistency_b: f64,
    /// Largest distance of a voxel from the run's border.
    pub max_edt: f64,
}

impl PairRecord {
    /// Why the two are not one, in a few words; `None` if they are.
    pub fn refusal(&self, rule: &MergeRule) -> Option<String> {
        let Some(scores) = &self.scores else {
            return Some(self.stopped.clone().unwrap_or_else(|| "not scored".to_owned()));
        };
        let reason = match rule.refusal(&scores.scores())? {
            Refusal::Iou => "the runs differ",
            Refusal::Consistency => "a run leaves out a segment",
            Refusal::Deleted => "both runs deleted too much",
        };
        Some(reason.to_owned())
    }
}

impl ScoreRecord {
    fn new(scores: &PairScores, runs: &[Run; 2], start: [u64; 3]) -> Self {
        let run = |n: usize| {
            let (scores, run) = (&scores.from[n], &runs[n]);
            RunRecord {
                seed_zyx: [0, 1, 2].map(|a| start[a] + run.seed_zyx[a] as u64),
                attempts: run.attempts,
                recovered: run.recovered,
                voxels: scores.voxels,
                deleted_voxels: scores.deleted_voxels,
                consistency_a: rounded(scores.consistency[0]),
                consistency_b: rounded(scores.consistency[1]),
                max_edt: rounded(scores.max_edt),
            }
        };
        Self {
            iou: rounded(scores.iou),
            from_a: run(0),
            from_b: run(1),
            voxels_compared: scores.voxels,
            max_edt: scores.max_edt.map(rounded),
        }
    }

    fn scores(&self) -> PairScores {
        let run = |run: &RunRecord| RunScores {
            voxels: run.voxels,
            deleted_voxels: run.deleted_voxels,
            consistency: [run.consistency_a, run.consistency_b],
            max_edt: run.max_edt,
        };
        let from = [run(&self.from_a), run(&self.from_b)];
        PairScores { iou: self.iou, from, voxels: self.voxels_compared, max_edt: self.max_edt }
    }
}

impl Scene<'_> {
    /// Segments both segments of a pair again and compares the runs.
    pub(super) fn evaluate(&self, point: &Point, network: &mut dyn Network) -> Result<PairRecord> {
        let started = Instant::now();
        let mut record =
            PairRecord { point: *point, steps: 0, seconds: 0.0, scores: None, stopped: None };
        let Some(around) = self.around(point.point_zyx) else {
            record.stopped = Some(LEAVES_VOLUME.to_owned());
            return Ok(record);
        };
        let ids = [point.id_a, point.id_b];
        self.resegment(ids, point.point_zyx, &around, network, |block, found| {
            record.steps = found.runs.iter().map(|run| run.steps).sum();
            record.scores = scores(block, found, around.block.start)?;
            record.stopped = found.stopped.map(reason).or_else(|| {
                record.scores.is_none().then(|| "a segment is not near the point".to_owned())
            });
            Ok(())
        })?;
        record.seconds = rounded(started.elapsed().as_secs_f64());
        Ok(record)
    }
}

fn scores(
    block: &PairBlock<'_>,
    found: &Resegmentation,
    start: [u64; 3],
) -> Result<Option<ScoreRecord>> {
    let scores = PairScores::new(block, found)?;
    let runs: Option<&[Run; 2]> = found.runs[..].try_into().ok();
    Ok(scores.zip(runs).map(|(scores, runs)| ScoreRecord::new(&scores, runs, start)))
}

fn reason(stopped: Stopped) -> String {
    let side = |side: Side| if side == Side::A { "id_a" } else { "id_b" };
    match stopped {
        Stopped::Absent(of) => format!("{} is not in the block", side(of)),
        Stopped::NoSeed(of) => format!("no place for a seed in {}", side(of)),
        Stopped::NotRecovered => "id_a was not recovered".to_owned(),
        Stopped::NotCovered => "the run from id_a leaves out id_b".to_owned(),
    }
}
