//! Stage `count`: the pairs of labels of each block.

use std::path::PathBuf;

use exavox_io::Volume;
use exavox_io::store::Durability;

use super::super::files;
use super::{Counted, Evaluate, pairs_path};
use crate::blocks::{BlockWorker, Digest, Stage};
use crate::error::Result;
use crate::job::StageContext;

/// The stage.
pub(super) struct Count<'a> {
    step: &'a Evaluate,
    labels: Volume,
    truth: Volume,
    data: PathBuf,
    durability: Durability,
}

impl<'a> Count<'a> {
    pub(super) fn open(step: &'a Evaluate, context: &StageContext<'_>) -> Result<Self> {
        let (labels, truth) = (step.labels.open(context)?, step.truth.open(context)?);
        Ok(Self { step, labels, truth, data: context.data.clone(), durability: context.durability })
    }

    fn run(&self, block: u64) -> Result<Digest> {
        let Evaluate { labels, truth, counter, grid, .. } = self.step;
        let table = counter.count(
            &grid.block(block),
            |area| Evaluate::read(labels, &self.labels, area),
            |area| Evaluate::read(truth, &self.truth, area),
        )?;
        let pairs: Vec<Counted> = table.pairs().into_iter().map(Counted::from).collect();
        let path = pairs_path(&self.data, block);
        Ok(files::written_digest(files::write_records(&path, &pairs, self.durability)?))
    }
}

impl Stage for Count<'_> {
    fn worker(&self) -> Result<Box<dyn BlockWorker + '_>> {
        Ok(Box::new(|block| self.run(block)))
    }

    fn describe(&self, block: u64) -> String {
        self.step.grid.block(block).to_string()
    }

    fn digest(&self, block: u64) -> Result<Digest> {
        files::records_digest::<Counted>(&pairs_path(&self.data, block))
    }
}
