//! Gradients of convolutions by kernels of our own against those of burn's convolution.

use burn::tensor::{Tensor, TensorData};
use exavox_compute::ComputeDevice;
use exavox_compute::Precision;
use exavox_compute::conv3d::{Conv3d, Conv3dShape, Kernel, Relu};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::golden::device;

fn numbers(count: usize, seed: usize) -> Vec<f32> {
    let mixed = |i: usize| (i as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15 ^ (seed as u64) << 7);
    (0..count).map(|i| (mixed(i) >> 40) as f32 / (1u64 << 23) as f32 - 1.0).collect()
}

/// One convolution.
#[derive(Debug, Clone, Copy)]
struct Case {
    shape: Conv3dShape,
    batch: usize,
    relu: Relu,
    residual: bool,
}

/// Result and gradients of input, weights, bias and residual of one convolution.
fn computed(device: &ComputeDevice, kernel: Kernel, case: Case) -> Vec<Vec<f32>> {
    let Case { shape, batch, relu, .. } = case;
    let leaf = |count: usize, seed: usize| {
        let data = TensorData::new(numbers(count, seed), [count]);
        Tensor::<1>::from_data(data, device.burn()).autodiff().require_grad()
    };
    let ([z, y, x], taps) = (shape.volume_zyx, shape.kernel_zyx.iter().product::<usize>());
    let voxels = batch * z * y * x;
    let leaves = [
        leaf(voxels * shape.inputs, 1),
        leaf(taps * shape.inputs * shape.outputs, 2),
        leaf(shape.outputs, 3),
        leaf(voxels * shape.outputs, 4),
    ];
    let leaves = &leaves[..if case.residual { 4 } else { 3 }];
    let conv = Conv3d::with_parameters(shape, kernel, leaves[1].clone(), leaves[2].clone());
    let input = leaves[0].clone().reshape([batch, z, y, x, shape.inputs]);
    let residual = leaves.get(3).map(|leaf| leaf.clone().reshape([batch, z, y, x, shape.outputs]));
    let result = conv.forward(input, residual, relu);
    let slope = Tensor::<1>::from_data(
        TensorData::new(numbers(voxels * shape.outputs, 5), [voxels * shape.outputs]),
        device.burn(),
    );
    let slope = slope.reshape([batch, z, y, x, shape.outputs]).autodiff();
    let values = result.clone().inner().into_data().try_to_vec::<f32>().unwrap();
    // The square, so that it makes no difference on which side of the ReLU a rounded 0 is.
    let mut gradients = (result.clone() * result * slope).sum().backward();
    let found = leaves.iter().map(|leaf| leaf.grad_remove(&mut gradients).unwrap());
    let found = found.map(|gradient| gradient.into_data().try_to_vec::<f32>().unwrap());
    std::iter::once(values).chain(found).collect()
}

fn on_threads<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(work)
}

const OWN: Kernel = Kernel::Own(Precision::Exact);

/// `found` are those of burn's convolution on the CPU.
fn are_burns(found: &[Vec<f32>], case: Case) {
    let expected = computed(&ComputeDevice::cpu().unwrap(), Kernel::Burn, case);
    assert_eq!(found.len(), expected.len());
    let names = ["result", "input", "weights", "bias", "residual"];
    for ((name, found), expected) in names.into_iter().zip(found).zip(&expected) {
        let largest = expected.iter().fold(1.0f32, |m, v| m.max(v.abs()));
        for (at, (f, e)) in found.iter().zip(expected).enumerate() {
            assert!((f - e).abs() < 1e-4 * largest, "{name} {at} of {case:?}: {f}, expected {e}");
        }
    }
}

fn own_equals_burns(case: Case) {
    let cpu = ComputeDevice::cpu().unwrap();
    let found = on_threads(1, || computed(&cpu, OWN, case));
    are_burns(&found, case);
    for threads in [2, 5] {
        let again = on_threads(threads, || computed(&cpu, OWN, case));
        assert!(again == found, "other bits on {threads} threads: {case:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn gradients_are_those_of_burns_convolution_on_any_number_of_threads(
        volume_zyx in [1usize..13, 1usize..13, 1usize..24], channels in prop::sample::select(
            vec![(1, 1), (2, 32), (3, 5), (16, 16), (17, 33), (32, 32), (40, 8), (8, 1)]),
        taps in prop::sample::select(vec![1usize, 3, 3, 3, 5]),
        batch in 1usize..3, input in any::<bool>(), output in any::<bool>(),
    ) {
        let (inputs, outputs) = channels;
        let shape = Conv3dShape { volume_zyx, kernel_zyx: [taps; 3], inputs, outputs };
        own_equals_burns(Case { shape, batch, relu: Relu { input, output }, residual: true });
    }
}

/// More slabs than there are parts to add up.
#[test]
fn gradients_of_many_images_are_those_of_burns_convolution() {
    let shape = Conv3dShape { volume_zyx: [11, 4, 5], kernel_zyx: [3; 3], inputs: 3, outputs: 4 };
    let relu = Relu { input: true, output: false };
    own_equals_burns(Case { shape, batch: 19, relu, residual: true });
}

fn cases() -> impl Strategy<Value = Case> {
    let channels = || prop::sample::select(vec![1usize, 2, 3, 8, 16, 32, 33]);
    let taps = prop::sample::select(vec![[3; 3], [3; 3], [1; 3], [5, 3, 1]]);
    let volume_zyx = [1usize..6, 1..7, 1..20];
    let rest = (1usize..4, any::<bool>(), any::<bool>(), any::<bool>());
    (volume_zyx, taps, channels(), channels(), rest).prop_map(
        |(volume_zyx, kernel_zyx, inputs, outputs, (batch, input, output, residual))| {
            let shape = Conv3dShape { volume_zyx, kernel_zyx, inputs, outputs };
            Case { shape, batch, relu: Relu { input, output }, residual }
        },
    )
}

/// Each case compiles its kernels, which takes most of the time: few cases.
fn devices_equal_burns(spec: &str, count: u32) {
    let Some(device) = device(spec) else { return };
    let mut runner = TestRunner::new(Config { cases: count, ..Config::default() });
    let test = |case: Case| {
        let found = computed(&device, OWN, case);
        are_burns(&found, case);
        assert!(computed(&device, OWN, case) == found, "other bits: {case:?}");
        Ok(())
    };
    runner.run(&cases(), test).unwrap();
}

#[test]
fn gradients_on_cpu_jit_are_those_of_burns_convolution() {
    devices_equal_burns("cpu-jit", 12);
}

#[test]
fn gradients_on_wgpu_are_those_of_burns_convolution() {
    devices_equal_burns("wgpu", 4);
}

#[test]
fn gradients_on_cuda_are_those_of_burns_convolution() {
    devices_equal_burns("cuda", 12);
}

/// What ours are measured against stays reachable.
#[test]
fn burns_convolution_can_be_asked_for_on_a_device() {
    let Some(device) = device("cpu-jit") else { return };
    let shape = Conv3dShape { volume_zyx: [3, 4, 5], kernel_zyx: [3; 3], inputs: 2, outputs: 3 };
    let relu = Relu { input: true, output: false };
    let case = Case { shape, batch: 2, relu, residual: false };
    are_burns(&computed(&device, Kernel::Burn, case), case);
}
