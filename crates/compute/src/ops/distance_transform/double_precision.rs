//! The transform in f64, for seeds, which hang on single roundings: lower envelopes of parabolas, as
//! Felzenszwalb & Huttenlocher have them.

use rayon::prelude::*;

use super::DistanceOptions;

/// Distance of each `true` voxel to the nearest `false` one, `[z, y, x]` in C order; 0 for `false`,
/// infinite if there is no `false` voxel. The volume's border does not count as `false`.
///
/// `voxel_size_zyx`: edge lengths, in the unit of the result. Squared distances are held in f64, which
/// is exact for whole numbers. Cost: that of [`super::distance_transform`] where f32 is exact as well;
/// otherwise three passes, linear in the voxels, and 8 bytes a voxel that are given back as the result
/// grows.
pub fn distance_to_zero(mask: &[bool], shape: [usize; 3], voxel_size_zyx: [f64; 3]) -> Vec<f32> {
    if is_exact_in_f32(shape, voxel_size_zyx) {
        let mut distances = vec![0.0; mask.len()];
        let options = DistanceOptions { voxel_size_zyx, ..DistanceOptions::default() };
        super::fill::<u8>(bytemuck::cast_slice(mask), shape, &mut distances, &options);
        return distances;
    }
    by_envelopes(mask, shape, voxel_size_zyx)
}

/// Whether every squared distance is a whole number that f32 holds: then the root of it in f32 is the
/// root in f64, rounded.
fn is_exact_in_f32(shape: [usize; 3], voxel_size_zyx: [f64; 3]) -> bool {
    let weights = voxel_size_zyx.map(|v| v * v);
    let farthest: f64 = (0..3).map(|a| weights[a] * (shape[a] as f64).powi(2)).sum();
    weights.iter().all(|w| *w > 0.0 && w.fract() == 0.0) && farthest < f64::from(1 << 24)
}

fn by_envelopes(mask: &[bool], shape: [usize; 3], voxel_size_zyx: [f64; 3]) -> Vec<f32> {
    let [_, ny, nx] = shape;
    // Rows of one plane are columns of y: gathered, transformed, scattered, plane by plane.
    let squared = |scratch: &mut Scratch, mask: &[bool]| {
        let mut plane: Vec<f64> =
            mask.iter().map(|m| if *m { f64::INFINITY } else { 0.0 }).collect();
        for row in plane.chunks_exact_mut(nx) {
            scratch.envelope.transform(row, voxel_size_zyx[2]);
        }
        scratch.transform_columns(&mut plane, ny, nx, voxel_size_zyx[1]);
        plane
    };
    let planes = mask.par_chunks((ny * nx).max(1));
    let mut planes: Vec<Vec<f64>> = planes.map_init(Scratch::default, squared).collect();
    transform_z(&mut planes, voxel_size_zyx[0]);
    // Planes are given back one by one, as the result grows.
    let mut distances = Vec::with_capacity(mask.len());
    planes
        .into_iter()
        .for_each(|plane| distances.par_extend(plane.par_iter().map(|s| s.sqrt() as f32)));
    distances
}

/// Columns of z have a voxel in each plane: bundles of columns are copied out, transformed, copied back.
fn transform_z(planes: &mut [Vec<f64>], spacing: f64) {
    const BUNDLE: usize = 64;
    let (nz, columns) = (planes.len(), planes.first().map_or(0, Vec::len));
    let count = columns.div_ceil(BUNDLE);
    let mut bundles: Vec<Vec<&mut [f64]>> = (0..count).map(|_| Vec::with_capacity(nz)).collect();
    for plane in planes {
        for (bundle, run) in bundles.iter_mut().zip(plane.chunks_mut(BUNDLE)) {
            bundle.push(run);
        }
    }
    bundles.into_par_iter().for_each_init(
        || (Scratch::default(), Vec::new()),
        |(scratch, rows), mut bundle| {
            let width = bundle.first().map_or(0, |run| run.len());
            rows.clear();
            bundle.iter().for_each(|run| rows.extend_from_slice(run));
            scratch.transform_columns(rows, nz, width, spacing);
            for (run, row) in bundle.iter_mut().zip(rows.chunks_exact(width.max(1))) {
                run.copy_from_slice(row);
            }
        },
    );
}

#[derive(Default)]
struct Scratch {
    envelope: Envelope,
    column: Vec<f64>,
}

impl Scratch {
    /// Transforms each column of a `[rows, columns]` plane.
    fn transform_columns(&mut self, plane: &mut [f64], rows: usize, columns: usize, spacing: f64) {
        for x in 0..columns {
            self.column.clear();
            self.column.extend((0..rows).map(|y| plane[y * columns + x]));
            self.envelope.transform(&mut self.column, spacing);
            for (y, value) in self.column.iter().enumerate() {
                plane[y * columns + x] = *value;
            }
        }
    }
}

/// The lower envelope of parabolas over a line.
#[derive(Default)]
struct Envelope {
    /// Positions of the parabolas on the envelope.
    apexes: Vec<usize>,
    /// Where each of them begins to be the lowest.
    begins: Vec<f64>,
    heights: Vec<f64>,
}

impl Envelope {
    /// Replaces `line[i]` by the minimum over j of `line[j] + (spacing * (i - j))^2`.
    fn transform(&mut self, line: &mut [f64], spacing: f64) {
        let weight = spacing * spacing;
        self.build(line, weight);
        if self.apexes.is_empty() {
            return;
        }
        self.heights.clear();
        self.heights.extend(self.apexes.iter().map(|&j| line[j]));
        let mut k = 0;
        for (i, value) in line.iter_mut().enumerate() {
            while k + 1 < self.apexes.len() && self.begins[k + 1] <= i as f64 {
                k += 1;
            }
            let offset = i as f64 - self.apexes[k] as f64;
            *value = weight * offset * offset + self.heights[k];
        }
    }

    fn build(&mut self, line: &[f64], weight: f64) {
        self.apexes.clear();
        self.begins.clear();
        for (j, height) in line.iter().enumerate().filter(|(_, h)| h.is_finite()) {
            let mut begin = f64::NEG_INFINITY;
            while let (Some(&last), Some(&last_begin)) = (self.apexes.last(), self.begins.last()) {
                let (p, q) = (last as f64, j as f64);
                begin = ((height + weight * q * q) - (line[last] + weight * p * p))
                    / (2.0 * weight * (q - p));
                if begin > last_begin {
                    break;
                }
                self.apexes.pop();
                self.begins.pop();
                begin = f64::NEG_INFINITY;
            }
            self.apexes.push(j);
            self.begins.push(begin);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn naive(mask: &[bool], shape: [usize; 3], size: [f64; 3]) -> Vec<f32> {
        let position =
            |i: usize| [i / (shape[1] * shape[2]), i / shape[2] % shape[1], i % shape[2]];
        let squared = |p: [usize; 3], q: [usize; 3]| -> f64 {
            (0..3).map(|a| (size[a] * (p[a] as f64 - q[a] as f64)).powi(2)).sum()
        };
        let zeros: Vec<_> = (0..mask.len()).filter(|i| !mask[*i]).map(position).collect();
        (0..mask.len())
            .map(|i| zeros.iter().map(|q| squared(position(i), *q)).fold(f64::INFINITY, f64::min))
            .map(|s| s.sqrt() as f32)
            .collect()
    }

    proptest! {
        #[test]
        fn equals_the_definition(
            shape in [1usize..8, 1usize..8, 1usize..9], seed in 0u64..10_000,
            density in 1u64..40, size in prop::sample::select(vec![[1.0; 3], [2.5, 1.0, 0.5]]),
        ) {
            let n: usize = shape.iter().product();
            let mask: Vec<bool> =
                (0..n as u64).map(|i| (((i + seed) * 2_654_435_761) >> 8) % 40 >= density).collect();
            let (fast, slow) = (distance_to_zero(&mask, shape, size), naive(&mask, shape, size));
            for (f, s) in fast.iter().zip(slow) {
                prop_assert!(*f == s || (f - s).abs() < 1e-6 * s);
            }
            // Whole numbers take the way through f32: the same to the bit.
            let size = size.map(|v| (v * 2.0).round());
            let (fast, envelopes) =
                (distance_to_zero(&mask, shape, size), by_envelopes(&mask, shape, size));
            prop_assert!(is_exact_in_f32(shape, size));
            prop_assert_eq!(fast, envelopes);
        }
    }
}
