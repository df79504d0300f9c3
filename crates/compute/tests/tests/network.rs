//! The network against its definition, and what happens when a device fails.

use exavox_compute::ffn::{BurnNetwork, FallbackNetwork, Layer, ModelConfig, Network, Weights};
use exavox_compute::{Error, Result};
use proptest::prelude::*;

use crate::golden::device;

/// A network of `features` channels with numbers that look random.
pub(crate) fn weights(depth: usize, features: usize, seed: u64) -> Weights {
    let mut state = seed;
    let mut number = move || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 40) as f32 / (1u64 << 24) as f32 - 0.5) * 0.4
    };
    let mut layer = |k: usize, inputs: usize, outputs: usize| {
        let shape = [k, k, k, inputs, outputs];
        let weights = (0..shape.iter().product()).map(|_| number()).collect();
        Layer { shape, weights, biases: (0..outputs).map(|_| number()).collect() }
    };
    Weights {
        first: (layer(3, 2, features), layer(3, features, features)),
        modules: (1..depth)
            .map(|_| (layer(3, features, features), layer(3, features, features)))
            .collect(),
        update: layer(1, features, 1),
    }
}

/// A convolution as it is defined, channels last, in f64.
fn convolve(input: &[f64], shape: [usize; 3], layer: &Layer) -> Vec<f64> {
    let [kz, ky, kx, inputs, outputs] = layer.shape;
    let mut out = Vec::with_capacity(shape.iter().product::<usize>() * outputs);
    let inside =
        |p: usize, k: usize, half: usize, n: usize| (p + k).checked_sub(half).filter(|q| *q < n);
    for position in 0..shape.iter().product::<usize>() {
        let [z, y, x] =
            [position / (shape[1] * shape[2]), position / shape[2] % shape[1], position % shape[2]];
        for o in 0..outputs {
            let mut sum = f64::from(layer.biases[o]);
            for tap in 0..kz * ky * kx {
                let (i, j, k) = (tap / (ky * kx), tap / kx % ky, tap % kx);
                let at = (
                    inside(z, i, kz / 2, shape[0]),
                    inside(y, j, ky / 2, shape[1]),
                    inside(x, k, kx / 2, shape[2]),
                );
                if let (Some(z), Some(y), Some(x)) = at {
                    let voxel = (z * shape[1] + y) * shape[2] + x;
                    for c in 0..inputs {
                        let weight = layer.weights[(tap * inputs + c) * outputs + o];
                        sum += f64::from(weight) * input[voxel * inputs + c];
                    }
                }
            }
            out.push(sum);
        }
    }
    out
}

fn relu(values: &[f64]) -> Vec<f64> {
    values.iter().map(|v| v.max(0.0)).collect()
}

/// The network as it is defined.
pub(crate) fn reference(
    weights: &Weights,
    shape: [usize; 3],
    image: &[f32],
    seed: &[f32],
) -> Vec<f64> {
    let input: Vec<f64> =
        image.iter().zip(seed).flat_map(|(i, s)| [f64::from(*i), f64::from(*s)]).collect();
    let first = relu(&convolve(&input, shape, &weights.first.0));
    let mut x = convolve(&first, shape, &weights.first.1);
    for (a, b) in &weights.modules {
        let inner = relu(&convolve(&relu(&x), shape, a));
        let change = convolve(&inner, shape, b);
        x.iter_mut().zip(change).for_each(|(x, c)| *x += c);
    }
    let update = convolve(&relu(&x), shape, &weights.update);
    update.iter().zip(seed).map(|(u, s)| u + f64::from(*s)).collect()
}

fn check_step(spec: &str, fov: [usize; 3], depth: usize, features: usize, seed: u64) {
    let Some(device) = device(spec) else { return };
    let weights = weights(depth, features, seed);
    let config = ModelConfig { fov_zyx: fov, deltas_zyx: [0; 3] };
    let voxels = config.fov_voxels();
    let image: Vec<f32> = (0..voxels).map(|i| ((i * 31 + 7) % 19) as f32 / 9.0 - 1.0).collect();
    let object: Vec<f32> = (0..voxels).map(|i| ((i * 17 + 3) % 11) as f32 / 2.0 - 3.0).collect();
    let mut logits = vec![0.0; voxels];
    let mut network = BurnNetwork::new(&weights, &config, &device).unwrap();
    network.step(&image, &object, &mut logits).unwrap();
    let expected = reference(&weights, fov, &image, &object);
    for (at, (found, expected)) in logits.iter().zip(&expected).enumerate() {
        let error = (f64::from(*found) - expected).abs();
        assert!(
            error <= 1e-4 * expected.abs().max(1.0),
            "voxel {at}: {found}, expected {expected}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn a_step_on_the_cpu_is_the_definition(
        fov in [0usize..4, 0usize..5, 0usize..5], depth in 1usize..4, features in 1usize..7,
        seed in any::<u64>(),
    ) {
        check_step("cpu", fov.map(|half| 2 * half + 1), depth, features, seed);
    }
}

#[test]
fn a_step_on_cpu_jit_is_the_definition() {
    check_step("cpu-jit", [7, 5, 9], 2, 5, 1);
}

#[test]
fn a_step_on_wgpu_is_the_definition() {
    check_step("wgpu", [7, 5, 9], 2, 5, 1);
}

/// Gives a number of good steps, then fails like a device that was unplugged.
struct Failing {
    good_steps: usize,
}

impl Network for Failing {
    fn step(&mut self, _image: &[f32], seed: &[f32], logits: &mut [f32]) -> Result<()> {
        if self.good_steps == 0 {
            let reason = "out of memory".to_owned();
            return Err(Error::DeviceFailed { device: "test".into(), reason });
        }
        self.good_steps -= 1;
        logits.copy_from_slice(seed);
        Ok(())
    }

    fn device_name(&self) -> String {
        "test".into()
    }
}

/// Adds one to every logit.
struct AddOne;

impl Network for AddOne {
    fn step(&mut self, _image: &[f32], seed: &[f32], logits: &mut [f32]) -> Result<()> {
        logits.iter_mut().zip(seed).for_each(|(l, s)| *l = s + 1.0);
        Ok(())
    }

    fn device_name(&self) -> String {
        "cpu".into()
    }
}

#[test]
fn a_failed_step_is_repeated_by_the_fallback_with_one_warning() {
    let mut warnings = Vec::new();
    let mut network = FallbackNetwork::new(
        Box::new(Failing { good_steps: 1 }),
        Some(Box::new(|| Ok(Box::new(AddOne) as Box<dyn Network>))),
        |message| warnings.push(message.to_owned()),
    );
    let mut logits = [0.0];
    let mut results = Vec::new();
    for _ in 0..3 {
        network.step(&[0.0], &[5.0], &mut logits).unwrap();
        results.push(logits[0]);
    }
    assert_eq!(network.device_name(), "cpu");
    drop(network);
    assert_eq!(results, [5.0, 6.0, 6.0]);
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].contains("out of memory"), "{}", warnings[0]);
}

#[test]
fn without_a_fallback_the_error_comes_out() {
    let mut network = FallbackNetwork::new(Box::new(Failing { good_steps: 0 }), None, |_| {});
    let error = network.step(&[0.0], &[0.0], &mut [0.0]).unwrap_err();
    assert!(matches!(error, Error::DeviceFailed { .. }));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]
    #[test]
    fn a_batch_on_the_cpu_is_step_after_step_on_any_number_of_threads(
        fov in [0usize..3, 0usize..4, 0usize..4], count in 0usize..6, seed in any::<u64>(),
    ) {
        let config = ModelConfig { fov_zyx: fov.map(|half| 2 * half + 1), deltas_zyx: [0; 3] };
        let Some(device) = device("cpu") else { return Ok(()) };
        let voxels = config.fov_voxels();
        let values = |step: usize| -> Vec<f32> {
            (0..voxels * count).map(|i| ((i * step + 7) % 19) as f32 / 9.0 - 1.0).collect()
        };
        let (images, seeds) = (values(31), values(17));
        let mut network = BurnNetwork::new(&weights(2, 3, seed), &config, &device).unwrap();
        let mut expected = vec![0.0; voxels * count];
        for i in 0..count {
            let part = i * voxels..(i + 1) * voxels;
            let out = &mut expected[part.clone()];
            network.step(&images[part.clone()], &seeds[part], out).unwrap();
        }
        for threads in [1, 2, 3] {
            let mut network = BurnNetwork::new(&weights(2, 3, seed), &config, &device).unwrap();
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let mut found = vec![0.0; voxels * count];
            pool.install(|| {
                assert_eq!(network.preferred_batch(), threads);
                network.step_batch(&images, &seeds, &mut found, count).unwrap();
                network.step_batch(&images, &seeds, &mut found, count + 1).unwrap_err();
            });
            prop_assert!(found == expected, "{} threads", threads);
        }
    }
}

/// A device with room for few FOVs, which is lost after some batches.
struct Small {
    room: usize,
    good_batches: usize,
}

impl Network for Small {
    fn step(&mut self, _image: &[f32], seed: &[f32], logits: &mut [f32]) -> Result<()> {
        self.step_batch(&[], seed, logits, 1)
    }

    fn step_batch(
        &mut self,
        _images: &[f32],
        seeds: &[f32],
        logits: &mut [f32],
        count: usize,
    ) -> Result<()> {
        if count > self.room || self.good_batches == 0 {
            logits.fill(f32::NAN);
            let reason = "no room".to_owned();
            return Err(Error::DeviceFailed { device: "test".into(), reason });
        }
        self.good_batches -= 1;
        logits.iter_mut().zip(seeds).for_each(|(l, s)| *l = s + 1.0);
        Ok(())
    }

    fn device_name(&self) -> String {
        "test".into()
    }
}

#[test]
fn a_batch_that_fails_is_cut_and_only_then_the_cpu_takes_over() {
    for (good_batches, on_cpu) in [(100, false), (2, true), (0, true)] {
        let mut warnings = 0;
        let mut network = FallbackNetwork::new(
            Box::new(Small { room: 3, good_batches }),
            Some(Box::new(|| Ok(Box::new(AddOne) as Box<dyn Network>))),
            |_| warnings += 1,
        );
        let seeds: Vec<f32> = (0..16).map(|i| i as f32).collect();
        let mut logits = vec![0.0; 16];
        // FOVs of two voxels.
        network.step_batch(&seeds, &seeds, &mut logits, 8).unwrap();
        assert!(logits.iter().zip(&seeds).all(|(l, s)| *l == s + 1.0), "{logits:?}");
        assert_eq!(network.device_name(), if on_cpu { "cpu" } else { "test" });
        drop(network);
        assert_eq!(warnings, i32::from(on_cpu));
    }
}
