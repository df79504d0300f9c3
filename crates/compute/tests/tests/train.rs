//! What must hold of training steps and over them.

use exavox_compute::ffn::train::{
    Clip, Optimizer, OptimizerState, Schedule, TrainBatch, TrainOptions, Trainer, initial_model,
};
use exavox_compute::ffn::{
    Architecture, Layer, Layers, ModelConfig, NormLayer, Padding, SeedUpdate, TrainedModel,
    model_on,
};
use exavox_compute::{ComputeDevice, Precision};

use crate::naive_network::{Exact, Image, forward};

/// The batch of one test.
pub(crate) struct Batch {
    fov: [usize; 3],
    channels: usize,
    count: usize,
    images: Vec<f32>,
    seeds: Vec<f32>,
    labels: Vec<f32>,
    weights: Vec<f32>,
}

impl Batch {
    pub(crate) fn new(fov: [usize; 3], count: usize) -> Self {
        Self::of_channels(fov, count, 1)
    }

    pub(crate) fn of_channels(fov: [usize; 3], count: usize, channels: usize) -> Self {
        let voxels = count * fov.iter().product::<usize>();
        let some = |number: usize, step: usize, modulus: usize, scale: f32| {
            let value = move |i: usize| ((i * step + i / 7 + 3) % modulus) as f32 * scale;
            (0..number).map(value).collect()
        };
        let values = |step, modulus, scale| some(voxels, step, modulus, scale);
        let images: Vec<f32> = some(voxels * channels, 31, 19, 0.1);
        let seeds: Vec<f32> = values(17, 11, 0.5);
        let labels: Vec<f32> = values(5, 2, 0.9);
        Self {
            fov,
            channels,
            count,
            images: images.iter().map(|v| v - 0.9).collect(),
            seeds: seeds.iter().map(|v| v - 2.9).collect(),
            labels: labels.iter().map(|v| v + 0.05).collect(),
            weights: values(13, 3, 0.75),
        }
    }

    fn as_train_batch(&self) -> TrainBatch<'_> {
        TrainBatch {
            count: self.count,
            images: &self.images,
            seeds: &self.seeds,
            labels: &self.labels,
            weights: &self.weights,
        }
    }

    fn config(&self) -> ModelConfig {
        ModelConfig { fov_zyx: self.fov, deltas_zyx: [0; 3] }
    }

    /// Mean over all voxels that the network speaks of.
    pub(crate) fn loss(&self, architecture: &Architecture, layers: &[Exact]) -> f64 {
        let (fov, voxels) = (self.fov, self.fov.iter().product());
        let (mut sum, mut count) = (0.0, 0);
        for i in 0..self.count {
            let image = |values: &[f32]| Image::new(fov, &values[i * voxels..][..voxels]);
            let all = voxels * self.channels;
            let channels = Image::of_channels(fov, &self.images[i * all..][..all]);
            let new = forward(architecture, layers, &channels, &image(&self.seeds));
            let [labels, weights] =
                [&self.labels, &self.weights].map(|values| image(values).middle(new.size).values);
            for ((logit, p), w) in new.values.iter().zip(labels).zip(weights) {
                let probability = 1.0 / (1.0 + (-logit).exp());
                sum -= w * (p * probability.ln() + (1.0 - p) * (1.0 - probability).ln());
            }
            count += new.values.len();
        }
        sum / count as f64
    }
}

/// Options under which the state after the first step is the gradient.
fn plain() -> TrainOptions {
    TrainOptions {
        optimizer: Optimizer::Momentum { momentum: 0.0, nesterov: false },
        learning_rate: 0.1,
        clip: Clip::None,
        ..TrainOptions::default()
    }
}

/// Gradients of each tensor, weights before biases, layer by layer.
pub(crate) fn gradients(
    model: &TrainedModel,
    batch: &Batch,
    devices: &[ComputeDevice],
) -> (f32, Vec<Vec<f32>>) {
    let mut trainer = Trainer::new(model, &batch.config(), plain(), devices).unwrap();
    let outcome = trainer.step(&batch.as_train_batch()).unwrap();
    assert!(outcome.applied && trainer.steps() == 1);
    (outcome.loss, trainer.state().slots.into_iter().map(|(_, values)| values).collect())
}

/// Biases and scales that differ from each other, so that their gradients do.
pub(crate) fn network(architecture: &Architecture) -> TrainedModel {
    let uneven = |values: &mut [f32], n: usize| {
        let values = values.iter_mut().enumerate();
        values.for_each(|(i, v)| *v += ((i + n) % 5) as f32 * 0.1 - 0.2);
    };
    let layers = |all: &mut dyn Iterator<Item = &mut Layer>| {
        all.enumerate().for_each(|(n, layer)| uneven(&mut layer.biases, n));
    };
    match initial_model(architecture, 5).unwrap().layers().clone() {
        Layers::ConvStack(mut weights) => {
            let pairs = std::iter::once(&mut weights.first).chain(&mut weights.modules);
            layers(&mut pairs.flat_map(|(a, b)| [a, b]));
            weights.into()
        }
        Layers::ResConvStack(mut weights) => {
            layers(&mut weights.first.iter_mut().chain(weights.modules.iter_mut().flatten()));
            for (n, NormLayer { scale, bias }) in weights.norms.iter_mut().enumerate() {
                uneven(scale, n);
                uneven(bias, n + 2);
            }
            weights.into()
        }
        _ => unreachable!("a third family"),
    }
}

fn conv_stack(depth: usize, features: usize) -> TrainedModel {
    network(&Architecture::conv_stack(depth, features))
}

/// With and without layer normalisation, same and valid, additive and direct.
pub(crate) fn res_conv_stacks() -> Vec<Architecture> {
    let mut all = Vec::new();
    for padding in [Padding::Same, Padding::Valid] {
        for update in [SeedUpdate::Additive, SeedUpdate::Direct] {
            for layer_norm in [true, false] {
                let some = Architecture::res_conv_stack(1, 5);
                all.push(Architecture { padding, update, layer_norm, ..some });
            }
        }
    }
    all
}

fn cpu() -> ComputeDevice {
    ComputeDevice::cpu().unwrap()
}

fn adam() -> TrainOptions {
    TrainOptions {
        optimizer: Optimizer::Adam { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 },
        learning_rate: 0.01,
        schedule: Schedule::Staircase { factor: 0.5, steps: 2 },
        weight_decay: 0.1,
        ema: Some(0.9),
        ..TrainOptions::default()
    }
}

#[test]
fn steps_reduce_the_loss() {
    let batch = Batch::new([5; 3], 2);
    let options = TrainOptions { schedule: Schedule::Constant, weight_decay: 0.0, ..adam() };
    let last_and_first = |model: &TrainedModel, batch: &Batch| {
        let mut trainer = Trainer::new(model, &batch.config(), options, &[cpu()]).unwrap();
        let losses: Vec<f32> =
            (0..30).map(|_| trainer.step(&batch.as_train_batch()).unwrap().loss).collect();
        [losses[29], losses[0]]
    };
    let [last, first] = last_and_first(&conv_stack(2, 4), &batch);
    assert!(last < 0.7 * first, "{last}, {first}");
    for architecture in res_conv_stacks() {
        let [last, first] = last_and_first(&network(&architecture), &Batch::new([9; 3], 2));
        assert!(last < 0.9 * first, "{architecture}: {last}, {first}");
    }
}

#[test]
fn a_run_that_was_interrupted_gives_the_same_bits() {
    let batch = Batch::new([5, 3, 7], 2);
    let start = conv_stack(2, 4);
    let trainer =
        |model: &TrainedModel| Trainer::new(model, &batch.config(), adam(), &[cpu()]).unwrap();
    let mut whole = trainer(&start);
    (0..2).for_each(|_| drop(whole.step(&batch.as_train_batch()).unwrap()));
    let mut resumed = trainer(&whole.model());
    let state: OptimizerState = whole.state();
    resumed.restore(&state).unwrap();
    for _ in 0..3 {
        assert_eq!(whole.learning_rate(), resumed.learning_rate());
        let expected = whole.step(&batch.as_train_batch()).unwrap();
        assert_eq!(resumed.step(&batch.as_train_batch()).unwrap(), expected);
    }
    assert_eq!(resumed.model(), whole.model());
    assert_eq!(resumed.averaged_model(), whole.averaged_model());
    assert_ne!(whole.averaged_model(), Some(whole.model()));
    assert_eq!((resumed.steps(), resumed.state()), (5, whole.state()));
}

#[test]
fn a_step_on_not_a_number_changes_nothing() {
    let mut batch = Batch::new([5; 3], 2);
    let mut trainer = Trainer::new(&conv_stack(2, 4), &batch.config(), adam(), &[cpu()]).unwrap();
    assert!(trainer.step(&batch.as_train_batch()).unwrap().applied);
    let (weights, state) = (trainer.model(), trainer.state());
    for values in [0, 1, 2, 3] {
        let mut broken = Batch::new([5; 3], 2);
        let slices =
            [&mut broken.images, &mut broken.seeds, &mut broken.labels, &mut broken.weights];
        slices.into_iter().nth(values).unwrap()[77] = f32::NAN;
        let outcome = trainer.step(&broken.as_train_batch()).unwrap();
        assert!(!outcome.applied, "slice {values}");
        assert_eq!((trainer.model(), trainer.state()), (weights.clone(), state.clone()));
    }
    batch.images.pop();
    let error = trainer.step(&batch.as_train_batch()).unwrap_err().to_string();
    assert_eq!(error, "images of 2 FOVs: expected 250 values, found 249");
}

#[test]
fn two_devices_are_one() {
    let (batch, weights) = (Batch::new([5, 7, 5], 3), conv_stack(2, 6));
    let (one_loss, one) = gradients(&weights, &batch, &[cpu()]);
    let (two_loss, two) = gradients(&weights, &batch, &[cpu(), cpu()]);
    assert!((one_loss - two_loss).abs() < 1e-6);
    for (tensor, (one, two)) in one.iter().zip(&two).enumerate() {
        let largest = one.iter().fold(0.0f32, |m, g| m.max(g.abs()));
        for (a, b) in one.iter().zip(two) {
            assert!((a - b).abs() <= 1e-5 * largest, "tensor {tensor}: {a} {b}");
        }
    }
    let logits = |devices: &[ComputeDevice]| {
        let mut trainer = Trainer::new(&weights, &batch.config(), plain(), devices).unwrap();
        trainer.step(&batch.as_train_batch()).unwrap().logits
    };
    assert!(logits(&[cpu(), cpu()]) == logits(&[cpu()]), "logits in another order");
    // More devices than fields of view.
    let (loss, _) = gradients(&weights, &Batch::new([5, 7, 5], 1), &[cpu(), cpu(), cpu()]);
    assert!(loss.is_finite());
}

#[test]
fn the_bits_do_not_depend_on_the_number_of_threads() {
    // More voxels than a task of the normalisation has.
    let batch = Batch::new([13, 15, 17], 2);
    let padding = Padding::Valid;
    for model in [
        conv_stack(2, 20),
        network(&Architecture::res_conv_stack(1, 20)),
        network(&Architecture { padding, ..Architecture::res_conv_stack(1, 20) }),
    ] {
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| gradients(&model, &batch, &[cpu()]))
        };
        let one = on(1);
        assert!(on(2) == one && on(5) == one, "{}", model.architecture());
    }
}

#[test]
fn logits_of_a_step_are_those_of_the_middle() {
    let (padding, image_channels) = (Padding::Valid, 2);
    let architecture =
        Architecture { padding, image_channels, ..Architecture::res_conv_stack(1, 5) };
    let (batch, model) = (Batch::of_channels([9, 11, 13], 2, 2), network(&architecture));
    let mut trainer = Trainer::new(&model, &batch.config(), plain(), &[cpu()]).unwrap();
    let mut found = trainer.step(&batch.as_train_batch()).unwrap().logits.into_iter();
    let mut network = model_on(&model, &batch.config(), &cpu(), Precision::Exact).unwrap();
    let voxels = 9 * 11 * 13;
    for (image, seed) in batch.images.chunks(2 * voxels).zip(batch.seeds.chunks(voxels)) {
        let mut logits = vec![0.0; voxels];
        network.step(image, seed, &mut logits).unwrap();
        for expected in logits.into_iter().filter(|logit| !logit.is_nan()) {
            let found = found.next().unwrap();
            assert!((found - expected).abs() < 1e-4, "{found}, expected {expected}");
        }
    }
    assert_eq!(found.next(), None);
}

#[test]
fn what_cannot_be_trained_is_refused() {
    let error = |architecture: &Architecture, fov: usize| {
        let config = ModelConfig { fov_zyx: [fov; 3], deltas_zyx: [0; 3] };
        let trainer = Trainer::new(&network(architecture), &config, plain(), &[cpu()]);
        trainer.err().unwrap().to_string()
    };
    let valid = Architecture { padding: Padding::Valid, ..Architecture::res_conv_stack(1, 3) };
    assert!(error(&valid, 7).contains("expected at least 9, found 7"));
}

/// One of each family that sees so many channels of the image.
fn of_channels(image_channels: usize) -> [TrainedModel; 2] {
    [Architecture::conv_stack(2, 6), Architecture::res_conv_stack(1, 6)]
        .map(|some| network(&Architecture { image_channels, ..some }))
}

#[test]
fn networks_of_several_channels_are_shared_out_and_gone_on_with_like_others() {
    let batch = Batch::of_channels([5, 7, 5], 3, 3);
    for model in of_channels(3) {
        let trainer = |model: &TrainedModel, devices: &[ComputeDevice]| {
            Trainer::new(model, &batch.config(), adam(), devices).unwrap()
        };
        let mut whole = trainer(&model, &[cpu()]);
        let first = whole.step(&batch.as_train_batch()).unwrap();
        let shared = trainer(&model, &[cpu(), cpu()]).step(&batch.as_train_batch()).unwrap();
        assert!(shared.logits == first.logits && (shared.loss - first.loss).abs() < 1e-6);
        let mut resumed = trainer(&whole.model(), &[cpu()]);
        resumed.restore(&whole.state()).unwrap();
        whole.step(&batch.as_train_batch()).unwrap();
        resumed.step(&batch.as_train_batch()).unwrap();
        assert_eq!(resumed.model(), whole.model());
    }
}

#[test]
fn a_batch_with_too_few_channels_is_refused() {
    let batch = Batch::new([5; 3], 2);
    let mut trainer = Trainer::new(&of_channels(2)[0], &batch.config(), adam(), &[cpu()]).unwrap();
    let error = trainer.step(&batch.as_train_batch()).unwrap_err().to_string();
    assert_eq!(error, "images of 2 FOVs: expected 500 values, found 250");
}

#[test]
fn a_count_of_updates_at_its_end_stays_there() {
    let batch = Batch::new([5; 3], 1);
    let schedule = Schedule::Cosine { warmup_steps: u64::MAX - 1, total_steps: u64::MAX };
    for options in [adam(), TrainOptions { schedule, ..adam() }] {
        let mut trainer =
            Trainer::new(&conv_stack(1, 2), &batch.config(), options, &[cpu()]).unwrap();
        let state = OptimizerState { steps: u64::MAX, ..trainer.state() };
        trainer.restore(&state).unwrap();
        assert!(trainer.step(&batch.as_train_batch()).unwrap().applied);
        assert_eq!(trainer.steps(), u64::MAX);
    }
}
