//! A set of voxels, a bit each.

use rayon::prelude::*;

/// Which voxels of a block `[z, y, x]` are masked. Memory: a bit a voxel; rows begin with a word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mask {
    shape: [usize; 3],
    words_per_row: usize,
    words: Vec<u64>,
}

impl Mask {
    /// A mask of nothing.
    pub fn empty(shape: [usize; 3]) -> Self {
        let words_per_row = shape[2].div_ceil(64);
        Self { shape, words_per_row, words: vec![0; shape[0] * shape[1] * words_per_row] }
    }

    /// Shape and bits.
    pub(super) fn put(&self, words: &mut Vec<u64>) {
        words.extend(self.shape.map(|s| s as u64));
        words.extend(&self.words);
    }

    /// Voxels along z, y and x.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// Adds voxels to planes from `first` on, row by row on all threads: `fill(z, y, row)` gets the row's
    /// bits, all false, and sets those that are masked.
    ///
    /// # Panics
    /// If there are not so many planes.
    pub fn add_planes(
        &mut self,
        first: usize,
        count: usize,
        fill: impl Fn(usize, usize, &mut [bool]) + Sync,
    ) {
        let [_, ny, nx] = self.shape;
        let words = self.words_per_row;
        let planes = &mut self.words[first * ny * words..(first + count) * ny * words];
        planes.par_chunks_mut(words.max(1)).enumerate().for_each_init(
            || vec![false; nx],
            |bits, (row, words)| {
                bits.fill(false);
                fill(first + row / ny, row % ny, bits);
                for (word, bits) in words.iter_mut().zip(bits.chunks(64)) {
                    *word |= bits.iter().rev().fold(0, |word, bit| word << 1 | u64::from(*bit));
                }
            },
        );
    }

    /// Whether a voxel is masked.
    ///
    /// # Panics
    /// If it lies outside.
    pub fn get(&self, [z, y, x]: [usize; 3]) -> bool {
        assert!(y < self.shape[1] && x < self.shape[2], "a voxel of the mask");
        let word = self.words[(z * self.shape[1] + y) * self.words_per_row + x / 64];
        word >> (x % 64) & 1 == 1
    }

    /// Calls `found(y, x)` for each masked voxel of a plane.
    pub(in crate::ffn) fn for_each_of_plane(&self, z: usize, mut found: impl FnMut(usize, usize)) {
        let [_, ny, nx] = self.shape;
        for y in 0..ny {
            let row = &self.words[(z * ny + y) * self.words_per_row..][..self.words_per_row];
            for (at, word) in row.iter().enumerate().filter(|(_, word)| **word != 0) {
                let bits = (0..64).filter(|bit| word >> bit & 1 == 1);
                bits.map(|bit| at * 64 + bit).filter(|x| *x < nx).for_each(|x| found(y, x));
            }
        }
    }

    /// Masked voxels.
    pub fn count(&self) -> usize {
        self.words.par_iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether every voxel is masked.
    pub fn is_full(&self) -> bool {
        self.count() == self.shape.iter().product::<usize>()
    }

    /// Turns every voxel to the other.
    pub fn invert(&mut self) {
        let (words_per_row, nx) = (self.words_per_row, self.shape[2]);
        let last = u64::MAX >> ((64 - nx % 64) % 64);
        for row in self.words.chunks_exact_mut(words_per_row.max(1)) {
            row.iter_mut().for_each(|word| *word = !*word);
            if let Some(word) = row.last_mut() {
                *word &= last;
            }
        }
    }

    /// Adds the voxels of another mask of the same shape.
    ///
    /// # Panics
    /// If the shapes differ.
    pub fn add(&mut self, other: &Self) {
        assert_eq!(self.shape, other.shape, "masks of one shape");
        self.words.iter_mut().zip(&other.words).for_each(|(word, other)| *word |= other);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn bits_are_those_of_a_list(
            shape in [1usize..5, 1usize..5, 1usize..140], seed in any::<u64>(), invert: bool,
        ) {
            let [nz, ny, nx] = shape;
            let is_masked = |z: usize, y: usize, x: usize, salt: u64| {
                let i = ((z * ny + y) * nx + x) as u64;
                (i ^ seed ^ salt).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 62 == 0
            };
            let filled = |salt: u64| {
                let mut mask = Mask::empty(shape);
                mask.add_planes(0, nz, |z, y, row| {
                    row.iter_mut().enumerate().for_each(|(x, bit)| *bit = is_masked(z, y, x, salt));
                });
                mask
            };
            let mut mask = filled(0);
            if invert {
                mask.invert();
            }
            mask.add(&filled(1));
            let (mut count, mut listed) = (0, Vec::new());
            for z in 0..nz {
                mask.for_each_of_plane(z, |y, x| listed.push([z, y, x]));
                for y in 0..ny {
                    for x in 0..nx {
                        let expected = (is_masked(z, y, x, 0) != invert) || is_masked(z, y, x, 1);
                        prop_assert_eq!(mask.get([z, y, x]), expected);
                        count += usize::from(expected);
                    }
                }
            }
            prop_assert_eq!(mask.count(), count);
            prop_assert!(listed.len() == count && listed.iter().all(|p| mask.get(*p)));
            prop_assert_eq!(mask.is_full(), count == nz * ny * nx);
        }
    }
}
