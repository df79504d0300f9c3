//! Curved tubes with dark membranes, as electron and light microscopes might see them.

use exavox_io::{VoxelSize, Voxels};

use crate::error::Result;

/// Names of the channels: an EM-like image, the tubes' fluorescence, and bright spots inside them.
pub const CHANNELS: [&str; 3] = ["membrane", "tubes", "spots"];

/// Tubes in a row and rows of tubes.
const GRID: [usize; 2] = [3, 5];
/// Voxels between the axis of a tube and its membrane.
const RADIUS: f64 = 7.5;
/// Voxels of a membrane.
const MEMBRANE: f64 = 2.5;

/// A synthetic volume.
#[derive(Debug, Clone)]
pub struct Synthetic {
    /// One block of u8 per channel, `[z, y, x]`.
    pub channels: Vec<Voxels>,
    /// Label of each voxel, u32: the inside of tube n is n, all else 0.
    pub labels: Voxels,
    /// A voxel on the axis of each tube, in order of the labels.
    pub seeds_zyx: Vec<[u64; 3]>,
    /// Edge lengths of a voxel.
    pub voxel_size: VoxelSize,
}

/// The axis of a tube: runs along x, swings in z and y.
struct Tube {
    centre: [f64; 2],
    swing: [f64; 2],
    phase: f64,
    brightness: f64,
}

/// Makes the volume of a shape that holds 3 x 5 tubes; 72 x 112 x 192 is a good one. The same `seed`
/// gives the same volume.
///
/// # Errors
/// If the memory cannot be had.
pub fn synthetic(shape: [usize; 3], seed: u64) -> Result<Synthetic> {
    let mut random = Random(seed);
    let tubes = tubes(shape, &mut random);
    let voxels: usize = shape.iter().product();
    let mut images: [Vec<u8>; 3] = std::array::from_fn(|_| Vec::with_capacity(voxels));
    let mut labels = Vec::with_capacity(voxels);
    let spots = spots(&tubes, shape, &mut random);
    for index in 0..voxels {
        let p = [index / (shape[1] * shape[2]), index / shape[2] % shape[1], index % shape[2]];
        let (nearest, distance) = nearest_tube(&tubes, p, shape);
        labels.push(if distance < RADIUS { nearest as u32 + 1 } else { 0 });
        let spot = spots.iter().map(|s| spot_light(*s, p)).sum();
        let values = [em(distance), light(&tubes[nearest], distance), spot];
        for ((image, value), noise) in images.iter_mut().zip(values).zip([14.0, 9.0, 9.0]) {
            image.push((value + noise * random.normal()).round().clamp(0.0, 255.0) as u8);
        }
    }
    let channels = images.into_iter().map(|i| Voxels::from_vec(shape, i));
    let middle = shape[2] / 2;
    let seeds = tubes.iter().map(|t| {
        let [z, y] = t.axis(middle, shape[2]);
        [z.round() as u64, y.round() as u64, middle as u64]
    });
    Ok(Synthetic {
        channels: channels.collect::<Result<_, _>>()?,
        labels: Voxels::from_vec(shape, labels)?,
        seeds_zyx: seeds.collect(),
        voxel_size: VoxelSize { nm_zyx: [10.0; 3] },
    })
}

impl Tube {
    /// Centre `[z, y]` of the tube's cross-section at column `x` of `width`.
    fn axis(&self, x: usize, width: usize) -> [f64; 2] {
        let angle = self.phase + std::f64::consts::TAU * x as f64 / width as f64;
        [self.centre[0] + self.swing[0] * angle.sin(), self.centre[1] + self.swing[1] * angle.cos()]
    }
}

fn tubes(shape: [usize; 3], random: &mut Random) -> Vec<Tube> {
    let spacing = |a: usize| shape[a] as f64 / GRID[a] as f64;
    // All tubes swing alike, so that they never touch; only the brightness is their own.
    let swing = [0, 1].map(|a| (spacing(a) / 2.0 - RADIUS).max(0.0) * 0.8);
    let phase = random.uniform() * std::f64::consts::TAU;
    let cells = (0..GRID[0]).flat_map(|i| (0..GRID[1]).map(move |j| [i, j]));
    cells
        .map(|cell| Tube {
            centre: [0, 1].map(|a| (cell[a] as f64 + 0.5) * spacing(a)),
            swing,
            phase: phase + 0.3 * random.uniform(),
            brightness: 70.0 + 150.0 * random.uniform(),
        })
        .collect()
}

fn nearest_tube(tubes: &[Tube], [z, y, x]: [usize; 3], shape: [usize; 3]) -> (usize, f64) {
    let distance = |t: &Tube| {
        let [cz, cy] = t.axis(x, shape[2]);
        (z as f64 - cz).hypot(y as f64 - cy)
    };
    let all = tubes.iter().map(distance).enumerate();
    all.min_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or((0, f64::INFINITY))
}

/// Bright inside, dark membrane, grey outside.
fn em(distance: f64) -> f64 {
    match distance {
        d if d < RADIUS => 175.0,
        d if d < RADIUS + MEMBRANE => 45.0,
        _ => 85.0,
    }
}

fn light(tube: &Tube, distance: f64) -> f64 {
    10.0 + tube.brightness * (-(distance / RADIUS).powi(2)).exp()
}

fn spots(tubes: &[Tube], shape: [usize; 3], random: &mut Random) -> Vec<[f64; 3]> {
    tubes
        .iter()
        .flat_map(|tube| {
            let count = 2 + (random.uniform() * 4.0) as usize;
            let at: Vec<_> = (0..count).map(|_| random.uniform()).collect();
            at.into_iter().map(|part| {
                let x = part * (shape[2] - 1) as f64;
                let [z, y] = tube.axis(x as usize, shape[2]);
                [z, y, x]
            })
        })
        .collect()
}

fn spot_light(centre: [f64; 3], p: [usize; 3]) -> f64 {
    let squared: f64 = (0..3).map(|a| (p[a] as f64 - centre[a]).powi(2)).sum();
    if squared < 60.0 { 220.0 * (-squared / 8.0).exp() } else { 0.0 }
}

/// SplitMix64 (Steele et al., OOPSLA 2014): small, and the same on every machine.
pub(super) struct Random(pub(super) u64);

impl Random {
    /// From 0 up to, not including, 1.
    pub(super) fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) as f64 / 2f64.powi(64)
    }

    /// Nearly normal, mean 0, deviation 1: the sum of twelve uniform numbers would be slower and no
    /// better for noise in an image than that of four.
    pub(super) fn normal(&mut self) -> f64 {
        let sum: f64 = (0..4).map(|_| self.uniform()).sum();
        (sum - 2.0) * 3f64.sqrt()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_seed_lies_in_its_tube_and_the_volume_is_reproducible() {
        let made = synthetic([72, 112, 64], 1).unwrap();
        let labels = made.labels.to_labels().unwrap();
        for (tube, [z, y, x]) in made.seeds_zyx.iter().enumerate() {
            let at = (z * 112 + y) * 64 + x;
            assert_eq!(labels[at as usize], tube as u64 + 1);
        }
        assert_eq!(made.channels, synthetic([72, 112, 64], 1).unwrap().channels);
        assert_ne!(made.channels, synthetic([72, 112, 64], 2).unwrap().channels);
    }
}
