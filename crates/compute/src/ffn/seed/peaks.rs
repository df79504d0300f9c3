//! Policies whose seeds are peaks of a distance: `PolicyPeaks`, `PolicyPeaks2d`, `PolicyFillEmptySpace`.

use super::edges::{free_of_edges, free_of_edges_in_plane};
use super::lists::push_all;
use super::local_maxima::{PeakRule, Window, local_maxima};
use super::noise::Noise;
use super::policy::Order;
use super::scene::Scene;
use crate::ops::distance_transform::distance_to_zero;

/// Peaks of the distance to the nearest edge. What is masked counts as edge; what is labelled or masked
/// holds no peak.
pub(super) fn peaks(scene: &Scene<'_>) -> Vec<[usize; 3]> {
    let shape = scene.shape();
    let plane = shape[1] * shape[2];
    let mut free = free_of_edges(&scene.image);
    for mask in [scene.mask(), scene.seed_mask()].into_iter().flatten() {
        for (z, free) in free.chunks_exact_mut(plane).enumerate() {
            mask.for_each_of_plane(z, |y, x| free[y * shape[2] + x] = false);
        }
    }
    if !free.contains(&true) {
        return Vec::new();
    }
    let distance = distance_to_zero(&free, shape, scene.voxel_size_zyx);
    drop(free);
    let rule = PeakRule { window: Window::Cube, min_distance: 3, threshold: 0.0 };
    let mut noise = Noise::new();
    let mut seeds = local_maxima(shape, &rule, |z, heights| {
        for (height, distance) in heights.iter_mut().zip(&distance[z * plane..]) {
            // Where there is no edge at all to be distant from.
            *height = if distance.is_finite() { f64::from(*distance) } else { -1.0 };
        }
        scene.for_excluded(z, |i| heights[i] = -1.0);
        heights.iter_mut().for_each(|height| *height += noise.next());
    });
    seeds.sort_unstable();
    seeds
}

/// Peaks of each plane on its own.
pub(super) fn peaks_2d(
    scene: &Scene<'_>,
    min_distance: usize,
    threshold: f64,
    order: Order,
) -> Vec<[usize; 3]> {
    let [nz, ny, nx] = scene.shape();
    let mut seeds = Vec::new();
    for z in 0..nz {
        let mut free = free_of_edges_in_plane(&scene.image, z);
        if let Some(mask) = scene.mask() {
            mask.for_each_of_plane(z, |y, x| free[y * nx + x] = false);
        }
        let distance = distance_to_zero(&free, [1, ny, nx], [1.0; 3]);
        let rule = PeakRule { window: Window::Square, min_distance, threshold };
        let found = with_noise([1, ny, nx], &distance, &rule);
        push_all(&mut seeds, found.into_iter().map(|[_, y, x]| [z, y, x]));
    }
    seeds.sort_unstable();
    if order == Order::Descending {
        seeds.reverse();
    }
    seeds
}

/// Peaks of the distance to the nearest label, in voxels.
pub(super) fn fill_empty_space(scene: &Scene<'_>) -> Vec<[usize; 3]> {
    let Some(labels) = scene.labels else { return Vec::new() };
    let free: Vec<bool> = labels.iter().map(|label| *label == 0).collect();
    let distance = distance_to_zero(&free, scene.shape(), [1.0; 3]);
    drop(free);
    let rule = PeakRule { window: Window::Cube, min_distance: 2, threshold: 0.5 };
    let mut seeds = with_noise(scene.shape(), &distance, &rule);
    seeds.sort_unstable();
    seeds
}

fn with_noise(shape: [usize; 3], distance: &[f32], rule: &PeakRule) -> Vec<[usize; 3]> {
    let (mut noise, plane) = (Noise::new(), shape[1] * shape[2]);
    local_maxima(shape, rule, |z, heights| {
        for (height, distance) in heights.iter_mut().zip(&distance[z * plane..]) {
            *height = f64::from(*distance) + noise.next();
        }
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use exavox_io::Voxels;

    use super::*;
    use crate::ffn::InferenceOptions;
    use crate::ffn::seed::NormalisedImage;

    #[test]
    fn an_even_image_has_no_seeds() {
        let voxels = Voxels::from_vec([10; 3], vec![7u8; 1000]).unwrap();
        let image = NormalisedImage::new(&voxels, &InferenceOptions::default());
        let mut scene = Scene::new(image, [1.0; 3], [1; 3]);
        assert!(peaks(&scene).is_empty());
        assert!(peaks_2d(&scene, 7, 2.5, Order::Ascending).is_empty());
        let labels = vec![0; 1000];
        scene.labels = Some(&labels);
        assert!(fill_empty_space(&scene).is_empty());
    }
}
