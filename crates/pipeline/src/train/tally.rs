//! How well the network does, over the steps since the last line of the table.

use super::geometry::{Geometry, gather};
use super::moves::MoveCounts;

/// A voxel is predicted to be in the object from this logit on: probability 0.9, as in google/ffn.
const PREDICTED: f32 = 2.197_224_6;

/// Sums over steps and examples.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Tally {
    /// Steps, and the sum of their losses.
    pub(super) steps: u64,
    loss: f64,
    /// Voxels of examples that are done: in the object and predicted so, and so on.
    true_positive: u64,
    false_positive: u64,
    true_negative: u64,
    false_negative: u64,
    /// Loss of these voxels, summed up.
    judged_loss: f64,
    pub(super) examples: u64,
    pub(super) moves: MoveCounts,
}

/// Figures of a tally; not a number where nothing was counted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Figures {
    pub(super) loss: f64,
    pub(super) example_loss: f64,
    pub(super) accuracy: f64,
    pub(super) precision: f64,
    pub(super) recall: f64,
    pub(super) specificity: f64,
    pub(super) f1: f64,
}

impl Tally {
    /// Takes in a step.
    pub(super) fn step(&mut self, loss: f32) {
        self.steps += 1;
        self.loss += f64::from(loss);
    }

    /// Takes in an example that is done: its canvas against its labels, in the middle that google/ffn
    /// judges by.
    pub(super) fn judge(
        &mut self,
        geometry: &Geometry,
        canvas: &[f32],
        labels: &[f32],
        weights: &[f32],
    ) {
        let (shape, size) = (geometry.canvas, geometry.judged);
        let start = std::array::from_fn(|a| (shape[a] - size[a]) / 2);
        let part = |values: &[f32]| {
            let mut part = Vec::with_capacity(size.iter().product());
            gather(values, shape, start, size, &mut part);
            part
        };
        let (canvas, labels, weights) = (part(canvas), part(labels), part(weights));
        for ((logit, label), weight) in canvas.iter().zip(&labels).zip(&weights) {
            if *weight == 0.0 {
                continue;
            }
            let count = match (*logit >= PREDICTED, *label > 0.5) {
                (true, true) => &mut self.true_positive,
                (true, false) => &mut self.false_positive,
                (false, false) => &mut self.true_negative,
                (false, true) => &mut self.false_negative,
            };
            *count += 1;
            let (x, p) = (f64::from(*logit), f64::from(*label));
            self.judged_loss += x.max(0.0) - x * p + (-x.abs()).exp().ln_1p();
        }
        self.examples += 1;
    }

    pub(super) fn figures(&self) -> Figures {
        let [tp, fp, tn, fneg] =
            [self.true_positive, self.false_positive, self.true_negative, self.false_negative]
                .map(|n| n as f64);
        let voxels = tp + fp + tn + fneg;
        Figures {
            loss: self.loss / self.steps as f64,
            example_loss: self.judged_loss / voxels,
            accuracy: (tp + tn) / voxels,
            precision: tp / (tp + fp),
            recall: tp / (tp + fneg),
            specificity: tn / (tn + fp),
            f1: 2.0 * tp / (2.0 * tp + fp + fneg),
        }
    }
}

#[cfg(test)]
mod tests {
    use exavox_compute::ffn::ModelConfig;

    use super::super::config::{MovesTable, PolicyName};
    use super::*;

    #[test]
    fn figures_are_their_definitions() {
        let model = ModelConfig { fov_zyx: [1, 1, 7], deltas_zyx: [0; 3] };
        let table = MovesTable { policy: PolicyName::NoStep, ..MovesTable::default() };
        let geometry = Geometry::new(&model, &table);
        let mut tally = Tally::default();
        // Two found, one missed, one too many, two rightly left out, one that does not count.
        let canvas = [3.0, 3.0, 1.0, 3.0, -3.0, 1.0, 9.0];
        let labels = [0.95, 0.95, 0.95, 0.05, 0.05, 0.05, 0.05];
        let weights = [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0];
        tally.judge(&geometry, &canvas, &labels, &weights);
        tally.step(0.5);
        tally.step(0.25);
        let figures = tally.figures();
        assert_eq!((figures.loss, figures.accuracy), (0.375, 4.0 / 6.0));
        assert_eq!((figures.precision, figures.recall), (2.0 / 3.0, 2.0 / 3.0));
        assert_eq!((figures.specificity, figures.f1), (2.0 / 3.0, 2.0 / 3.0));
        let entropy = |x: f64, p: f64| -> f64 {
            let q = 1.0 / (1.0 + (-x).exp());
            -(p * q.ln() + (1.0 - p) * (1.0 - q).ln())
        };
        let voxels = canvas.iter().zip(labels).take(6);
        let expected: f64 = voxels.map(|(x, p)| entropy(f64::from(*x), p)).sum();
        assert!((figures.example_loss - expected / 6.0).abs() < 1e-6);
    }
}
