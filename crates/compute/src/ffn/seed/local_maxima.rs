//! Peaks of an image, as `skimage.feature.peak_local_max` finds them.

use std::collections::HashMap;

use rayon::prelude::*;

/// Voxels that are the maximum of the cube of `2 * distance + 1`, above 0, and at least `distance`
/// away from the border; no two closer than `distance` (Chebyshev), the higher one stays. In order
/// of position.
pub(super) fn local_maxima(image: &[f64], shape: [usize; 3], distance: usize) -> Vec<[usize; 3]> {
    let mut highest = max_along_rows(image, shape, distance);
    highest = max_across_rows(&highest, shape, 1, distance);
    highest = max_across_rows(&highest, shape, 0, distance);
    let position = |i: usize| [i / (shape[1] * shape[2]), i / shape[2] % shape[1], i % shape[2]];
    let inside = |p: [usize; 3]| (0..3).all(|a| p[a] >= distance && p[a] + distance < shape[a]);
    let mut candidates: Vec<usize> = (0..image.len())
        .filter(|&i| image[i] > 0.0 && image[i] == highest[i] && inside(position(i)))
        .collect();
    candidates.sort_by(|&a, &b| image[b].total_cmp(&image[a]));
    let mut peaks = spaced(candidates.into_iter().map(position), distance);
    peaks.sort_unstable();
    peaks
}

/// Keeps, in the order given, positions that are not closer than `distance` to one kept before.
fn spaced(positions: impl Iterator<Item = [usize; 3]>, distance: usize) -> Vec<[usize; 3]> {
    // Cells of `distance` voxels hold at most one kept position each.
    let mut cells: HashMap<[usize; 3], [usize; 3]> = HashMap::new();
    let cell = |p: [usize; 3]| p.map(|v| v / distance.max(1));
    positions
        .filter(|&p| {
            let near = neighbours(cell(p)).any(|c| {
                cells.get(&c).is_some_and(|q| (0..3).all(|a| p[a].abs_diff(q[a]) < distance))
            });
            if !near {
                cells.insert(cell(p), p);
            }
            !near
        })
        .collect()
}

fn neighbours(cell: [usize; 3]) -> impl Iterator<Item = [usize; 3]> {
    let range = |a: usize| cell[a].saturating_sub(1)..=cell[a] + 1;
    let (zs, ys, xs) = (range(0), range(1), range(2));
    zs.flat_map(move |z| {
        let xs = xs.clone();
        ys.clone().flat_map(move |y| xs.clone().map(move |x| [z, y, x]))
    })
}

fn max_along_rows(image: &[f64], shape: [usize; 3], distance: usize) -> Vec<f64> {
    let nx = shape[2];
    let mut output = vec![0.0; image.len()];
    output.par_chunks_mut(nx).zip(image.par_chunks(nx)).for_each(|(out, row)| {
        for (x, o) in out.iter_mut().enumerate() {
            let window = &row[x.saturating_sub(distance)..(x + distance + 1).min(nx)];
            *o = window.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        }
    });
    output
}

fn max_across_rows(image: &[f64], shape: [usize; 3], axis: usize, distance: usize) -> Vec<f64> {
    let [_, ny, nx] = shape;
    let mut output = vec![f64::NEG_INFINITY; image.len()];
    output.par_chunks_mut(nx).enumerate().for_each(|(row, out)| {
        let line = [row / ny, row % ny];
        let (at, size) = (line[axis], shape[axis]);
        for other in at.saturating_sub(distance)..(at + distance + 1).min(size) {
            let mut line = line;
            line[axis] = other;
            let source = &image[(line[0] * ny + line[1]) * nx..][..nx];
            out.iter_mut().zip(source).for_each(|(o, s)| *o = o.max(*s));
        }
    });
    output
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn naive(image: &[f64], shape: [usize; 3], d: usize) -> Vec<[usize; 3]> {
        let at = |p: [usize; 3]| image[(p[0] * shape[1] + p[1]) * shape[2] + p[2]];
        let mut all = Vec::new();
        for z in d..shape[0].saturating_sub(d) {
            for y in d..shape[1].saturating_sub(d) {
                for x in d..shape[2].saturating_sub(d) {
                    let mut highest = f64::NEG_INFINITY;
                    for i in z - d..=z + d {
                        for j in y - d..=y + d {
                            for k in x - d..=x + d {
                                highest = highest.max(at([i, j, k]));
                            }
                        }
                    }
                    if at([z, y, x]) == highest && highest > 0.0 {
                        all.push([z, y, x]);
                    }
                }
            }
        }
        all.sort_by(|a, b| at(*b).total_cmp(&at(*a)));
        let mut kept: Vec<[usize; 3]> = Vec::new();
        for p in all {
            let near = |q: &[usize; 3]| (0..3).all(|a| p[a].abs_diff(q[a]) < d);
            if !kept.iter().any(near) {
                kept.push(p);
            }
        }
        kept.sort_unstable();
        kept
    }

    proptest! {
        #[test]
        fn equals_the_definition(
            shape in [1usize..9, 1usize..10, 1usize..11], d in 1usize..4, seed in 0u64..1000,
        ) {
            let n: usize = shape.iter().product();
            // Few different values, so that plateaus occur.
            let image: Vec<f64> =
                (0..n as u64).map(|i| ((i * 2_654_435_761 + seed * 97) >> 7) as f64 % 6.0).collect();
            prop_assert_eq!(local_maxima(&image, shape, d), naive(&image, shape, d));
        }
    }
}
