//! A training step (forward, backward, update) beside a forward step, on each device of this build.
// A step that fails would count as a very fast one.
#![allow(clippy::expect_used, missing_docs)]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use exavox_compute::device::survey;
use exavox_compute::ffn::train::{TrainBatch, TrainOptions, Trainer, initial_model};
use exavox_compute::ffn::{Architecture, ModelConfig, model_on};
use exavox_compute::{ComputeDevice, DeviceSpec, Precision};

/// FOVs and networks.
fn networks() -> [(usize, Architecture); 3] {
    [
        (33, Architecture::conv_stack(12, 32)),
        (33, Architecture::res_conv_stack(12, 32)),
        (17, Architecture::conv_stack(6, 16)),
    ]
}

fn training(criterion: &mut Criterion) {
    for report in survey().into_iter().filter(|r| r.usable) {
        let Ok(spec) = report.spec.parse::<DeviceSpec>() else { continue };
        let Ok((device, _)) = ComputeDevice::open(spec) else { continue };
        // A software adapter takes seconds a step and says nothing about any user's machine.
        if device.name().contains("software") {
            continue;
        }
        for (fov, architecture) in networks() {
            steps(criterion, &device, fov, &architecture);
        }
    }
}

fn steps(
    criterion: &mut Criterion,
    device: &ComputeDevice,
    fov: usize,
    architecture: &Architecture,
) {
    let config = ModelConfig { fov_zyx: [fov; 3], deltas_zyx: [0; 3] };
    let model = initial_model(architecture, 1).expect("a network");
    let voxels = config.fov_voxels();
    let Architecture { family, depth, features, .. } = architecture;
    let name =
        format!("train_{}_{family}_{fov}_depth_{depth}_features_{}", device.name(), features[0]);
    let mut group = criterion.benchmark_group(name);
    group.sample_size(10);
    for count in [1, 4] {
        let values = |modulus: usize, scale: f32| -> Vec<f32> {
            (0..count * voxels).map(|i| (i % modulus) as f32 * scale).collect()
        };
        let (images, seeds, labels) = (values(17, 0.1), values(3, -1.0), values(2, 0.9));
        let weight_of_voxels = vec![1.0; count * voxels];
        group.throughput(Throughput::Elements((count * voxels) as u64));
        if let Ok(mut network) = model_on(&model, &config, device, Precision::Exact) {
            let mut logits = vec![0.0; voxels];
            group.bench_function(BenchmarkId::new("forward", count), |bencher| {
                bencher.iter(|| {
                    for (image, seed) in images.chunks(voxels).zip(seeds.chunks(voxels)) {
                        network.step(image, seed, &mut logits).expect("a forward step");
                    }
                });
            });
        }
        let devices = std::slice::from_ref(device);
        let Ok(mut trainer) = Trainer::new(&model, &config, TrainOptions::default(), devices)
        else {
            continue;
        };
        let batch = TrainBatch {
            count,
            images: &images,
            seeds: &seeds,
            labels: &labels,
            weights: &weight_of_voxels,
        };
        group.bench_function(BenchmarkId::new("training", count), |bencher| {
            bencher.iter(|| trainer.step(&batch).expect("a training step").loss);
        });
    }
    group.finish();
}

criterion_group!(benches, training);
criterion_main!(benches);
