//! Axes that change places, and mirrors.

use super::super::config::AugmentTable;
use super::super::example::Crop;
use crate::estimate::random::Random;

/// Where each axis of the result comes from, and whether it is mirrored.
#[derive(Debug, PartialEq)]
pub(super) struct Axes {
    from: [usize; 3],
    mirrored: [bool; 3],
}

impl Axes {
    pub(super) fn draw(table: &AugmentTable, random: &mut Random) -> Self {
        let mut axes: Vec<usize> = table.permute.iter().map(|axis| axis.index()).collect();
        axes.sort_unstable();
        axes.dedup();
        let mut from = [0, 1, 2];
        for last in (1..axes.len()).rev() {
            from.swap(axes[last], axes[random.below(last as u64 + 1) as usize]);
        }
        let mut mirrored = [false; 3];
        for axis in &table.reflect {
            mirrored[axis.index()] = random.below(2) == 1;
        }
        Self { from, mirrored }
    }

    pub(super) fn apply(&self, crop: Crop) -> Crop {
        if self.from == [0, 1, 2] && self.mirrored == [false; 3] {
            return crop;
        }
        let shape = self.from.map(|a| crop.shape[a]);
        Crop {
            shape,
            images: crop.images.iter().map(|i| self.moved(i, crop.shape, shape)).collect(),
            labels: self.moved(&crop.labels, crop.shape, shape),
            masked: self.moved(&crop.masked, crop.shape, shape),
        }
    }

    fn moved<T: Copy>(&self, values: &[T], old: [usize; 3], new: [usize; 3]) -> Vec<T> {
        let strides = [old[1] * old[2], old[2], 1];
        // Along each new axis: the first voxel, and the step to the next.
        let first: usize = (0..3)
            .map(|a| if self.mirrored[a] { (new[a] - 1) * strides[self.from[a]] } else { 0 })
            .sum();
        let at = |a: usize, i: usize| {
            let step = (i * strides[self.from[a]]) as isize;
            if self.mirrored[a] { -step } else { step }
        };
        let mut moved = Vec::with_capacity(values.len());
        for z in 0..new[0] {
            for y in 0..new[1] {
                let row = first as isize + at(0, z) + at(1, y);
                moved.extend((0..new[2]).map(|x| values[(row + at(2, x)) as usize]));
            }
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crop(shape: [usize; 3]) -> Crop {
        let count = shape.iter().product::<usize>();
        Crop {
            shape,
            images: vec![(0..count).map(|v| v as f32).collect()],
            labels: (0..count as u64).collect(),
            masked: vec![false; count],
        }
    }

    #[test]
    fn every_voxel_goes_where_its_coordinates_say() {
        let shape = [2, 3, 4];
        for from in [[0, 1, 2], [0, 2, 1], [2, 1, 0], [1, 2, 0]] {
            for bits in 0..8 {
                let mirrored = [0, 1, 2].map(|a| bits >> a & 1 == 1);
                let moved = Axes { from, mirrored }.apply(crop(shape));
                let new = from.map(|a| shape[a]);
                assert_eq!(moved.shape, new);
                for n in 0..24 {
                    let at = [n / (new[1] * new[2]), n / new[2] % new[1], n % new[2]];
                    let mut old = [0; 3];
                    for a in 0..3 {
                        old[from[a]] = if mirrored[a] { new[a] - 1 - at[a] } else { at[a] };
                    }
                    let value = (old[0] * 3 + old[1]) * 4 + old[2];
                    assert_eq!((moved.labels[n], moved.images[0][n]), (value as u64, value as f32));
                }
            }
        }
    }

    #[test]
    fn all_orders_and_mirrors_come_up_and_no_others() {
        let table = AugmentTable::default();
        let mut seen = std::collections::BTreeSet::new();
        for n in 0..300 {
            let Axes { from, mirrored } = Axes::draw(&table, &mut Random::new(1, n));
            assert_eq!(from[0], 0);
            seen.insert((from, mirrored));
        }
        assert_eq!(seen.len(), 16);
    }
}
