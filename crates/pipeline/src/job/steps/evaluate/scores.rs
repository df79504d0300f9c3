//! Stage `scores`: pairs of all blocks are added up on disk, in the order of the truth and in that of the
//! prediction, and scored as they are read.

use std::path::{Path, PathBuf};

use exavox_compute::metrics::{PairCount, Scorer, Side};
use exavox_io::volume::WriteMode;

use super::super::files;
use super::{Counted, Evaluate, pairs_path};
use crate::blocks::{BlockWorker, Digest, Stage};
use crate::error::{Error, Result};
use crate::evaluate::{EvaluateReport, ObjectList};
use crate::job::StageContext;
use crate::records::{ExternalSort, RecordReader, RecordWriter, Scratch};

/// Longest file of figures that is read.
const LARGEST: usize = 1 << 30;

/// The stage, of one block.
pub(super) struct Score<'a> {
    step: &'a Evaluate,
    data: PathBuf,
    memory_bytes: u64,
}

impl<'a> Score<'a> {
    pub(super) fn new(step: &'a Evaluate, context: &StageContext<'_>) -> Self {
        Self { step, data: context.data.clone(), memory_bytes: context.memory_bytes / 2 }
    }

    fn run(&self) -> Result<Digest> {
        let step = self.step;
        let scratch = Scratch::new(&self.data.join("work"), "scores")?;
        let at = |name| scratch.path(name);
        self.gather(&at("all"))?;
        let work = scratch.folder();
        let add = |sum: &mut Counted, next: &Counted| sum.voxels += next.voxels;
        let by_truth = |pair: &Counted| (pair.truth, pair.label);
        ExternalSort::new(work, self.memory_bytes, by_truth)
            .with_combine(&add)
            .run_unsynced(&[at("all")], &at("by-truth"))?;
        files::remove(&at("all"));
        let by_label = |pair: &Counted| (pair.label, pair.truth);
        ExternalSort::new(work, self.memory_bytes, by_label)
            .run_unsynced(&[at("by-truth")], &at("by-label"))?;
        let (mut counted, mut kept) = (0, 0);
        for pair in pairs(&at("by-truth"))? {
            let pair = pair?;
            counted += pair.voxels;
            kept += if step.scores.keeps(&pair) { pair.voxels } else { 0 };
        }
        let voxels = step.grid.region().num_voxels();
        let mut objects =
            ObjectList::new(step.worst, step.objects.as_deref(), WriteMode::Overwrite)?;
        let mut scorer = Scorer::new(&step.scores, step.min_share, kept, voxels)?;
        scorer.pass(Side::Truth, pairs(&at("by-truth"))?, |object| objects.take(object))?;
        scorer.pass(Side::Labels, pairs(&at("by-label"))?, |object| objects.take(object))?;
        let report = EvaluateReport::new(&scorer.scores(), voxels - counted, objects.finish()?);
        let json = serde_json::to_vec_pretty(&report)
            .map_err(|e| Error::settings(step.target.display().to_string(), e.to_string()))?;
        exavox_io::staging::write_whole(&step.target, &json)?;
        self.digest(0)
    }

    /// The pairs of all blocks as one file: a process may not have thousands open.
    fn gather(&self, to: &Path) -> Result<()> {
        let mut writer = RecordWriter::<Counted>::create(to)?;
        for block in 0..self.step.grid.len() {
            for pair in RecordReader::open(&pairs_path(&self.data, block))? {
                writer.push(pair?)?;
            }
        }
        writer.finish_unsynced().map(drop)
    }
}

fn pairs(path: &Path) -> Result<impl Iterator<Item = Result<PairCount>> + use<>> {
    Ok(RecordReader::<Counted>::open(path)?.map(|pair| pair.map(PairCount::from)))
}

impl Stage for Score<'_> {
    fn worker(&self) -> Result<Box<dyn BlockWorker + '_>> {
        Ok(Box::new(|_| self.run()))
    }

    fn describe(&self, _block: u64) -> String {
        self.step.target.display().to_string()
    }

    fn digest(&self, _block: u64) -> Result<Digest> {
        let figures = files::read(&self.step.target, LARGEST)?;
        match &self.step.objects {
            None => Ok(Digest::of(&figures)),
            Some(path) => Ok(Digest::of_parts([&figures[..], &table_digest(path)?])),
        }
    }
}

/// Length and checksum of a table that need not fit into memory.
fn table_digest(path: &Path) -> Result<[u8; 12]> {
    use std::io::Read;
    let io = exavox_io::Error::at(path);
    let digest = || -> std::io::Result<[u8; 12]> {
        let mut file = std::fs::File::open(path)?;
        let (mut buffer, mut check, mut length) = (vec![0; 1 << 20], 0, 0_u64);
        loop {
            let count = file.read(&mut buffer)?;
            if count == 0 {
                break;
            }
            check = crc32c::crc32c_append(check, &buffer[..count]);
            length += count as u64;
        }
        let mut digest = [0; 12];
        digest[..8].copy_from_slice(&length.to_le_bytes());
        digest[8..].copy_from_slice(&check.to_le_bytes());
        Ok(digest)
    };
    Ok(digest().map_err(io)?)
}
