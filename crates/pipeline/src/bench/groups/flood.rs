//! Seeded flood fill of a range of values, uint8, faces as neighbours.

use exavox_compute::ops::ValueRange;
use exavox_compute::ops::flood_fill::{FloodOptions, Seed, flood_fill};
use exavox_compute::ops::on_device;
use exavox_io::Voxels;
use ndarray::{Array3, ArrayView3};

use super::components::{label_scalar, largest};
use crate::bench::random::{hash, smooth_noise, threshold, values};
use crate::bench::{Case, Group, Implementation, Setting, Task, Work};
use crate::error::{Error, Result};

pub(super) struct Flood;

/// Values from this one on are filled.
const LOWEST: u8 = 128;

impl Group for Flood {
    fn name(&self) -> &'static str {
        "flood"
    }

    fn about(&self, _case: &Case) -> &'static str {
        "flood fill from one seed, uint8, 6 neighbours"
    }

    fn cases(&self) -> &'static [Case] {
        &[
            Case { name: "smooth", shape: [256; 3], quick_shape: [96; 3] },
            Case { name: "percolation", shape: [256; 3], quick_shape: [96; 3] },
        ]
    }

    fn inputs(&self, case: &Case, shape: [usize; 3]) -> Result<Vec<(String, Voxels)>> {
        let image = match case.name {
            "smooth" => smooth_image(shape),
            _ => values(shape.iter().product(), noisy),
        };
        let mask: Vec<u8> = image.iter().map(|v| u8::from(*v >= LOWEST)).collect();
        let labels = label_scalar(&mask, shape, 6);
        let seed = largest(&labels).unwrap_or(0);
        let seed_zyx = [seed / (shape[1] * shape[2]), seed / shape[2] % shape[1], seed % shape[2]];
        let seed = Voxels::from_vec([1, 1, 3], seed_zyx.map(|v| v as u32).to_vec())?;
        Ok(vec![("image".to_owned(), Voxels::from_vec(shape, image)?), ("seed".to_owned(), seed)])
    }

    fn work(&self, _case: &Case, shape: [usize; 3]) -> Work {
        let voxels = shape.iter().product::<usize>() as u64;
        Work { voxels, bytes: 2 * voxels, flops: 0 }
    }

    fn implementations(&self) -> Vec<Implementation> {
        let mut all = vec![
            Implementation::on_one_core("scalar", |s| prepared(s, scalar)),
            Implementation::on_one_core("ndarray", |s| prepared(s, by_ndarray)),
            Implementation::on_one_core("cpu", |s| prepared(s, ours)),
            Implementation::on_all_cores("cpu", |s| prepared(s, ours)),
        ];
        all.extend(Implementation::on_devices(
            |_| Err(Error::settings("burn", "has no flood fill")),
            on_a_device,
        ));
        all
    }
}

/// 64 % of the voxels lie in the range.
fn smooth_image(shape: [usize; 3]) -> Vec<u8> {
    let noise = smooth_noise(shape, 3);
    let limit = threshold(&noise, 0.64);
    let grey = |v: &f32| ((v - limit) * 600.0 + f32::from(LOWEST)).floor().clamp(0.0, 255.0) as u8;
    noise.iter().map(grey).collect()
}

/// 32.5 % of the voxels lie in the range: just enough that they hang together.
fn noisy(place: u64) -> u8 {
    if hash(place, 5) % 1000 < 325 { 200 } else { 50 }
}

type Fill = fn(&Voxels, [usize; 3]) -> Result<Voxels>;

fn prepared(setting: Setting, fill: Fill) -> Result<Task> {
    let (image, seed) = (setting.input("image")?, seed(&setting)?);
    Ok(Box::new(move || Ok(vec![fill(&image, seed)?])))
}

/// Copies to the device and back are part of it.
fn on_a_device(setting: Setting) -> Result<Task> {
    let (image, device) = (setting.input("image")?, setting.device()?);
    let (range, seeds) = (range()?, [Seed::new(seed(&setting)?)]);
    Ok(Box::new(move || {
        let options = FloodOptions::default();
        Ok(vec![on_device::flood_fill(&device, &image, range, &seeds, &options)?.labels])
    }))
}

fn seed(setting: &Setting) -> Result<[usize; 3]> {
    let seed = setting.input("seed")?;
    let seed: Vec<usize> = seed.as_slice::<u32>()?.iter().map(|v| *v as usize).collect();
    <[usize; 3]>::try_from(seed)
        .map_err(|_| Error::settings("seed.npy", "expected three numbers z, y, x"))
}

fn range() -> Result<ValueRange> {
    Ok(ValueRange::of_integers(LOWEST.into(), u8::MAX.into())?)
}

fn ours(image: &Voxels, seed_zyx: [usize; 3]) -> Result<Voxels> {
    let seeds = [Seed::new(seed_zyx)];
    Ok(flood_fill(image, range()?, &seeds, &FloodOptions::default())?.labels)
}

/// A stack of voxels whose neighbours are looked at one after the other.
fn scalar(image: &Voxels, seed: [usize; 3]) -> Result<Voxels> {
    let [nz, ny, nx] = image.shape();
    let values = image.as_slice::<u8>()?;
    let mut filled = vec![0_u8; values.len()];
    let mut stack = vec![(seed[0] * ny + seed[1]) * nx + seed[2]];
    while let Some(at) = stack.pop() {
        if filled[at] != 0 || values[at] < LOWEST {
            continue;
        }
        filled[at] = 1;
        let (z, y, x) = (at / (ny * nx), at / nx % ny, at % nx);
        let neighbours = [
            (z > 0, at.wrapping_sub(ny * nx)),
            (z + 1 < nz, at + ny * nx),
            (y > 0, at.wrapping_sub(nx)),
            (y + 1 < ny, at + nx),
            (x > 0, at.wrapping_sub(1)),
            (x + 1 < nx, at + 1),
        ];
        stack.extend(neighbours.iter().filter(|n| n.0).map(|n| n.1));
    }
    Ok(Voxels::from_vec([nz, ny, nx], filled)?)
}

/// The same on arrays of three axes.
fn by_ndarray(image: &Voxels, seed: [usize; 3]) -> Result<Voxels> {
    let view: ArrayView3<'_, u8> = image.view()?;
    let mut filled = Array3::<u8>::zeros(image.shape());
    let mut stack = vec![seed];
    while let Some(at) = stack.pop() {
        if filled[at] != 0 || view[at] < LOWEST {
            continue;
        }
        filled[at] = 1;
        for axis in 0..3 {
            for step in [-1, 1] {
                let Some(next) = at[axis].checked_add_signed(step) else { continue };
                if next < image.shape()[axis] {
                    let mut neighbour = at;
                    neighbour[axis] = next;
                    stack.push(neighbour);
                }
            }
        }
    }
    Ok(Voxels::from_vec(image.shape(), filled.into_raw_vec_and_offset().0)?)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn all_fill_the_largest_component() {
        for case in Flood.cases() {
            let inputs = Flood.inputs(case, [9, 10, 11]).unwrap();
            let seed: Vec<usize> =
                inputs[1].1.as_slice::<u32>().unwrap().iter().map(|v| *v as usize).collect();
            let (image, seed) = (&inputs[0].1, [seed[0], seed[1], seed[2]]);
            let filled = scalar(image, seed).unwrap();
            assert_eq!(by_ndarray(image, seed).unwrap(), filled);
            assert_eq!(ours(image, seed).unwrap(), filled);
            assert!(
                filled.as_slice::<u8>().unwrap().iter().map(|v| usize::from(*v)).sum::<usize>()
                    > 20
            );
        }
    }

    #[test]
    fn the_smooth_image_is_filled_to_its_share() {
        let image = smooth_image([40; 3]);
        let share = image.iter().filter(|v| **v >= LOWEST).count() as f64 / image.len() as f64;
        assert!((share - 0.64).abs() < 0.02, "{share}");
    }
}
