//! All weights, biases and scales of a network in one line, as optimizers see them.

use std::ops::Range;

use super::super::trained_model::TrainedModel;

/// One tensor of the line.
struct Named {
    /// As in a checkpoint.
    name: String,
    range: Range<usize>,
    is_kernel: bool,
}

/// Where each tensor lies, in the order of [`TrainedModel::tensors`].
pub(super) struct Layout {
    tensors: Vec<Named>,
}

impl Layout {
    pub(super) fn new(model: &TrainedModel) -> Self {
        let mut end = 0;
        let tensor = |(name, shape, values): (String, Vec<usize>, &[f32])| {
            let range = end..end + values.len();
            end = range.end;
            Named { name, range, is_kernel: shape.len() == 5 }
        };
        Self { tensors: model.tensors().into_iter().map(tensor).collect() }
    }

    pub(super) fn flatten(&self, model: &TrainedModel) -> Vec<f32> {
        model.tensors().into_iter().flat_map(|(.., values)| values.iter().copied()).collect()
    }

    /// A network of the template's shapes with these values.
    pub(super) fn unflatten(&self, template: &TrainedModel, parameters: &[f32]) -> TrainedModel {
        let mut model = template.clone();
        for (values, tensor) in model.values_mut().into_iter().zip(&self.tensors) {
            values.copy_from_slice(&parameters[tensor.range.clone()]);
        }
        model
    }

    /// Names of the tensors and their places.
    pub(super) fn tensors(&self) -> impl Iterator<Item = (&str, Range<usize>)> {
        self.tensors.iter().map(|tensor| (&*tensor.name, tensor.range.clone()))
    }

    /// Places of the kernels; what is left are biases and scales.
    pub(super) fn kernels(&self) -> impl Iterator<Item = Range<usize>> {
        self.tensors.iter().filter(|tensor| tensor.is_kernel).map(|tensor| tensor.range.clone())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::initial::initial_model;
    use super::*;
    use crate::ffn::Architecture;

    /// A network of this architecture as one line, and back; the last tensor, and how many kernel values.
    fn as_one_line(architecture: &Architecture) -> (String, Range<usize>, usize) {
        let model = initial_model(architecture, 7).unwrap();
        let layout = Layout::new(&model);
        let line = layout.flatten(&model);
        assert_eq!(line.len() as u64, architecture.num_parameters());
        assert_eq!(layout.unflatten(&initial_model(architecture, 8).unwrap(), &line), model);
        let last = layout.tensors().last().map(|(name, range)| (name.to_owned(), range)).unwrap();
        assert_eq!(last.1.end, line.len());
        (last.0, last.1, layout.kernels().map(|range| range.len()).sum())
    }

    #[test]
    fn a_network_survives_being_one_line() {
        let (last, range, kernels) = as_one_line(&Architecture::conv_stack(3, 5));
        assert_eq!((&*last, range.len()), ("seed_update/conv_lom/biases", 1));
        assert_eq!(kernels, range.end - 6 * 5 - 1);
        let (last, range, kernels) = as_one_line(&Architecture::res_conv_stack(3, 5));
        assert_eq!((&*last, range.len()), ("LayerNorm_4/bias", 5));
        assert_eq!(kernels, range.end - 8 * 5 - 1 - 5 * 10);
    }
}
