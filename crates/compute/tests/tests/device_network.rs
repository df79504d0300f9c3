//! The network on the buffers of a device: against google/ffn's results, in batches, and refused.

use exavox_compute::ffn::{DeviceNetwork, FallbackNetwork, ModelConfig, Network, Weights};
use exavox_compute::{Error, Precision};
use exavox_io::{BoundingBox, Volume};

use crate::golden::{checkpoint, data, device};
use crate::network::weights;

fn read(path: &std::path::Path) -> Vec<f32> {
    let volume = Volume::open(path.to_str().unwrap()).unwrap();
    volume.read(0, &BoundingBox::whole(volume.shape())).unwrap().to_f32()
}

/// Image, and the logits that google/ffn gives for it, of each of the three golden steps.
fn golden(data: &std::path::Path) -> (Vec<f32>, Vec<[Vec<f32>; 2]>) {
    let file = |name: &str| read(&data.join("golden").join(format!("ffn_forward_{name}.npy")));
    let seed = file("seed");
    let steps = ["zeros", "ramp", "real"].map(|name| {
        let image =
            if name == "zeros" { vec![0.0; seed.len()] } else { file(&format!("img_{name}")) };
        [image, file(&format!("out_{name}"))]
    });
    (seed, steps.to_vec())
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// One step of the three goldens at once, and one by one: as published, and the same bits.
fn golden_on(spec: &str) {
    let (Some(data), Some(device)) = (data(), device(spec)) else { return };
    let weights = Weights::open(&checkpoint(&data), Some(12)).unwrap();
    let config = ModelConfig::default();
    let mut network = DeviceNetwork::new(&weights, &config, &device, Precision::Exact).unwrap();
    let (seed, steps) = golden(&data);
    let images: Vec<f32> = steps.iter().flat_map(|[image, _]| image.clone()).collect();
    let expected: Vec<f32> = steps.iter().flat_map(|[_, logits]| logits.clone()).collect();
    let mut logits = vec![0.0; images.len()];
    network.step_batch(&images, &seed.repeat(3), &mut logits, 3).unwrap();
    let error = largest_difference(&logits, &expected);
    eprintln!("{spec}: largest error {error:e}");
    assert!(error <= 1e-4, "largest error on {spec}: {error}");
    let mut single = vec![0.0; seed.len()];
    network.step(&steps[2][0], &seed, &mut single).unwrap();
    assert!(single == logits[2 * seed.len()..], "a batch of one gives other bits on {spec}");
}

#[test]
fn golden_steps_on_cpu_jit() {
    golden_on("cpu-jit");
}

#[test]
fn golden_steps_on_wgpu() {
    golden_on("wgpu");
}

#[test]
fn golden_steps_on_cuda() {
    golden_on("cuda");
}
