//! Scores from pairs that come one after the other, in two orders: for tables larger than memory.

use super::contingency::PairCount;
use super::objects::{Gathered, Object};
use super::scores::{ScoreOptions, Scores, TableSums};
use crate::error::{Error, Result};

/// The volume that pairs are ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The ground truth.
    Truth,
    /// The prediction.
    Labels,
}

impl Side {
    /// The pair's label in this volume.
    pub fn of(self, pair: &PairCount) -> u64 {
        match self {
            Self::Truth => pair.truth,
            Self::Labels => pair.label,
        }
    }

    /// The pair's label in the other volume.
    pub fn other_of(self, pair: &PairCount) -> u64 {
        match self {
            Self::Truth => pair.label,
            Self::Labels => pair.truth,
        }
    }
}

/// Takes all pairs twice, first ordered by the truth, then by the prediction. Memory: the pairs of one
/// object.
#[derive(Debug)]
pub struct Scorer<'a> {
    options: &'a ScoreOptions,
    min_share: f64,
    kept_voxels: u64,
    voxels: u64,
    kept: TableSums,
    snemi: TableSums,
}

impl<'a> Scorer<'a> {
    /// For pairs of which those that the options keep have `kept_voxels` in all; `voxels` counts the
    /// volume, masked voxels too. A part of an object counts from `min_share` of its voxels on.
    ///
    /// # Errors
    /// [`Error::Usage`] if no voxel is left to compare.
    pub fn new(
        options: &'a ScoreOptions,
        min_share: f64,
        kept_voxels: u64,
        voxels: u64,
    ) -> Result<Self> {
        if kept_voxels == 0 {
            let message = format!("no voxel to compare: none of {voxels} passes {options:?}");
            return Err(Error::Usage(message));
        }
        let (kept, snemi) = (TableSums::default(), TableSums::default());
        Ok(Self { options, min_share, kept_voxels, voxels, kept, snemi })
    }

    /// Takes the pairs, each once, in ascending order of `side`'s label and then of the other's. Objects are
    /// shown to `each` in that order.
    ///
    /// # Errors
    /// The first error of a pair or of `each`.
    pub fn pass<E>(
        &mut self,
        side: Side,
        pairs: impl Iterator<Item = Result<PairCount, E>>,
        mut each: impl FnMut(&Object) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut open: Option<(Gathered, u64)> = None;
        for pair in pairs {
            let pair = pair?;
            if open.as_ref().is_some_and(|(object, _)| object.label != side.of(&pair)) {
                self.close(side, open.take(), &mut each)?;
            }
            let (object, snemi) =
                open.get_or_insert_with(|| (Gathered::new(side, side.of(&pair)), 0));
            if self.options.keeps(&pair) {
                object.add(&pair);
            }
            *snemi += self.snemi_voxels(side, &pair);
            if side == Side::Truth {
                self.count_pair(&pair);
            }
        }
        self.close(side, open, &mut each)
    }

    fn count_pair(&mut self, pair: &PairCount) {
        if self.options.keeps(pair) {
            self.kept.pairs.add(pair.voxels);
        }
        if self.in_snemi(pair) && pair.label != 0 {
            self.snemi.pairs.add(pair.voxels);
        }
    }

    /// SNEMI3D's error always leaves a label of the truth out.
    fn in_snemi(&self, pair: &PairCount) -> bool {
        pair.truth != self.options.ignore_truth.unwrap_or(0)
    }

    /// Rows count prediction 0, columns do not.
    fn snemi_voxels(&self, side: Side, pair: &PairCount) -> u64 {
        let counts = self.in_snemi(pair) && (side == Side::Truth || pair.label != 0);
        if counts { pair.voxels } else { 0 }
    }

    fn close<E>(
        &mut self,
        side: Side,
        open: Option<(Gathered, u64)>,
        each: &mut impl FnMut(&Object) -> Result<(), E>,
    ) -> Result<(), E> {
        let Some((object, snemi)) = open else { return Ok(()) };
        let (kept_sums, snemi_sums) = match side {
            Side::Truth => (&mut self.kept.truth, &mut self.snemi.truth),
            Side::Labels => (&mut self.kept.labels, &mut self.snemi.labels),
        };
        if snemi > 0 {
            snemi_sums.add(snemi);
        }
        if object.voxels > 0 {
            kept_sums.add(object.voxels);
        }
        object.object(self.min_share, self.kept_voxels).map_or(Ok(()), |object| each(&object))
    }

    /// The figures, after both passes.
    pub fn scores(&self) -> Scores {
        Scores::of(&self.kept, &self.snemi, self.voxels)
    }
}
