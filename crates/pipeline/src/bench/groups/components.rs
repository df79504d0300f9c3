//! Connected components of a mask, or of labels, numbered in the order of their first voxels.

use exavox_compute::ops::Connectivity;
use exavox_compute::ops::connected_components::{Foreground, label_equal, label_mask};
use exavox_compute::ops::on_device;
use exavox_io::{Element, Voxels};
use ndarray::Array3;

use crate::bench::answer::highest;
use crate::bench::random::{hash, smooth_noise, threshold, values};
use crate::bench::{Case, Group, Implementation, Setting, Task, Work};
use crate::error::{Error, Result};

pub(super) struct Components;

impl Group for Components {
    fn name(&self) -> &'static str {
        "components"
    }

    fn about(&self, case: &Case) -> &'static str {
        match of_labels(case) {
            true => "connected components of labels, uint32 to uint32",
            false => "connected components of a mask, uint8 to uint32",
        }
    }

    fn cases(&self) -> &'static [Case] {
        &[
            Case { name: "smooth-6", shape: [256; 3], quick_shape: [96; 3] },
            Case { name: "smooth-26", shape: [256; 3], quick_shape: [96; 3] },
            Case { name: "random-6", shape: [256; 3], quick_shape: [96; 3] },
            Case { name: "labels-6", shape: [256; 3], quick_shape: [96; 3] },
            Case { name: "labels-26", shape: [256; 3], quick_shape: [96; 3] },
        ]
    }

    fn inputs(&self, case: &Case, shape: [usize; 3]) -> Result<Vec<(String, Voxels)>> {
        let voxels = match case.name {
            name if name.starts_with("labels") => Voxels::from_vec(shape, labels(shape))?,
            name if name.starts_with("smooth") => {
                let noise = smooth_noise(shape, 3);
                let limit = threshold(&noise, 0.64);
                let mask = noise.iter().map(|v| u8::from(*v > limit)).collect();
                Voxels::from_vec(shape, mask)?
            }
            _ => {
                let random = values(shape.iter().product(), |i| (hash(i, 7) >> 63) as u8);
                Voxels::from_vec(shape, random)?
            }
        };
        Ok(vec![("voxels".to_owned(), voxels)])
    }

    fn work(&self, case: &Case, shape: [usize; 3]) -> Work {
        let voxels = shape.iter().product::<usize>() as u64;
        Work { voxels, bytes: if of_labels(case) { 8 } else { 5 } * voxels, flops: 0 }
    }

    fn implementations(&self) -> Vec<Implementation> {
        let mut all = vec![
            Implementation::on_one_core("scalar", |s| prepared(s, [scalar::<u8>, scalar::<u32>])),
            Implementation::on_one_core("ndarray", |s| {
                prepared(s, [by_ndarray::<u8>, by_ndarray::<u32>])
            }),
            Implementation::on_one_core("cpu", |s| prepared(s, [ours, ours_of_labels])),
            Implementation::on_all_cores("cpu", |s| prepared(s, [ours, ours_of_labels])),
        ];
        all.extend(Implementation::on_devices(
            |_| Err(Error::settings("burn", "has no connected components")),
            on_a_device,
        ));
        all
    }

    fn answer(&self, outputs: &[Voxels]) -> f64 {
        highest(outputs)
    }
}

/// As many labels as smooth noise has steps of a sixteenth, which touch each other; and background.
fn labels(shape: [usize; 3]) -> Vec<u32> {
    let noise = smooth_noise(shape, 3);
    let [low, high] = [0.999, 0.001].map(|share| threshold(&noise, share));
    let step = |v: &f32| ((v - low) / (high - low) * 16.0).clamp(0.0, 16.0) as u32;
    noise.iter().map(step).collect()
}

fn of_labels(case: &Case) -> bool {
    case.name.starts_with("labels")
}

type Label = fn(&Voxels, usize) -> Result<Voxels>;

/// With what masks are labelled, and labels.
fn prepared(setting: Setting, label: [Label; 2]) -> Result<Task> {
    let voxels = setting.input("voxels")?;
    let (label, neighbours) =
        (label[usize::from(of_labels(&setting.case))], neighbours(&setting.case));
    Ok(Box::new(move || Ok(vec![label(&voxels, neighbours)?])))
}

/// Copies to the device and back are part of it.
fn on_a_device(setting: Setting) -> Result<Task> {
    let (voxels, device) = (setting.input("voxels")?, setting.device()?);
    let connectivity = connectivity(neighbours(&setting.case));
    let (of_labels, foreground) = (of_labels(&setting.case), Foreground::NonZero);
    Ok(Box::new(move || {
        let found = if of_labels {
            on_device::components_of_labels(&device, &voxels, connectivity)?
        } else {
            on_device::components_of_mask(&device, &voxels, foreground, connectivity)?
        };
        Ok(vec![found.labels])
    }))
}

fn neighbours(case: &Case) -> usize {
    if case.name.ends_with("26") { 26 } else { 6 }
}

fn connectivity(neighbours: usize) -> Connectivity {
    if neighbours == 26 { Connectivity::TwentySix } else { Connectivity::Six }
}

fn ours(mask: &Voxels, neighbours: usize) -> Result<Voxels> {
    Ok(label_mask(mask, Foreground::NonZero, connectivity(neighbours))?.labels)
}

fn ours_of_labels(labels: &Voxels, neighbours: usize) -> Result<Voxels> {
    Ok(label_equal(labels, connectivity(neighbours))?.labels)
}

fn scalar<T: Element + Default>(voxels: &Voxels, neighbours: usize) -> Result<Voxels> {
    let labels = label_scalar(voxels.as_slice::<T>()?, voxels.shape(), neighbours);
    Ok(Voxels::from_vec(voxels.shape(), labels)?)
}

/// Two passes with union-find over voxels (Rosenfeld and Pfaltz 1966), the classic: of equal values that
/// are not zero.
pub(super) fn label_scalar<T: Copy + PartialEq + Default>(
    voxels: &[T],
    [_, ny, nx]: [usize; 3],
    neighbours: usize,
) -> Vec<u32> {
    let before = before(neighbours);
    let mut labels = vec![0_u32; voxels.len()];
    let mut parents = vec![0_u32];
    for at in 0..voxels.len() {
        if voxels[at] == T::default() {
            continue;
        }
        let (z, y, x) = (at / (ny * nx), at / nx % ny, at % nx);
        for &[dz, dy, dx] in &before {
            let inside = (dz == 0 || z > 0)
                && (dy == 0 || (dy < 0 && y > 0) || (dy > 0 && y + 1 < ny))
                && (dx == 0 || (dx < 0 && x > 0) || (dx > 0 && x + 1 < nx));
            let offset = (dz * ny as isize + dy) * nx as isize + dx;
            let Some(other) = at.checked_add_signed(offset).filter(|_| inside) else { continue };
            if voxels[other] == voxels[at] {
                labels[at] = join(&mut parents, labels[at], labels[other]);
            }
        }
        if labels[at] == 0 {
            labels[at] = parents.len() as u32;
            parents.push(labels[at]);
        }
    }
    renumber(&mut labels, &mut parents);
    labels
}

/// Offsets of neighbours that come earlier in C order.
fn before(neighbours: usize) -> Vec<[isize; 3]> {
    let all = (0..13).map(|n| [n / 9 - 1, n / 3 % 3 - 1, n % 3 - 1]);
    let faces = |o: &[isize; 3]| neighbours == 26 || o.iter().map(|v| v.abs()).sum::<isize>() == 1;
    all.filter(faces).collect()
}

/// The root of two labels, the first of which may be 0: none.
fn join(parents: &mut [u32], a: u32, b: u32) -> u32 {
    let root_b = root(parents, b);
    if a == 0 {
        return root_b;
    }
    let root_a = root(parents, a);
    let (low, high) = (root_a.min(root_b), root_a.max(root_b));
    parents[high as usize] = low;
    low
}

fn root(parents: &mut [u32], mut label: u32) -> u32 {
    while parents[label as usize] != label {
        parents[label as usize] = parents[parents[label as usize] as usize];
        label = parents[label as usize];
    }
    label
}

/// Numbers 1, 2, 3 in the order of the first voxels.
fn renumber(labels: &mut [u32], parents: &mut [u32]) {
    let mut numbers = vec![0_u32; parents.len()];
    let mut count = 0;
    for label in labels.iter_mut().filter(|label| **label != 0) {
        let root = root(parents, *label) as usize;
        if numbers[root] == 0 {
            count += 1;
            numbers[root] = count;
        }
        *label = numbers[root];
    }
}

/// The first voxel of the label with the most voxels.
pub(super) fn largest(labels: &[u32]) -> Option<usize> {
    let mut sizes = vec![0_u64; labels.iter().max().map_or(0, |most| *most as usize) + 1];
    for &label in labels.iter().filter(|label| **label != 0) {
        sizes[label as usize] += 1;
    }
    let (label, &size) = sizes.iter().enumerate().max_by_key(|(_, size)| **size)?;
    labels.iter().position(|l| *l as usize == label).filter(|_| size > 0)
}

/// A component after the other, each filled from its first voxel, on arrays of three axes.
fn by_ndarray<T: Element + Default>(voxels: &Voxels, neighbours: usize) -> Result<Voxels> {
    let (view, shape) = (voxels.view::<T>()?, voxels.shape());
    let mut offsets = before(neighbours);
    offsets.extend(before(neighbours).into_iter().map(|o| o.map(|v| -v)));
    let mut labels = Array3::<u32>::zeros(shape);
    let (mut count, mut stack) = (0, Vec::new());
    for (start, _) in view.indexed_iter().filter(|(_, v)| **v != T::default()) {
        if labels[start] != 0 {
            continue;
        }
        count += 1;
        labels[start] = count;
        stack.push(start);
        while let Some((z, y, x)) = stack.pop() {
            for [dz, dy, dx] in &offsets {
                let step = |at: usize, by: isize| at.checked_add_signed(by);
                let (Some(z), Some(y), Some(x)) = (step(z, *dz), step(y, *dy), step(x, *dx)) else {
                    continue;
                };
                let inside = z < shape[0] && y < shape[1] && x < shape[2];
                if inside && view[(z, y, x)] == view[start] && labels[(z, y, x)] == 0 {
                    labels[(z, y, x)] = count;
                    stack.push((z, y, x));
                }
            }
        }
    }
    Ok(Voxels::from_vec(shape, labels.into_raw_vec_and_offset().0)?)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn all_label_alike() {
        for case in Components.cases() {
            for shape in [[9, 10, 11], [1, 1, 7], [6, 1, 1]] {
                let voxels = Components.inputs(case, shape).unwrap().remove(0).1;
                let all: [Label; 3] = match of_labels(case) {
                    false => [scalar::<u8>, by_ndarray::<u8>, ours],
                    true => [scalar::<u32>, by_ndarray::<u32>, ours_of_labels],
                };
                for neighbours in [6, 26] {
                    let [first, second, third] = all.map(|of| of(&voxels, neighbours).unwrap());
                    assert_eq!(second, first);
                    assert_eq!(third, first);
                }
            }
        }
    }

    #[test]
    fn corners_touch_with_26_only() {
        let mask = Voxels::from_vec([2, 2, 2], vec![1_u8, 0, 0, 0, 0, 0, 0, 1]).unwrap();
        let labels = |n| scalar::<u8>(&mask, n).unwrap().as_slice::<u32>().unwrap().to_vec();
        assert_eq!(labels(6), [1, 0, 0, 0, 0, 0, 0, 2]);
        assert_eq!(labels(26), [1, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(largest(&[0, 2, 1, 2]), Some(1));
        assert_eq!(largest(&[0]), None);
    }
}
