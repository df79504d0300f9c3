//! `PolicyDenseSeeds`: every voxel of a thresholded image.

use super::scene::Scene;

pub(super) fn dense(
    scene: &Scene<'_>,
    threshold: f32,
    num_erosions: usize,
    invert: bool,
) -> Vec<[usize; 3]> {
    let shape = scene.shape();
    let [nz, ny, nx] = shape;
    let mut mask = Vec::with_capacity(nz * ny * nx);
    for z in 0..nz {
        let values = scene.image.planes(z..z + 1);
        mask.extend(values.iter().map(|v| (*v > threshold) != invert));
    }
    for _ in 0..num_erosions {
        if !mask.contains(&true) {
            break;
        }
        mask = eroded(&mask, shape);
    }
    let mut seeds = Vec::with_capacity(mask.iter().filter(|is_seed| **is_seed).count());
    let voxels = mask.iter().enumerate().filter(|(_, is_seed)| **is_seed);
    seeds.extend(voxels.map(|(i, _)| [i / (ny * nx), i / nx % ny, i % nx]));
    seeds
}

/// Voxels all of whose face neighbours are in the mask; beyond the border everything is.
fn eroded(mask: &[bool], [nz, ny, nx]: [usize; 3]) -> Vec<bool> {
    let plane = ny * nx;
    let stays = |i: usize| {
        let (z, y, x) = (i / plane, i / nx % ny, i % nx);
        mask[i]
            && (z == 0 || mask[i - plane])
            && (z + 1 == nz || mask[i + plane])
            && (y == 0 || mask[i - nx])
            && (y + 1 == ny || mask[i + nx])
            && (x == 0 || mask[i - 1])
            && (x + 1 == nx || mask[i + 1])
    };
    (0..mask.len()).map(stays).collect()
}
