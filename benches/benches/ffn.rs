//! One step of the depth-12 network of the published weights' shape, on each device of this build.
// A step that fails would count as a very fast one.
#![allow(clippy::expect_used, missing_docs)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use exavox_compute::device::survey;
use exavox_compute::ffn::{
    BurnNetwork, Canvas, Executor, ExecutorOptions, InferenceOptions, Inline, Layer, ModelConfig,
    Network, Segmenter, Steps, Weights, network_on,
};
use exavox_compute::{ComputeDevice, DeviceSpec, Precision, Result};
use exavox_io::Voxels;

/// Weights of some size; speed does not depend on them.
fn layer(kernel: usize, inputs: usize, outputs: usize) -> Layer {
    let shape = [kernel, kernel, kernel, inputs, outputs];
    let weights = (0..shape.iter().product()).map(|i: usize| (i % 13) as f32 * 0.01 - 0.06);
    Layer { shape, weights: weights.collect(), biases: vec![0.01; outputs] }
}

fn depth_12() -> Weights {
    Weights {
        first: (layer(3, 2, 32), layer(3, 32, 32)),
        modules: (1..12).map(|_| (layer(3, 32, 32), layer(3, 32, 32))).collect(),
        update: layer(1, 32, 1),
    }
}

fn step(criterion: &mut Criterion) {
    let (weights, config) = (depth_12(), ModelConfig::default());
    let voxels = config.fov_voxels();
    let image: Vec<f32> = (0..voxels).map(|i| (i % 17) as f32 / 8.0 - 1.0).collect();
    let (seed, mut logits) = (vec![-2.9; voxels], vec![0.0; voxels]);
    let mut group = criterion.benchmark_group("ffn_step_33");
    group.sample_size(10).throughput(Throughput::Elements(voxels as u64));
    for report in survey().into_iter().filter(|r| r.usable) {
        // A software adapter takes seconds a step and says nothing about any user's machine.
        let Ok(spec) = report.spec.parse::<DeviceSpec>() else { continue };
        let Ok((device, _)) = ComputeDevice::open(spec) else { continue };
        if device.name().contains("software") {
            continue;
        }
        let Ok(mut network) = BurnNetwork::new(&weights, &config, &device) else { continue };
        group.bench_function(&report.spec, |bencher| {
            bencher.iter(|| network.step(&image, &seed, &mut logits));
        });
        for precision in [Precision::Exact, Precision::Fast] {
            let network = network_on(&weights, &config, &device, precision);
            let (Some(_), Ok(mut network)) = (device.client(), network) else { continue };
            group.bench_function(format!("{} fused {precision:?}", report.spec), |bencher| {
                bencher.iter(|| network.step(&image, &seed, &mut logits));
            });
        }
    }
    group.finish();
}

/// A device that takes no time: the object is everything.
struct Null;

impl Network for Null {
    fn step(&mut self, _image: &[f32], _seed: &[f32], logits: &mut [f32]) -> Result<()> {
        logits.fill(3.0);
        Ok(())
    }

    fn preferred_batch(&self) -> usize {
        8
    }

    fn device_name(&self) -> String {
        "null".into()
    }
}

/// One object that fills a cube of 96 voxels; gives its steps.
fn fill(steps: &mut dyn Steps) -> u64 {
    let image = Voxels::from_vec([96; 3], vec![100_u8; 96 * 96 * 96]).expect("an image");
    let canvas = Canvas::new(image, ModelConfig::default(), InferenceOptions::default());
    let segmenter = canvas.and_then(|canvas| Segmenter::new(canvas, vec![[48; 3]]));
    let mut segmenter = segmenter.expect("a canvas");
    while segmenter.advance(steps, &mut |_| {}).expect("a step") {}
    let done = segmenter.finish().counters.fov_steps;
    assert!(done > 0, "nothing was measured");
    done
}

/// What a step takes beside the network: the time of an element.
fn host(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ffn_host");
    let steps = fill(&mut Inline::new(&mut Null, 1));
    group.sample_size(10).throughput(Throughput::Elements(steps));
    group.bench_function("inline", |bencher| {
        bencher.iter(|| fill(&mut Inline::new(&mut Null, 1)));
    });
    let start = || Executor::start(ExecutorOptions::new(1), |_| Ok(Box::new(Null)));
    let Ok(executor) = start() else { return };
    group.bench_function("executor, 1 canvas", |bencher| {
        bencher.iter(|| fill(&mut executor.client()));
    });
    group.throughput(Throughput::Elements(8 * steps));
    group.bench_function("executor, 8 canvases", |bencher| {
        bencher.iter(|| {
            std::thread::scope(|scope| {
                for _ in 0..8 {
                    scope.spawn(|| fill(&mut executor.client()));
                }
            });
        });
    });
    group.finish();
}

criterion_group!(benches, step, host);
criterion_main!(benches);
