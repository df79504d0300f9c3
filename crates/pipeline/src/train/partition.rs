//! The class of each voxel of a block: by the share of its own label in the box around it, as
//! `compute_partitions.py` of google/ffn does for a whole volume.

/// Class of voxels that do not count.
pub(super) const EXCLUDED: u8 = u8::MAX;
/// Class of voxels of no object.
pub(super) const BACKGROUND: u8 = 0;

/// How classes are told apart.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Classes {
    /// Half of the box, `[z, y, x]`.
    pub(super) radius: [usize; 3],
    /// Rising shares.
    pub(super) thresholds: Vec<f32>,
}

impl Classes {
    /// Classes in all, the background too.
    pub(super) fn count(&self) -> usize {
        self.thresholds.len() + 2
    }

    /// 1 + the first threshold above the share of a label that has `own` voxels in the box.
    fn of(&self, own: u32) -> u8 {
        let voxels: usize = self.radius.iter().map(|r| 2 * r + 1).product();
        let share = own as f32 / voxels as f32;
        let below = self.thresholds.iter().position(|t| share < *t);
        below.unwrap_or(self.thresholds.len()) as u8 + 1
    }

    /// Classes of the voxels of a block of `shape`, C order. `labels`: of the block and `radius` voxels
    /// around it. Labels for which `is_object` is false are background.
    ///
    /// Time: for each object, the voxels of its box in the block and what is around it.
    pub(super) fn block(
        &self,
        labels: &[u64],
        shape: [usize; 3],
        is_object: impl Fn(u64) -> bool,
    ) -> Vec<u8> {
        let around: [usize; 3] = std::array::from_fn(|a| shape[a] + 2 * self.radius[a]);
        let mut classes = vec![BACKGROUND; shape.iter().product()];
        for (label, extent) in objects(labels, around, self.radius, shape) {
            if !is_object(label) {
                continue;
            }
            let own = self.counts(labels, around, label, extent);
            let size: [usize; 3] = std::array::from_fn(|a| extent[1][a] - extent[0][a]);
            for (n, own) in own.into_iter().enumerate() {
                let [z, y, x] = [n / (size[1] * size[2]), n / size[2] % size[1], n % size[2]];
                let [z, y, x] = [z + extent[0][0], y + extent[0][1], x + extent[0][2]];
                let r = self.radius;
                let at = ((z + r[0]) * around[1] + y + r[1]) * around[2] + x + r[2];
                if labels[at] == label {
                    classes[(z * shape[1] + y) * shape[2] + x] = self.of(own);
                }
            }
        }
        classes
    }

    /// How many voxels of a label are in the box around each voxel of an extent of the block: running
    /// sums along x, then y, then z.
    fn counts(
        &self,
        labels: &[u64],
        around: [usize; 3],
        label: u64,
        extent: [[usize; 3]; 2],
    ) -> Vec<u32> {
        let size: [usize; 3] = std::array::from_fn(|a| extent[1][a] - extent[0][a]);
        let read: [usize; 3] = std::array::from_fn(|a| size[a] + 2 * self.radius[a]);
        let mut along_x = Vec::with_capacity(read[0] * read[1] * size[2]);
        let mut row = vec![0_u32; read[2]];
        for z in 0..read[0] {
            for y in 0..read[1] {
                let from = ((z + extent[0][0]) * around[1] + y + extent[0][1]) * around[2];
                let values = &labels[from + extent[0][2]..][..read[2]];
                row.iter_mut().zip(values).for_each(|(own, l)| *own = u32::from(*l == label));
                windows(&row, 2 * self.radius[2] + 1, &mut along_x);
            }
        }
        let along_y = sums(&along_x, [read[0], read[1], size[2]], self.radius[1]);
        sums(&along_y, [1, read[0], size[1] * size[2]], self.radius[0])
    }
}

/// Labels above 0 of a block, and the box of each in it. `labels`: of the block and what is around it.
fn objects(
    labels: &[u64],
    around: [usize; 3],
    radius: [usize; 3],
    shape: [usize; 3],
) -> Vec<(u64, [[usize; 3]; 2])> {
    let mut found: std::collections::BTreeMap<u64, [[usize; 3]; 2]> = Default::default();
    for z in 0..shape[0] {
        for y in 0..shape[1] {
            let from = ((z + radius[0]) * around[1] + y + radius[1]) * around[2] + radius[2];
            let mut x = 0;
            for run in labels[from..from + shape[2]].chunk_by(|a, b| a == b) {
                let end = x + run.len();
                if run[0] > 0 {
                    let at = found.entry(run[0]).or_insert([[z, y, x], [0; 3]]);
                    for (a, (first, last)) in
                        [(z, z + 1), (y, y + 1), (x, end)].into_iter().enumerate()
                    {
                        at[0][a] = at[0][a].min(first);
                        at[1][a] = at[1][a].max(last);
                    }
                }
                x = end;
            }
        }
    }
    found.into_iter().collect()
}

/// Sums of `width` values in a row, one after the other.
fn windows(row: &[u32], width: usize, to: &mut Vec<u32>) {
    let mut sum: u32 = row[..width].iter().sum();
    to.push(sum);
    for (gone, come) in row.iter().zip(&row[width..]) {
        sum = sum + come - gone;
        to.push(sum);
    }
}

/// Sums of `2 radius + 1` values along the middle axis of `[outer, middle, inner]`.
fn sums(values: &[u32], [outer, middle, inner]: [usize; 3], radius: usize) -> Vec<u32> {
    let width = 2 * radius + 1;
    let mut result = Vec::with_capacity(outer * (middle - width + 1) * inner);
    for plane in values.chunks_exact(middle * inner).take(outer) {
        let mut sum = vec![0_u32; inner];
        for (n, row) in plane.chunks_exact(inner).enumerate() {
            sum.iter_mut().zip(row).for_each(|(s, v)| *s += v);
            if n + 1 < width {
                continue;
            }
            result.extend_from_slice(&sum);
            let gone = &plane[(n + 1 - width) * inner..][..inner];
            sum.iter_mut().zip(gone).for_each(|(s, v)| *s -= v);
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Counts each box voxel by voxel.
    fn naive(classes: &Classes, labels: &[u64], shape: [usize; 3]) -> Vec<u8> {
        let r = classes.radius;
        let around: [usize; 3] = std::array::from_fn(|a| shape[a] + 2 * r[a]);
        let label = |z: usize, y: usize, x: usize| labels[(z * around[1] + y) * around[2] + x];
        let mut result = Vec::new();
        for z in 0..shape[0] {
            for y in 0..shape[1] {
                for x in 0..shape[2] {
                    let own = label(z + r[0], y + r[1], x + r[2]);
                    let mut count = 0;
                    for dz in 0..=2 * r[0] {
                        for dy in 0..=2 * r[1] {
                            for dx in 0..=2 * r[2] {
                                count += u32::from(label(z + dz, y + dy, x + dx) == own);
                            }
                        }
                    }
                    result.push(if own == 0 || own == 3 { BACKGROUND } else { classes.of(count) });
                }
            }
        }
        result
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

        #[test]
        fn running_sums_agree_with_counting(
            shape in [1_usize..6, 1_usize..7, 1_usize..8],
            radius in [0_usize..3, 0_usize..3, 0_usize..4],
            values in prop::collection::vec(0_u64..5, 10 * 11 * 14),
        ) {
            let classes = Classes { radius, thresholds: vec![0.1, 0.25, 0.5, 0.9] };
            let around: usize = (0..3).map(|a| shape[a] + 2 * radius[a]).product();
            // Stretches of a label, as objects have them.
            let labels: Vec<u64> = (0..around).map(|i| values[i / 3 % values.len()]).collect();
            let found = classes.block(&labels, shape, |label| label != 3);
            prop_assert_eq!(found, naive(&classes, &labels, shape));
        }
    }

    #[test]
    fn a_share_at_a_threshold_belongs_to_the_class_above() {
        let classes = Classes { radius: [0, 0, 1], thresholds: vec![1.0 / 3.0, 2.0 / 3.0] };
        assert_eq!([1, 2, 3].map(|own| classes.of(own)), [2, 3, 3]);
        assert_eq!(classes.count(), 4);
    }
}
