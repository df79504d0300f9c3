//! Edges of an image: where its Sobel magnitude is above the Gaussian average of it.

use std::ops::Range;

use super::filters::{Slab, gaussian, gaussian_radius, sobel_magnitude};
use super::scene::NormalisedImage;

/// Standard deviation, in voxels, over which the local edge threshold is averaged.
const SIGMA: f64 = 49.0 / 6.0;
/// Planes that are filtered at once, at most.
const BATCH: usize = 16;

/// Which voxels are no edge; C order. Memory: 1 byte a voxel, and f32 planes: as many as the Gaussian is
/// high, and six times those of a batch.
pub(super) fn free_of_edges(image: &NormalisedImage<'_>) -> Vec<bool> {
    let [nz, ny, nx] = image.shape();
    let batch = (nz / 16).clamp(1, BATCH);
    let radius = gaussian_radius(SIGMA);
    let mut free = vec![false; nz * ny * nx];
    let mut edges = Slab::empty(image.shape());
    let mut z = 0;
    while z < nz {
        let end = (z + batch).min(nz);
        edges.drop_before(z.saturating_sub(radius));
        while edges.planes().end < (end + radius).min(nz) {
            let next = edges.planes().end;
            let more = magnitude(image, next..(next + batch).min(nz));
            edges.append(&more);
        }
        let threshold = gaussian(&edges, z..end, &[0, 1, 2], SIGMA);
        compare(&edges, &threshold, &mut free[z * ny * nx..end * ny * nx]);
        z = end;
    }
    free
}

/// The same for one plane on its own.
pub(super) fn free_of_edges_in_plane(image: &NormalisedImage<'_>, z: usize) -> Vec<bool> {
    let [_, ny, nx] = image.shape();
    let plane = Slab::new([1, ny, nx], 0, image.planes(z..z + 1));
    let edges = Slab::new([1, ny, nx], 0, sobel_magnitude(&plane, 0..1, &[1, 2]));
    let threshold = gaussian(&edges, 0..1, &[1, 2], SIGMA);
    let mut free = vec![false; ny * nx];
    compare(&edges, &threshold, &mut free);
    free
}

/// Sobel magnitude of some planes.
fn magnitude(image: &NormalisedImage<'_>, planes: Range<usize>) -> Vec<f32> {
    let first = planes.start.saturating_sub(1);
    let end = (planes.end + 1).min(image.shape()[0]);
    let slab = Slab::new(image.shape(), first, image.planes(first..end));
    sobel_magnitude(&slab, planes, &[0, 1, 2])
}

fn compare(edges: &Slab, threshold: &Slab, free: &mut [bool]) {
    let values = edges.values(threshold.planes()).iter().zip(threshold.values(threshold.planes()));
    free.iter_mut().zip(values).for_each(|(free, (edge, threshold))| *free = edge <= threshold);
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use exavox_io::Voxels;
    use proptest::prelude::*;

    use super::*;
    use crate::ffn::InferenceOptions;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn slabs_give_what_the_whole_gives(
            shape in [1usize..120, 1usize..9, 1usize..11], seed in 0u64..1000,
        ) {
            let n = shape.iter().product::<usize>() as u64;
            let values: Vec<u8> =
                (0..n).map(|i| ((i * 2_654_435_761 + seed * 97) >> 7) as u8).collect();
            let voxels = Voxels::from_vec(shape, values).unwrap();
            let image = NormalisedImage::new(&voxels, &InferenceOptions::default());
            let slab = Slab::new(shape, 0, image.planes(0..shape[0]));
            let axes = [0, 1, 2];
            let edges = Slab::new(shape, 0, sobel_magnitude(&slab, 0..shape[0], &axes));
            let threshold = gaussian(&edges, 0..shape[0], &axes, SIGMA);
            let mut free = vec![false; voxels.len()];
            compare(&edges, &threshold, &mut free);
            prop_assert_eq!(free_of_edges(&image), free);
        }
    }
}
