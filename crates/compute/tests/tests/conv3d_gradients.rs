//! Gradients of convolutions by kernels of our own against those of burn's convolution.

use burn::tensor::{Tensor, TensorData};
use exavox_compute::ComputeDevice;
use exavox_compute::Precision;
use exavox_compute::conv3d::{Conv3d, Conv3dShape, Kernel, Relu};
use proptest::prelude::*;

fn numbers(count: usize, seed: usize) -> Vec<f32> {
    let mixed = |i: usize| (i as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15 ^ (seed as u64) << 7);
    (0..count).map(|i| (mixed(i) >> 40) as f32 / (1u64 << 23) as f32 - 1.0).collect()
}

/// Result and gradients of input, weights, bias and residual of one convolution.
fn computed(shape: Conv3dShape, kernel: Kernel, batch: usize, relu: Relu) -> Vec<Vec<f32>> {
    let device = ComputeDevice::cpu().unwrap();
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
    let [input, weights, bias, residual] = leaves.clone();
    let conv = Conv3d::with_parameters(shape, kernel, weights, bias);
    let input = input.reshape([batch, z, y, x, shape.inputs]);
    let residual = residual.reshape([batch, z, y, x, shape.outputs]);
    let result = conv.forward(input, Some(residual), relu);
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

fn own_equals_burns(shape: Conv3dShape, batch: usize, relu: Relu) {
    let own = Kernel::Own(Precision::Exact);
    let found = on_threads(1, || computed(shape, own, batch, relu));
    let expected = computed(shape, Kernel::Burn, batch, relu);
    let names = ["result", "input", "weights", "bias", "residual"];
    for ((name, found), expected) in names.into_iter().zip(&found).zip(&expected) {
        let largest = expected.iter().fold(1.0f32, |m, v| m.max(v.abs()));
        for (at, (f, e)) in found.iter().zip(expected).enumerate() {
            assert!((f - e).abs() < 1e-4 * largest, "{name} {at} of {shape:?}: {f}, expected {e}");
        }
    }
    for threads in [2, 5] {
        let again = on_threads(threads, || computed(shape, own, batch, relu));
        assert!(again == found, "other bits on {threads} threads: {shape:?}");
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
        own_equals_burns(shape, batch, Relu { input, output });
    }
}

/// More slabs than there are parts to add up.
#[test]
fn gradients_of_many_images_are_those_of_burns_convolution() {
    let shape = Conv3dShape { volume_zyx: [11, 4, 5], kernel_zyx: [3; 3], inputs: 3, outputs: 4 };
    own_equals_burns(shape, 19, Relu { input: true, output: false });
}
