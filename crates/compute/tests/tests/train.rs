//! Training steps against finite differences of the definition, on each device of this build; and
//! what must hold over steps.

use exavox_compute::ComputeDevice;
use exavox_compute::ffn::train::{
    Clip, Optimizer, OptimizerState, Schedule, TrainBatch, TrainOptions, Trainer, initial_weights,
};
use exavox_compute::ffn::{Layer, ModelConfig, Weights};

use crate::golden::device;

/// A layer in f64.
struct Exact {
    shape: [usize; 5],
    weights: Vec<f64>,
    biases: Vec<f64>,
}

/// The layers in the order of the optimizer's slots.
fn exact(weights: &Weights) -> Vec<Exact> {
    let pairs = std::iter::once(&weights.first).chain(&weights.modules);
    let layers = pairs.flat_map(|(a, b)| [a, b]).chain([&weights.update]);
    let wide = |values: &[f32]| values.iter().map(|v| f64::from(*v)).collect();
    layers
        .map(|Layer { shape, weights, biases }| Exact {
            shape: *shape,
            weights: wide(weights),
            biases: wide(biases),
        })
        .collect()
}

/// As it is defined; one image, channels last.
fn convolve(input: &[f64], [nz, ny, nx]: [usize; 3], layer: &Exact) -> Vec<f64> {
    let [k, _, _, inputs, outputs] = layer.shape;
    let mut out = Vec::new();
    for voxel in 0..nz * ny * nx {
        let (z, y, x) = (voxel / (ny * nx), voxel / nx % ny, voxel % nx);
        let mut sums = layer.biases.clone();
        for tap in 0..k * k * k {
            let (z, y, x) = (z + tap / (k * k), y + tap / k % k, x + tap % k);
            let inside = |p: usize, n: usize| (k / 2..n + k / 2).contains(&p);
            if !(inside(z, nz) && inside(y, ny) && inside(x, nx)) {
                continue;
            }
            let from = ((z - k / 2) * ny + y - k / 2) * nx + x - k / 2;
            for i in 0..inputs {
                let row = &layer.weights[(tap * inputs + i) * outputs..][..outputs];
                let value = input[from * inputs + i];
                sums.iter_mut().zip(row).for_each(|(sum, w)| *sum += value * w);
            }
        }
        out.extend(sums);
    }
    out
}

fn relu(values: &[f64]) -> Vec<f64> {
    values.iter().map(|v| v.max(0.0)).collect()
}

fn forward(layers: &[Exact], fov: [usize; 3], image: &[f32], seed: &[f32]) -> Vec<f64> {
    let pairs = image.iter().zip(seed);
    let input: Vec<f64> = pairs.flat_map(|(i, s)| [f64::from(*i), f64::from(*s)]).collect();
    let mut x = convolve(&relu(&convolve(&input, fov, &layers[0])), fov, &layers[1]);
    let (update, modules) = layers[2..].split_last().unwrap();
    for module in modules.chunks(2) {
        let inner = relu(&convolve(&relu(&x), fov, &module[0]));
        let change = convolve(&inner, fov, &module[1]);
        x.iter_mut().zip(change).for_each(|(x, c)| *x += c);
    }
    let change = convolve(&relu(&x), fov, update);
    change.iter().zip(seed).map(|(c, s)| c + f64::from(*s)).collect()
}

/// The batch of one test.
struct Batch {
    fov: [usize; 3],
    count: usize,
    images: Vec<f32>,
    seeds: Vec<f32>,
    labels: Vec<f32>,
    weights: Vec<f32>,
}

impl Batch {
    fn new(fov: [usize; 3], count: usize) -> Self {
        let voxels = count * fov.iter().product::<usize>();
        let values = |step: usize, modulus: usize, scale: f32| {
            (0..voxels).map(move |i| ((i * step + i / 7 + 3) % modulus) as f32 * scale).collect()
        };
        let images: Vec<f32> = values(31, 19, 0.1);
        let seeds: Vec<f32> = values(17, 11, 0.5);
        let labels: Vec<f32> = values(5, 2, 0.9);
        Self {
            fov,
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

    /// Mean over all voxels.
    fn loss(&self, layers: &[Exact]) -> f64 {
        let voxels = self.fov.iter().product();
        let mut sum = 0.0;
        for (i, (image, seed)) in
            self.images.chunks(voxels).zip(self.seeds.chunks(voxels)).enumerate()
        {
            for (at, logit) in forward(layers, self.fov, image, seed).into_iter().enumerate() {
                let at = i * voxels + at;
                let (p, w) = (f64::from(self.labels[at]), f64::from(self.weights[at]));
                let probability = 1.0 / (1.0 + (-logit).exp());
                sum -= w * (p * probability.ln() + (1.0 - p) * (1.0 - probability).ln());
            }
        }
        sum / self.labels.len() as f64
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
fn gradients(weights: &Weights, batch: &Batch, devices: &[ComputeDevice]) -> (f32, Vec<Vec<f32>>) {
    let mut trainer = Trainer::new(weights, &batch.config(), plain(), devices).unwrap();
    let outcome = trainer.step(&batch.as_train_batch()).unwrap();
    assert!(outcome.applied && trainer.steps() == 1);
    (outcome.loss, trainer.state().slots.into_iter().map(|(_, values)| values).collect())
}

/// Biases that are not zero, so that their gradients differ.
fn network(depth: usize, features: usize) -> Weights {
    let mut weights = initial_weights(depth, features, 5);
    let pairs = std::iter::once(&mut weights.first).chain(&mut weights.modules);
    for (n, layer) in pairs.flat_map(|(a, b)| [a, b]).enumerate() {
        let biases = layer.biases.iter_mut().enumerate();
        biases.for_each(|(i, b)| *b = ((i + n) % 5) as f32 * 0.1 - 0.2);
    }
    weights
}

/// The slope of the loss along a direction in one tensor, or along one of its values.
fn slope(batch: &Batch, layers: &mut [Exact], tensor: usize, direction: &[f64]) -> f64 {
    const STEP: f64 = 1e-6;
    let mut at = |factor: f64| {
        let layer = &mut layers[tensor / 2];
        let values = if tensor.is_multiple_of(2) { &mut layer.weights } else { &mut layer.biases };
        let old = values.clone();
        values.iter_mut().zip(direction).for_each(|(v, d)| *v += factor * d);
        let loss = batch.loss(layers);
        let layer = &mut layers[tensor / 2];
        *(if tensor.is_multiple_of(2) { &mut layer.weights } else { &mut layer.biases }) = old;
        loss
    };
    (at(STEP) - at(-STEP)) / (2.0 * STEP)
}

fn gradients_are_slopes(spec: &str, fov: [usize; 3], depth: usize, features: usize, count: usize) {
    let Some(device) = device(spec) else { return };
    let (batch, weights) = (Batch::new(fov, count), network(depth, features));
    let (loss, gradients) = gradients(&weights, &batch, &[device]);
    let mut layers = exact(&weights);
    let expected = batch.loss(&layers);
    assert!((f64::from(loss) - expected).abs() < 1e-5, "loss {loss}, expected {expected}");
    assert_eq!(gradients.len(), 2 * layers.len());
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
            let expected = slope(&batch, &mut layers, tensor, &direction);
            let terms = gradient.iter().zip(&direction);
            let found: f64 = terms.map(|(g, d)| f64::from(*g) * d).sum();
            let size = direction.iter().map(|d| d * d).sum::<f64>().sqrt() * f64::from(largest);
            let error = (found - expected).abs();
            assert!(error < 1e-4 * size + 1e-8, "tensor {tensor}: {found}, expected {expected}");
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
fn gradients_are_slopes_on_cpu_jit() {
    gradients_are_slopes("cpu-jit", [5, 7, 9], 2, 4, 2);
}

#[test]
fn gradients_are_slopes_on_wgpu() {
    gradients_are_slopes("wgpu", [5, 7, 9], 2, 4, 2);
}

#[test]
fn gradients_are_slopes_on_cuda() {
    gradients_are_slopes("cuda", [5, 7, 9], 2, 4, 2);
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
    let mut trainer = Trainer::new(&network(2, 4), &batch.config(), options, &[cpu()]).unwrap();
    let losses: Vec<f32> =
        (0..30).map(|_| trainer.step(&batch.as_train_batch()).unwrap().loss).collect();
    assert!(losses[29] < 0.7 * losses[0], "{losses:?}");
}

#[test]
fn a_run_that_was_interrupted_gives_the_same_bits() {
    let batch = Batch::new([5, 3, 7], 2);
    let start = network(2, 4);
    let trainer =
        |weights: &Weights| Trainer::new(weights, &batch.config(), adam(), &[cpu()]).unwrap();
    let mut whole = trainer(&start);
    (0..2).for_each(|_| drop(whole.step(&batch.as_train_batch()).unwrap()));
    let mut resumed = trainer(&whole.weights());
    let state: OptimizerState = whole.state();
    resumed.restore(&state).unwrap();
    for _ in 0..3 {
        assert_eq!(whole.learning_rate(), resumed.learning_rate());
        let expected = whole.step(&batch.as_train_batch()).unwrap();
        assert_eq!(resumed.step(&batch.as_train_batch()).unwrap(), expected);
    }
    assert_eq!(resumed.weights(), whole.weights());
    assert_eq!(resumed.averaged_weights(), whole.averaged_weights());
    assert_ne!(whole.averaged_weights(), Some(whole.weights()));
    assert_eq!((resumed.steps(), resumed.state()), (5, whole.state()));
}

#[test]
fn a_step_on_not_a_number_changes_nothing() {
    let mut batch = Batch::new([5; 3], 2);
    let mut trainer = Trainer::new(&network(2, 4), &batch.config(), adam(), &[cpu()]).unwrap();
    assert!(trainer.step(&batch.as_train_batch()).unwrap().applied);
    let (weights, state) = (trainer.weights(), trainer.state());
    for values in [0, 1, 2, 3] {
        let mut broken = Batch::new([5; 3], 2);
        let slices =
            [&mut broken.images, &mut broken.seeds, &mut broken.labels, &mut broken.weights];
        slices.into_iter().nth(values).unwrap()[77] = f32::NAN;
        let outcome = trainer.step(&broken.as_train_batch()).unwrap();
        assert!(!outcome.applied, "slice {values}");
        assert_eq!((trainer.weights(), trainer.state()), (weights.clone(), state.clone()));
    }
    batch.images.pop();
    let error = trainer.step(&batch.as_train_batch()).unwrap_err().to_string();
    assert_eq!(error, "images of 2 FOVs: expected 250 values, found 249");
}

#[test]
fn two_devices_are_one() {
    let (batch, weights) = (Batch::new([5, 7, 5], 3), network(2, 6));
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
    let (batch, weights) = (Batch::new([9, 11, 13], 2), network(2, 20));
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| gradients(&weights, &batch, &[cpu()]))
    };
    let one = on(1);
    assert!(on(2) == one && on(5) == one);
}

#[test]
fn a_count_of_updates_at_its_end_stays_there() {
    let batch = Batch::new([5; 3], 1);
    let schedule = Schedule::Cosine { warmup_steps: u64::MAX - 1, total_steps: u64::MAX };
    for options in [adam(), TrainOptions { schedule, ..adam() }] {
        let mut trainer = Trainer::new(&network(1, 2), &batch.config(), options, &[cpu()]).unwrap();
        let state = OptimizerState { steps: u64::MAX, ..trainer.state() };
        trainer.restore(&state).unwrap();
        assert!(trainer.step(&batch.as_train_batch()).unwrap().applied);
        assert_eq!(trainer.steps(), u64::MAX);
    }
}
