//! One number for an output, by which implementations are held against each other.

use exavox_io::{Element, Voxels, match_dtype};

/// Sum of all values, each times 1 to 251 by its place, so that exchanged values change it.
pub(super) fn weighted_sum(outputs: &[Voxels]) -> f64 {
    let sum = |voxels: &Voxels| -> f64 {
        match_dtype!(voxels.dtype(), T => {
            let values = voxels.as_slice::<T>().unwrap_or_default().iter().enumerate();
            values.map(|(i, v)| v.to_f64() * (i % 251 + 1) as f64).sum()
        })
    };
    outputs.iter().map(sum).sum()
}

/// The highest value of labels, which is their number.
pub(super) fn highest(outputs: &[Voxels]) -> f64 {
    let highest = |voxels: &Voxels| {
        match_dtype!(voxels.dtype(), T => {
            let values = voxels.as_slice::<T>().unwrap_or_default().iter();
            values.map(|v| v.to_f64()).fold(0.0, f64::max)
        })
    };
    outputs.iter().map(highest).fold(0.0, f64::max)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn exchanged_values_change_the_sum() {
        let block = |values: Vec<u16>| [Voxels::from_vec([1, 1, 3], values).unwrap()];
        assert_eq!(weighted_sum(&block(vec![1, 2, 3])), 14.0);
        assert_eq!(weighted_sum(&block(vec![1, 3, 2])), 13.0);
        assert_eq!(highest(&block(vec![1, 3, 2])), 3.0);
    }
}
