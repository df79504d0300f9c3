//! Gradients of a training step against finite differences of the definition, on each device of this build.

use exavox_compute::ffn::{Architecture, Padding};

use crate::golden::device;
use crate::naive_network::{Exact, exact};
use crate::train::{Batch, gradients, network, res_conv_stacks};

/// The slope of the loss along a direction in one tensor, or along one of its values.
fn slope(
    architecture: &Architecture,
    batch: &Batch,
    layers: &mut [Exact],
    tensor: usize,
    direction: &[f64],
) -> f64 {
    // Longer ones would carry values past the corners of ReLUs.
    const STEP: f64 = 1e-8;
    let mut at = |factor: f64| {
        let layer = &mut layers[tensor / 2];
        let values = if tensor.is_multiple_of(2) { &mut layer.weights } else { &mut layer.biases };
        let old = values.clone();
        values.iter_mut().zip(direction).for_each(|(v, d)| *v += factor * d);
        let loss = batch.loss(architecture, layers);
        let layer = &mut layers[tensor / 2];
        *(if tensor.is_multiple_of(2) { &mut layer.weights } else { &mut layer.biases }) = old;
        loss
    };
    (at(STEP) - at(-STEP)) / (2.0 * STEP)
}

fn gradients_are_slopes(spec: &str, fov: [usize; 3], depth: usize, features: usize, count: usize) {
    gradients_of_are_slopes(spec, &Architecture::conv_stack(depth, features), fov, count);
}

fn gradients_of_are_slopes(spec: &str, architecture: &Architecture, fov: [usize; 3], count: usize) {
    let Some(device) = device(spec) else { return };
    let batch = Batch::of_channels(fov, count, architecture.image_channels);
    let model = network(architecture);
    let (loss, gradients) = gradients(&model, &batch, &[device]);
    let mut layers = exact(&model);
    let expected = batch.loss(architecture, &layers);
    assert!((f64::from(loss) - expected).abs() < 1e-5, "loss {loss}, expected {expected}");
    assert_eq!(gradients.len(), 2 * layers.len());
    // Normalised channels are divided by deviations, which may be small.
    let bound = if architecture.layer_norm { 2e-4 } else { 1e-4 };
    for (tensor, gradient) in gradients.iter().enumerate() {
        let largest = gradient.iter().fold(0.0f32, |m, g| m.max(g.abs()));
        // All values at once along two directions, then the last value alone.
        let mixed = |i: usize, step: usize| ((i * step + tensor) % 7) as f64 - 3.0;
        let last = gradient.len() - 1;
        let directions: [Vec<f64>; 3] = [
            (0..=last).map(|i| mixed(i, 5)).collect(),
            (0..=last).map(|i| mixed(i / 3, 4)).collect(),
            (0..=last).map(|i| f64::from(u8::from(i == last))).collect(),
        ];
        for direction in directions {
            let expected = slope(architecture, &batch, &mut layers, tensor, &direction);
            let terms = gradient.iter().zip(&direction);
            let found: f64 = terms.map(|(g, d)| f64::from(*g) * d).sum();
            let size = direction.iter().map(|d| d * d).sum::<f64>().sqrt() * f64::from(largest);
            let error = (found - expected).abs();
            let of = format!("tensor {tensor} of {architecture}");
            assert!(error < bound * size + 1e-8, "{of}: {found}, expected {expected}");
        }
    }
}

#[test]
fn gradients_are_slopes_on_the_cpu() {
    gradients_are_slopes("cpu", [7, 9, 11], 3, 4, 1);
    gradients_are_slopes("cpu", [5; 3], 2, 8, 2);
    gradients_are_slopes("cpu", [5, 3, 1], 1, 1, 1);
}

#[test]
fn gradients_of_res_conv_stacks_are_slopes_on_the_cpu() {
    for architecture in res_conv_stacks() {
        gradients_of_are_slopes("cpu", &architecture, [9, 11, 13], 2);
    }
    let plain = Architecture::res_conv_stack(2, 18);
    gradients_of_are_slopes("cpu", &plain, [5, 3, 7], 1);
    let features = vec![4, 6, 5, 7, 3, 5];
    let widths = Architecture { num_convs: 3, features, ..Architecture::res_conv_stack(1, 5) };
    gradients_of_are_slopes("cpu", &widths, [5, 7, 5], 1);
    let single = Architecture { num_convs: 1, features: vec![6; 3], ..plain };
    gradients_of_are_slopes("cpu", &single, [7, 5, 5], 2);
    let fives = Architecture { kernel_zyx: [5; 3], ..Architecture::res_conv_stack(1, 4) };
    gradients_of_are_slopes("cpu", &fives, [5; 3], 1);
}

#[test]
fn gradients_of_networks_of_several_channels_are_slopes_on_the_cpu() {
    for image_channels in [2, 3, 17] {
        let stack = Architecture { image_channels, ..Architecture::conv_stack(2, 5) };
        gradients_of_are_slopes("cpu", &stack, [5, 7, 5], 2);
        let res = Architecture { image_channels, ..Architecture::res_conv_stack(1, 4) };
        gradients_of_are_slopes("cpu", &res, [5, 3, 7], 2);
    }
}

fn gradients_are_slopes_elsewhere(spec: &str) {
    gradients_are_slopes(spec, [5, 7, 9], 2, 4, 2);
    gradients_of_are_slopes(spec, &Architecture::res_conv_stack(1, 5), [5, 7, 9], 2);
    let padding = Padding::Valid;
    let valid = Architecture { padding, ..Architecture::res_conv_stack(1, 5) };
    gradients_of_are_slopes(spec, &valid, [9, 11, 9], 2);
    let two = Architecture { image_channels: 2, ..Architecture::conv_stack(2, 4) };
    gradients_of_are_slopes(spec, &two, [5, 7, 5], 2);
}

#[test]
fn gradients_are_slopes_on_cpu_jit() {
    gradients_are_slopes_elsewhere("cpu-jit");
}

#[test]
fn gradients_are_slopes_on_wgpu() {
    gradients_are_slopes_elsewhere("wgpu");
}

#[test]
fn gradients_are_slopes_on_cuda() {
    gradients_are_slopes_elsewhere("cuda");
}
