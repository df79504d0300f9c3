//! Inputs from numbers that look random and are the same each time.

use rayon::prelude::*;

/// A number for a place and a seed; all bits look random (the finaliser of SplitMix64, Steele et al.
/// 2014, <https://doi.org/10.1145/2714064.2660195>).
pub(crate) fn hash(place: u64, seed: u64) -> u64 {
    let mut z = place.wrapping_add(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Values of a block in C order.
pub(super) fn values<T: Send>(count: usize, value: impl Fn(u64) -> T + Sync + Send) -> Vec<T> {
    (0..count as u64).into_par_iter().map(value).collect()
}

/// Noise that is smooth over some voxels, as the interior of cells is: 0 to 1 before it was smoothed.
/// Three means over 3, 5 and 5 voxels along each axis, nearly a gaussian of sigma 2.
pub(super) fn smooth_noise([z, y, x]: [usize; 3], seed: u64) -> Vec<f32> {
    let noise = |i| (hash(i, seed) >> 40) as f32 / (1 << 24) as f32;
    let mut volume = values(z * y * x, noise);
    for radius in [1, 2, 2] {
        volume = means(&volume, x, 1, radius);
        volume = means(&volume, y, x, radius);
        volume = means(&volume, z, y * x, radius);
    }
    volume
}

/// Means over `2 radius + 1` neighbours along an axis of `size` voxels that lie `stride` apart; at the
/// ends the voxels that are there count.
fn means(volume: &[f32], size: usize, stride: usize, radius: usize) -> Vec<f32> {
    let mean = |i: u64| {
        let i = i as usize;
        let at = i / stride % size;
        let (low, high) = (at.saturating_sub(radius), (at + radius).min(size - 1));
        let first = i - (at - low) * stride;
        let count = high - low + 1;
        (0..count).map(|k| volume[first + k * stride]).sum::<f32>() / count as f32
    };
    values(volume.len(), mean)
}

/// The value above which `share` of the values lie.
pub(super) fn threshold(values: &[f32], share: f64) -> f32 {
    let mut sample: Vec<f32> =
        values.iter().step_by((values.len() / 1_000_000).max(1)).copied().collect();
    sample.sort_unstable_by(f32::total_cmp);
    let at = ((1.0 - share) * sample.len() as f64) as usize;
    sample.get(at).or(sample.last()).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_the_noise_lies_above_its_threshold() {
        let noise = smooth_noise([20, 30, 40], 1);
        let limit = threshold(&noise, 0.64);
        let above = noise.iter().filter(|v| **v > limit).count() as f64 / noise.len() as f64;
        assert!((above - 0.64).abs() < 0.01, "{above}");
        assert_eq!(noise, smooth_noise([20, 30, 40], 1));
    }

    #[test]
    fn means_at_the_ends_are_of_what_is_there() {
        assert_eq!(means(&[1.0, 2.0, 6.0], 3, 1, 1), [1.5, 3.0, 4.0]);
    }
}
