//! All weights and biases of a network in one line, as optimizers see them.

use std::ops::Range;

use rand_mt::Mt;

use super::super::weights::{Layer, Weights};

/// One tensor of the line.
struct Named {
    /// As in a checkpoint.
    name: String,
    range: Range<usize>,
    is_kernel: bool,
}

/// Where each tensor lies: layer by layer, weights before biases.
pub(super) struct Layout {
    tensors: Vec<Named>,
}

impl Layout {
    pub(super) fn new(weights: &Weights) -> Self {
        let mut end = 0;
        let mut tensors = Vec::new();
        for (layer, values) in weights.named_layers() {
            let parts = [("weights", values.weights.len()), ("biases", values.biases.len())];
            for (part, length) in parts {
                let range = end..end + length;
                end += length;
                let name = format!("{layer}/{part}");
                tensors.push(Named { name, range, is_kernel: part == "weights" });
            }
        }
        Self { tensors }
    }

    pub(super) fn flatten(&self, weights: &Weights) -> Vec<f32> {
        let layers = weights.named_layers();
        layers.into_iter().flat_map(|(_, l)| [&l.weights[..], &l.biases].concat()).collect()
    }

    /// A network of the template's shapes with these values.
    pub(super) fn unflatten(&self, template: &Weights, parameters: &[f32]) -> Weights {
        let mut weights = template.clone();
        let mut rest = parameters;
        for layer in weights.layers_mut() {
            for part in [&mut layer.weights, &mut layer.biases] {
                let (values, after) = rest.split_at(part.len());
                part.copy_from_slice(values);
                rest = after;
            }
        }
        weights
    }

    /// Names of the tensors and their places.
    pub(super) fn tensors(&self) -> impl Iterator<Item = (&str, Range<usize>)> {
        self.tensors.iter().map(|tensor| (&*tensor.name, tensor.range.clone()))
    }

    /// Places of the kernels; what is left are biases.
    pub(super) fn kernels(&self) -> impl Iterator<Item = Range<usize>> {
        self.tensors.iter().filter(|tensor| tensor.is_kernel).map(|tensor| tensor.range.clone())
    }
}

/// Weights to start a training from: uniform between plus and minus sqrt(6 / (fan in + fan out)), the
/// fans counted with the taps (Glorot and Bengio 2010); biases 0. The same numbers on every machine.
///
/// `depth`: pairs of convolutions, at least 1; `features`: channels between them, at least 1.
pub fn initial_weights(depth: usize, features: usize, seed: u64) -> Weights {
    let key = [seed as u32, (seed >> 32) as u32];
    let mut random = Mt::new_with_key(key);
    let features = features.max(1);
    let mut layer = |taps: usize, inputs: usize, outputs: usize| {
        let shape = [taps, taps, taps, inputs, outputs];
        let fans = (taps.pow(3) * (inputs + outputs)) as f64;
        let limit = (6.0 / fans).sqrt();
        let mut number = || (f64::from(random.next_u32()) / 2_147_483_648.0 - 1.0) * limit;
        let weights = (0..shape.iter().product()).map(|_| number() as f32).collect();
        Layer { shape, weights, biases: vec![0.0; outputs] }
    };
    let first = (layer(3, 2, features), layer(3, features, features));
    let modules =
        (1..depth).map(|_| (layer(3, features, features), layer(3, features, features))).collect();
    Weights { first, modules, update: layer(1, features, 1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_survives_being_one_line() {
        let weights = initial_weights(3, 5, 7);
        let layout = Layout::new(&weights);
        let line = layout.flatten(&weights);
        assert_eq!(line.len(), weights.num_parameters());
        assert_eq!(layout.unflatten(&initial_weights(3, 5, 8), &line), weights);
        let (last, range) = layout.tensors().last().map_or(("", 0..0), |tensor| tensor);
        assert_eq!((last, range), ("seed_update/conv_lom/biases", line.len() - 1..line.len()));
        let kernels: usize = layout.kernels().map(|range| range.len()).sum();
        assert_eq!(kernels, line.len() - 6 * 5 - 1);
    }

    #[test]
    fn initial_weights_fill_their_range_and_depend_on_the_seed() {
        let weights = initial_weights(2, 8, 1);
        let limit = (6.0f32 / (27.0 * 16.0)).sqrt();
        let values = &weights.first.1.weights;
        let largest = values.iter().fold(0.0f32, |m, v| m.max(v.abs()));
        assert!(largest <= limit && largest > 0.95 * limit, "{largest} of {limit}");
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        assert!(mean.abs() < 0.1 * limit, "{mean}");
        assert!(weights.first.1.biases.iter().all(|b| *b == 0.0));
        assert_ne!(weights, initial_weights(2, 8, 1 << 40 | 1));
    }
}
