//! Policies that look at the brightness of the image: `PolicyMax`, `PolicyMaxPeaks`,
//! `PolicyImagePeaks3D2D`, `PolicyImagePeaks2DDisk`.

use super::lists::push_all;
use super::local_maxima::{PeakRule, Window, local_maxima};
use super::noise::Noise;
use super::scene::Scene;

/// All voxels, brightest first; of equal ones the last in C order first: an ascending sort, reversed.
pub(super) fn by_intensity(scene: &Scene<'_>) -> Vec<[usize; 3]> {
    let [nz, ny, nx] = scene.shape();
    let inside = |a: usize| scene.shape()[a].saturating_sub(2 * scene.margin[a]);
    let mut voxels: Vec<(f32, usize)> = Vec::with_capacity(inside(0) * inside(1) * inside(2));
    for z in 0..nz {
        let values = scene.image.planes(z..z + 1);
        let plane = values.iter().enumerate();
        let plane = plane.filter(|(i, _)| scene.is_inside_margin([z, i / nx, i % nx]));
        voxels.extend(plane.map(|(i, v)| (*v, z * ny * nx + i)));
    }
    voxels.sort_unstable_by(|a, b| {
        // An order of all floats, NaN too.
        b.0.total_cmp(&a.0).then(b.1.cmp(&a.1))
    });
    let position = |(_, at): &(f32, usize)| [at / (ny * nx), at / nx % ny, at % nx];
    voxels.iter().map(position).collect()
}

/// Peaks of the image with noise; what is labelled or masked counts as 0.
pub(super) fn max_peaks(
    scene: &Scene<'_>,
    min_distance: usize,
    threshold_abs: f64,
    threshold_rel: f64,
) -> Vec<[usize; 3]> {
    let fill = |noise: &mut Noise, z: usize, heights: &mut [f64]| {
        let values = scene.image.planes(z..z + 1);
        heights.iter_mut().zip(values).for_each(|(height, v)| *height = f64::from(v));
        scene.for_excluded(z, |i| heights[i] = 0.0);
        heights.iter_mut().for_each(|height| *height += noise.next());
    };
    let [nz, ny, nx] = scene.shape();
    let mut threshold = threshold_abs;
    if threshold_rel != 0.0 {
        let (mut noise, mut heights) = (Noise::new(), vec![0.0; ny * nx]);
        let highest = (0..nz).fold(f64::NEG_INFINITY, |highest, z| {
            fill(&mut noise, z, &mut heights);
            heights.iter().copied().fold(highest, f64::max)
        });
        threshold = threshold.max(threshold_rel * highest);
    } else {
        threshold = threshold.max(0.0);
    }
    let rule = PeakRule { window: Window::Cube, min_distance, threshold };
    let mut noise = Noise::new();
    let mut seeds = local_maxima(scene.shape(), &rule, |z, heights| fill(&mut noise, z, heights));
    seeds.sort_unstable();
    seeds
}

/// Peaks in 3-d, then those of each plane.
pub(super) fn image_peaks(
    scene: &Scene<'_>,
    min_distance_2d: Option<usize>,
    min_distance_3d: Option<usize>,
) -> Vec<[usize; 3]> {
    let shape = scene.shape();
    let mut seeds = Vec::new();
    if let Some(min_distance) = min_distance_3d {
        let [lowest, _] = scene.image.range(0..shape[0]);
        let rule = PeakRule { window: Window::Cube, min_distance, threshold: lowest.into() };
        seeds = local_maxima(shape, &rule, |z, heights| copy_plane(scene, z, heights));
    }
    if let Some(min_distance) = min_distance_2d {
        let threshold = |[lowest, _]: [f32; 2]| lowest;
        peaks_of_planes(scene, Window::Square, min_distance, threshold, &mut seeds);
    }
    seeds
}

/// Peaks of each plane that are the maximum of a disk.
pub(super) fn disk_peaks(
    scene: &Scene<'_>,
    min_distance: usize,
    threshold_rel: f32,
    radius: usize,
) -> Vec<[usize; 3]> {
    let threshold = |[lowest, highest]: [f32; 2]| lowest.max(threshold_rel * highest);
    let mut seeds = Vec::new();
    peaks_of_planes(scene, Window::Disk(radius), min_distance, threshold, &mut seeds);
    seeds
}

fn peaks_of_planes(
    scene: &Scene<'_>,
    window: Window,
    min_distance: usize,
    threshold: impl Fn([f32; 2]) -> f32,
    seeds: &mut Vec<[usize; 3]>,
) {
    let [nz, ny, nx] = scene.shape();
    for z in 0..nz {
        let threshold = threshold(scene.image.range(z..z + 1)).into();
        let rule = PeakRule { window, min_distance, threshold };
        let found = local_maxima([1, ny, nx], &rule, |_, heights| copy_plane(scene, z, heights));
        push_all(seeds, found.into_iter().map(|[_, y, x]| [z, y, x]));
    }
}

fn copy_plane(scene: &Scene<'_>, z: usize, heights: &mut [f64]) {
    let values = scene.image.planes(z..z + 1);
    heights.iter_mut().zip(values).for_each(|(height, v)| *height = f64::from(v));
}
