//! Tubes that touch, as neurites do in a nerve: thin dark membranes with holes, organelles as dark as
//! membranes, and noise. A threshold does not tell them apart, a trained network does.

use exavox_io::{VoxelSize, Voxels};

use super::synthetic::{Random, Synthetic};
use crate::bench::random::hash;
use crate::error::Result;

/// Voxels between the axes of neighbours.
const SPACING: f64 = 13.0;
/// A membrane is dark so far on both sides, and voxels so near to it belong to no tube.
const MEMBRANE: f64 = 1.15;
const UNLABELLED: f64 = 0.8;
/// Farther from its axis than this, in radii, a tube ends.
const REACH: f64 = 1.25;
/// Share of the membranes' area that cannot be seen, and how large holes are, voxels.
const HOLES: f64 = 0.16;
const HOLE_SIZE: f64 = 5.0;
/// Voxels along a tube for each organelle.
const ORGANELLES: f64 = 24.0;
/// Grey values: inside, membranes and organelles, between tubes; and deviation of the noise.
const INSIDE: f64 = 165.0;
const DARK: f64 = 60.0;
const BETWEEN: f64 = 110.0;
const NOISE: f64 = 26.0;

/// A tube along x whose axis swings in z and y by two waves.
struct Tube {
    centre: [f64; 2],
    waves: [Wave; 2],
    radius: f64,
    shade: f64,
    brightness: f64,
}

struct Wave {
    swing: [f64; 2],
    length: f64,
    phase: [f64; 2],
}

/// Where a voxel lies among tubes.
struct Spot {
    tube: usize,
    /// Distance from its axis in radii.
    from_axis: f64,
    /// Voxels to the border between it and the next tube.
    to_border: f64,
}

/// A dark body in a tube.
struct Organelle {
    centre: [f64; 3],
    radii: [f64; 3],
}

/// Makes a volume; the same `seed` gives the same volume. Seeds of the result lie on the tubes' axes in
/// the middle of x; channels are those of [`super::CHANNELS`].
///
/// # Errors
/// If the memory cannot be had.
pub fn touching_tubes(shape: [usize; 3], seed: u64) -> Result<Synthetic> {
    let mut random = Random(seed);
    let tubes = tubes(shape, &mut random);
    let organelles = organelles(&tubes, shape, &mut random);
    let dark = rasterised(&organelles, shape);
    let voxels: usize = shape.iter().product();
    let mut images: [Vec<u8>; 3] = std::array::from_fn(|_| Vec::with_capacity(voxels));
    let mut labels = Vec::with_capacity(voxels);
    for index in 0..voxels {
        let [z, y, x] =
            [index / (shape[1] * shape[2]), index / shape[2] % shape[1], index % shape[2]];
        let spot = spot(&tubes, [z as f64, y as f64, x as f64]);
        let inside = spot.from_axis < REACH;
        let labelled = inside && spot.to_border > UNLABELLED;
        labels.push(if labelled { spot.tube as u32 + 1 } else { 0 });
        let tube = &tubes[spot.tube];
        let grey = grey(&spot, tube, dark[index], [z, y, x], seed);
        let light = if inside { tube.brightness * (1.1 - spot.from_axis).max(0.0) } else { 0.0 };
        let values = [grey, 10.0 + light, f64::from(dark[index]) * 200.0];
        for ((image, value), noise) in images.iter_mut().zip(values).zip([NOISE, 9.0, 9.0]) {
            image.push((value + noise * random.normal()).round().clamp(0.0, 255.0) as u8);
        }
    }
    let channels = images.into_iter().map(|i| Voxels::from_vec(shape, i));
    Ok(Synthetic {
        channels: channels.collect::<Result<_, _>>()?,
        labels: Voxels::from_vec(shape, labels)?,
        seeds_zyx: axes_inside(&tubes, shape),
        voxel_size: VoxelSize { nm_zyx: [10.0; 3] },
    })
}

impl Tube {
    /// Centre `[z, y]` of the cross-section at a column.
    fn axis(&self, x: f64) -> [f64; 2] {
        [0, 1].map(|a| {
            let wave =
                |w: &Wave| w.swing[a] * (std::f64::consts::TAU * (x / w.length + w.phase[a])).sin();
            self.centre[a] + self.waves.iter().map(wave).sum::<f64>()
        })
    }
}

/// Tubes on a grid that is shaken, somewhat beyond the volume's sides.
fn tubes(shape: [usize; 3], random: &mut Random) -> Vec<Tube> {
    let cells = [0, 1].map(|a| (shape[a] as f64 / SPACING).ceil() as i64);
    let mut tubes = Vec::new();
    for i in -1..=cells[0] {
        for j in -1..=cells[1] {
            let shift = if i % 2 == 0 { 0.25 } else { -0.25 };
            let mut around = |most: f64| (random.uniform() * 2.0 - 1.0) * most;
            let centre = [
                (i as f64 + 0.5) * SPACING + around(2.5),
                (j as f64 + 0.5 + shift) * SPACING + around(2.5),
            ];
            let waves = [(4.5, 150.0), (1.8, 55.0)].map(|(swing, length)| Wave {
                swing: [around(swing), around(swing)],
                length: length * (1.0 + around(0.3)),
                phase: [around(0.5), around(0.5)],
            });
            let radius = SPACING / 2.0 * (1.0 + around(0.22));
            let (shade, brightness) = (around(10.0), 120.0 + around(80.0));
            tubes.push(Tube { centre, waves, radius, shade, brightness });
        }
    }
    tubes
}

fn spot(tubes: &[Tube], [z, y, x]: [f64; 3]) -> Spot {
    let mut nearest = [(usize::MAX, f64::INFINITY); 2];
    for (number, tube) in tubes.iter().enumerate() {
        // Waves never carry a tube farther than this.
        if (tube.centre[0] - z).abs() > 2.5 * SPACING || (tube.centre[1] - y).abs() > 2.5 * SPACING
        {
            continue;
        }
        let [cz, cy] = tube.axis(x);
        let distance = (z - cz).hypot(y - cy) / tube.radius;
        if distance < nearest[0].1 {
            nearest = [(number, distance), nearest[0]];
        } else if distance < nearest[1].1 {
            nearest[1] = (number, distance);
        }
    }
    let [(tube, first), (_, second)] = nearest;
    // To the next tube, or to where the tube ends because there is none near.
    let radius = tubes.get(tube).map_or(1.0, |t| t.radius);
    let to_border = ((second - first) / 2.0).min((REACH - first).abs()) * radius;
    Spot { tube: tube.min(tubes.len() - 1), from_axis: first, to_border }
}

/// Grey value without noise.
fn grey(spot: &Spot, tube: &Tube, organelle: f32, zyx: [usize; 3], seed: u64) -> f64 {
    let texture = 24.0 * (smooth(zyx, 4.0, seed ^ 1) - 0.5);
    let inside = match spot.from_axis < REACH {
        true => INSIDE + tube.shade + texture,
        false => BETWEEN + texture,
    };
    let inside = inside + f64::from(organelle) * (DARK - inside);
    // Smooth noise of this kind lies below its mean less 1.0 deviation in a sixth of the volume.
    let hole = smooth(zyx, HOLE_SIZE, seed ^ 2) < 0.5 - (0.5 - HOLES) * 0.5;
    if spot.to_border < MEMBRANE && !hole { DARK } else { inside }
}

/// Noise from 0 to 1 that is linear between random values at places `size` voxels apart.
fn smooth(zyx: [usize; 3], size: f64, seed: u64) -> f64 {
    let place = zyx.map(|v| v as f64 / size);
    let cell = place.map(|v| v as u64);
    let mut sum = 0.0;
    for corner in 0..8_u64 {
        let mut weight = 1.0;
        let mut key = 0;
        for a in 0..3 {
            let far = corner >> a & 1;
            let part = place[a] - cell[a] as f64;
            weight *= if far == 1 { part } else { 1.0 - part };
            key = hash(key ^ (cell[a] + far), seed.wrapping_add(a as u64));
        }
        sum += weight * (key >> 11) as f64 / (1_u64 << 53) as f64;
    }
    sum
}

fn organelles(tubes: &[Tube], shape: [usize; 3], random: &mut Random) -> Vec<Organelle> {
    let mut all = Vec::new();
    for tube in tubes {
        let count = (shape[2] as f64 / ORGANELLES) as usize;
        for _ in 0..count {
            let x = random.uniform() * shape[2] as f64;
            let [z, y] = tube.axis(x);
            let mut around = |most: f64| (random.uniform() * 2.0 - 1.0) * most * tube.radius;
            let centre = [z + around(0.45), y + around(0.45), x];
            let radii = [1.6, 1.6, 3.2].map(|r| r * (1.0 + around(0.05)));
            all.push(Organelle { centre, radii });
        }
    }
    all
}

/// How much of an organelle each voxel is, 0 to 1.
fn rasterised(organelles: &[Organelle], shape: [usize; 3]) -> Vec<f32> {
    let mut dark = vec![0.0_f32; shape.iter().product()];
    for Organelle { centre, radii } in organelles {
        let range = |a: usize| {
            let (low, high) = (centre[a] - 2.0 * radii[a], centre[a] + 2.0 * radii[a]);
            low.max(0.0) as usize..(high.max(0.0) as usize + 1).min(shape[a])
        };
        for z in range(0) {
            for y in range(1) {
                for x in range(2) {
                    let offsets = [z as f64, y as f64, x as f64];
                    let squared: f64 =
                        (0..3).map(|a| ((offsets[a] - centre[a]) / radii[a]).powi(2)).sum();
                    let part = (1.6 - squared.sqrt()).clamp(0.0, 1.0) as f32;
                    let at = (z * shape[1] + y) * shape[2] + x;
                    dark[at] = dark[at].max(part);
                }
            }
        }
    }
    dark
}

/// Voxels on axes in the middle of x, of the tubes that are there.
fn axes_inside(tubes: &[Tube], shape: [usize; 3]) -> Vec<[u64; 3]> {
    let middle = shape[2] / 2;
    let on_axis = |tube: &Tube| {
        let [z, y] = tube.axis(middle as f64).map(f64::round);
        let inside = z >= 0.0 && y >= 0.0 && z < shape[0] as f64 && y < shape[1] as f64;
        inside.then_some([z as u64, y as u64, middle as u64])
    };
    tubes.iter().filter_map(on_axis).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn tubes_touch_and_the_volume_is_reproducible() {
        let shape = [40, 48, 56];
        let made = touching_tubes(shape, 1).unwrap();
        assert_eq!(made.channels, touching_tubes(shape, 1).unwrap().channels);
        assert_ne!(made.channels, touching_tubes(shape, 2).unwrap().channels);
        let labels = made.labels.to_labels().unwrap();
        let mut sizes: BTreeMap<u64, usize> = BTreeMap::new();
        labels.iter().for_each(|label| *sizes.entry(*label).or_default() += 1);
        let free = sizes.remove(&0).unwrap();
        // Most of the volume is tubes; what is between them is mostly membrane.
        assert!(free * 2 < labels.len() && sizes.len() > 8, "{free} {sizes:?}");
        let at = |z: usize, y: usize, x: usize| labels[(z * shape[1] + y) * shape[2] + x];
        let near = (0..37).flat_map(|y| (0..40).map(move |z| (z, y)));
        let touching = near.filter(|&(z, y)| {
            let (a, b) = (at(z, y, 20), at(z, y + 3, 20));
            a > 0 && b > 0 && a != b
        });
        assert!(touching.count() > 20);
    }
}
