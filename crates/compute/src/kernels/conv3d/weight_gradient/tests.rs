//! The kernels against the definition, on the devices that need no GPU.
#![allow(clippy::unwrap_used)]

use cubecl::prelude::*;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use super::super::tests::{client, numbers};
use super::*;

/// For each tap and pair of channels the sum over voxels.
fn expected(shape: &ConvShape, input: &[f32], gradient: &[f32], relu: bool) -> Vec<f64> {
    let ConvShape { zyx, inputs, outputs, kernel, .. } = *shape;
    let mut sums = vec![0.0; shape.weights_len()];
    for voxel in 0..shape.voxels() {
        let position =
            [voxel / (zyx[1] * zyx[2]) % zyx[0], voxel / zyx[2] % zyx[1], voxel % zyx[2]];
        for tap in 0..kernel.iter().product::<usize>() {
            let offset =
                [tap / (kernel[1] * kernel[2]), tap / kernel[2] % kernel[1], tap % kernel[2]];
            let place = |a: usize| {
                (position[a] + offset[a]).checked_sub(kernel[a] / 2).filter(|p| *p < zyx[a])
            };
            let (Some(z), Some(y), Some(x)) = (place(0), place(1), place(2)) else { continue };
            let batch = voxel / zyx.iter().product::<usize>();
            let from = ((batch * zyx[0] + z) * zyx[1] + y) * zyx[2] + x;
            for i in 0..inputs {
                let value = f64::from(input[from * inputs + i]);
                let value = if relu { value.max(0.0) } else { value };
                for o in 0..outputs {
                    let slope = f64::from(gradient[voxel * outputs + o]);
                    sums[(tap * inputs + i) * outputs + o] += value * slope;
                }
            }
        }
    }
    sums
}

/// Every method gives the definition, and the same bits when it is asked again.
fn check(
    client: &Client,
    shape: ConvShape,
    relu: bool,
    methods: &[Method],
) -> Result<(), TestCaseError> {
    let (input, gradient) = (numbers(shape.input_len(), 1), numbers(shape.output_len(), 2));
    let expected = expected(&shape, &input, &gradient, relu);
    let largest = expected.iter().fold(1.0f64, |m, v| m.max(v.abs()));
    let [input, gradient] =
        [input, gradient].map(|values| client.create_from_slice(f32::as_bytes(&values)));
    for method in methods {
        let run = || {
            let sums = method.parts(client, [&input, &gradient], shape, relu).add_up(client);
            f32::from_bytes(&client.read_one(sums).unwrap()).to_vec()
        };
        let found = run();
        prop_assert_eq!(found.len(), expected.len());
        for (at, (found, expected)) in found.iter().zip(&expected).enumerate() {
            let error = (f64::from(*found) - expected).abs();
            prop_assert!(error < 1e-5 * largest, "{method:?}: value {at}: {found} for {expected}");
        }
        prop_assert!(run() == found, "{:?}: other bits", method);
    }
    Ok(())
}

fn check_on(spec: &str, channels: &[usize], methods: &[Method], count: u32) {
    let Some(client) = client(spec) else { return };
    let channels = prop::sample::select(channels.to_vec());
    let kernels = prop::sample::select(vec![[3, 3, 3], [1, 1, 1], [1, 3, 5], [5, 1, 3]]);
    let sizes = [1usize..5, 1..6, 1..40];
    let cases = (1usize..4, sizes, channels.clone(), channels, kernels, any::<bool>());
    let mut runner = TestRunner::new(Config { cases: count, ..Config::default() });
    let test = |(batch, zyx, inputs, outputs, kernel, relu)| {
        check(&client, ConvShape { batch, zyx, inputs, outputs, kernel }, relu, methods)
    };
    runner.run(&cases, test).unwrap();
}

#[test]
fn rows_of_cpu_jit_give_the_definition() {
    let methods = [Method::Rows(24), Method::Rows(3)];
    check_on("cpu-jit", &[1, 2, 3, 8, 16, 32, 33], &methods, 12);
}

/// Few channels: each unit of a cube is a thread there.
#[test]
fn tiles_of_cpu_jit_give_the_definition() {
    check_on("cpu-jit", &[1, 2, 3, 4], &[Method::Tiles], 6);
}

#[test]
fn kernels_of_wgpu_give_the_definition() {
    check_on("wgpu", &[1, 3, 8, 33], &[Method::Rows(2), Method::Tiles], 4);
}

/// More than one slab.
#[test]
fn slabs_are_added_up() {
    let Some(client) = client("cpu-jit") else { return };
    let shape = ConvShape { batch: 2, zyx: [17, 16, 15], inputs: 3, outputs: 4, kernel: [3; 3] };
    check(&client, shape, true, &[Method::Rows(24), Method::Tiles]).unwrap();
}

#[test]
fn buffers_of_other_sizes_are_refused() {
    let Some(client) = client("cpu-jit") else { return };
    let shape = ConvShape { batch: 1, zyx: [2; 3], inputs: 2, outputs: 2, kernel: [3; 3] };
    let (small, right) = (client.empty(60), client.empty(64));
    let error = launch(&client, &right, &small, shape, false).unwrap_err().to_string();
    assert!(error.contains("gradient: expected 64 bytes, found 60"), "{error}");
}
