//! Seeded watershed: labels grow over a height, lowest voxels first.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::error::{Error, Result};

/// Offsets `[z, y, x]` of the voxels that share a face, in the order in which they are reached.
const FACES: [[isize; 3]; 6] =
    [[-1, 0, 0], [0, -1, 0], [0, 0, -1], [0, 0, 1], [0, 1, 0], [1, 0, 0]];

/// Grows labels (above 0) into voxels of label 0 that are at most `limit` high, through faces. Both arrays
/// are `[z, y, x]` in C order; heights that are NaN are never entered.
///
/// The voxel that was reached at the least height grows next; of several, the one that was reached first.
/// Voxels that have a label from the start count as reached at their own height, in C order. So the result
/// is one and the same on every machine (Meyer, "Topographic distance and watershed lines", Signal
/// Processing 38 (1994); the order is that of scikit-image). Labels that meet touch: no line is left
/// between them.
///
/// Cost: a heap of the front, `n log n` for `n` voxels that are reached; 16 bytes for each of the front.
///
/// # Errors
/// [`Error::Usage`] if an array has not the voxels of the shape, or there are 2^32 or more.
pub fn watershed(height: &[f32], labels: &mut [u32], shape: [usize; 3], limit: f32) -> Result<()> {
    let voxels = shape.iter().product::<usize>();
    if height.len() != voxels || labels.len() != voxels || u32::try_from(voxels).is_err() {
        let (heights, labels) = (height.len(), labels.len());
        let message = format!(
            "watershed of shape {shape:?}: expected {voxels} voxels below 2^32, found {heights} \
             heights and {labels} labels"
        );
        return Err(Error::Usage(message));
    }
    let mut front = Front { heap: BinaryHeap::new(), age: 0 };
    // A label with no free neighbour has nothing to grow into: only borders are put on the heap.
    for at in 0..voxels {
        let free = |to: usize| labels[to] == 0 && height[to] <= limit;
        if labels[at] > 0 && neighbours(at, shape).any(free) {
            front.push(height[at], at);
        }
    }
    while let Some(at) = front.pop() {
        for to in neighbours(at, shape) {
            if labels[to] == 0 && height[to] <= limit {
                labels[to] = labels[at];
                front.push(height[to], to);
            }
        }
    }
    Ok(())
}

/// Voxels that were reached and have not grown yet.
struct Front {
    /// Height and age in one number, and the voxel.
    heap: BinaryHeap<Reverse<(u64, u32)>>,
    age: u32,
}

impl Front {
    fn push(&mut self, height: f32, voxel: usize) {
        let key = u64::from(ordered(height)) << 32 | u64::from(self.age);
        // Each voxel is reached once: there are fewer ages than voxels.
        self.age = self.age.wrapping_add(1);
        self.heap.push(Reverse((key, voxel as u32)));
    }

    fn pop(&mut self) -> Option<usize> {
        self.heap.pop().map(|Reverse((_, voxel))| voxel as usize)
    }
}

/// A number that is ordered as the height is.
fn ordered(height: f32) -> u32 {
    // Both zeros are one height.
    let bits = (height + 0.0).to_bits();
    if bits >> 31 == 0 { bits | 1 << 31 } else { !bits }
}

fn neighbours(at: usize, [nz, ny, nx]: [usize; 3]) -> impl Iterator<Item = usize> {
    let [z, y, x] = [at / (ny * nx), at / nx % ny, at % nx];
    FACES.into_iter().filter_map(move |[dz, dy, dx]| {
        let z = z.checked_add_signed(dz).filter(|z| *z < nz)?;
        let y = y.checked_add_signed(dy).filter(|y| *y < ny)?;
        let x = x.checked_add_signed(dx).filter(|x| *x < nx)?;
        Some((z * ny + y) * nx + x)
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition: all labelled voxels are on a list, of which the lowest and then oldest is looked
    /// for anew each time.
    fn naive(height: &[f32], labels: &mut [u32], shape: [usize; 3], limit: f32) {
        let mut list: Vec<usize> = (0..labels.len()).filter(|at| labels[*at] > 0).collect();
        while !list.is_empty() {
            let lowest = (0..list.len())
                .min_by(|a, b| height[list[*a]].total_cmp(&height[list[*b]]).then(a.cmp(b)))
                .unwrap();
            let at = list.remove(lowest);
            let [z, y, x] = [at / (shape[1] * shape[2]), at / shape[2] % shape[1], at % shape[2]];
            let mut reach = |z: usize, y: usize, x: usize| {
                if z < shape[0] && y < shape[1] && x < shape[2] {
                    let to = (z * shape[1] + y) * shape[2] + x;
                    if labels[to] == 0 && height[to] <= limit {
                        labels[to] = labels[at];
                        list.push(to);
                    }
                }
            };
            reach(z.wrapping_sub(1), y, x);
            reach(z, y.wrapping_sub(1), x);
            reach(z, y, x.wrapping_sub(1));
            reach(z, y, x + 1);
            reach(z, y + 1, x);
            reach(z + 1, y, x);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        #[test]
        fn equals_the_definition(
            shape in [1usize..6, 1usize..7, 1usize..9], seed in any::<u64>(),
            levels in 1u64..9, rarity in 2u64..20, limit in 0u8..9,
        ) {
            let voxels: usize = shape.iter().product();
            let hash = |i: usize, salt: u64| {
                let mixed = (i as u64 ^ seed ^ salt << 40).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 33
            };
            let height: Vec<f32> = (0..voxels).map(|i| (hash(i, 1) % levels) as f32 - 2.0).collect();
            let marker = |i: usize| if hash(i, 2) % rarity == 0 { hash(i, 3) as u32 % 5 } else { 0 };
            let mut expected: Vec<u32> = (0..voxels).map(marker).collect();
            let mut found = expected.clone();
            naive(&height, &mut expected, shape, f32::from(limit) - 3.0);
            watershed(&height, &mut found, shape, f32::from(limit) - 3.0).unwrap();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn what_is_not_a_number_is_never_entered() {
        let mut labels = [1, 0, 0];
        watershed(&[0.0, f32::NAN, 0.0], &mut labels, [1, 1, 3], f32::INFINITY).unwrap();
        assert_eq!(labels, [1, 0, 0]);
        let error = watershed(&[0.0; 2], &mut labels, [1, 1, 3], 1.0).unwrap_err().to_string();
        assert!(error.contains("found 2 heights and 3 labels"), "{error}");
    }
}
