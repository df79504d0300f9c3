//! Where planes are shifted against each other by much.

use super::mask::Mask;

/// Large shifts between a plane and the next, and how near to them no FOV may be centred.
#[derive(Debug, Clone)]
pub struct ShiftMask {
    /// Cells with a large shift.
    flagged: Mask,
    /// Voxels along y and x of a cell.
    scale: usize,
    /// Voxels of the first cell before the block, along y and x.
    phase_yx: [usize; 2],
    /// Box around a FOV's centre that must hold no such cell: first voxel and end, `[z, y, x]`.
    around: [[i64; 3]; 2],
}

impl ShiftMask {
    /// `flagged`: cells of one plane and `scale` x `scale` voxels in which a shift along y or x reaches the
    /// threshold. `phase_yx`: how many voxels of the first cell lie before the block. `around`: first voxel
    /// and end of the box around a centre, relative to it.
    pub fn new(
        flagged: Mask,
        scale: usize,
        phase_yx: [usize; 2],
        around_zyx: [[i64; 3]; 2],
    ) -> Self {
        Self { flagged, scale: scale.max(1), phase_yx, around: around_zyx }
    }

    /// All there is.
    pub(super) fn put(&self, words: &mut Vec<u64>) {
        self.flagged.put(words);
        words.extend([self.scale, self.phase_yx[0], self.phase_yx[1]].map(|v| v as u64));
        words.extend(self.around.as_flattened().iter().map(|v| *v as u64));
    }

    /// Whether no FOV may be centred at a voxel. Cost: the cells of the box.
    pub fn refuses(&self, position: [usize; 3]) -> bool {
        let shape = self.flagged.shape();
        let range = |a: usize| {
            let phase = if a == 0 { 0 } else { self.phase_yx[a - 1] as i64 };
            let scale = if a == 0 { 1 } else { self.scale as i64 };
            let low = (position[a] as i64).saturating_add(self.around[0][a]).max(0);
            let high = (position[a] as i64).saturating_add(self.around[1][a]) - 1;
            if high < low {
                return 0..0;
            }
            let end = (high + phase).div_euclid(scale).saturating_add(1).clamp(0, shape[a] as i64);
            ((low + phase) / scale) as usize..end as usize
        };
        let (mut zs, ys, xs) = (range(0), range(1), range(2));
        zs.any(|z| ys.clone().any(|y| xs.clone().any(|x| self.flagged.get([z, y, x]))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn equals_the_definition(
            shape in [1usize..6, 1usize..7, 1usize..7], scale in 1usize..4,
            phase in [0usize..4, 0usize..4], start in [-3i64..2, -3i64..2, -3i64..2],
            size in [1i64..5, 1i64..5, 1i64..5], seed in any::<u64>(),
        ) {
            let phase = phase.map(|p| p % scale);
            let cells = [shape[0], (shape[1] + phase[0]).div_ceil(scale), (shape[2] + phase[1]).div_ceil(scale)];
            let is_flagged = |z: usize, y: usize, x: usize| {
                let i = ((z * cells[1] + y) * cells[2] + x) as u64;
                (i ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 60 == 0
            };
            let mut flagged = Mask::empty(cells);
            flagged.add_planes(0, cells[0], |z, y, row| {
                row.iter_mut().enumerate().for_each(|(x, bit)| *bit = is_flagged(z, y, x));
            });
            let end = [0, 1, 2].map(|a| start[a] + size[a]);
            let mask = ShiftMask::new(flagged, scale, phase, [start, end]);
            for (z, y, x) in (0..shape[0]).flat_map(|z| {
                (0..shape[1]).flat_map(move |y| (0..shape[2]).map(move |x| (z, y, x)))
            }) {
                // Voxel by voxel of the box; those beyond the cells left out.
                let inside = |p: usize, a: usize, o: i64| {
                    let v = usize::try_from(p as i64 + o).ok()?;
                    let cell = if a == 0 { v } else { (v + phase[a - 1]) / scale };
                    (cell < cells[a]).then_some(cell)
                };
                let mut expected = false;
                for i in start[0]..end[0] {
                    for j in start[1]..end[1] {
                        for k in start[2]..end[2] {
                            if let (Some(i), Some(j), Some(k)) = (inside(z, 0, i), inside(y, 1, j), inside(x, 2, k)) {
                                expected |= is_flagged(i, j, k);
                            }
                        }
                    }
                }
                prop_assert_eq!(mask.refuses([z, y, x]), expected);
            }
        }
    }
}
