//! Weights of a Gaussian along one axis.

use super::super::Boundary;

/// How one axis is filtered.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kernel {
    /// Not at all.
    None,
    /// `centre` at the voxel, `side[k - 1]` at distance k on both sides.
    Symmetric { centre: f32, side: Vec<f32> },
    /// `[length, length]`: row i has the weight of each voxel of the line in voxel i. For kernels that
    /// reach past the whole line, where what lies beyond the border is folded back onto it.
    Dense(Vec<f32>),
}

impl Kernel {
    /// The kernel of `sigma` voxels, cut at `4 * sigma` as in SciPy, for lines of `length` voxels.
    pub(super) fn new(sigma: f64, length: usize, boundary: Boundary) -> Self {
        let radius = (4.0 * sigma + 0.5) as usize;
        if radius == 0 || length == 0 {
            return Self::None;
        }
        if radius < length {
            return Self::symmetric(sigma, radius);
        }
        Self::dense(sigma, length, boundary)
    }

    fn symmetric(sigma: f64, radius: usize) -> Self {
        let total = 1.0 + 2.0 * (1..=radius).map(|k| weight(sigma, k)).sum::<f64>();
        let side = (1..=radius).map(|k| (weight(sigma, k) / total) as f32).collect();
        Self::Symmetric { centre: (1.0 / total) as f32, side }
    }

    fn dense(sigma: f64, length: usize, boundary: Boundary) -> Self {
        let radius = (4.0 * sigma + 0.5).min(1e9) as i64;
        let mut matrix = vec![0.0; length * length];
        for (i, row) in matrix.chunks_exact_mut(length).enumerate() {
            let mut sums = vec![0.0; length];
            for k in -radius..=radius {
                let at = boundary.position(i as i64 + k, length);
                sums[at] += weight(sigma, k.unsigned_abs() as usize);
            }
            let total: f64 = sums.iter().sum();
            row.iter_mut().zip(&sums).for_each(|(w, sum)| *w = (sum / total) as f32);
        }
        Self::Dense(matrix)
    }
}

fn weight(sigma: f64, k: usize) -> f64 {
    (-0.5 * (k as f64 / sigma).powi(2)).exp()
}
