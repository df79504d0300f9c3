//! Exact Euclidean distance of each voxel of a mask to the background.

use exavox_compute::ops::distance_transform::{DistanceOptions, distance_transform};
use exavox_io::Voxels;
use ndarray::{Array3, Axis};

use crate::bench::random::{hash, smooth_noise, threshold};
use crate::bench::{Case, Group, Implementation, Setting, Task, Work};
use crate::error::{Error, Result};

pub(super) struct Distance;

/// Further away than any voxel, and its square still a number.
const FAR: f32 = 1e12;

impl Group for Distance {
    fn name(&self) -> &'static str {
        "distance"
    }

    fn about(&self, _case: &Case) -> &'static str {
        "exact Euclidean distance to the background, uint8 to f32"
    }

    fn cases(&self) -> &'static [Case] {
        &[
            Case { name: "smooth", shape: [256; 3], quick_shape: [96; 3] },
            Case { name: "one-zero", shape: [256; 3], quick_shape: [96; 3] },
            Case { name: "few-zeros", shape: [512; 3], quick_shape: [96; 3] },
        ]
    }

    fn inputs(&self, case: &Case, shape: [usize; 3]) -> Result<Vec<(String, Voxels)>> {
        let count = shape.iter().product();
        let mut mask = vec![1_u8; count];
        // With no background at all there would be no distance.
        mask[count / 2] = 0;
        if case.name == "few-zeros" {
            (0..20).for_each(|n| mask[(hash(n, 5) % count as u64) as usize] = 0);
        }
        if case.name == "smooth" {
            let noise = smooth_noise(shape, 3);
            let limit = threshold(&noise, 0.64);
            mask.iter_mut().zip(noise).for_each(|(v, noise)| *v &= u8::from(noise > limit));
        }
        Ok(vec![("mask".to_owned(), Voxels::from_vec(shape, mask)?)])
    }

    fn work(&self, _case: &Case, shape: [usize; 3]) -> Work {
        let voxels = shape.iter().product::<usize>() as u64;
        Work { voxels, bytes: 5 * voxels, flops: 0 }
    }

    fn implementations(&self) -> Vec<Implementation> {
        let mut all = vec![
            Implementation::on_one_core("scalar", |s| prepared(s, scalar)),
            Implementation::on_one_core("ndarray", |s| prepared(s, by_ndarray)),
            Implementation::on_one_core("cpu", |s| prepared(s, ours)),
            Implementation::on_all_cores("cpu", |s| prepared(s, ours)),
        ];
        all.extend(Implementation::on_devices(
            |_| Err(Error::settings("burn", "has no distance transform")),
            |_| Err(Error::settings("distance transform", "is done on the CPU only")),
        ));
        all
    }
}

fn prepared(setting: Setting, transform: fn(&Voxels) -> Result<Voxels>) -> Result<Task> {
    let mask = setting.input("mask")?;
    Ok(Box::new(move || Ok(vec![transform(&mask)?])))
}

fn ours(mask: &Voxels) -> Result<Voxels> {
    Ok(distance_transform(mask, &DistanceOptions::default())?)
}

/// The lower envelope of parabolas along each axis (Felzenszwalb and Huttenlocher 2012,
/// <https://doi.org/10.4086/toc.2012.v008a019>), line after line.
fn scalar(mask: &Voxels) -> Result<Voxels> {
    let shape = mask.shape();
    let mut values: Vec<f32> = mask.as_slice::<u8>()?.iter().map(|v| far_if(*v != 0)).collect();
    for (size, stride) in [(shape[2], 1), (shape[1], shape[2]), (shape[0], shape[1] * shape[2])] {
        for first in (0..values.len()).filter(|i| i / stride % size == 0) {
            let line: Vec<f32> = (0..size).map(|k| values[first + k * stride]).collect();
            for (k, distance) in lower_envelope(&line).into_iter().enumerate() {
                values[first + k * stride] = distance;
            }
        }
    }
    let roots = values.into_iter().map(f32::sqrt).collect();
    Ok(Voxels::from_vec(shape, roots)?)
}

/// The same on lanes of an array.
fn by_ndarray(mask: &Voxels) -> Result<Voxels> {
    let mut values: Array3<f32> = mask.view::<u8>()?.mapv(|v| far_if(v != 0));
    for axis in [2, 1, 0] {
        for mut lane in values.lanes_mut(Axis(axis)) {
            let distances = lower_envelope(&lane.to_vec());
            lane.iter_mut().zip(distances).for_each(|(value, distance)| *value = distance);
        }
    }
    values.mapv_inplace(f32::sqrt);
    Ok(Voxels::from_vec(mask.shape(), values.into_raw_vec_and_offset().0)?)
}

fn far_if(object: bool) -> f32 {
    if object { FAR } else { 0.0 }
}

/// The least `heights[q] + (p - q)^2` over q, for each p.
fn lower_envelope(heights: &[f32]) -> Vec<f32> {
    let height = |q: usize| f64::from(heights[q]) + (q * q) as f64;
    // Parabolas of the envelope and where each takes over from the one before.
    let mut envelope: Vec<(usize, f64)> = Vec::new();
    for q in 0..heights.len() {
        let mut from = f64::NEG_INFINITY;
        while let Some(&(last, last_from)) = envelope.last() {
            from = (height(q) - height(last)) / (2 * (q - last)) as f64;
            if from > last_from {
                break;
            }
            envelope.pop();
            from = f64::NEG_INFINITY;
        }
        envelope.push((q, from));
    }
    let mut next = 0;
    let least = |p: usize| {
        while envelope.get(next + 1).is_some_and(|(_, from)| *from < p as f64) {
            next += 1;
        }
        let q = envelope[next].0;
        heights[q] + (p.abs_diff(q) * p.abs_diff(q)) as f32
    };
    (0..heights.len()).map(least).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn all_measure_alike() {
        for case in Distance.cases() {
            let mask = Distance.inputs(case, [9, 20, 11]).unwrap().remove(0).1;
            let expected = scalar(&mask).unwrap();
            assert_eq!(by_ndarray(&mask).unwrap(), expected);
            assert_eq!(ours(&mask).unwrap(), expected);
        }
    }

    #[test]
    fn distances_are_those_of_the_nearest_zero() {
        let mask = Distance.inputs(&Distance.cases()[1], [5, 7, 6]).unwrap().remove(0).1;
        let distances = scalar(&mask).unwrap();
        let zero = 5 * 7 * 6 / 2;
        let place = |i: usize| [i / 42, i / 6 % 7, i % 6];
        for (i, found) in distances.as_slice::<f32>().unwrap().iter().enumerate() {
            let squares = (0..3).map(|a| place(i)[a].abs_diff(place(zero)[a]).pow(2));
            assert_eq!(*found, (squares.sum::<usize>() as f32).sqrt());
        }
    }
}
