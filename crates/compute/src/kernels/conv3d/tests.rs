//! The kernels against the definition, on the devices that need no GPU.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

use cubecl::prelude::*;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use super::choice::{Method, candidates, fastest};
use super::rows::Run;
use super::tiles::Tiling;
use super::*;
use crate::ComputeDevice;

/// Opens a device; one that this build or machine lacks is said and skipped.
pub(super) fn client(spec: &str) -> Option<Client> {
    match ComputeDevice::open(spec.parse().unwrap()) {
        Ok((device, _)) => device.client().cloned(),
        Err(error) => {
            eprintln!("skipped: {error}");
            None
        }
    }
}

pub(super) fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed | 1;
    let mut random = move || {
        // Marsaglia's xorshift.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 24) as f32 - 0.5
    };
    (0..count).map(|_| random()).collect()
}

/// A convolution with its numbers.
#[derive(Debug)]
struct Case {
    shape: ConvShape,
    fusions: Fusions,
    input: Vec<f32>,
    weights: Vec<f32>,
    bias: Vec<f32>,
    mask: Option<Vec<f32>>,
    residual: Option<Vec<f32>>,
}

impl Case {
    fn new(shape: ConvShape, fusions: Fusions, [has_residual, masked]: [bool; 2]) -> Self {
        Self {
            shape,
            fusions,
            input: numbers(shape.input_len(), 1),
            weights: numbers(shape.weights_len(), 2),
            bias: numbers(shape.outputs, 3),
            mask: masked.then(|| numbers(shape.output_len(), 5)),
            residual: has_residual.then(|| numbers(shape.output_len(), 4)),
        }
    }

    /// Sum of one output over the taps inside the volume.
    fn sum(&self, batch: usize, position: [usize; 3], output: usize) -> f64 {
        let ConvShape { zyx, inputs, outputs, kernel, .. } = self.shape;
        let mut sum = 0.0;
        for tap in 0..kernel.iter().product::<usize>() {
            let offset =
                [tap / (kernel[1] * kernel[2]), tap / kernel[2] % kernel[1], tap % kernel[2]];
            let at: Option<Vec<usize>> = (0..3)
                .map(|a| {
                    (position[a] + offset[a]).checked_sub(kernel[a] / 2).filter(|p| *p < zyx[a])
                })
                .collect();
            let Some(at) = at else { continue };
            let voxel = ((batch * zyx[0] + at[0]) * zyx[1] + at[1]) * zyx[2] + at[2];
            for c in 0..inputs {
                let value = f64::from(self.input[voxel * inputs + c]);
                let value = if self.fusions.relu_input { value.max(0.0) } else { value };
                sum += value * f64::from(self.weights[(tap * inputs + c) * outputs + output]);
            }
        }
        sum
    }

    /// The definition.
    fn expected(&self) -> Vec<f64> {
        let ConvShape { zyx, outputs, .. } = self.shape;
        let volume: usize = zyx.iter().product();
        let value = |at: usize| {
            let (voxel, output) = (at / outputs, at % outputs);
            let (batch, v) = (voxel / volume, voxel % volume);
            let position = [v / (zyx[1] * zyx[2]), v / zyx[2] % zyx[1], v % zyx[2]];
            let mut sum = self.sum(batch, position, output) + f64::from(self.bias[output]);
            if self.mask.as_ref().is_some_and(|mask| mask[at] <= 0.0) {
                sum = 0.0;
            }
            sum += self.residual.as_ref().map_or(0.0, |r| f64::from(r[at]));
            if self.fusions.relu_output { sum.max(0.0) } else { sum }
        };
        (0..self.shape.output_len()).map(value).collect()
    }

    fn run(&self, client: &Client, launch: impl FnOnce(Buffers<'_>)) -> Result<Vec<f32>, String> {
        let upload = |values: &[f32]| client.create_from_slice(f32::as_bytes(values));
        let (input, weights, bias) =
            (upload(&self.input), upload(&self.weights), upload(&self.bias));
        let [mask, residual] =
            [&self.mask, &self.residual].map(|values| values.as_ref().map(|values| upload(values)));
        let output = client.empty(self.shape.output_len() * 4);
        launch(Buffers {
            input: &input,
            weights: &weights,
            bias: &bias,
            mask: mask.as_ref(),
            residual: residual.as_ref(),
            output: &output,
        });
        let bytes = client.read_one(output).map_err(|error| error.to_string())?;
        Ok(f32::from_bytes(&bytes).to_vec())
    }

    fn run_method(&self, client: &Client, method: Method) -> Result<Vec<f32>, String> {
        self.run(client, |buffers| method.launch(client, buffers, self.shape, self.fusions))
    }
}

/// Every method of a device gives the definition, and all the same bits.
fn check(client: &Client, case: &Case, methods: &[Method]) -> Result<(), TestCaseError> {
    let expected = case.expected();
    let mut first: Option<Vec<f32>> = None;
    for method in methods {
        let found = case.run_method(client, *method).unwrap();
        prop_assert_eq!(found.len(), expected.len());
        for (at, (found, expected)) in found.iter().zip(&expected).enumerate() {
            let error = (f64::from(*found) - expected).abs();
            prop_assert!(error < 1e-5, "{}: value {}: {} for {}", method, at, found, expected);
        }
        let bits = first.get_or_insert_with(|| found.clone());
        prop_assert!(*bits == found, "{method} differs from {}", methods[0]);
    }
    Ok(())
}

fn cases() -> impl Strategy<Value = (ConvShape, Fusions, [bool; 2])> {
    let channels = prop::sample::select(vec![1usize, 2, 3, 8, 17, 32, 33]);
    let sizes = [1usize..5, 1..6, 1..40];
    let kernels = prop::sample::select(vec![[3, 3, 3], [1, 1, 1], [1, 3, 5], [5, 1, 3]]);
    (1usize..4, sizes, channels.clone(), channels, kernels, any::<[bool; 4]>()).prop_map(
        |(batch, zyx, inputs, outputs, kernel, [relu_input, relu_output, residual, mask])| {
            let shape = ConvShape { batch, zyx, inputs, outputs, kernel };
            (shape, Fusions { relu_input, relu_output }, [residual, mask])
        },
    )
}

/// Each case compiles its kernels, which takes most of the time: few cases.
fn check_on(spec: &str, methods: &[Method], count: u32) {
    let Some(client) = client(spec) else { return };
    let mut runner = TestRunner::new(Config { cases: count, ..Config::default() });
    let test =
        |(shape, fusions, around)| check(&client, &Case::new(shape, fusions, around), methods);
    runner.run(&cases(), test).unwrap();
}

/// Quickly compiled, with two units that share a tile.
const SMALL: Tiling = Tiling { units: [2, 1], positions: 2, vectors: 1 };

#[test]
fn kernels_of_cpu_jit_give_the_definition() {
    check_on("cpu-jit", &[Method::Rows(Run { sums: 24 }), Method::Tiles(SMALL)], 12);
}

#[test]
fn kernels_of_wgpu_give_the_definition() {
    check_on("wgpu", &[Method::Rows(Run { sums: 2 }), Method::Tiles(SMALL)], 6);
}

/// As the network has it, with the kernels that users' devices run.
#[test]
fn candidates_give_the_definition() {
    let shape = ConvShape { batch: 2, zyx: [3, 5, 33], inputs: 32, outputs: 32, kernel: [3; 3] };
    let fusions = Fusions { relu_input: true, relu_output: false };
    let case = Case::new(shape, fusions, [true, false]);
    for client in ["cpu-jit", "wgpu"].into_iter().filter_map(client) {
        let methods = candidates(&client, &shape, Precision::Exact);
        // The first and the last: software takes long to compile them.
        check(&client, &case, &[methods[0], methods[methods.len() - 1]]).unwrap();
    }
}

/// Far more shared memory than any device has.
const REFUSED: Tiling = Tiling { units: [1, 256], positions: 1, vectors: 4 };

#[test]
fn a_refused_kernel_is_an_error_and_the_device_goes_on() {
    let Some(client) = client("wgpu") else { return };
    let shape = ConvShape { batch: 1, zyx: [2, 3, 4], inputs: 16, outputs: 5, kernel: [3; 3] };
    let case = Case::new(shape, Fusions::default(), [false; 2]);
    let error = case.run_method(&client, Method::Tiles(REFUSED)).unwrap_err();
    assert!(!error.is_empty());
    check(&client, &case, &[Method::Rows(Run { sums: 8 })]).unwrap();
}

#[test]
fn the_fastest_is_one_that_runs() {
    let Some(client) = client("wgpu") else { return };
    let shape = ConvShape { batch: 1, zyx: [2, 3, 40], inputs: 16, outputs: 8, kernel: [3; 3] };
    let case = Case::new(shape, Fusions::default(), [true; 2]);
    let rows = Method::Rows(Run { sums: 8 });
    case.run(&client, |buffers| {
        let methods = [Method::Tiles(REFUSED), rows];
        assert_eq!(fastest(&client, buffers, shape, Fusions::default(), &methods), rows);
        rows.launch(&client, buffers, shape, Fusions::default());
    })
    .unwrap();
}

#[test]
fn sizes_that_do_not_fit_are_refused_in_one_line() {
    for client in ["cpu-jit", "wgpu"].into_iter().filter_map(client) {
        let shape = ConvShape { batch: 1, zyx: [2; 3], inputs: 2, outputs: 2, kernel: [3; 3] };
        let case = Case::new(shape, Fusions::default(), [false; 2]);
        let attempt = |shape: ConvShape| {
            let mut result = Ok(());
            let found = case.run(&client, |buffers| {
                result = launch(&client, buffers, shape, Fusions::default(), Precision::Exact);
            });
            drop(found);
            result
        };
        attempt(shape).unwrap();
        let huge = ConvShape { batch: 1 << 12, zyx: [1 << 12; 3], ..shape };
        let error = attempt(huge).unwrap_err().to_string();
        assert!(error.contains("the device has room for") && !error.contains('\n'), "{error}");
        let overflowing = ConvShape { batch: usize::MAX, zyx: [usize::MAX; 3], ..shape };
        assert!(attempt(overflowing).is_err());
        let even = ConvShape { kernel: [3, 2, 3], ..shape };
        assert!(attempt(even).unwrap_err().to_string().contains("odd"));
        let larger = ConvShape { zyx: [3; 3], ..shape };
        let error = attempt(larger).unwrap_err().to_string();
        assert!(error.contains("input: expected 216 bytes, found 64"), "{error}");
    }
}

#[test]
fn nothing_is_done_for_nothing() {
    for client in ["cpu-jit", "wgpu"].into_iter().filter_map(client) {
        let shape = ConvShape { batch: 1, zyx: [2, 0, 3], inputs: 2, outputs: 2, kernel: [3; 3] };
        let small = client.empty(shape.weights_len() * 4);
        let buffers = Buffers {
            input: &small,
            weights: &small,
            bias: &small,
            mask: None,
            residual: None,
            output: &small,
        };
        launch(&client, buffers, shape, Fusions::default(), Precision::Exact).unwrap();
    }
}
