//! Policies that look at the brightness of the image: `PolicyMax`, `PolicyMaxPeaks`,
//! `PolicyImagePeaks3D2D`, `PolicyImagePeaks2DDisk`.

use super::local_maxima::{PeakRule, Window, local_maxima};
use super::noise::Noise;
use super::scene::Scene;

/// All voxels, brightest first; of equal ones the last in C order first: an ascending sort, reversed.
pub(super) fn by_intensity(scene: &Scene<'_>) -> Vec<[usize; 3]> {
    let [nz, ny, nx] = scene.shape();
    let mut voxels: Vec<(f32, [usize; 3])> = Vec::new();
    for z in 0..nz {
        let values = scene.image.planes(z..z + 1);
        let plane = values.iter().enumerate().map(|(i, v)| (*v, [z, i / nx, i % nx]));
        voxels.extend(plane.filter(|(_, p)| scene.is_inside_margin(*p)));
    }
    debug_assert!(voxels.len() <= nz * ny * nx, "a voxel is a seed once");
    voxels.sort_unstable_by(|a, b| {
        // An order of all floats, NaN too.
        b.0.total_cmp(&a.0).then(b.1.cmp(&a.1))
    });
    voxels.into_iter().map(|(_, p)| p).collect()
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
        seeds.extend(peaks_of_planes(scene, Window::Square, min_distance, threshold));
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
    peaks_of_planes(scene, Window::Disk(radius), min_distance, threshold)
}

fn peaks_of_planes(
    scene: &Scene<'_>,
    window: Window,
    min_distance: usize,
    threshold: impl Fn([f32; 2]) -> f32,
) -> Vec<[usize; 3]> {
    let [nz, ny, nx] = scene.shape();
    let mut seeds = Vec::new();
    for z in 0..nz {
        let threshold = threshold(scene.image.range(z..z + 1)).into();
        let rule = PeakRule { window, min_distance, threshold };
        let found = local_maxima([1, ny, nx], &rule, |_, heights| copy_plane(scene, z, heights));
        seeds.extend(found.into_iter().map(|[_, y, x]| [z, y, x]));
    }
    seeds
}

fn copy_plane(scene: &Scene<'_>, z: usize, heights: &mut [f64]) {
    let values = scene.image.planes(z..z + 1);
    heights.iter_mut().zip(values).for_each(|(height, v)| *height = f64::from(v));
}
