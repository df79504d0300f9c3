//! What a canvas may be given before the first seed: labels of an earlier run; and probabilities.

use super::super::probability::quantise;
use super::{Canvas, LabelRun, Position};
use crate::error::{Error, Result};

impl Canvas {
    /// With segments that are there already: labels above 0 are never entered or written.
    ///
    /// # Errors
    /// [`Error::Usage`] if there is not one label for each voxel.
    pub fn with_segmentation(mut self, labels: Vec<i32>) -> Result<Self> {
        if labels.len() != self.segmentation.len() {
            let (expected, found) = (self.segmentation.len(), labels.len());
            let message = format!("segmentation: expected {expected} labels, found {found}");
            return Err(Error::Usage(message));
        }
        self.segmentation = labels;
        Ok(if self.probabilities.is_some() { self.with_probabilities() } else { self })
    }

    /// Keeps the probability of each segment's voxels, 1 byte a voxel; labels that are there have 1.
    #[must_use]
    pub fn with_probabilities(mut self) -> Self {
        let certain = quantise(1.0);
        let of = |label: &i32| if *label > 0 { certain } else { 0 };
        self.probabilities = Some(self.segmentation.iter().map(of).collect());
        self
    }

    pub(in crate::ffn) fn keeps_probabilities(&self) -> bool {
        self.probabilities.is_some()
    }

    /// Notes the quantised probability of a voxel that gets a label, if they are wanted.
    pub(in crate::ffn) fn write_probability(&mut self, position: Position, quantised: u8) {
        let at = self.index(position);
        if let Some(probabilities) = &mut self.probabilities {
            probabilities[at] = quantised;
        }
    }

    /// Probabilities of labelled voxels, run by run; nothing if they are not wanted.
    pub(in crate::ffn) fn probabilities_of(&self, runs: &[LabelRun]) -> Vec<u8> {
        let Some(probabilities) = &self.probabilities else { return Vec::new() };
        let of = |run: &LabelRun| &probabilities[run.start as usize..][..run.len as usize];
        runs.iter().flat_map(of).copied().collect()
    }

    /// Puts back what [`Canvas::probabilities_of`] has given; `None` if it is of other runs.
    pub(in crate::ffn) fn restore_probabilities(
        &mut self,
        runs: &[LabelRun],
        mut saved: &[u8],
    ) -> Option<()> {
        if let Some(probabilities) = &mut self.probabilities {
            for run in runs {
                let (of_run, rest) = saved.split_at_checked(run.len as usize)?;
                let start = run.start as usize;
                probabilities.get_mut(start..start + of_run.len())?.copy_from_slice(of_run);
                saved = rest;
            }
        }
        saved.is_empty().then_some(())
    }

    pub(in crate::ffn) fn take_probabilities(&mut self) -> Option<Vec<u8>> {
        self.probabilities.take()
    }
}
