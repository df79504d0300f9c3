//! The published network and settings against google/ffn's own results. The data is not part of this
//! project: `EXAVOX_DATA` names its directory; without it these tests say so and pass.

use std::path::PathBuf;

use exavox_compute::ffn::seed::{self, NormalisedImage, Scene, SeedPolicy};
use exavox_compute::ffn::{self, InferenceOptions, ModelConfig, Weights};
use exavox_compute::{ComputeDevice, DeviceSpec, Precision};
use exavox_io::{BoundingBox, Volume, Voxels};

/// Directory of the reference data, if it is there.
pub(crate) fn data() -> Option<PathBuf> {
    let found = std::env::var_os("EXAVOX_DATA").map(PathBuf::from).filter(|d| d.is_dir());
    if found.is_none() {
        eprintln!("skipped: EXAVOX_DATA does not name the reference data");
    }
    found
}

pub(crate) fn checkpoint(data: &std::path::Path) -> PathBuf {
    data.join("fib25/model.ckpt-27465036")
}

fn read(path: PathBuf) -> Voxels {
    let volume = Volume::open(path.to_str().unwrap()).unwrap();
    volume.read(0, &BoundingBox::whole(volume.shape())).unwrap()
}

/// Largest difference of logits to the golden files, over the three images.
fn largest_error(data: &std::path::Path, device: &ComputeDevice, precision: Precision) -> f32 {
    let golden = data.join("golden");
    let weights = Weights::open(&checkpoint(data), Some(12)).unwrap();
    let mut network =
        ffn::network_on(&weights, &ModelConfig::default(), device, precision).unwrap();
    let seed = read(golden.join("ffn_forward_seed.npy")).to_f32();
    let mut largest = 0.0f32;
    for name in ["zeros", "ramp", "real"] {
        let image = match name {
            "zeros" => vec![0.0; seed.len()],
            _ => read(golden.join(format!("ffn_forward_img_{name}.npy"))).to_f32(),
        };
        let expected = read(golden.join(format!("ffn_forward_out_{name}.npy"))).to_f32();
        let mut logits = vec![0.0; seed.len()];
        network.step(&image, &seed, &mut logits).unwrap();
        let error = logits.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        eprintln!("{}: {name}: largest error {error:e}", device.name());
        largest = largest.max(error);
    }
    largest
}

/// Opens a device for a test; a device that this build or machine lacks is said and skipped.
pub(crate) fn device(spec: &str) -> Option<ComputeDevice> {
    match ComputeDevice::open(spec.parse::<DeviceSpec>().unwrap()) {
        Ok((device, _)) => Some(device),
        Err(error) => {
            eprintln!("skipped: {error}");
            None
        }
    }
}

fn forward_equals_golden_on(spec: &str) {
    if let (Some(data), Some(device)) = (data(), device(spec)) {
        let error = largest_error(&data, &device, Precision::Exact);
        assert!(error <= 1e-4, "largest error on {spec}: {error}");
    }
}

#[test]
fn forward_equals_golden_on_cpu() {
    forward_equals_golden_on("cpu");
}

/// The bound that reduced precision is held to; 0.12 is what products in bf16 give.
#[test]
fn fast_forward_is_near_golden_on_cpu() {
    if let (Some(data), Some(device)) = (data(), device("cpu")) {
        let error = largest_error(&data, &device, Precision::Fast);
        assert!(error <= 0.025, "largest error: {error}");
    }
}

#[test]
fn forward_equals_golden_on_cpu_jit() {
    forward_equals_golden_on("cpu-jit");
}

#[test]
fn forward_equals_golden_on_wgpu() {
    forward_equals_golden_on("wgpu");
}

#[test]
fn forward_equals_golden_on_cuda() {
    forward_equals_golden_on("cuda");
}

#[test]
fn policy_peaks_gives_the_published_seeds() {
    let Some(data) = data() else { return };
    let path = data.join("fib25/training_sample2_grayscale.h5");
    let volume = Volume::open(&format!("{}:raw", path.display())).unwrap();
    let voxels = volume.read(0, &BoundingBox::whole(volume.shape())).unwrap();
    let image = NormalisedImage::new(&voxels, &InferenceOptions::default());
    let scene = Scene::new(image, [1.0; 3], ModelConfig::default().margin());
    let seeds = seed::find(&SeedPolicy::Peaks, &scene).unwrap();

    let golden = read(data.join("golden/policy_peaks_seeds_training_sample2.npy"));
    let expected = golden.to_labels().unwrap();
    let expected: Vec<[usize; 3]> =
        expected.chunks_exact(3).map(|p| [0, 1, 2].map(|a| p[a] as usize)).collect();
    assert_eq!(seeds.len(), 12_464);
    assert!(seeds == expected, "the seeds are not the published ones");
}

#[test]
fn checkpoint_has_the_published_values() {
    let Some(data) = data() else { return };
    let weights = Weights::open(&checkpoint(&data), None).unwrap();
    assert_eq!((weights.depth(), weights.num_parameters()), (12, 638_433));
    let close = |found: &[f32], published: &[f32]| {
        // Published to eight decimals.
        assert!(found.iter().zip(published).all(|(f, p)| (f - p).abs() < 1e-7), "{found:?}");
    };
    close(&weights.first.0.weights, &[0.052_632_66, 0.050_980_49, -0.068_838_28]);
    close(&weights.first.0.biases, &[0.071_448_32, -0.246_321_7, -0.196_243_1]);
    close(&weights.update.weights, &[-0.094_428_11, -0.076_379_86, -0.101_676_7]);
    close(&weights.update.biases, &[0.314_614_4]);
}
