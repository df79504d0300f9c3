//! One step of the depth-12 flood-filling network of the published shape, with weights that look
//! random: speed does not depend on them.

use exavox_compute::ffn::{self, BurnNetwork, Layer, ModelConfig, Network, Weights};
use exavox_compute::{ComputeDevice, DeviceSpec, Instructions, Precision};
use exavox_io::Voxels;
use ndarray::{Array2, ArrayView2, s};

use crate::bench::random::{hash, values};
use crate::bench::{Case, Cores, Group, Implementation, Setting, Task, Work};
use crate::error::{Error, Result};

pub(super) struct FfnStep;

const DEPTH: usize = 12;
const CHANNELS: usize = 32;

impl Group for FfnStep {
    fn name(&self) -> &'static str {
        "ffn"
    }

    fn about(&self, _case: &Case) -> &'static str {
        "one step of the depth-12 flood-filling network, f32"
    }

    fn cases(&self) -> &'static [Case] {
        &[Case { name: "step", shape: [33; 3], quick_shape: [13; 3] }]
    }

    fn inputs(&self, _case: &Case, shape: [usize; 3]) -> Result<Vec<(String, Voxels)>> {
        config(shape)?;
        let count = shape.iter().product();
        let image = values(count, |i| uniform(i, 1) * 3.0);
        let seed = values(count, |i| uniform(i, 2) - 2.0);
        let mut inputs = vec![
            ("image".to_owned(), Voxels::from_vec(shape, image)?),
            ("seed".to_owned(), Voxels::from_vec(shape, seed)?),
        ];
        for (number, layer) in layers().into_iter().enumerate() {
            let [_, _, _, from, to] = layer.shape;
            let taps = layer.weights.len() / (from * to);
            let weights = Voxels::from_vec([taps, from, to], layer.weights)?;
            inputs.push((format!("layer{number}"), weights));
        }
        Ok(inputs)
    }

    fn work(&self, _case: &Case, shape: [usize; 3]) -> Work {
        let voxels = shape.iter().product::<usize>() as u64;
        let weights: usize = layers().iter().map(|layer| layer.weights.len()).sum();
        Work { voxels, bytes: 3 * 4 * voxels, flops: 2 * voxels * weights as u64 }
    }

    fn implementations(&self) -> Vec<Implementation> {
        let on_cpu = |name, cores, prepare| Implementation {
            name,
            cores,
            device: Some(DeviceSpec::Cpu),
            prepare,
        };
        let mut all = vec![
            Implementation::on_one_core("scalar", |s| by_hand(s, convolve_scalar)),
            Implementation::on_one_core("ndarray", |s| by_hand(s, convolve_ndarray)),
            on_cpu("cpu", Cores::One, by_network),
            on_cpu("cpu", Cores::All, by_network),
            on_cpu("cpu fast", Cores::All, by_fast_network),
            on_cpu("cpu avx2", Cores::All, |s| limited(s, Instructions::Avx2)),
            on_cpu("cpu portable", Cores::All, |s| limited(s, Instructions::Portable)),
        ];
        all.extend(Implementation::on_devices(by_burn_alone, by_network));
        all
    }
}

fn config(fov_zyx: [usize; 3]) -> Result<ModelConfig> {
    let config = ModelConfig { fov_zyx, deltas_zyx: fov_zyx.map(|f| f / 4) };
    config.check()?;
    Ok(config)
}

/// -1 to 1.
fn uniform(place: u64, seed: u64) -> f32 {
    (hash(place, seed) >> 40) as f32 / (1 << 23) as f32 - 1.0
}

/// Weights that keep values of ordinary size through all layers.
fn layer(number: u64, edge: usize, inputs: usize, outputs: usize) -> Layer {
    let shape = [edge, edge, edge, inputs, outputs];
    let scale = 0.05;
    let weights = values(shape.iter().product(), |i| uniform(i, 100 + number) * scale);
    Layer { shape, weights, biases: vec![0.0; outputs] }
}

/// All layers in the order in which they are applied.
fn layers() -> Vec<Layer> {
    let inner = (1..2 * DEPTH as u64).map(|n| layer(n, 3, CHANNELS, CHANNELS));
    let mut layers = vec![layer(0, 3, 2, CHANNELS)];
    layers.extend(inner);
    layers.push(layer(2 * DEPTH as u64, 1, CHANNELS, 1));
    layers
}

fn weights() -> Result<Weights> {
    let mut layers = layers().into_iter();
    let missing = || Error::settings("ffn", "a layer is missing");
    let first = (layers.next().ok_or_else(missing)?, layers.next().ok_or_else(missing)?);
    let mut modules = Vec::new();
    for _ in 1..DEPTH {
        modules.push((layers.next().ok_or_else(missing)?, layers.next().ok_or_else(missing)?));
    }
    Ok(Weights { first, modules, update: layers.next().ok_or_else(missing)? })
}

fn by_network(setting: Setting) -> Result<Task> {
    steps(setting, |w, c, device| ffn::network_on(w, c, device, Precision::Exact))
}

/// With products of 16-bit integers.
fn by_fast_network(setting: Setting) -> Result<Task> {
    steps(setting, |w, c, device| ffn::network_on(w, c, device, Precision::Fast))
}

fn by_burn_alone(setting: Setting) -> Result<Task> {
    steps(setting, |w, c, device| Ok(Box::new(BurnNetwork::by_burn_alone(w, c, device)?)))
}

/// On narrower vectors than the CPU has. A row has a process of its own, so no other is slowed down.
fn limited(setting: Setting, most: Instructions) -> Result<Task> {
    exavox_compute::limit_instructions(most);
    by_network(setting)
}

type MakeNetwork =
    fn(&Weights, &ModelConfig, &ComputeDevice) -> exavox_compute::Result<Box<dyn Network>>;

fn steps(setting: Setting, make: MakeNetwork) -> Result<Task> {
    let (image, seed) = (setting.input("image")?, setting.input("seed")?);
    let shape = image.shape();
    let device = setting.device()?;
    let mut network = make(&weights()?, &config(shape)?, &device)?;
    Ok(Box::new(move || {
        let mut logits = vec![0.0; image.len()];
        network.step(image.as_slice()?, seed.as_slice()?, &mut logits)?;
        Ok(vec![Voxels::from_vec(shape, logits)?])
    }))
}

/// A convolution with zeros around: channels fastest, `[z, y, x, channel]`.
type Convolve = fn(&[f32], [usize; 3], &Layer) -> Vec<f32>;

fn by_hand(setting: Setting, convolve: Convolve) -> Result<Task> {
    let (image, seed) = (setting.input("image")?, setting.input("seed")?);
    let (shape, weights) = (image.shape(), weights()?);
    Ok(Box::new(move || {
        let logits = step(image.as_slice()?, seed.as_slice()?, shape, &weights, convolve);
        Ok(vec![Voxels::from_vec(shape, logits)?])
    }))
}

fn step(
    image: &[f32],
    seed: &[f32],
    shape: [usize; 3],
    weights: &Weights,
    convolve: Convolve,
) -> Vec<f32> {
    let input: Vec<f32> = image.iter().zip(seed).flat_map(|(i, s)| [*i, *s]).collect();
    let (a, b) = &weights.first;
    let mut x = convolve(&rectified(&convolve(&input, shape, a)), shape, b);
    for (a, b) in &weights.modules {
        let inner = convolve(&rectified(&x), shape, a);
        let change = convolve(&rectified(&inner), shape, b);
        x.iter_mut().zip(change).for_each(|(x, change)| *x += change);
    }
    let update = convolve(&rectified(&x), shape, &weights.update);
    seed.iter().zip(update).map(|(seed, update)| seed + update).collect()
}

fn rectified(values: &[f32]) -> Vec<f32> {
    values.iter().map(|v| v.max(0.0)).collect()
}

/// The definition: one product after the other, with the weights of each output in one piece.
fn convolve_scalar(input: &[f32], shape: [usize; 3], layer: &Layer) -> Vec<f32> {
    let [edge, _, _, from, to] = layer.shape;
    let [nz, ny, nx] = shape;
    let radius = edge / 2;
    let inputs = edge.pow(3) * from;
    let weights: Vec<f32> =
        (0..to * inputs).map(|n| layer.weights[n % inputs * to + n / inputs]).collect();
    let mut output = Vec::with_capacity(nz * ny * nx * to);
    for at in 0..nz * ny * nx {
        let (z, y, x) = (at / (ny * nx), at / nx % ny, at % nx);
        for o in 0..to {
            let mut sum = layer.biases[o];
            for tap in 0..edge.pow(3) {
                let (tz, ty, tx) = (tap / (edge * edge), tap / edge % edge, tap % edge);
                let (sz, sy, sx) = (z + tz, y + ty, x + tx);
                let inside = (radius..nz + radius).contains(&sz)
                    && (radius..ny + radius).contains(&sy)
                    && (radius..nx + radius).contains(&sx);
                if !inside {
                    continue;
                }
                let voxel = ((sz - radius) * ny + sy - radius) * nx + sx - radius;
                let values = &input[voxel * from..(voxel + 1) * from];
                for (value, weight) in values.iter().zip(&weights[o * inputs + tap * from..]) {
                    sum += value * weight;
                }
            }
            output.push(sum);
        }
    }
    output
}

/// A product of matrices for each tap, on the rows of voxels that the tap reaches.
fn convolve_ndarray(input: &[f32], [nz, ny, nx]: [usize; 3], layer: &Layer) -> Vec<f32> {
    let [edge, _, _, from, to] = layer.shape;
    let radius = edge / 2;
    let mut output = Array2::<f32>::zeros((nz * ny * nx, to));
    for mut row in output.rows_mut() {
        row.iter_mut().zip(&layer.biases).for_each(|(value, bias)| *value = *bias);
    }
    let (Ok(input), Ok(weights)) = (
        ArrayView2::from_shape((nz * ny * nx, from), input),
        ArrayView2::from_shape((edge.pow(3) * from, to), &layer.weights),
    ) else {
        return Vec::new();
    };
    for tap in 0..edge.pow(3) {
        let (tz, ty, tx) = (tap / (edge * edge), tap / edge % edge, tap % edge);
        let weights = weights.slice(s![tap * from..(tap + 1) * from, ..]);
        // Targets whose source lies inside: source = target + tap - radius.
        let range = |tap: usize, size: usize| {
            radius.saturating_sub(tap)..size.min((size + radius).saturating_sub(tap))
        };
        let columns = range(tx, nx);
        for (z, y) in range(tz, nz).flat_map(|z| range(ty, ny).map(move |y| (z, y))) {
            let target = (z * ny + y) * nx;
            let source = ((z + tz - radius) * ny + y + ty - radius) * nx;
            let shifted = columns.start + tx - radius..columns.end + tx - radius;
            let values = input.slice(s![source + shifted.start..source + shifted.end, ..]);
            let mut sums = output.slice_mut(s![target + columns.start..target + columns.end, ..]);
            ndarray::linalg::general_mat_mul(1.0, &values, &weights, 1.0, &mut sums);
        }
    }
    output.into_raw_vec_and_offset().0
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn all_give_the_same_logits() {
        let shape = [5, 3, 7];
        let inputs = FfnStep.inputs(&FfnStep.cases()[0], shape).unwrap();
        let (image, seed) = (&inputs[0].1, &inputs[1].1);
        let (image, seed) = (image.as_slice().unwrap(), seed.as_slice().unwrap());
        let weights = weights().unwrap();
        let expected = step(image, seed, shape, &weights, convolve_scalar);
        let found = step(image, seed, shape, &weights, convolve_ndarray);
        let (device, _) =
            exavox_compute::ComputeDevice::open(exavox_compute::DeviceSpec::Cpu).unwrap();
        let mut logits = vec![0.0; image.len()];
        let mut network = BurnNetwork::new(&weights, &config(shape).unwrap(), &device).unwrap();
        network.step(image, seed, &mut logits).unwrap();
        for (expected, found) in expected.iter().zip(&found).chain(expected.iter().zip(&logits)) {
            assert!(expected.is_finite() && (expected - found).abs() < 1e-3, "{expected} {found}");
        }
    }

    #[test]
    fn even_fields_of_view_are_refused() {
        let error = FfnStep.inputs(&FfnStep.cases()[0], [4, 3, 3]).unwrap_err().to_string();
        assert!(error.contains("odd"), "{error}");
    }
}
