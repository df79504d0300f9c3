//! Where objects may start: the seed policies of google/ffn, with its names and arguments.
//!
//! A policy gets a [`Scene`] (the image, what is labelled already, what is masked) and gives voxels in the
//! order in which they are to be tried. All leave out voxels nearer to a border than the margin.

mod dense;
mod edges;
mod filters;
mod grid;
mod intensity;
mod lists;
mod local_maxima;
mod memory;
mod noise;
mod peaks;
mod policy;
mod scene;

pub use policy::{Order, SeedPolicy};
pub use scene::{NormalisedImage, Scene};

use crate::error::Result;

/// The seeds of a policy, `[z, y, x]`, in the order in which they are to be tried.
///
/// Memory besides the scene, by voxel: 6 bytes for peaks of a distance if squared edge lengths are whole
/// numbers (13 otherwise), and what [`SeedPolicy::extra_bytes_per_voxel`] says; by voxel of a plane, some 400.
///
/// # Errors
/// What [`SeedPolicy::check`] says.
pub fn find(policy: &SeedPolicy, scene: &Scene<'_>) -> Result<Vec<[usize; 3]>> {
    policy.check()?;
    Ok(seeds(policy, scene))
}

fn seeds(policy: &SeedPolicy, scene: &Scene<'_>) -> Vec<[usize; 3]> {
    let mut found = match policy {
        SeedPolicy::Peaks => peaks::peaks(scene),
        SeedPolicy::Peaks2d { min_distance, threshold_abs, order } => {
            peaks::peaks_2d(scene, *min_distance, *threshold_abs, *order)
        }
        SeedPolicy::FillEmptySpace => peaks::fill_empty_space(scene),
        SeedPolicy::Max => intensity::by_intensity(scene),
        SeedPolicy::MaxPeaks { min_distance, threshold_abs, threshold_rel } => {
            intensity::max_peaks(scene, *min_distance, *threshold_abs, *threshold_rel)
        }
        SeedPolicy::ImagePeaks3d2d { min_distance_2d, min_distance_3d } => {
            intensity::image_peaks(scene, *min_distance_2d, *min_distance_3d)
        }
        SeedPolicy::ImagePeaks2dDisk { min_distance_2d, threshold_rel, disk_radius } => {
            intensity::disk_peaks(scene, *min_distance_2d, *threshold_rel, *disk_radius)
        }
        SeedPolicy::Grid3d { step, offsets } => grid::grid_3d(scene, *step, offsets),
        SeedPolicy::Grid2d { step, offsets } => grid::grid_2d(scene, *step, offsets),
        SeedPolicy::Dense { threshold, num_erosions, invert } => {
            dense::dense(scene, *threshold, *num_erosions, *invert)
        }
        SeedPolicy::Points(points) => points.clone(),
        SeedPolicy::Reverse(policy) => {
            let mut found = seeds(policy, scene);
            found.reverse();
            found
        }
        SeedPolicy::Sequence(policies) => {
            let lists: Vec<_> = policies.iter().map(|policy| seeds(policy, scene)).collect();
            lists.concat()
        }
    };
    found.retain(|p| scene.is_inside_margin(*p));
    found
}
