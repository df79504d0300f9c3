//! How far a training is, for those who watch it.

use super::log::CurvePoint;
use super::validation::Validated;

/// A training after a step; lent for as long as an observer looks at it.
#[derive(Debug, Clone, Copy)]
pub struct TrainView<'a> {
    /// Steps so far, of earlier runs too.
    pub step: u64,
    /// Fields of view trained on so far.
    pub fovs: u64,
    /// Wall-clock time of training so far, seconds.
    pub seconds: f64,
    /// Labelled voxels of the volumes, if they were counted.
    pub labelled_voxels: Option<u64>,
    /// Steps whose loss or gradient was not finite.
    pub bad_steps: u64,
    /// Device that took the last step.
    pub device: &'a str,
    /// Lines of the table, in order of the steps.
    pub curve: &'a [CurvePoint],
    /// Validations, in order of the steps.
    pub validated: &'a [Validated],
}
