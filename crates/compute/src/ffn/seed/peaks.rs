//! `PolicyPeaks` of google/ffn: seeds at the voxels farthest from edges of the image.

use rand_mt::Mt;

use super::filters::{gaussian, sobel_magnitude};
use super::local_maxima::local_maxima;
use crate::ops::distance_transform::distance_to_zero;

/// Standard deviation, in voxels, over which the local edge threshold is averaged.
const THRESHOLD_SIGMA: f64 = 49.0 / 6.0;
/// Height of the noise that breaks ties between voxels of equal distance.
const NOISE: f64 = 1e-4;
/// Seeds are maxima of a cube of 2 * 3 + 1 voxels.
const MIN_DISTANCE: usize = 3;

/// Seeds in order of position, `[z, y, x]`, at least `margin` voxels away from the borders.
///
/// `image`: normalised, f32, C order. `voxel_size_zyx`: only ratios matter. An edge is a voxel whose
/// Sobel magnitude is above its Gaussian average; seeds are the peaks of the distance to the nearest
/// edge, with reproducible noise. Memory: 32 bytes a voxel at the peak.
pub fn peaks(
    image: &[f32],
    shape: [usize; 3],
    voxel_size_zyx: [f64; 3],
    margin: [usize; 3],
) -> Vec<[usize; 3]> {
    let edges = sobel_magnitude(image, shape);
    let threshold = gaussian(&edges, shape, THRESHOLD_SIGMA);
    let is_free: Vec<bool> = edges.iter().zip(&threshold).map(|(e, t)| e <= t).collect();
    drop((edges, threshold));
    if !is_free.contains(&true) {
        return Vec::new();
    }
    let distance = distance_to_zero(&is_free, shape, voxel_size_zyx);
    let height = with_noise(&distance);
    let keep = |p: &[usize; 3]| (0..3).all(|a| p[a] >= margin[a] && p[a] + margin[a] < shape[a]);
    local_maxima(&height, shape, MIN_DISTANCE).into_iter().filter(keep).collect()
}

/// Distance plus noise; -1 plus noise where there is no edge at all to be distant from.
fn with_noise(distance: &[f32]) -> Vec<f64> {
    let mut generator = Mt::new(42);
    let noise = |generator: &mut Mt| {
        // 53 random bits, as NumPy makes a double.
        let (high, low) = (generator.next_u32() >> 5, generator.next_u32() >> 6);
        (f64::from(high) * 67_108_864.0 + f64::from(low)) / 9_007_199_254_740_992.0
    };
    distance
        .iter()
        .map(|d| {
            let height = if d.is_finite() { f64::from(*d) } else { -1.0 };
            height + noise(&mut generator) * NOISE
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_numpys() {
        let noise = with_noise(&[0.0, 0.0]);
        assert!((noise[0] / NOISE - 0.374_540_12).abs() < 1e-8);
        assert!((noise[1] / NOISE - 0.950_714_31).abs() < 1e-8);
    }

    #[test]
    fn an_even_image_has_no_seeds() {
        assert!(peaks(&[0.5; 1000], [10; 3], [1.0; 3], [1; 3]).is_empty());
    }
}
