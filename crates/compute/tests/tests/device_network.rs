//! The network on the buffers of a device: against google/ffn's results, in batches, and refused.

use exavox_compute::ffn::{DeviceNetwork, ModelConfig, Network, Weights};
use exavox_compute::{Error, Precision};
use exavox_io::{BoundingBox, Volume};

use crate::golden::{checkpoint, data, device};
use crate::network::{reference, weights};

fn read(path: &std::path::Path) -> Vec<f32> {
    let volume = Volume::open(path.to_str().unwrap()).unwrap();
    volume.read(0, &BoundingBox::whole(volume.shape())).unwrap().to_f32()
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// Two goldens as one batch.
fn golden_on(spec: &str) {
    let (Some(data), Some(device)) = (data(), device(spec)) else { return };
    let weights = Weights::open(&checkpoint(&data), Some(12)).unwrap();
    let config = ModelConfig::default();
    let mut network = DeviceNetwork::new(&weights, &config, &device, Precision::Exact).unwrap();
    let file = |name: &str| read(&data.join("golden").join(format!("ffn_forward_{name}.npy")));
    let seed = file("seed");
    let images = [file("img_ramp"), file("img_real")].concat();
    let mut logits = vec![0.0; images.len()];
    network.step_batch(&images, &seed.repeat(2), &mut logits, 2).unwrap();
    let error = largest_difference(&logits, &[file("out_ramp"), file("out_real")].concat());
    eprintln!("{spec}: largest error {error:e}");
    assert!(error <= 1e-4, "largest error on {spec}: {error}");
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

/// A small network and what its step takes: weights, settings, images and seeds of `batch` FOVs.
fn small(batch: usize) -> (Weights, ModelConfig, Vec<f32>, Vec<f32>) {
    let config = ModelConfig { fov_zyx: [5, 3, 7], deltas_zyx: [0; 3] };
    let values = |step: usize, scale: f32| {
        let value = |i: usize| ((i * step + 7) % 19) as f32 / scale - 1.0;
        (0..batch * config.fov_voxels()).map(value).collect()
    };
    (weights(2, 5, 1), config, values(31, 9.0), values(17, 4.0))
}

fn batch_on(spec: &str) {
    let Some(device) = device(spec) else { return };
    let (weights, config, images, seeds) = small(3);
    let mut network = DeviceNetwork::new(&weights, &config, &device, Precision::Exact).unwrap();
    assert_eq!(network.device_name(), device.name());
    let mut logits = vec![0.0; images.len()];
    network.step_batch(&images, &seeds, &mut logits, 3).unwrap();
    let fovs = images.chunks(105).zip(seeds.chunks(105)).zip(logits.chunks(105));
    for (fov, ((image, seed), logits)) in fovs.enumerate() {
        let expected = reference(&weights, config.fov_zyx, image, seed);
        for (found, expected) in logits.iter().zip(&expected) {
            let error = (f64::from(*found) - expected).abs();
            assert!(error < 1e-5, "FOV {fov} on {spec}: {found}, expected {expected}");
        }
        let mut single = vec![0.0; 105];
        network.step(image, seed, &mut single).unwrap();
        assert!(single == logits, "FOV {fov} on {spec}: a batch of one gives other bits");
    }
}

#[test]
fn a_batch_is_the_definition_on_cpu_jit() {
    batch_on("cpu-jit");
}

#[test]
fn a_batch_is_the_definition_on_wgpu() {
    batch_on("wgpu");
}

#[test]
fn slices_of_other_lengths_are_refused() {
    let Some(device) = device("cpu-jit") else { return };
    let (weights, config, images, seeds) = small(2);
    let mut network = DeviceNetwork::new(&weights, &config, &device, Precision::Exact).unwrap();
    let mut logits = vec![0.0; 105];
    let error = network.step_batch(&images, &seeds, &mut logits, 2).unwrap_err();
    assert_eq!(error.to_string(), "logits of 2 FOVs: expected 210 values, found 105");
    network.step_batch(&[], &[], &mut [], 0).unwrap();
}

/// What is larger than any device's memory is refused when the network is made, so that another
/// device can take over.
#[test]
fn a_fov_that_no_device_holds_is_a_failure_of_the_device() {
    for device in ["cpu-jit", "wgpu"].into_iter().filter_map(device) {
        let config = ModelConfig { fov_zyx: [1023; 3], deltas_zyx: [0; 3] };
        let made = DeviceNetwork::new(&weights(2, 32, 1), &config, &device, Precision::Exact);
        let Err(error) = made else { panic!("made on {}", device.name()) };
        assert!(matches!(&error, Error::DeviceFailed { .. }), "{error}");
        assert!(error.to_string().contains("the device has room for"), "{error}");
    }
}

#[test]
fn the_plain_cpu_has_no_buffers_of_that_kind() {
    let Some(device) = device("cpu") else { return };
    let (weights, config, ..) = small(1);
    let made = DeviceNetwork::new(&weights, &config, &device, Precision::Exact);
    assert!(matches!(made, Err(Error::Usage(_))));
}
