//! What a canvas may be given before the first seed: masks, labels of an earlier run; and probabilities.

use super::super::probability::{expit, quantise};
use super::{Canvas, Restrictor};
use crate::error::{Error, Result};

impl Canvas {
    /// Masks: where no FOV is centred, where no object starts. They must have the canvas's shape.
    ///
    /// # Errors
    /// [`Error::Usage`] if a mask has another shape.
    pub fn with_restrictor(mut self, restrictor: Restrictor) -> Result<Self> {
        for mask in [&restrictor.mask, &restrictor.seed_mask].into_iter().flatten() {
            if mask.shape() != self.shape {
                let (expected, found) = (self.shape, mask.shape());
                let message = format!("mask: expected a shape of {expected:?}, found {found:?}");
                return Err(Error::Usage(message));
            }
        }
        self.restrictor = restrictor;
        Ok(self)
    }

    /// Labels of an earlier run, C order: 0 = free, others from 1 to `count`. They stay, new segments take
    /// none of their voxels, and are numbered from `count` + 1 on.
    ///
    /// # Errors
    /// [`Error::Usage`] if there are not as many voxels as in the canvas, or a label is not among these.
    pub fn with_segmentation(mut self, labels: Vec<i32>, count: u32) -> Result<Self> {
        if labels.len() != self.segmentation.len() {
            let (expected, found) = (self.segmentation.len(), labels.len());
            let message = format!("initial labels: expected {expected} voxels, found {found}");
            return Err(Error::Usage(message));
        }
        let is_known = |label: &i32| u32::try_from(*label).is_ok_and(|label| label <= count);
        if let Some(label) = labels.iter().find(|label| !is_known(label)) {
            let message = format!("initial labels: expected 0 to {count}, found {label}");
            return Err(Error::Usage(message));
        }
        (self.segmentation, self.initial_labels) = (labels, count);
        Ok(self)
    }

    /// Keeps the probability of each segment's voxels, 1 byte a voxel; labels that are there have 1.
    pub fn with_probabilities(mut self) -> Self {
        let certain = quantise(1.0);
        let of = |label: &i32| if *label > 0 { certain } else { 0 };
        self.probabilities = Some(self.segmentation.iter().map(of).collect());
        self
    }

    /// Keeps the current object's probabilities at some voxels, if they are wanted.
    pub(in crate::ffn) fn keep_probabilities(&mut self, voxels: &[usize]) {
        if let Some(probabilities) = &mut self.probabilities {
            for at in voxels {
                probabilities[*at] = quantise(expit(self.seed[*at]));
            }
        }
    }

    pub(in crate::ffn) fn take_probabilities(&mut self) -> Option<Vec<u8>> {
        self.probabilities.take()
    }
}
