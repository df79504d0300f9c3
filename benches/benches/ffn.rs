//! One step of the depth-12 network of the published weights' shape, on each device of this build.
#![allow(missing_docs)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use exavox_compute::device::survey;
use exavox_compute::ffn::{BurnNetwork, Layer, ModelConfig, Network, Weights, network_on};
use exavox_compute::{ComputeDevice, DeviceSpec, Precision};

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

criterion_group!(benches, step);
criterion_main!(benches);
