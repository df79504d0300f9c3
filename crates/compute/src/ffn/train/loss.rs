//! Sigmoid cross-entropy.

use rayon::prelude::*;

/// Loss of each voxel, added up, and what one more unit of a logit adds to the mean of `total` voxels.
///
/// For a logit x and a probability p: max(x, 0) - x p + ln(1 + exp(-|x|)), whose exponential cannot
/// overflow; its derivative is sigmoid(x) - p.
pub(super) fn cross_entropy(
    logits: &[f32],
    labels: &[f32],
    weights: &[f32],
    total: f64,
) -> (f64, Vec<f32>) {
    let scale = (1.0 / total) as f32;
    let mut gradient = vec![0.0; logits.len()];
    let voxels = logits.par_chunks(VOXELS).zip(labels.par_chunks(VOXELS));
    let voxels = voxels.zip(weights.par_chunks(VOXELS)).zip(gradient.par_chunks_mut(VOXELS));
    let sums: Vec<f64> = voxels
        .map(|(((logits, labels), weights), gradient)| {
            let mut sum = 0.0;
            for (((x, p), weight), gradient) in logits.iter().zip(labels).zip(weights).zip(gradient)
            {
                let small = (-x.abs()).exp();
                sum += f64::from(weight * (x.max(0.0) - x * p + small.ln_1p()));
                let sigmoid = if *x >= 0.0 { 1.0 } else { small } / (1.0 + small);
                *gradient = scale * weight * (sigmoid - p);
            }
            sum
        })
        .collect();
    (sums.iter().sum(), gradient)
}

/// Voxels of a task: results do not depend on the number of threads.
const VOXELS: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loss_is_the_definition_and_does_not_overflow() {
        let (x, p, w) =
            ([0.5f32, -3.0, 2.0, 0.0], [0.95f32, 0.05, 0.05, 0.5], [1.0f32, 2.0, 0.0, 1.0]);
        let (loss, gradient) = cross_entropy(&x, &p, &w, 4.0);
        let mut expected = 0.0;
        for i in 0..4 {
            let sigmoid = 1.0 / (1.0 + (-f64::from(x[i])).exp());
            let (p, w) = (f64::from(p[i]), f64::from(w[i]));
            expected -= w * (p * sigmoid.ln() + (1.0 - p) * (1.0 - sigmoid).ln());
            assert!((f64::from(gradient[i]) - w * (sigmoid - p) / 4.0).abs() < 1e-7);
        }
        assert!((loss - expected).abs() < 1e-6, "{loss} {expected}");
        let (loss, gradient) = cross_entropy(&[1e4, -1e4], &[0.0, 1.0], &[1.0; 2], 1.0);
        assert_eq!((loss, gradient), (2e4, vec![1.0, -1.0]));
    }
}
