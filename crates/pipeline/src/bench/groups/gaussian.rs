//! Gaussian filter of a wide kernel, f32, the volume mirrored at its borders.

use exavox_compute::ops::filter::{Boundary, Filter, gaussian};
use exavox_compute::ops::on_device;
use exavox_io::Voxels;
use ndarray::{Array3, Axis, Zip};

use crate::bench::random::{hash, values};
use crate::bench::{Case, Group, Implementation, Setting, Task, Work};
use crate::error::{Error, Result};

pub(super) struct Gaussian;

const SIGMA: f64 = 8.17;

impl Group for Gaussian {
    fn name(&self) -> &'static str {
        "gaussian"
    }

    fn about(&self, _case: &Case) -> &'static str {
        "gaussian filter, sigma 8.17 on each axis, f32"
    }

    fn cases(&self) -> &'static [Case] {
        &[Case { name: "sigma-8.17", shape: [256; 3], quick_shape: [64; 3] }]
    }

    fn inputs(&self, _case: &Case, shape: [usize; 3]) -> Result<Vec<(String, Voxels)>> {
        let noise = |i| (hash(i, 11) >> 56) as f32;
        let image = values(shape.iter().product(), noise);
        Ok(vec![("image".to_owned(), Voxels::from_vec(shape, image)?)])
    }

    fn work(&self, _case: &Case, shape: [usize; 3]) -> Work {
        let voxels = shape.iter().product::<usize>() as u64;
        // Taps that are the same distance away are added first: an addition and a multiply-add.
        let flops = 3 * (3 * radius() as u64 + 1);
        Work { voxels, bytes: 8 * voxels, flops: flops * voxels }
    }

    fn implementations(&self) -> Vec<Implementation> {
        let mut all = vec![
            Implementation::on_one_core("scalar", |s| prepared(s, scalar)),
            Implementation::on_one_core("ndarray", |s| prepared(s, by_ndarray)),
            Implementation::on_one_core("cpu", |s| prepared(s, ours)),
            Implementation::on_all_cores("cpu", |s| prepared(s, ours)),
        ];
        all.extend(Implementation::on_devices(
            |_| Err(Error::settings("burn", "has no gaussian filter of volumes")),
            on_a_device,
        ));
        all
    }
}

fn prepared(setting: Setting, filter: fn(&Voxels) -> Result<Voxels>) -> Result<Task> {
    let image = setting.input("image")?;
    Ok(Box::new(move || Ok(vec![filter(&image)?])))
}

/// Copies to the device and back are part of it.
fn on_a_device(setting: Setting) -> Result<Task> {
    let (image, device) = (setting.input("image")?, setting.device()?);
    let filter = Filter::Gaussian { sigma_zyx: [SIGMA; 3], boundary: Boundary::Reflect };
    Ok(Box::new(move || Ok(vec![on_device::filter(&device, &filter, &image)?])))
}

fn ours(image: &Voxels) -> Result<Voxels> {
    Ok(gaussian(image, [SIGMA; 3], Boundary::Reflect)?)
}

fn radius() -> usize {
    (4.0 * SIGMA + 0.5) as usize
}

/// Weights of all taps; their sum is 1.
fn kernel() -> Vec<f32> {
    let reach = radius() as i64;
    let weights: Vec<f64> =
        (-reach..=reach).map(|k| (-0.5 * (k as f64 / SIGMA).powi(2)).exp()).collect();
    let sum: f64 = weights.iter().sum();
    weights.into_iter().map(|w| (w / sum) as f32).collect()
}

/// Axis after axis, voxel after voxel, tap after tap.
fn scalar(image: &Voxels) -> Result<Voxels> {
    let (shape, kernel) = (image.shape(), kernel());
    let mut values = image.as_slice::<f32>()?.to_vec();
    for (size, stride) in [(shape[0], shape[1] * shape[2]), (shape[1], shape[2]), (shape[2], 1)] {
        let mut filtered = Vec::with_capacity(values.len());
        for i in 0..values.len() {
            let at = i / stride % size;
            let mut sum = 0.0;
            for (tap, weight) in kernel.iter().enumerate() {
                let offset = (at + tap) as i64 - radius() as i64;
                let source = Boundary::Reflect.position(offset, size);
                sum += weight * values[i - at * stride + source * stride];
            }
            filtered.push(sum);
        }
        values = filtered;
    }
    Ok(Voxels::from_vec(shape, values)?)
}

/// A plane times a weight, added to a plane, for each tap.
fn by_ndarray(image: &Voxels) -> Result<Voxels> {
    let (shape, kernel) = (image.shape(), kernel());
    let mut values = image.view::<f32>()?.to_owned();
    for (axis, size) in shape.into_iter().enumerate() {
        let mut filtered = Array3::<f32>::zeros(shape);
        for (at, mut plane) in filtered.axis_iter_mut(Axis(axis)).enumerate() {
            for (tap, weight) in kernel.iter().enumerate() {
                let offset = (at + tap) as i64 - radius() as i64;
                let source =
                    values.index_axis(Axis(axis), Boundary::Reflect.position(offset, size));
                Zip::from(&mut plane).and(source).for_each(|sum, value| *sum += weight * value);
            }
        }
        values = filtered;
    }
    Ok(Voxels::from_vec(shape, values.into_raw_vec_and_offset().0)?)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn all_filter_alike() {
        let image = Gaussian.inputs(&Gaussian.cases()[0], [9, 40, 11]).unwrap().remove(0).1;
        let expected = scalar(&image).unwrap().to_f32();
        for found in [by_ndarray(&image).unwrap(), ours(&image).unwrap()] {
            for (found, expected) in found.to_f32().iter().zip(&expected) {
                assert!((found - expected).abs() < 1e-2, "{found}, expected {expected}");
            }
        }
    }
}
