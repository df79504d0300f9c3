//! The part of a field of view that a network without padding speaks of.

use std::borrow::Cow;

/// The middles of volumes that come one after the other, each `[z, y, x]` of a size in C order.
pub(super) fn middle(values: &[f32], size: [usize; 3], kept: [usize; 3]) -> Cow<'_, [f32]> {
    if size == kept {
        return Cow::Borrowed(values);
    }
    let start = [0, 1, 2].map(|a| size[a].saturating_sub(kept[a]) / 2);
    let mut middles = Vec::new();
    for volume in values.chunks_exact(size.iter().product::<usize>().max(1)) {
        for z in start[0]..start[0] + kept[0] {
            for y in start[1]..start[1] + kept[1] {
                let row = (z * size[1] + y) * size[2] + start[2];
                middles.extend_from_slice(&volume[row..row + kept[2]]);
            }
        }
    }
    Cow::Owned(middles)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn middles_are_cut_out_of_each_volume() {
        let values: Vec<f32> = (0..2 * 3 * 5 * 3).map(|v| v as f32).collect();
        let found = middle(&values, [3, 5, 3], [1, 3, 1]);
        assert_eq!(*found, [19.0, 22.0, 25.0, 64.0, 67.0, 70.0]);
        assert!(matches!(middle(&values, [3, 5, 3], [3, 5, 3]), Cow::Borrowed(_)));
    }
}
